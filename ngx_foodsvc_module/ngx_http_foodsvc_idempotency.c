/*
 * Idempotency-Key on what makes or cancels an order, as in draft-ietf-httpapi-idempotency-key-header.
 *
 * A request that shows one has a record in MongoDB (foodsvc_store.h tells its states) before its handler goes on, and
 * its answer goes into the record before it goes to the client. The record's name is a SHA-256 over the API key's hash
 * and the client's key, so that two clients never meet and neither key can be read there. The fingerprint is a SHA-256
 * of method, path and body.
 *
 * Which answers are remembered is the handler's to say (ngx_http_foodsvc_idempotent_keep), once the order is stored, or
 * the cancel is decided. All others give the lease back, so that a repeat may try again at once; it gets the record's
 * order id, whatever became of the insert before. An attempt that dies with its process keeps its lease, which is a
 * little longer than a request may take; then a repeat takes the record over.
 *
 * The client does not wait long for the record: when MongoDB does not take the answer in time, it is sent all the same,
 * and a repeat finds the order itself.
 */
#include "ngx_http_foodsvc_core.h"
#include "ngx_http_foodsvc_flow.h"


#define NGX_HTTP_FOODSVC_IDEMPOTENT_MARGIN  2000        /* ms that a lease is longer than foodsvc_deadline */
#define NGX_HTTP_FOODSVC_IDEMPOTENT_WAIT    1000        /* ms that an answer waits for its record */


struct ngx_http_foodsvc_idempotent_s {
    char                         id[FOODSVC_STORE_HASH + 1];
    char                         order_id[FOODSVC_UUID_TEXT + 1];
    int64_t                      until;
    ngx_http_foodsvc_handler_pt  then;
    ngx_event_t                  timer;
    unsigned                     ours:1;        /* the lease is, and was not given back */
    unsigned                     taken:1;       /* from an attempt that ended nobody knows where */
    unsigned                     keep:1;
    unsigned                     waiting:1;     /* the answer, for the record */
};


static ngx_int_t ngx_http_foodsvc_idempotent_key(ngx_http_foodsvc_ctx_t *ctx, ngx_str_t *key);
static ngx_http_foodsvc_store_op_t *ngx_http_foodsvc_idempotent_op(ngx_http_foodsvc_ctx_t *ctx, ngx_str_t *key,
    const char *order_id);
