/*
 * foodsvc-sim: plays CustomerService, DeliveryService, KitchenService and the Credit Card Company, with the transport
 * and restaurant companies behind them: their HTTP calls, and the callbacks and events that they send in their own
 * time.
 *
 * Who runs what:
 *   the HTTP servers' threads (sim_http.c, libmicrohttpd's pools) read a request, ask the rules what shall become of
 *       it, do it under sim->lock, and answer; an answer that must wait is suspended and resumed by the scheduler
 *   the scheduler's thread (sim_sched.c) calls what is due: the next stage of an order, the end of a card's payment
 *   the publisher's thread (sim_events.c) owns the RabbitMQ connection; it sends events, again until they are confirmed
 *   the callback's thread (sim_callback.c) owns libcurl; it calls PaymentService, again until it is taken
 *   the main thread waits for a signal
 * sim->lock guards orders, charges and the journal. Whoever holds it may add to the scheduler, the publisher and the
 * caller, which have locks of their own and never take sim->lock while they hold those.
 *
 * Orders and charges live until the process ends, so that a repeated request finds its first answer. With a journal
 * (sim_journal.c) they live on in the next process, which goes on where this one ended.
 */
#ifndef SIM_H
#define SIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "foodsvc_order.h"
#include "foodsvc_payment.h"
#include "sim_map.h"
#include "sim_rules.h"
#include "sim_sched.h"
#include "worker_conf.h"
#include "worker_log.h"

typedef enum { SIM_CUSTOMER, SIM_DELIVERY, SIM_KITCHEN, SIM_CARD, SIM_SERVICES } sim_service_e;

typedef struct {
    char                *listen;            /* numeric address */
    int64_t              ports[SIM_SERVICES];   /* 0: off */
    int64_t              http_threads;      /* of each service */
    double               speed;
    int64_t              seed;
    worker_conf_list_t   fail;
    char                *state;             /* the journal's path, or NULL */
    char                *amqp_url;          /* NULL: no events are sent */
    char                *api_key;
    char                *api_key_file;
    char                *ca_file;
    int64_t              callback_timeout;  /* ms */
    int64_t              callback_tries;    /* how often a refusal (4xx) is believed to pass */
    int                  log_format, log_level;
} sim_conf_t;

/* An order, as DeliveryService and KitchenService know it. Never freed while threads run. */
typedef struct {
    char                id[FOODSVC_UUID_TEXT + 1];
    foodsvc_metadata_t  metadata;
    json_t             *items;
    unsigned            products;           /* bits */
    bool                has_delivery, has_kitchen;
    char                delivery_id[FOODSVC_UUID_TEXT + 1];
    char                kitchen_id[FOODSVC_UUID_TEXT + 1];
    int64_t             delivery_at, kitchen_at;    /* ms */
    atomic_bool         cancelled;          /* the delivery; the publisher reads it without the lock */
    unsigned            done;               /* bits of foodsvc_status_e: stages whose event was confirmed or dropped */
} sim_order_t;

/* A request to the card company, and what became of it. Never freed while threads run. */
typedef struct sim_charge_s {
    struct sim_charge_s       *next;        /* of the same order */
    bool                       reimburse;
    bool                       booked;      /* decided: status is the answer */
    bool                       called;      /* the callback was taken, given up, or dropped by a rule */
    bool                       taken;       /* it was taken, once at least */
    bool                       calling;     /* a callback is on its way */
    foodsvc_payment_status_e   status;
    double                     amount;
    int64_t                    at;          /* ms: asked for; when booked: booked */
    char                       order_id[FOODSVC_UUID_TEXT + 1];
    char                       transaction_id[FOODSVC_UUID_TEXT + 1];
    char                      *key;         /* Idempotency-Key or "" */
    char                      *callback_url;    /* of the last request that had this key */
} sim_charge_t;

typedef struct sim_events_s   sim_events_t;
typedef struct sim_callback_s sim_callback_t;

#define SIM_MAX_COUNTED     16

typedef struct {
    sim_conf_t        conf;
    sim_rules_t      *rules;
    sim_sched_t      *sched;
    sim_events_t     *events;               /* NULL without amqp_url */
    sim_callback_t   *callback;

    pthread_mutex_t   lock;                 /* all below */
    double            speed;
    sim_map_t         orders;               /* by order id */
    sim_map_t         deliveries;           /* the same by delivery id */
    sim_map_t         charges;              /* by order id: the first; the others by next */
    sim_map_t         keys;                 /* by Idempotency-Key */
    sim_map_t         transactions;         /* by transaction id */
    sim_charge_t    **ledger;               /* in the order in which they were asked for */
    size_t            nledger, ledger_room;
    int               journal;              /* fd or -1 */
} sim_t;

#define SIM_SPEED_MIN   0.001
#define SIM_SPEED_MAX   1e9

