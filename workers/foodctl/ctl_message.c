/*
 * Getting a message, and saying in JSON all that it has. What is no UTF-8 is base64 there: nothing is lost.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include "ctl_message.h"
#include "worker_amqp_state.h"

#define CTL_PROPERTIES  131072      /* bytes: RabbitMQ's largest frame */

static json_t *ctl_amqp_value(const amqp_field_value_t *value);
static json_t *ctl_amqp_table(const amqp_table_t *table);

static json_t *
ctl_base64(amqp_bytes_t bytes)
{
    char   *text = malloc(4 * ((bytes.len + 2) / 3) + 1);
    json_t *json = NULL;

    if (text != NULL) {
        EVP_EncodeBlock((unsigned char *) text, bytes.bytes, (int) bytes.len);
        json = json_string(text);
        free(text);
    }
    return json;
}

/* Text, or {"base64": ...}. */
static json_t *
ctl_amqp_text(amqp_bytes_t bytes)
{
    json_t *text = json_stringn(bytes.len > 0 ? bytes.bytes : "", bytes.len);

    return text != NULL ? text : json_pack("{s:o?}", "base64", ctl_base64(bytes));
}

static json_t *
ctl_amqp_array(const amqp_array_t *array)
{
    json_t *list = json_array();

    for (int i = 0; i < array->num_entries; i++) {
        json_array_append_new(list, ctl_amqp_value(&array->entries[i]));
    }
    return list;
}

static json_t *
ctl_amqp_value(const amqp_field_value_t *value)
{
    switch (value->kind) {
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        return ctl_amqp_text(value->value.bytes);
    case AMQP_FIELD_KIND_BOOLEAN:
        return json_boolean(value->value.boolean);
    case AMQP_FIELD_KIND_I8:
        return json_integer(value->value.i8);
    case AMQP_FIELD_KIND_U8:
        return json_integer(value->value.u8);
    case AMQP_FIELD_KIND_I16:
        return json_integer(value->value.i16);
    case AMQP_FIELD_KIND_U16:
        return json_integer(value->value.u16);
    case AMQP_FIELD_KIND_I32:
        return json_integer(value->value.i32);
    case AMQP_FIELD_KIND_U32:
        return json_integer(value->value.u32);
    case AMQP_FIELD_KIND_I64:
        return json_integer(value->value.i64);
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        return json_integer((json_int_t) value->value.u64);
    case AMQP_FIELD_KIND_F32:
        return json_real((double) value->value.f32);
    case AMQP_FIELD_KIND_F64:
        return json_real(value->value.f64);
    case AMQP_FIELD_KIND_TABLE:
        return ctl_amqp_table(&value->value.table);
    case AMQP_FIELD_KIND_ARRAY:
        return ctl_amqp_array(&value->value.array);
    default:
        return json_null();
    }
}

/* A header's name: what is not printable ASCII as \xNN. The caller frees. */
static char *
ctl_amqp_key(amqp_bytes_t key)
{
    char   *text = malloc(4 * key.len + 1);
    size_t  n = 0;

    for (size_t i = 0; text != NULL && i < key.len; i++) {
        unsigned char c = ((unsigned char *) key.bytes)[i];

        n += (size_t) sprintf(text + n, isprint(c) && isascii(c) ? "%c" : "\\x%02x", c);
    }
    if (text != NULL) {
        text[n] = '\0';
    }
    return text;
}

static json_t *
ctl_amqp_table(const amqp_table_t *table)
{
    json_t *object = json_object();

    for (int i = 0; i < table->num_entries; i++) {
        char *key = ctl_amqp_key(table->entries[i].key);

        if (key != NULL) {
            json_object_set_new(object, key, ctl_amqp_value(&table->entries[i].value));
        }
        free(key);
    }
    return object;
}

