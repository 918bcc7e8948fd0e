/*
 * The shapes on the wire and in the stores: one owner for each JSON and BSON document.
 * Pure and thread-safe; no function keeps a pointer to its arguments. Results named "the caller frees" come from
 * malloc.
 */
#ifndef FOODSVC_CODEC_H
#define FOODSVC_CODEC_H

#include <bson/bson.h>
#include <jansson.h>
#include "foodsvc_json.h"
#include "foodsvc_order.h"
#include "foodsvc_payment.h"

#define FOODSVC_ERR     256     /* bytes that hold any reason below */

/* The one reason that says nothing of the text or document: another attempt may have the memory. */
#define FOODSVC_NO_MEMORY   "no memory"
bool foodsvc_no_memory(const char *err);

/* --- requests to us: NULL or false with every fault in *faults, in the words of the recorded answers --- */

/* OrderPayload -> a new order with items and customer_id; id, created, status are the caller's. */
foodsvc_order_t *foodsvc_order_from_request(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_faults_t *faults);

/* PaymentPayload. */
typedef struct {
    foodsvc_item_t     *items;
    size_t              nitems;
    foodsvc_metadata_t  metadata;
} foodsvc_payment_request_t;

bool foodsvc_payment_request_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_payment_request_t *request, foodsvc_faults_t *faults);
void foodsvc_payment_request_clear(foodsvc_payment_request_t *request);

/* BillingCallback. */
typedef struct {
    foodsvc_payment_status_e status;
    foodsvc_uuid_t           caller_id;
    foodsvc_uuid_t           transaction_id;
} foodsvc_callback_t;

bool foodsvc_callback_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_callback_t *callback, foodsvc_faults_t *faults);
/* BillingCallback as text, for the 201 answer and for the simulator; the caller frees. NULL: no memory. */
char *foodsvc_callback_json(const foodsvc_callback_t *callback, size_t *len);

/* A path's {order_id}: the canonical text into id, or a fault with loc ["path", "order_id"]. */
bool foodsvc_path_order_id(const char *text, size_t len, char id[FOODSVC_UUID_TEXT + 1], foodsvc_faults_t *faults);

/* --- an order out: one text for the HTTP answer and for Redis --- */

/*
 * The order as JSON text; the caller frees. NULL: no memory. Members: id, status, items, created, customer_id,
 * kitchen_id, delivery_id, updated (times ISO 8601 with Z), then "sum" (CRC-32 of all before it, 8 hex digits), then
 * the unknown ones. *public_len is the length of the part before `,"sum"`: an HTTP answer is that part and "}". claim
 * and settled stay out.
 */
char *foodsvc_order_cache_json(const foodsvc_order_t *order, size_t *len, size_t *public_len);

/* The OrderResponse: the public part, closed; the caller frees. */
char *foodsvc_order_response_json(const foodsvc_order_t *order, size_t *len);

/*
 * Looks at a value read from Redis under the key `id`. When it was written by foodsvc_order_cache_json() for this
 * order and is whole (prefix and sum are right): returns the length of its public part, to be sent as it is. 0: not
 * ours, or rubbish.
 */
size_t foodsvc_order_cache_public(const char *text, size_t len, const char *id);

/* foodsvc_order_rank() of the order whose public part, found as above, this is. */
size_t foodsvc_order_cache_rank(const char *text, size_t public_len);

/* Reads a value from Redis that another writer (the original) put there. NULL with a reason: as good as none. */
foodsvc_order_t *foodsvc_order_from_cache(const char *text, size_t len, const char *id, char err[FOODSVC_ERR]);

/* --- MongoDB --- */

/* Appends the whole document, for an insert. False: no memory or too large. */
bool foodsvc_order_to_bson(const foodsvc_order_t *order, bson_t *doc);
/* Takes UUIDs as string or binary (subtype 3 and 4), times as date or ISO text, quantity as int32, int64 or whole
   double; keeps what it doesn't know. NULL: err names the field. */
