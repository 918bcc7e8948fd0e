/*
 * What the store logs: results, in the event loop, and the messages of MongoDB's driver, which come from any thread and
 * wait in a short list for the loop to log them.
 */
#include "ngx_http_foodsvc_store_thread.h"


static const char  *ngx_http_foodsvc_store_kinds[] = {
    "insert of order", "find of order", "delete of order", "change of order", "page of orders", "change of payment",
    "clearing of outbox mark", "begin of idempotency key", "end of idempotency key", "url of", "address of", "ping"
};


const char *
ngx_http_foodsvc_store_kind_name(ngx_http_foodsvc_store_kind_e kind)
{
    return ngx_http_foodsvc_store_kinds[kind];
}


const char *
ngx_http_foodsvc_store_log_id(ngx_http_foodsvc_store_op_t *op)
{
    return op->id[0] ? op->id : op->payment_id[0] ? op->payment_id : op->key_id;
}


ngx_int_t
ngx_http_foodsvc_store_log_init(ngx_http_foodsvc_store_log_t *st, ngx_log_t *log)
{
    st->log = log;

    return pthread_mutex_init(&st->lock, NULL) == 0 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_foodsvc_store_log_done(ngx_http_foodsvc_store_log_t *st)
{
    pthread_mutex_destroy(&st->lock);
}


/* Each change between there and away once; what the server refuses or can't be read, each time, with its id. */

void
ngx_http_foodsvc_store_log_result(ngx_http_foodsvc_store_log_t *st, ngx_http_foodsvc_store_op_t *op)
{
    const char          *service;
    foodsvc_store_rc_e   rc;

    if (op->kind == NGX_HTTP_FOODSVC_STORE_RESOLVE) {
        return;
    }

    rc = op->rc;
    service = "";

    if (op->kind == NGX_HTTP_FOODSVC_STORE_URL_FIND) {
        service = op->u.url.url.name;

        if (op->u.url.url.url[0] != '\0') {
            /* MongoDB had the url: what went wrong is its name server's, and logged there */
            rc = FOODSVC_STORE_OK;
        }
    }

    switch (rc) {
    case FOODSVC_STORE_UNAVAILABLE:
    case FOODSVC_STORE_UNKNOWN:
        if (!st->away) {
            st->away = 1;
            ngx_log_error(NGX_LOG_ERR, st->log, 0, "foodsvc: MongoDB is away: %s", op->err);
        }
        return;

    case FOODSVC_STORE_FAILED:
    case FOODSVC_STORE_UNREADABLE:
        ngx_log_error(NGX_LOG_ERR, st->log, 0, "foodsvc: %s %s%s %s: %s", ngx_http_foodsvc_store_kinds[op->kind],
                      ngx_http_foodsvc_store_log_id(op), service, foodsvc_store_rc_name(rc), op->err);
        return;

    default:
        if (st->away) {
            st->away = 0;
            ngx_log_error(NGX_LOG_NOTICE, st->log, 0, "foodsvc: MongoDB is back");
        }
    }
}


/* Any thread's: keeps a message of the driver for the loop. False: it isn't worth one. */

ngx_uint_t
ngx_http_foodsvc_store_log_keep(ngx_http_foodsvc_store_log_t *st, int level, const char *text)
{
    /* mongoc_log_level_t: 0 error, 1 critical, 2 warning, 3 message, then info, debug and trace */
    if (level > 3) {
        return 0;
    }

    pthread_mutex_lock(&st->lock);

    if (st->ntexts < NGX_HTTP_FOODSVC_STORE_TEXTS) {
        st->texts[st->ntexts].level = level;
        (void) ngx_cpystrn((u_char *) st->texts[st->ntexts].text, (u_char *) text, NGX_HTTP_FOODSVC_STORE_TEXT);
        st->ntexts++;

    } else {
        st->lost++;
    }

    pthread_mutex_unlock(&st->lock);

    return 1;
}


void
ngx_http_foodsvc_store_log_texts(ngx_http_foodsvc_store_log_t *st)
{
    ngx_uint_t                      i, n, lost, level;
    ngx_http_foodsvc_store_text_t   texts[NGX_HTTP_FOODSVC_STORE_TEXTS];

    pthread_mutex_lock(&st->lock);

    n = st->ntexts;
    lost = st->lost;
    ngx_memcpy(texts, st->texts, n * sizeof(st->texts[0]));
    st->ntexts = 0;
    st->lost = 0;

    pthread_mutex_unlock(&st->lock);

    for (i = 0; i < n; i++) {
        level = texts[i].level < 2 ? NGX_LOG_ERR : (texts[i].level == 2 ? NGX_LOG_WARN : NGX_LOG_INFO);
        ngx_log_error(level, st->log, 0, "foodsvc: MongoDB's driver: %s", texts[i].text);
    }

    if (lost > 0) {
        ngx_log_error(NGX_LOG_WARN, st->log, 0, "foodsvc: MongoDB's driver: %ui more messages", lost);
    }
}
