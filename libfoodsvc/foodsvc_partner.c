/*
 * What we send to the partners, and what we take from their answers. An answer's reason for being refused names a
 * member and never quotes a value: it may be a card's.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_buf.h"
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "foodsvc_secret.h"
#include "foodsvc_time.h"

#define DETAIL_MAX      512     /* bytes of a partner's detail that we pass on */
#define CARD_DIGITS     12      /* so many digits in a row may be a card's number */

/* --- what we send --- */

static void add_items(foodsvc_buf_t *buf, const foodsvc_item_t *items, size_t nitems)
{
    foodsvc_buf_add(buf, "[", 1);
    for (size_t i = 0; i < nitems; i++) {
        foodsvc_buf_str(buf, i == 0 ? "{\"product\":" : ",{\"product\":");
        foodsvc_buf_quote(buf, items[i].product, strlen(items[i].product));
        foodsvc_buf_str(buf, ",\"quantity\":");
        foodsvc_buf_integer(buf, items[i].quantity);
        foodsvc_buf_add(buf, "}", 1);
    }
    foodsvc_buf_add(buf, "]", 1);
}

char *foodsvc_items_json(const foodsvc_item_t *items, size_t nitems, size_t *len)
{
    foodsvc_buf_t buf;

    foodsvc_buf_init(&buf, 16 + nitems * 80);
    add_items(&buf, items, nitems);
    return foodsvc_buf_finish(&buf, len);
}

static void add_member(foodsvc_buf_t *buf, const char *start, const char *text)
{
    foodsvc_buf_str(buf, start);
    foodsvc_buf_quote(buf, text, strlen(text));
}

static void add_json(foodsvc_buf_t *buf, const char *start, const json_t *value)
{
    size_t  len;
    char   *text = foodsvc_json_dump(value, &len);

    if (text == NULL) {
        buf->failed = true;
        return;
    }
    foodsvc_buf_str(buf, start);
    foodsvc_buf_add(buf, text, len);
    free(text);
}

char *foodsvc_request_json(const foodsvc_item_t *items, size_t nitems, const foodsvc_metadata_t *metadata,
    const json_t *address, size_t *len)
{
    foodsvc_buf_t buf;

    foodsvc_buf_init(&buf, 384 + nitems * 80);
    foodsvc_buf_str(&buf, "{\"items\":");
    add_items(&buf, items, nitems);
    add_member(&buf, ",\"metadata\":{\"receiver\":", metadata->receiver);
    add_member(&buf, ",\"order_id\":", metadata->order_id);
    add_member(&buf, ",\"customer_id\":", metadata->customer_id);
    foodsvc_buf_add(&buf, "}", 1);
    if (address != NULL) {
        add_json(&buf, ",\"address\":", address);
    }
    foodsvc_buf_add(&buf, "}", 1);
    return foodsvc_buf_finish(&buf, len);
}

char *foodsvc_billing_payload_json(const json_t *billing, double amount, const char *callback_url,
    const char *caller_id, size_t *len)
{
    foodsvc_buf_t  buf;
    size_t         card_len = 0;
    char          *card = foodsvc_json_dump(json_object_get(billing, "billing_info"), &card_len);
    json_t        *number = json_real(amount);

    /* Large enough to stay where it is: what it left behind would have the card in it. */
    foodsvc_buf_init(&buf, 256 + card_len + 6 * (strlen(callback_url) + strlen(caller_id)));
    buf.failed |= card == NULL;
    add_member(&buf, "{\"callback_url\":", callback_url);
    foodsvc_buf_str(&buf, ",\"billing_info\":");
    foodsvc_buf_add(&buf, card, card_len);
    foodsvc_secret_free(card);
    add_json(&buf, ",\"amount\":", number);
    json_decref(number);
    add_member(&buf, ",\"caller_id\":", caller_id);
    foodsvc_buf_add(&buf, "}", 1);
    return foodsvc_buf_finish(&buf, len);
}

/* --- what they answer --- */

static json_t *load_object(const char *body, size_t len, const foodsvc_json_limits_t *limits, char err[FOODSVC_ERR])
{
    char    why[FOODSVC_ERR - 32];
    json_t *root = foodsvc_json_load(body, len, limits, why, sizeof(why));

    if (root == NULL) {
        snprintf(err, FOODSVC_ERR, "the answer cannot be read: %s", why);
        return NULL;
    }
    if (!json_is_object(root)) {
        snprintf(err, FOODSVC_ERR, "the answer is no object");
        json_decref(root);
        return NULL;
    }
    return root;
}

/* Are all these members strings? `path` is put before the name in err. */
static bool all_strings(json_t *object, const char *path, const char *const *members, char err[FOODSVC_ERR])
{
    for (; *members != NULL; members++) {
        if (!json_is_string(json_object_get(object, *members))) {
            snprintf(err, FOODSVC_ERR, "%s%s is missing or no string", path, *members);
            return false;
        }
    }
    return true;
}