/* `ms` of the world in the simulator's time. */
int64_t sim_scaled_locked(const sim_t *sim, int64_t ms);
/* For what is planned from now on. */
void sim_speed_set(sim_t *sim, double speed);

/* --- sim_order.c: DeliveryService, KitchenService and the companies behind them --- */

typedef struct {
    const foodsvc_metadata_t *metadata;
    const char               *order_id;     /* canonical */
    json_t                   *items;        /* borrowed */
    unsigned                  products;
} sim_request_order_t;

/* Finds the order or takes it over, plans its first event, and returns the answer's body; NULL: no memory. */
json_t *sim_delivery_create(sim_t *sim, const sim_request_order_t *request);
json_t *sim_kitchen_create(sim_t *sim, const sim_request_order_t *request);
/* The delivery's order; NULL: unknown. Orders are never freed: id and products may be read without the lock. */
const sim_order_t *sim_delivery_find(sim_t *sim, const char *delivery_id);
/* The products of an order that a delivery or the kitchen knows, or 0. */
unsigned sim_order_products(sim_t *sim, const char *order_id);
/* The answer's body; NULL with *late set: it was delivered already; NULL without: no memory. */
json_t *sim_delivery_cancel(sim_t *sim, const char *delivery_id, bool *late);
/* The event of this stage was confirmed (the publisher), or is known from the journal. */
void sim_order_confirmed(sim_t *sim, sim_order_t *order, foodsvc_status_e status);
/* From the journal. */
void sim_order_restore_locked(sim_t *sim, const char *type, const json_t *line);
/* Plans what is left of all restored orders. */
void sim_order_resume(sim_t *sim);
void sim_order_free(void *order);

/* --- sim_card.c: the Credit Card Company --- */

typedef struct {
    bool        reimburse;
    double      amount;
    const char *order_id;       /* canonical */
    const char *callback_url;
    const char *key;            /* Idempotency-Key or "" */
} sim_billing_t;

/* 0 and the transaction id; or the HTTP status of the refusal, with its reason in err. */
int sim_card_bill(sim_t *sim, const sim_billing_t *billing, char transaction_id[FOODSVC_UUID_TEXT + 1], char *err,
    size_t errlen);
/* The callback of this charge was taken, or given up (the caller's thread). */
void sim_card_called(sim_t *sim, sim_charge_t *charge, bool taken);
/* Where its callback goes by now, owned by the caller; NULL: no memory (the caller's thread). */
char *sim_card_address(sim_t *sim, const sim_charge_t *charge);
/* order_id NULL: all. */
json_t *sim_card_ledger(sim_t *sim, const char *order_id);
void sim_card_restore_locked(sim_t *sim, const char *type, const json_t *line);
void sim_card_resume(sim_t *sim);
void sim_charge_free(sim_charge_t *charge);

/* --- sim_journal.c: one JSON object a line, appended as things happen --- */

/* Reads what is there and goes on behind it. False with err. Before the threads start. */
bool sim_journal_open(sim_t *sim, const char *path, char *err, size_t errlen);
/* Steals line (NULL: no memory, logged). Nothing without a journal. */
void sim_journal_locked(sim_t *sim, json_t *line);
void sim_journal_close(sim_t *sim);

/* --- sim_events.c --- */

typedef struct {
    char              *receiver;        /* queue; owned, as body is */
    char              *body;
    size_t             len;
    char               message_id[FOODSVC_UUID_TEXT + 1];
    sim_order_t       *order;           /* told when it is confirmed; NULL: nobody */
    foodsvc_status_e   status;
    const atomic_bool *unless;          /* not sent any more when this is set; may be NULL */
} sim_event_t;

sim_events_t *sim_events_start(sim_t *sim, const char *url, char *err, size_t errlen);
/* Copies *event; its texts are the publisher's from now on. */
void sim_events_send(sim_events_t *events, const sim_event_t *event);
json_t *sim_events_json(sim_events_t *events);
/* Waits for open confirms for up to a second. */
void sim_events_stop(sim_events_t *events);

/* --- sim_callback.c --- */

sim_callback_t *sim_callback_start(sim_t *sim, char *err, size_t errlen);
/* body becomes the caller's. charge: told when it is done; NULL: nobody, and it is tried once. */
void sim_callback_send(sim_callback_t *callback, const char *url, char *body, sim_charge_t *charge);
size_t sim_callback_waiting(sim_callback_t *callback);
void sim_callback_stop(sim_callback_t *callback);

/* --- sim_http.c --- */

typedef struct sim_http_s sim_http_t;

sim_http_t *sim_http_start(sim_t *sim, char *err, size_t errlen);
/* Takes no more requests, and lets go of those that the scheduler still holds: stop the scheduler in between. */
void sim_http_stop(sim_http_t *http);

#endif