foodsvc_order_t *foodsvc_order_from_bson(const bson_t *doc, char err[FOODSVC_ERR]);
bool foodsvc_payment_to_bson(const foodsvc_payment_t *payment, bson_t *doc);
foodsvc_payment_t *foodsvc_payment_from_bson(const bson_t *doc, char err[FOODSVC_ERR]);
/* Appends a UUID under key, binary subtype 4; used by the store's partial updates. */
bool foodsvc_bson_append_uuid(bson_t *doc, const char *key, const foodsvc_uuid_t *uuid);

/* --- events --- */

typedef struct {
    foodsvc_metadata_t  metadata;
    char                order_id[FOODSVC_UUID_TEXT + 1];    /* metadata.order_id, canonical */
    foodsvc_status_e    status;
    bool                has_kitchen_id, has_delivery_id;
    foodsvc_uuid_t      kitchen_id, delivery_id;
} foodsvc_event_t;

/* False: the message cannot be processed, err says why in one line (it goes to the dead-letter queue with it). A bad
   kitchen_id or delivery_id is such a fault, null is none. */
bool foodsvc_event_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits, foodsvc_event_t *event,
    char err[FOODSVC_ERR]);
/* The message's body; ids only where has_ is set. The caller frees. NULL: no memory. */
char *foodsvc_event_json(const foodsvc_metadata_t *metadata, foodsvc_status_e status, const foodsvc_uuid_t *kitchen_id,
    const foodsvc_uuid_t *delivery_id, size_t *len);
void foodsvc_event_clear(foodsvc_event_t *event);
/* The change that an event is, at time `when`. */
void foodsvc_event_change(const foodsvc_event_t *event, int64_t when, foodsvc_change_t *change);

/* --- what we send to partners, and what they answer (foodsvc_partner.c) --- */

/* [OrderItem], for CustomerService billing; {"items", "metadata"}, for PaymentService and KitchenService; the same
   with "address" (borrowed), for DeliveryService. The caller frees. */
char *foodsvc_items_json(const foodsvc_item_t *items, size_t nitems, size_t *len);
char *foodsvc_request_json(const foodsvc_item_t *items, size_t nitems, const foodsvc_metadata_t *metadata,
    const json_t *address, size_t *len);
/*
 * BillingPayload; billing is the answer of CustomerService, the amount the payment's. Freed by foodsvc_secret_free().
 */
char *foodsvc_billing_payload_json(const json_t *billing, double amount, const char *callback_url,
    const char *caller_id, size_t *len);

/*
 * Partner answers' bodies. NULL or false: err names the member that is wrong and never quotes a value. The json_t
 * results belong to the caller (json_decref) and must not be logged.
 */
json_t *foodsvc_billing_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    char err[FOODSVC_ERR]);                                             /* {"amount" > 0, "billing_info"} */
json_t *foodsvc_address_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    char err[FOODSVC_ERR]);                                             /* name, city, street, zipcode */
/* {"delivery_id", "status"} or {"kitchen_id", "status"} -> the change to apply, with `when` now. `service` is
   FOODSVC_DELIVERY_SERVICE or FOODSVC_KITCHEN_SERVICE. */
bool foodsvc_scheduled_parse(const char *service, const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_change_t *change, char err[FOODSVC_ERR]);
bool foodsvc_transaction_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_uuid_t *transaction_id, char err[FOODSVC_ERR]);             /* {"transaction_id"} */
/* {"status": true, ...} of a partner's /health: true only when it says so. */
bool foodsvc_health_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits);
/* The "detail" of an error answer when it is a string of printable text, else "<service> answered <status>"; no card
   data: a detail with a run of 12 or more digits (what groups them, " -./_", not counted) is replaced
   too. The caller frees. */
char *foodsvc_error_detail(const char *service, int status, const char *body, size_t len);

#endif
