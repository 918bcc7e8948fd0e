/*
 * What the store's tests share: a store on the MongoDB that MONGO_URL names, a client beside it to look at the raw
 * documents, and a proxy that can lose, hold up or delay what goes between them.
 *
 * Tests use fresh ids and leave other documents alone: the database may be shared with other tests.
 */
#ifndef STORE_H
#define STORE_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <mongoc/mongoc.h>
#include "unit.h"
#include "foodsvc_names.h"
#include "foodsvc_store.h"
#include "foodsvc_time.h"

static inline const char *mongo_url(void)
{
    const char *url = getenv("MONGO_URL");

    if (url == NULL || url[0] == '\0') {
        fail_msg("MONGO_URL isn't set: it names the MongoDB that this test needs, mongodb://host:port/");
    }
    return url;
}

static inline foodsvc_store_t *open_store(const char *uri, unsigned timeout_ms, unsigned clients)
{
    char                  err[FOODSVC_ERR] = "";
    foodsvc_store_conf_t  conf = { .uri = uri, .max_clients = clients, .timeout_ms = timeout_ms };
    foodsvc_store_t      *store = foodsvc_store_open(&conf, err);

    if (store == NULL) {
        fail_msg("foodsvc_store_open: %s", err);
    }
    return store;
}

/* --- raw documents --- */