static void ngx_http_foodsvc_idempotent_begun(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_idempotent_not_begun(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_key_op_t *begun);
static void ngx_http_foodsvc_idempotent_replay(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_key_op_t *begun);
static void ngx_http_foodsvc_idempotent_release(const char *id, int64_t until);
static void ngx_http_foodsvc_idempotent_end(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_idempotent_ended(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_idempotent_late(ngx_event_t *ev);


void
ngx_http_foodsvc_idempotent(ngx_http_foodsvc_ctx_t *ctx, const char *order_id, ngx_http_foodsvc_handler_pt then)
{
    ngx_str_t                      key;
    ngx_http_foodsvc_store_op_t   *op;
    ngx_http_foodsvc_idempotent_t *idem;

    switch (ngx_http_foodsvc_idempotent_key(ctx, &key)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        then(ctx);
        return;

    default:
        return;
    }

    idem = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_foodsvc_idempotent_t));
    if (idem == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    idem->then = then;
    ctx->idempotent = idem;

    op = ngx_http_foodsvc_idempotent_op(ctx, &key, order_id);

    if (op) {
        ngx_memcpy(idem->id, op->key_id, sizeof(idem->id));
        idem->until = op->u.key.until;
    }

    ngx_http_foodsvc_flow_ask_store(ctx, op, ngx_http_foodsvc_idempotent_begun);
}


/* NGX_DECLINED: the request shows none; NGX_ERROR: a bad one, which is answered. */
static ngx_int_t
ngx_http_foodsvc_idempotent_key(ngx_http_foodsvc_ctx_t *ctx, ngx_str_t *key)
{
    size_t       i;
    ngx_uint_t   n;
    const char  *wrong;

    n = ngx_http_foodsvc_header_in(ctx->request, FOODSVC_IDEMPOTENCY_HEADER, key);

    if (n == 0) {
        return NGX_DECLINED;
    }

    /* the draft's way to write a text; the same key without them is the same */
    if (key->len >= 2 && key->data[0] == '"' && key->data[key->len - 1] == '"') {
        key->data++;
        key->len -= 2;
    }

    wrong = (n > 1) ? "is given more than once"
            : (key->len == 0) ? "is empty"
            : (key->len > FOODSVC_IDEMPOTENCY_MAX) ? "is longer than 255 characters"
            : NULL;

    for (i = 0; wrong == NULL && i < key->len; i++) {
        if (key->data[i] < ' ' || key->data[i] == 0x7f) {
            wrong = "has a control character";
        }
    }

    if (wrong) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST, FOODSVC_IDEMPOTENCY_HEADER " %s: give a text of 1 to "
                                      "255 characters, another one for each new request", wrong);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_http_foodsvc_store_op_t *
ngx_http_foodsvc_idempotent_op(ngx_http_foodsvc_ctx_t *ctx, ngx_str_t *key, const char *order_id)
{
    ngx_str_t                     parts[5];
    ngx_http_request_t           *r = ctx->request;
    ngx_http_foodsvc_store_op_t  *op;

    static u_char                 line[] = "\n";

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_KEY_BEGIN);
    if (op == NULL) {
        return NULL;
    }

    parts[0].data = ctx->client;
    parts[0].len = sizeof(ctx->client);
    parts[1] = *key;

    if (ngx_http_foodsvc_sha256(parts, 2, op->key_id) != NGX_OK) {
        op->op.destroy(&op->op);
        return NULL;
    }

    parts[0] = r->method_name;
    parts[1].data = line;
    parts[1].len = 1;
    parts[2] = r->uri;
    parts[3] = parts[1];
    parts[4].data = (u_char *) ctx->body;
    parts[4].len = ctx->len;

    if (ngx_http_foodsvc_sha256(parts, 5, op->u.key.fingerprint) != NGX_OK) {
        op->op.destroy(&op->op);
        return NULL;
    }

    ngx_cpystrn((u_char *) op->u.key.order_id, (u_char *) order_id, sizeof(op->u.key.order_id));
    op->u.key.now = foodsvc_time_now();
    op->u.key.until = op->u.key.now + (int64_t) ctx->conf->deadline + NGX_HTTP_FOODSVC_IDEMPOTENT_MARGIN;

    return op;
}


static void
ngx_http_foodsvc_idempotent_begun(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t         *ctx;
    foodsvc_store_key_op_t         *begun = &((ngx_http_foodsvc_store_op_t *) op)->u.key;
    ngx_http_foodsvc_idempotent_t  *idem;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    if (begun->rc != FOODSVC_STORE_OK
        || (begun->verdict != FOODSVC_KEY_NEW && begun->verdict != FOODSVC_KEY_TAKEN))
    {
        if (ctx) {
            ngx_http_foodsvc_idempotent_not_begun(ctx, begun);
        }

        return;
    }

    if (ctx == NULL) {
        ngx_http_foodsvc_idempotent_release(begun->id, begun->until);
        return;
    }

    idem = ctx->idempotent;
    idem->ours = 1;
    idem->taken = (begun->verdict == FOODSVC_KEY_TAKEN);
    ngx_memcpy(idem->order_id, begun->order_id, sizeof(idem->order_id));

    ctx->before = ngx_http_foodsvc_idempotent_end;
    idem->then(ctx);
}


static void
ngx_http_foodsvc_idempotent_not_begun(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_key_op_t *begun)
{
    foodsvc_faults_t  faults;

    if (begun->rc == FOODSVC_STORE_UNKNOWN) {
        /* nothing but the record can be there */
        ngx_http_foodsvc_idempotent_release(begun->id, begun->until);
        ngx_http_foodsvc_reply_busy(ctx, "The database is not available");
        return;
    }

    if (begun->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_reply_store(ctx, begun->rc, begun->err);
        return;
    }

    ngx_memzero(&faults, sizeof(faults));

    switch (begun->verdict) {

    case FOODSVC_KEY_ANSWERED:
        ngx_http_foodsvc_idempotent_replay(ctx, begun);
        return;

    case FOODSVC_KEY_BUSY:
        ngx_http_foodsvc_retry_after(ctx);
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_CONFLICT,
                                      "A request with this " FOODSVC_IDEMPOTENCY_HEADER " is in progress");
        return;

    default:
        foodsvc_fault_add(&faults, "idempotency_key_reused", json_pack("[s, s]", "header", FOODSVC_IDEMPOTENCY_HEADER),
                          "The key was used for another request: send the same method, path and body, or another key",
                          json_null(), NULL);
        ngx_http_foodsvc_reply_faults(ctx, &faults);
    }
}


static void
ngx_http_foodsvc_idempotent_replay(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_key_op_t *begun)
{
    char              *body;
    static ngx_str_t   yes = ngx_string("true");

    (void) ngx_http_foodsvc_header(ctx->request, FOODSVC_REPLAYED_HEADER, &yes);

    body = begun->body;
    begun->body = NULL;
    ngx_http_foodsvc_reply(ctx, (ngx_uint_t) begun->status, body, begun->len);
}


