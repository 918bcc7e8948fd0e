/*
 * GET /v1/orders: all orders, newest first, read and sent page by page, so that their number costs time and not
 * memory.
 *
 * The first page is read before the head of the answer is sent: when MongoDB is away, that is a clean 503. All that
 * fits in one page goes out with its length. When a later page fails the connection is cut, so that a part never
 * looks like the whole.
 */
#include "ngx_http_foodsvc_flow.h"


typedef struct {
    bson_t    *after;       /* where the next page begins */
    size_t     skipped;     /* documents that could not be read */
    unsigned   streaming:1;
    unsigned   opened:1;    /* [ is written */
    unsigned   listed:1;    /* and an order behind it */
} ngx_http_foodsvc_list_t;

typedef struct {
    char    *text;
    size_t   len;
    size_t   size;
} ngx_http_foodsvc_text_t;


static void ngx_http_foodsvc_list_next(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_list_page(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_list_send(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_text_t *text);
static void ngx_http_foodsvc_list_fail(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_store_page_t *page);
static ngx_int_t ngx_http_foodsvc_list_text(ngx_http_foodsvc_list_t *flow, const foodsvc_store_page_t *page,
    ngx_http_foodsvc_text_t *text);
static ngx_int_t ngx_http_foodsvc_list_add(ngx_http_foodsvc_text_t *text, const char *piece, size_t len);
static void ngx_http_foodsvc_list_cleanup(ngx_http_foodsvc_ctx_t *ctx);


void
ngx_http_foodsvc_order_list(ngx_http_foodsvc_ctx_t *ctx)
{
    if (ngx_http_foodsvc_flow_begin(ctx, sizeof(ngx_http_foodsvc_list_t), ngx_http_foodsvc_list_cleanup)) {
        ngx_http_foodsvc_list_next(ctx);
    }
}


static void
ngx_http_foodsvc_list_next(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_list_t      *flow = ctx->flow;
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_ORDER_PAGE);
    if (op == NULL) {
        ngx_http_foodsvc_list_fail(ctx, NULL);
        return;
    }

    op->u.page.limit = ctx->conf->page;
    op->u.page.after = flow->after;
    flow->after = NULL;

    if (ngx_http_foodsvc_flow_submit(ctx, op, ngx_http_foodsvc_list_page) == NGX_OK) {
        return;
    }

    if (flow->streaming) {
        ngx_http_foodsvc_list_fail(ctx, NULL);

    } else {
        ngx_http_foodsvc_reply_busy(ctx, "Too many requests wait for the database");
    }
}


static void
ngx_http_foodsvc_list_page(ngx_http_foodsvc_op_t *op)
{
    foodsvc_store_page_t     *page = &((ngx_http_foodsvc_store_op_t *) op)->u.page;
    ngx_http_foodsvc_ctx_t   *ctx;
    ngx_http_foodsvc_list_t  *flow;
    ngx_http_foodsvc_text_t   text;

    /* Not flow_arrived(): a stream's head counts as its reply. */
    ctx = ngx_http_foodsvc_arrived(op);
    if (ctx == NULL) {
        return;
    }

    flow = ctx->flow;

    if (ctx->replied && !flow->streaming) {
        return;
    }

    if (page->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_list_fail(ctx, page);
        return;
    }

    flow->skipped += page->skipped;
    flow->after = page->next;
    page->next = NULL;

    ngx_memzero(&text, sizeof(text));
    if (ngx_http_foodsvc_list_text(flow, page, &text) != NGX_OK) {
        free(text.text);
        ngx_http_foodsvc_list_fail(ctx, NULL);
        return;
    }

    ngx_http_foodsvc_list_send(ctx, &text);
}


static void
ngx_http_foodsvc_list_send(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_text_t *text)
{
    ngx_http_foodsvc_list_t  *flow = ctx->flow;

    if (!flow->streaming && flow->after == NULL) {
        ngx_http_foodsvc_reply(ctx, NGX_HTTP_OK, text->text, text->len);
        return;
    }

    if (!flow->streaming) {
        flow->streaming = 1;
        ngx_http_foodsvc_stream_begin(ctx, NGX_HTTP_OK);
    }

    if (text->len == 0) {
        /* A page of documents that could all not be read. */
        free(text->text);
        ngx_http_foodsvc_list_next(ctx);
        return;
    }

    ngx_http_foodsvc_stream_piece(ctx, text->text, text->len,
                                  flow->after ? ngx_http_foodsvc_list_next : ngx_http_foodsvc_stream_end);
}


/* page: what the store said; NULL: no memory, or no room in its queue. */
static void
ngx_http_foodsvc_list_fail(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_store_page_t *page)
{
    ngx_http_foodsvc_list_t  *flow = ctx->flow;

    if (flow->streaming) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0, "foodsvc: list of orders cut off: %s",
                      page ? page->err : "no memory or too many requests");
        ngx_http_foodsvc_stream_abort(ctx);

    } else if (page) {
        ngx_http_foodsvc_reply_store(ctx, page->rc, page->err);

    } else {
        ngx_http_foodsvc_flow_no_memory(ctx);
    }
}


static ngx_int_t
ngx_http_foodsvc_list_text(ngx_http_foodsvc_list_t *flow, const foodsvc_store_page_t *page,
    ngx_http_foodsvc_text_t *text)
{
    char       *json;
    size_t      i, len;
    ngx_int_t   rc;

    rc = flow->opened ? NGX_OK : ngx_http_foodsvc_list_add(text, "[", 1);
    flow->opened = 1;

    for (i = 0; rc == NGX_OK && i < page->norders; i++) {
        json = foodsvc_order_response_json(page->orders[i], &len);
        if (json == NULL) {
            return NGX_ERROR;
        }

        (void) ngx_http_foodsvc_shown(page->orders[i]->id, foodsvc_order_rank(page->orders[i]));

        if (flow->listed) {
            rc = ngx_http_foodsvc_list_add(text, ",", 1);
        }

        if (rc == NGX_OK) {
            rc = ngx_http_foodsvc_list_add(text, json, len);
        }

        free(json);
        flow->listed = 1;
    }

    if (rc == NGX_OK && flow->after == NULL) {
        rc = ngx_http_foodsvc_list_add(text, "]", 1);
    }

    return rc;
}


static ngx_int_t
ngx_http_foodsvc_list_add(ngx_http_foodsvc_text_t *text, const char *piece, size_t len)
{
    char    *grown;
    size_t   size;

    if (text->text == NULL || text->size - text->len < len) {
        size = ngx_max(2 * text->size, text->len + len + 4096);

        grown = realloc(text->text, size);
        if (grown == NULL) {
            return NGX_ERROR;
        }

        text->text = grown;
        text->size = size;
    }

    ngx_memcpy(text->text + text->len, piece, len);
    text->len += len;
    return NGX_OK;
}


static void
ngx_http_foodsvc_list_cleanup(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_list_t  *flow = ctx->flow;

    if (flow->skipped) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "foodsvc: list of orders: %uz unreadable documents were left out", flow->skipped);
    }

    if (flow->after) {
        bson_destroy(flow->after);
    }
}