/* A client whose writes the store sees at once: it reads what a majority has. */
static inline mongoc_client_t *raw_client(void)
{
    mongoc_client_t         *client = mongoc_client_new(mongo_url());
    mongoc_write_concern_t  *majority = mongoc_write_concern_new();

    assert_non_null(client);
    mongoc_write_concern_set_w(majority, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_client_set_write_concern(client, majority);
    mongoc_write_concern_destroy(majority);
    return client;
}

static inline void raw(const char *collection, const char *json, const char *id, bson_t *out)
{
    static mongoc_client_t  *client;
    mongoc_collection_t     *coll;
    mongoc_cursor_t         *cursor;
    bson_t                  *doc, *filter;
    const bson_t            *found;
    bson_error_t             error;

    if (client == NULL) {
        client = raw_client();
    }
    coll = mongoc_client_get_collection(client, FOODSVC_DB, collection);
    filter = BCON_NEW("_id", BCON_UTF8(id));
    if (json != NULL) {
        doc = bson_new_from_json((const uint8_t *) json, -1, &error);
        if (doc == NULL) {
            fail_msg("%s: %s", error.message, json);
        }
        if (strncmp(json, "{\"$", 3) == 0) {
            if (!mongoc_collection_update_one(coll, filter, doc, NULL, NULL, &error)) {
                fail_msg("%s: %s", error.message, json);
            }
        } else if (!mongoc_collection_insert_one(coll, doc, NULL, NULL, &error)) {
            fail_msg("%s: %s", error.message, json);
        }
        bson_destroy(doc);
    }
    if (out != NULL) {
        cursor = mongoc_collection_find_with_opts(coll, filter, NULL, NULL);
        if (mongoc_cursor_next(cursor, &found)) {
            bson_copy_to(found, out);
        } else {
            bson_init(out);
        }
        mongoc_cursor_destroy(cursor);
    }
    bson_destroy(filter);
    mongoc_collection_destroy(coll);
}

/* Inserts a document given as Extended JSON, or changes the one of that id when json begins with an update operator. */
static inline void raw_put(const char *collection, const char *id, const char *json)
{
    raw(collection, json, id, NULL);
}

/* The document as it is stored, empty when there is none; bson_destroy() it. */
static inline void raw_get(const char *collection, const char *id, bson_t *doc)
{
    raw(collection, NULL, id, doc);
}

/* Whether the stored document has, at a dotted path, this type. */
static inline bool raw_is(const bson_t *doc, const char *path, bson_type_t type)
{
    bson_iter_t  iter, at;

    return bson_iter_init(&iter, doc) && bson_iter_find_descendant(&iter, path, &at) && bson_iter_type(&at) == type;
}

/* --- orders --- */

static inline void new_id(char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_uuid_t  uuid;

    foodsvc_uuid_v7(&uuid);
    foodsvc_uuid_format(&uuid, id);
}

static inline foodsvc_order_t *new_order(foodsvc_status_e status)
{
    foodsvc_order_t *order = foodsvc_order_new();

    assert_non_null(order);
    new_id(order->id);
    foodsvc_uuid_v4(&order->customer_id);
    assert_true(foodsvc_order_add_item(order, "Lasagna", 7, 2));
    order->created = foodsvc_time_now();
    order->status = status;
    if (status != FOODSVC_CREATED) {
        assert_true(foodsvc_order_add_step(order, status, order->created));
    }
    if (status == FOODSVC_DELIVERY_SCHEDULED) {
        order->has_delivery_id = true;
        foodsvc_uuid_v4(&order->delivery_id);
    }
    return order;
}

static inline foodsvc_store_rc_e insert_order(foodsvc_store_t *store, foodsvc_order_t *order)
{
    foodsvc_store_order_op_t  op = { .id = order->id, .order = order };
    foodsvc_store_order_op_t *ops[1] = { &op };

    foodsvc_store_orders_insert(store, ops, 1);
    return op.rc;
}

/* Stores a new order of that status and writes its id. */
static inline void stored_order(foodsvc_store_t *store, foodsvc_status_e status, char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_order_t *order = new_order(status);

    assert_int_equal(insert_order(store, order), FOODSVC_STORE_OK);
    memcpy(id, order->id, FOODSVC_UUID_TEXT + 1);
    foodsvc_order_free(order);
}

static inline foodsvc_store_change_op_t event_op(const char *id, foodsvc_status_e status)
{
    return (foodsvc_store_change_op_t) {
        .id = id, .change = { .kind = FOODSVC_CHANGE_EVENT, .status = status, .when = foodsvc_time_now() }
    };
}

static inline foodsvc_store_change_op_t cancel_op(const char *id)
{
    return (foodsvc_store_change_op_t) {
        .id = id, .change = { .kind = FOODSVC_CHANGE_CANCEL, .when = foodsvc_time_now() }
    };
}

static inline void change_one(foodsvc_store_t *store, foodsvc_store_change_op_t *op)
{
    foodsvc_store_change_op_t *ops[1] = { op };

    foodsvc_store_orders_change(store, ops, 1);
}

/* --- the proxy --- */

typedef enum {
    PROXY_PASS = 0,
    PROXY_STALL,            /* from now on nothing gets through, as if the server were stopped */
    PROXY_LOSE_REQUEST,     /* once, a request with `marker`: the connection breaks before it gets there */
    PROXY_LOSE_REPLY,       /* once: it gets there, the connection breaks before the answer */
    PROXY_DELAY             /* once: the connection breaks, and the request gets there 300 ms later */
} proxy_mode_e;

#define PROXY_PAIRS 64

typedef struct {
    int     client, server;
    bool    lose;           /* close when the server answers */
    int64_t deliver;        /* monotonic ms: when the held request goes out; 0: none */
    char    held[65536];
    size_t  nheld;
} proxy_pair_t;

typedef struct {
    pthread_t           thread;
    int                 listener, port, server_port;
    atomic_int          mode;
    atomic_int          stop;
    _Atomic(const char *) marker;       /* looked for in what the client sends */
    proxy_pair_t        pairs[PROXY_PAIRS];
    char                uri[128];
} proxy_t;

static inline int local_socket(int port, bool listening)
{
    struct sockaddr_in  in = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                 fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd != -1 && (listening ? bind(fd, (struct sockaddr *) &in, sizeof(in)) != 0 || listen(fd, 64) != 0
                               : connect(fd, (struct sockaddr *) &in, sizeof(in)) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static inline void proxy_close(proxy_pair_t *pair)
{
    if (pair->client != -1) {
        close(pair->client);
    }
    if (pair->server != -1) {
        close(pair->server);
    }
    pair->client = pair->server = -1;
    pair->lose = false;
    pair->deliver = 0;
}

static inline void proxy_accept(proxy_t *proxy)
{
    int  i, fd = accept(proxy->listener, NULL, NULL);

    for (i = 0; i < PROXY_PAIRS && proxy->pairs[i].client + proxy->pairs[i].server != -2; i++) {
    }
    if (fd == -1 || i == PROXY_PAIRS) {
        close(fd);
        return;
    }
    proxy->pairs[i].client = fd;
    proxy->pairs[i].server = local_socket(proxy->server_port, false);
    if (proxy->pairs[i].server == -1) {
        proxy_close(&proxy->pairs[i]);
    }
}

static inline void proxy_from_client(proxy_t *proxy, proxy_pair_t *pair)
{
    static char  buf[65536];
    ssize_t      n = recv(pair->client, buf, sizeof(buf), 0);
    const char  *marker = atomic_load(&proxy->marker);
    int          mode = atomic_load(&proxy->mode);

    if (n <= 0) {
        proxy_close(pair);
        return;
    }
    if (mode >= PROXY_LOSE_REQUEST && memmem(buf, (size_t) n, marker, strlen(marker)) != NULL) {
        atomic_store(&proxy->mode, PROXY_PASS);
        if (mode == PROXY_LOSE_REQUEST) {
            proxy_close(pair);
            return;
        }
        if (mode == PROXY_DELAY) {
            memcpy(pair->held, buf, (size_t) n);
            pair->nheld = (size_t) n;
            pair->deliver = foodsvc_time_monotonic() + 300;
            close(pair->client);
            pair->client = -1;
            return;
        }
        pair->lose = true;
    }
    if (send(pair->server, buf, (size_t) n, MSG_NOSIGNAL) != n) {
        proxy_close(pair);
    }
}

static inline void proxy_from_server(proxy_pair_t *pair)
{
    static char  buf[65536];
    ssize_t      n = recv(pair->server, buf, sizeof(buf), 0);

    if (n <= 0 || pair->lose) {
        proxy_close(pair);
    } else if (pair->client != -1 && send(pair->client, buf, (size_t) n, MSG_NOSIGNAL) != n) {
        proxy_close(pair);
    }
}

static inline void *proxy_main(void *data)
{
    proxy_t        *proxy = data;
    struct pollfd   fds[2 * PROXY_PAIRS + 1];
    int             i;

    while (!atomic_load(&proxy->stop)) {
        bool stalled = atomic_load(&proxy->mode) == PROXY_STALL;

        fds[0] = (struct pollfd) { .fd = stalled ? -1 : proxy->listener, .events = POLLIN };
        for (i = 0; i < PROXY_PAIRS; i++) {
            proxy_pair_t *pair = &proxy->pairs[i];

            if (pair->deliver != 0 && foodsvc_time_monotonic() >= pair->deliver) {
                pair->deliver = 0;
                (void) !send(pair->server, pair->held, pair->nheld, MSG_NOSIGNAL);
            }
            fds[1 + 2 * i] = (struct pollfd) { .fd = stalled ? -1 : pair->client, .events = POLLIN };
            fds[2 + 2 * i] = (struct pollfd) { .fd = stalled ? -1 : pair->server, .events = POLLIN };
        }
        if (poll(fds, 2 * PROXY_PAIRS + 1, 10) <= 0) {
            continue;
        }
        if (fds[0].revents) {
            proxy_accept(proxy);
        }
        for (i = 0; i < PROXY_PAIRS; i++) {
            if (fds[1 + 2 * i].revents && proxy->pairs[i].client == fds[1 + 2 * i].fd) {
                proxy_from_client(proxy, &proxy->pairs[i]);
            }
            if (fds[2 + 2 * i].revents && proxy->pairs[i].server == fds[2 + 2 * i].fd) {
                proxy_from_server(&proxy->pairs[i]);
            }
        }
    }
    for (i = 0; i < PROXY_PAIRS; i++) {
        proxy_close(&proxy->pairs[i]);
    }
    close(proxy->listener);
    return NULL;
}

/* A proxy on a free port before the first server of MONGO_URL; proxy->uri names it. */
static inline proxy_t *proxy_start(void)
{
    proxy_t             *proxy = calloc(1, sizeof(*proxy));
    mongoc_uri_t        *uri = mongoc_uri_new(mongo_url());
    struct sockaddr_in   in;
    socklen_t            len = sizeof(in);
    int                  i;

    assert_non_null(proxy);
    assert_non_null(uri);
    proxy->server_port = mongoc_uri_get_hosts(uri)->port;
    mongoc_uri_destroy(uri);
    for (i = 0; i < PROXY_PAIRS; i++) {
        proxy->pairs[i].client = proxy->pairs[i].server = -1;
    }
    proxy->listener = local_socket(0, true);
    assert_int_not_equal(proxy->listener, -1);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *) &in, &len), 0);
    proxy->port = ntohs(in.sin_port);
    snprintf(proxy->uri, sizeof(proxy->uri), "mongodb://127.0.0.1:%d/?directConnection=true", proxy->port);
    assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_main, proxy), 0);
    return proxy;
}

static inline void proxy_set(proxy_t *proxy, proxy_mode_e mode, const char *marker)
{
    atomic_store(&proxy->marker, marker);
    atomic_store(&proxy->mode, mode);
}

static inline void proxy_stop(proxy_t *proxy)
{
    atomic_store(&proxy->stop, 1);
    pthread_join(proxy->thread, NULL);
    free(proxy);
}

#endif