static json_t *
ctl_message_json(const char *queue, const amqp_message_t *message, bool redelivered)
{
    const amqp_basic_properties_t *properties = &message->properties;
    json_t                        *json = json_pack("{s:s, s:b}", "queue", queue, "redelivered", redelivered);
    json_t                        *body = json_loadb(message->body.bytes, message->body.len, JSON_DECODE_ANY, NULL);

    if (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) {
        json_object_set_new(json, "message_id", ctl_amqp_text(properties->message_id));
    }
    if (properties->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG) {
        json_object_set_new(json, "content_type", ctl_amqp_text(properties->content_type));
    }
    if (properties->_flags & AMQP_BASIC_HEADERS_FLAG) {
        json_object_set_new(json, "headers", ctl_amqp_table(&properties->headers));
    }
    if (body == NULL) {
        body = json_stringn(message->body.len > 0 ? message->body.bytes : "", message->body.len);
    }
    if (body != NULL) {
        json_object_set_new(json, "body", body);
    } else {
        json_object_set_new(json, "body_base64", ctl_base64(message->body));
    }
    return json;
}

/* NULL bytes: no memory. */
static amqp_bytes_t
ctl_message_properties(const amqp_basic_properties_t *properties)
{
    amqp_bytes_t raw = { CTL_PROPERTIES, malloc(CTL_PROPERTIES) };
    int          len = raw.bytes == NULL ? -1
                       : amqp_encode_properties(AMQP_BASIC_CLASS, (void *) properties, raw);
    void        *smaller;

    if (len < 0) {
        free(raw.bytes);
        return amqp_empty_bytes;
    }
    raw.len = (size_t) len;
    smaller = realloc(raw.bytes, raw.len);
    if (smaller != NULL) {
        raw.bytes = smaller;
    }
    return raw;
}

int
ctl_message_get(const ctl_t *ctl, worker_amqp_t *amqp, const char *queue, ctl_message_t *message)
{
    amqp_rpc_reply_t     reply;
    amqp_basic_get_ok_t *ok;
    amqp_message_t       got;

    memset(message, 0, sizeof(*message));
    amqp_maybe_release_buffers(amqp->state);
    reply = amqp_basic_get(amqp->state, WORKER_AMQP_CHANNEL, amqp_cstring_bytes(queue), 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        ctl_amqp_lost(ctl);
        return -1;
    }
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) {
        return 0;
    }
    ok = reply.reply.decoded;
    message->tag = ok->delivery_tag;
    message->redelivered = ok->redelivered;
    reply = amqp_read_message(amqp->state, WORKER_AMQP_CHANNEL, &got, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        ctl_amqp_lost(ctl);
        return -1;
    }
    message->json = ctl_message_json(queue, &got, message->redelivered);
    message->properties = ctl_message_properties(&got.properties);
    message->body = got.body;
    got.body = amqp_empty_bytes;
    amqp_destroy_message(&got);
    if (message->properties.bytes == NULL) {
        ctl_message_clear(message);
        ctl_fail("out of memory");
        return -1;
    }
    return 1;
}

void
ctl_message_clear(ctl_message_t *message)
{
    json_decref(message->json);
    amqp_bytes_free(message->body);
    amqp_bytes_free(message->properties);
    memset(message, 0, sizeof(*message));
}

const json_t *
ctl_message_header(const ctl_message_t *message, const char *name)
{
    return json_object_get(json_object_get(message->json, "headers"), name);
}

bool
ctl_message_count(const ctl_t *ctl, worker_amqp_t *amqp, const char *queue, uint32_t *waiting, uint32_t *consumers)
{
    amqp_queue_declare_ok_t *declared;
    amqp_rpc_reply_t         reply;

    amqp_maybe_release_buffers(amqp->state);
    declared = amqp_queue_declare(amqp->state, WORKER_AMQP_CHANNEL, amqp_cstring_bytes(queue), 1, 0, 0, 0,
                                  amqp_empty_table);
    reply = amqp_get_rpc_reply(amqp->state);
    if (declared == NULL) {
        if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            ctl_amqp_no_queue(ctl, queue);
        } else {
            ctl_amqp_lost(ctl);
        }
        return false;
    }
    *waiting = declared->message_count;
    *consumers = declared->consumer_count;
    return true;
}

uint64_t
ctl_hash(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ ((const unsigned char *) bytes)[i]) * 0x100000001b3;
    }
    return hash;
}