const char *
ngx_http_foodsvc_idempotent_order(ngx_http_foodsvc_ctx_t *ctx)
{
    return ctx->idempotent ? ctx->idempotent->order_id : NULL;
}


ngx_uint_t
ngx_http_foodsvc_idempotent_taken(ngx_http_foodsvc_ctx_t *ctx)
{
    return ctx->idempotent && ctx->idempotent->taken;
}


void
ngx_http_foodsvc_idempotent_keep(ngx_http_foodsvc_ctx_t *ctx)
{
    if (ctx->idempotent) {
        ctx->idempotent->keep = 1;
    }
}


void
ngx_http_foodsvc_idempotent_unkeep(ngx_http_foodsvc_ctx_t *ctx)
{
    if (ctx->idempotent) {
        ctx->idempotent->keep = 0;
    }
}


/* Nobody waits for it: when it fails, the lease runs out by itself. */
static void
ngx_http_foodsvc_idempotent_release(const char *id, int64_t until)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_KEY_END);
    if (op == NULL) {
        return;
    }

    ngx_cpystrn((u_char *) op->key_id, (u_char *) id, sizeof(op->key_id));
    op->u.key.until = until;

    if (ngx_http_foodsvc_store_submit(op) != NGX_OK) {
        op->op.destroy(&op->op);
    }
}


/* The answer is made and not yet sent. */
static void
ngx_http_foodsvc_idempotent_end(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_store_op_t    *op;
    ngx_http_foodsvc_idempotent_t  *idem = ctx->idempotent;

    idem->ours = 0;

    if (!idem->keep) {
        ngx_http_foodsvc_idempotent_release(idem->id, idem->until);
        ngx_http_foodsvc_reply_now(ctx);
        return;
    }

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_KEY_END);

    if (op) {
        ngx_memcpy(op->key_id, idem->id, sizeof(idem->id));
        op->u.key.until = idem->until;
        op->u.key.status = (int32_t) ctx->request->headers_out.status;
        op->u.key.len = ctx->buf.last - ctx->buf.pos;
        op->u.key.body = malloc(op->u.key.len + 1);

        if (op->u.key.body) {
            *ngx_cpymem(op->u.key.body, ctx->buf.pos, op->u.key.len) = '\0';

            if (ngx_http_foodsvc_flow_submit(ctx, op, ngx_http_foodsvc_idempotent_ended) == NGX_OK) {
                idem->waiting = 1;
                idem->timer.handler = ngx_http_foodsvc_idempotent_late;
                idem->timer.data = ctx;
                idem->timer.log = ctx->request->connection->log;
                ngx_add_timer(&idem->timer, NGX_HTTP_FOODSVC_IDEMPOTENT_WAIT);
                return;
            }

        } else {
            op->op.destroy(&op->op);
        }
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0, "foodsvc: order %s: its answer is not remembered",
                  idem->order_id);
    ngx_http_foodsvc_reply_now(ctx);
}


static void
ngx_http_foodsvc_idempotent_ended(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_http_foodsvc_store_op_t  *ended = (ngx_http_foodsvc_store_op_t *) op;

    ctx = ngx_http_foodsvc_arrived(op);

    if (ended->rc != FOODSVC_STORE_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "foodsvc: an answer is not remembered under %s: %s: %s",
                      ended->key_id, foodsvc_store_rc_name(ended->rc), ended->err);
    }

    if (ctx && ctx->idempotent->waiting) {
        ngx_http_foodsvc_idempotent_forget(ctx);
        ngx_http_foodsvc_reply_now(ctx);
    }
}


static void
ngx_http_foodsvc_idempotent_late(ngx_event_t *ev)
{
    ngx_http_foodsvc_ctx_t  *ctx = ev->data;

    ctx->idempotent->waiting = 0;
    ngx_log_error(NGX_LOG_INFO, ev->log, 0, "foodsvc: answered before MongoDB had stored the answer");
    ngx_http_foodsvc_reply_now(ctx);
}


void
ngx_http_foodsvc_idempotent_forget(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_idempotent_t  *idem = ctx->idempotent;

    if (idem == NULL) {
        return;
    }

    idem->waiting = 0;

    if (idem->timer.timer_set) {
        ngx_del_timer(&idem->timer);
    }

    if (idem->ours) {
        /* the request died in the middle; what it began goes on, and a repeat may look at it */
        idem->ours = 0;
        ngx_http_foodsvc_idempotent_release(idem->id, idem->until);
    }
}