json_t *foodsvc_billing_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits, char err[FOODSVC_ERR])
{
    static const char *const card[] = {
        "CVV", "Bank", "Name", "Expiry", "Address", "Country", "MoneyRange", "CardNumber", "IssuingNetwork", NULL
    };
    json_t *root = load_object(body, len, limits, err);
    json_t *amount = json_object_get(root, "amount"), *info = json_object_get(root, "billing_info");

    if (root == NULL) {
        return NULL;
    }
    if (!(json_number_value(amount) > 0)) {
        snprintf(err, FOODSVC_ERR, "amount is missing or no number above 0");
    } else if (!json_is_object(info)) {
        snprintf(err, FOODSVC_ERR, "billing_info is missing or no object");
    } else if (all_strings(info, "billing_info.", card, err)) {
        return root;
    }
    json_decref(root);
    return NULL;
}

json_t *foodsvc_address_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits, char err[FOODSVC_ERR])
{
    static const char *const members[] = { "name", "city", "street", "zipcode", NULL };
    json_t                  *root = load_object(body, len, limits, err);

    if (root != NULL && !all_strings(root, "", members, err)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static bool get_uuid(json_t *object, const char *member, foodsvc_uuid_t *uuid, char err[FOODSVC_ERR])
{
    json_t *value = json_object_get(object, member);
    char    why[128];

    if (json_is_string(value)
        && foodsvc_uuid_parse(json_string_value(value), json_string_length(value), uuid, why, sizeof(why)))
    {
        return true;
    }
    snprintf(err, FOODSVC_ERR, "%s is missing or no UUID", member);
    return false;
}

bool foodsvc_scheduled_parse(const char *service, const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_change_t *change, char err[FOODSVC_ERR])
{
    json_t *root = load_object(body, len, limits, err), *status = json_object_get(root, "status");
    bool    ok;

    *change = (foodsvc_change_t) { .kind = FOODSVC_CHANGE_EVENT, .when = foodsvc_time_now() };
    if (root == NULL) {
        return false;
    }
    if (strcmp(service, FOODSVC_KITCHEN_SERVICE) == 0) {
        ok = change->has_kitchen_id = get_uuid(root, "kitchen_id", &change->kitchen_id, err);
    } else {
        ok = change->has_delivery_id = get_uuid(root, "delivery_id", &change->delivery_id, err);
    }
    if (ok && !(json_is_string(status)
                && foodsvc_status_parse(json_string_value(status), json_string_length(status), &change->status)))
    {
        snprintf(err, FOODSVC_ERR, "status is missing or unknown");
        ok = false;
    }
    /* Off the path it is about money or a cancel: taken as it stands it would end the order with nothing paid back. */
    if (ok && change->status > FOODSVC_DELIVERED) {
        snprintf(err, FOODSVC_ERR, "status is none that this service gives");
        ok = false;
    }
    json_decref(root);
    return ok;
}

bool foodsvc_transaction_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_uuid_t *transaction_id, char err[FOODSVC_ERR])
{
    json_t *root = load_object(body, len, limits, err);
    bool    ok = root != NULL && get_uuid(root, "transaction_id", transaction_id, err);

    json_decref(root);
    return ok;
}

bool foodsvc_health_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits)
{
    char    err[FOODSVC_ERR];
    json_t *root = load_object(body, len, limits, err);
    bool    healthy = json_is_true(json_object_get(root, "status"));

    json_decref(root);
    return healthy;
}

/* --- error answers --- */

/* Does a UUID of the canonical form stand here? Its digits are no card's. */
static bool at_uuid(const char *text)
{
    foodsvc_uuid_t uuid;
    char           why[128];

    return strnlen(text, FOODSVC_UUID_TEXT) == FOODSVC_UUID_TEXT && text[8] == '-'
           && foodsvc_uuid_parse(text, FOODSVC_UUID_TEXT, &uuid, why, sizeof(why))
           && !isalnum((unsigned char) text[FOODSVC_UUID_TEXT]);
}

/* Digits in a row, whatever groups them. A UUID begins a word: what stands right behind a digit is that number's. */
static bool may_hold_card(const char *text)
{
    unsigned digits = 0;
    bool     in_word = false;

    while (*text != '\0') {
        if (!in_word && at_uuid(text)) {
            digits = 0;
            text += FOODSVC_UUID_TEXT;
            continue;
        }
        in_word = isalnum((unsigned char) *text);
        if (isdigit((unsigned char) *text)) {
            if (++digits >= CARD_DIGITS) {
                return true;
            }
        } else if (strchr(" -./_", *text) == NULL) {
            digits = 0;
        }
        text++;
    }
    return false;
}

char *foodsvc_error_detail(const char *service, int status, const char *body, size_t len)
{
    static const foodsvc_json_limits_t limits = { FOODSVC_JSON_MAX_SIZE, FOODSVC_JSON_MAX_DEPTH };
    char                               err[FOODSVC_ERR], own[128];
    json_t                            *root = load_object(body, len, &limits, err);
    const char                        *detail = json_string_value(json_object_get(root, "detail"));
    char                              *text;

    if (detail == NULL || detail[0] == '\0' || strlen(detail) > DETAIL_MAX || !foodsvc_utf8_printable(detail)
        || may_hold_card(detail))
    {
        snprintf(own, sizeof(own), "%s answered %d", service, status);
        detail = own;
    }
    text = strdup(detail);
    json_decref(root);
    return text;
}
