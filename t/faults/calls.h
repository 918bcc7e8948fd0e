/*
 * The one list of calls that are made to fail: WRAP(type, name, parameters, arguments, what it returns when it fails).
 *
 * The linker sends each call of ours to one of these to the wrapper that faults.c makes of its line; what libraries
 * call among themselves stays as it is. So jansson's own allocations do not fail (2.14's parser writes out of bounds
 * when its buffer cannot grow), and neither do libbson's, which ends the process without memory.
 *
 * What is not here can't fail (json_null), says no more than another that is here (curl_multi_info_read), or ends the
 * program by design (getrandom: foodsvc_uuid.c says why).
 */

#ifdef FAULTS_VALUES        /* needed once, before the list is used */

static bool mongo_fails(bson_error_t *error)
{
    if (error != NULL) {
        bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, "a fault of the test");
    }
    return false;
}

static json_t *json_fails(json_error_t *error)
{
    if (error != NULL) {
        memset(error, 0, sizeof(*error));
    }
    return NULL;
}

/* jansson takes the value, whether it can use it or not */
static int json_set_fails(json_t *value)
{
    json_decref(value);
    return -1;
}

static void *errno_fails(int number)
{
    errno = number;
    return NULL;
}

static int errno_is(int number)
{
    errno = number;
    return -1;
}

#define AMQP_MEMORY     ((amqp_rpc_reply_t) { .reply_type = AMQP_RESPONSE_LIBRARY_EXCEPTION, \
                                              .library_error = AMQP_STATUS_NO_MEMORY })

#else

/* --- C library --- */
WRAP(void *, malloc, (size_t size), (size), errno_fails(ENOMEM))
WRAP(void *, calloc, (size_t n, size_t size), (n, size), errno_fails(ENOMEM))
WRAP(void *, realloc, (void *old, size_t size), (old, size), errno_fails(ENOMEM))
WRAP(char *, strdup, (const char *text), (text), errno_fails(ENOMEM))
WRAP(char *, strndup, (const char *text, size_t len), (text, len), errno_fails(ENOMEM))
WRAP(int, vasprintf, (char **text, const char *format, va_list list), (text, format, list), (*text = NULL, -1))
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), errno_fails(EMFILE))
WRAP(FILE *, fopen64, (const char *path, const char *mode), (path, mode), errno_fails(EMFILE))
WRAP(FILE *, fdopen, (int fd, const char *mode), (fd, mode), errno_fails(ENOMEM))
WRAP(FILE *, open_memstream, (char **text, size_t *len), (text, len), errno_fails(ENOMEM))
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), errno_is(EMFILE))
WRAP(int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), errno_is(EMFILE))
WRAP(int, getaddrinfo, (const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **list),
     (host, port, hints, list), EAI_MEMORY)
WRAP(int, pthread_create, (pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *data),
     (thread, attr, run, data), EAGAIN)
WRAP(int, pthread_mutex_init, (pthread_mutex_t *mutex, const pthread_mutexattr_t *attr), (mutex, attr), ENOMEM)
WRAP(int, pthread_cond_init, (pthread_cond_t *cond, const pthread_condattr_t *attr), (cond, attr), ENOMEM)

/* --- OpenSSL --- */
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)
WRAP(int, EVP_DigestInit_ex, (EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *engine), (ctx, type, engine), 0)
WRAP(int, EVP_DigestUpdate, (EVP_MD_CTX *ctx, const void *data, size_t len), (ctx, data, len), 0)
WRAP(int, EVP_DigestFinal_ex, (EVP_MD_CTX *ctx, unsigned char *sum, unsigned *len), (ctx, sum, len), 0)
WRAP(BIO *, BIO_new_mem_buf, (const void *data, int len), (data, len), NULL)
WRAP(X509 *, PEM_read_bio_X509, (BIO *bio, X509 **x, pem_password_cb *cb, void *data), (bio, x, cb, data), NULL)
WRAP(int, ASN1_TIME_diff, (int *days, int *seconds, const ASN1_TIME *from, const ASN1_TIME *to),
     (days, seconds, from, to), 0)
WRAP(unsigned char *, SHA256, (const unsigned char *data, size_t len, unsigned char *sum), (data, len, sum), NULL)

/* --- jansson --- */
WRAP(json_t *, json_object, (void), (), NULL)
WRAP(json_t *, json_array, (void), (), NULL)
WRAP(json_t *, json_string, (const char *text), (text), NULL)
WRAP(json_t *, json_stringn, (const char *text, size_t len), (text, len), NULL)
WRAP(json_t *, json_integer, (json_int_t value), (value), NULL)
WRAP(json_t *, json_real, (double value), (value), NULL)
WRAP(int, json_object_set_new, (json_t *object, const char *key, json_t *value), (object, key, value),
     json_set_fails(value))
WRAP(int, json_array_append_new, (json_t *array, json_t *value), (array, value), json_set_fails(value))
WRAP(int, json_array_insert_new, (json_t *array, size_t i, json_t *value), (array, i, value), json_set_fails(value))
WRAP(json_t *, json_copy, (json_t *value), (value), NULL)
WRAP(json_t *, json_deep_copy, (const json_t *value), (value), NULL)
WRAP(json_t *, json_loadb, (const char *text, size_t len, size_t flags, json_error_t *error), (text, len, flags, error),
     json_fails(error))
WRAP(json_t *, json_loads, (const char *text, size_t flags, json_error_t *error), (text, flags, error),
     json_fails(error))
WRAP(char *, json_dumps, (const json_t *value, size_t flags), (value, flags), NULL)

/* --- libbson, libmongoc --- */
WRAP(bool, bson_append_utf8, (bson_t *doc, const char *key, int keylen, const char *text, int len),
     (doc, key, keylen, text, len), false)
WRAP(bool, bson_append_binary, (bson_t *doc, const char *key, int keylen, bson_subtype_t type, const uint8_t *data,
     uint32_t len), (doc, key, keylen, type, data, len), false)
WRAP(bool, bson_append_bool, (bson_t *doc, const char *key, int keylen, bool value), (doc, key, keylen, value), false)
WRAP(bool, bson_append_int32, (bson_t *doc, const char *key, int keylen, int32_t value), (doc, key, keylen, value),
     false)
WRAP(bool, bson_append_int64, (bson_t *doc, const char *key, int keylen, int64_t value), (doc, key, keylen, value),
     false)
WRAP(bool, bson_append_date_time, (bson_t *doc, const char *key, int keylen, int64_t value),
     (doc, key, keylen, value), false)
WRAP(bool, bson_append_null, (bson_t *doc, const char *key, int keylen), (doc, key, keylen), false)
WRAP(bool, bson_append_iter, (bson_t *doc, const char *key, int keylen, const bson_iter_t *iter),
     (doc, key, keylen, iter), false)
WRAP(bool, bson_append_document, (bson_t *doc, const char *key, int keylen, const bson_t *value),
     (doc, key, keylen, value), false)
WRAP(bool, bson_concat, (bson_t *doc, const bson_t *other), (doc, other), false)
WRAP(bson_t *, bson_new_from_json, (const uint8_t *text, ssize_t len, bson_error_t *error), (text, len, error),
     (mongo_fails(error), NULL))
WRAP(char *, bson_as_relaxed_extended_json, (const bson_t *doc, size_t *len), (doc, len), NULL)
WRAP(mongoc_uri_t *, mongoc_uri_new_with_error, (const char *text, bson_error_t *error), (text, error),
     (mongo_fails(error), NULL))
WRAP(bool, mongoc_uri_set_option_as_int32, (mongoc_uri_t *uri, const char *option, int32_t value), (uri, option, value),
     false)
WRAP(bool, mongoc_uri_set_option_as_bool, (mongoc_uri_t *uri, const char *option, bool value), (uri, option, value),
     false)
WRAP(bool, mongoc_uri_set_appname, (mongoc_uri_t *uri, const char *name), (uri, name), false)
WRAP(mongoc_client_pool_t *, mongoc_client_pool_new_with_error, (const mongoc_uri_t *uri, bson_error_t *error),
     (uri, error), (mongo_fails(error), NULL))
WRAP(mongoc_client_t *, mongoc_client_pool_pop, (mongoc_client_pool_t *pool), (pool), NULL)
WRAP(bool, mongoc_client_command_simple, (mongoc_client_t *client, const char *db, const bson_t *command,
     const mongoc_read_prefs_t *prefs, bson_t *reply, bson_error_t *error), (client, db, command, prefs, reply, error),
     (reply ? bson_init(reply) : (void) 0, mongo_fails(error)))
WRAP(bool, mongoc_client_write_command_with_opts, (mongoc_client_t *client, const char *db, const bson_t *command,
     const bson_t *opts, bson_t *reply, bson_error_t *error), (client, db, command, opts, reply, error),
     (reply ? bson_init(reply) : (void) 0, mongo_fails(error)))
WRAP(bool, mongoc_collection_update_one, (mongoc_collection_t *collection, const bson_t *selector,
     const bson_t *update, const bson_t *opts, bson_t *reply, bson_error_t *error),
     (collection, selector, update, opts, reply, error), (reply ? bson_init(reply) : (void) 0, mongo_fails(error)))
WRAP(bool, mongoc_bulk_operation_insert_with_opts, (mongoc_bulk_operation_t *bulk, const bson_t *doc,
     const bson_t *opts, bson_error_t *error), (bulk, doc, opts, error), mongo_fails(error))
WRAP(bool, mongoc_bulk_operation_remove_one_with_opts, (mongoc_bulk_operation_t *bulk, const bson_t *selector,
     const bson_t *opts, bson_error_t *error), (bulk, selector, opts, error), mongo_fails(error))
WRAP(bool, mongoc_bulk_operation_update_one_with_opts, (mongoc_bulk_operation_t *bulk, const bson_t *selector,
     const bson_t *doc, const bson_t *opts, bson_error_t *error), (bulk, selector, doc, opts, error),
     mongo_fails(error))
WRAP(uint32_t, mongoc_bulk_operation_execute, (mongoc_bulk_operation_t *bulk, bson_t *reply, bson_error_t *error),
     (bulk, reply, error), (reply ? bson_init(reply) : (void) 0, mongo_fails(error), 0))

/* --- rabbitmq-c --- */
WRAP(amqp_connection_state_t, amqp_new_connection, (void), (), NULL)
WRAP(amqp_socket_t *, amqp_tcp_socket_new, (amqp_connection_state_t state), (state), NULL)
WRAP(amqp_socket_t *, amqp_ssl_socket_new, (amqp_connection_state_t state), (state), NULL)
WRAP(int, amqp_socket_open_noblock, (amqp_socket_t *self, const char *host, int port, const struct timeval *timeout),
     (self, host, port, timeout), AMQP_STATUS_SOCKET_ERROR)
WRAP(int, amqp_parse_url, (char *url, struct amqp_connection_info *info), (url, info), AMQP_STATUS_BAD_URL)
WRAP(int, amqp_set_rpc_timeout, (amqp_connection_state_t state, const struct timeval *timeout), (state, timeout),
     AMQP_STATUS_NO_MEMORY)
WRAP(int, amqp_set_handshake_timeout, (amqp_connection_state_t state, const struct timeval *timeout), (state, timeout),
     AMQP_STATUS_NO_MEMORY)
WRAP(amqp_rpc_reply_t, amqp_get_rpc_reply, (amqp_connection_state_t state), (state), AMQP_MEMORY)
WRAP(int, amqp_send_method, (amqp_connection_state_t state, amqp_channel_t channel, amqp_method_number_t id,
     void *decoded), (state, channel, id, decoded), AMQP_STATUS_SOCKET_ERROR)
WRAP(int, amqp_simple_wait_frame_noblock, (amqp_connection_state_t state, amqp_frame_t *frame,
     const struct timeval *timeout), (state, frame, timeout), AMQP_STATUS_NO_MEMORY)
WRAP(int, amqp_basic_publish, (amqp_connection_state_t state, amqp_channel_t channel, amqp_bytes_t exchange,
     amqp_bytes_t key, amqp_boolean_t mandatory, amqp_boolean_t immediate,
     const struct amqp_basic_properties_t_ *properties, amqp_bytes_t body),
     (state, channel, exchange, key, mandatory, immediate, properties, body), AMQP_STATUS_NO_MEMORY)
WRAP(int, amqp_basic_ack, (amqp_connection_state_t state, amqp_channel_t channel, uint64_t tag,
     amqp_boolean_t multiple), (state, channel, tag, multiple), AMQP_STATUS_SOCKET_ERROR)
WRAP(int, amqp_basic_nack, (amqp_connection_state_t state, amqp_channel_t channel, uint64_t tag,
     amqp_boolean_t multiple, amqp_boolean_t requeue), (state, channel, tag, multiple, requeue),
     AMQP_STATUS_SOCKET_ERROR)

#ifdef FAULTS_NGINX

/* --- hiredis in the event loop --- */
WRAP(redisAsyncContext *, redisAsyncConnect, (const char *address, int port), (address, port), NULL)
WRAP(redisAsyncContext *, redisAsyncConnectUnix, (const char *path), (path), NULL)
WRAP(int, redisAsyncCommandArgv, (redisAsyncContext *redis, redisCallbackFn *callback, void *data, int n,
     const char **arguments, const size_t *lengths), (redis, callback, data, n, arguments, lengths), REDIS_ERR)

/* --- nginx; its types are pointers and words here, so that this file does not need its headers --- */
#define NGX_ERROR   (-1)

WRAP(void *, ngx_alloc, (size_t size, void *log), (size, log), NULL)
WRAP(void *, ngx_calloc, (size_t size, void *log), (size, log), NULL)
WRAP(void *, ngx_palloc, (void *pool, size_t size), (pool, size), NULL)
WRAP(void *, ngx_pnalloc, (void *pool, size_t size), (pool, size), NULL)
WRAP(void *, ngx_pcalloc, (void *pool, size_t size), (pool, size), NULL)
WRAP(void *, ngx_pmemalign, (void *pool, size_t size, size_t alignment), (pool, size, alignment), NULL)
WRAP(void *, ngx_create_pool, (size_t size, void *log), (size, log), NULL)
WRAP(void *, ngx_create_temp_buf, (void *pool, size_t size), (pool, size), NULL)
WRAP(void *, ngx_alloc_chain_link, (void *pool), (pool), NULL)
WRAP(void *, ngx_chain_get_free_buf, (void *pool, void *free), (pool, free), NULL)
WRAP(void *, ngx_array_create, (void *pool, uintptr_t n, size_t size), (pool, n, size), NULL)
WRAP(void *, ngx_array_push, (void *array), (array), NULL)
WRAP(void *, ngx_array_push_n, (void *array, uintptr_t n), (array, n), NULL)
WRAP(void *, ngx_list_push, (void *list), (list), NULL)
WRAP(void *, ngx_pool_cleanup_add, (void *pool, size_t size), (pool, size), NULL)
WRAP(void *, ngx_http_cleanup_add, (void *r, size_t size), (r, size), NULL)
WRAP(void *, ngx_get_connection, (int fd, void *log), (fd, log), NULL)
WRAP(intptr_t, ngx_handle_read_event, (void *event, uintptr_t flags), (event, flags), NGX_ERROR)
WRAP(intptr_t, ngx_handle_write_event, (void *event, size_t low), (event, low), NGX_ERROR)
WRAP(intptr_t, ngx_http_subrequest, (void *r, void *uri, void *args, void *sr, void *ps, uintptr_t flags),
     (r, uri, args, sr, ps, flags), NGX_ERROR)
WRAP(intptr_t, ngx_http_read_client_request_body, (void *r, void *handler), (r, handler), 500)
WRAP(intptr_t, ngx_http_discard_request_body, (void *r), (r), NGX_ERROR)
WRAP(intptr_t, ngx_http_send_header, (void *r), (r), NGX_ERROR)
WRAP(intptr_t, ngx_http_output_filter, (void *r, void *chain), (r, chain), NGX_ERROR)
WRAP(intptr_t, ngx_http_send_special, (void *r, uintptr_t flags), (r, flags), NGX_ERROR)
WRAP(ssize_t, ngx_read_file, (void *file, unsigned char *buf, size_t size, off_t offset), (file, buf, size, offset),
     NGX_ERROR)
WRAP(intptr_t, ngx_conf_full_name, (void *cycle, void *name, uintptr_t prefix), (cycle, name, prefix), NGX_ERROR)
WRAP(void *, ngx_http_add_variable, (void *cf, void *name, uintptr_t flags), (cf, name, flags), NULL)
WRAP(intptr_t, ngx_parse_url, (void *pool, void *url), (pool, url), NGX_ERROR)

#else

/* --- hiredis, waiting --- */
WRAP(redisContext *, redisConnectWithTimeout, (const char *address, int port, const struct timeval timeout),
     (address, port, timeout), NULL)
WRAP(redisContext *, redisConnectUnixWithTimeout, (const char *path, const struct timeval timeout), (path, timeout),
     NULL)
WRAP(int, redisAppendCommandArgv, (redisContext *redis, int n, const char **arguments, const size_t *lengths),
     (redis, n, arguments, lengths), REDIS_ERR)
WRAP(void *, redisCommandArgv, (redisContext *redis, int n, const char **arguments, const size_t *lengths),
     (redis, n, arguments, lengths), NULL)
WRAP(int, redisGetReply, (redisContext *redis, void **reply), (redis, reply), (*reply = NULL, REDIS_ERR))
WRAP(int, redisSetTimeout, (redisContext *redis, const struct timeval timeout), (redis, timeout), REDIS_ERR)
WRAP(int, redisEnableKeepAlive, (redisContext *redis), (redis), REDIS_ERR)

/* --- libcurl --- */
WRAP(CURLcode, curl_global_init, (long flags), (flags), CURLE_OUT_OF_MEMORY)
WRAP(CURL *, curl_easy_init, (void), (), NULL)
WRAP(CURLcode, curl_easy_perform, (CURL *easy), (easy), CURLE_OUT_OF_MEMORY)
WRAP(CURLM *, curl_multi_init, (void), (), NULL)
WRAP(CURLMcode, curl_multi_add_handle, (CURLM *multi, CURL *easy), (multi, easy), CURLM_OUT_OF_MEMORY)
WRAP(CURLMcode, curl_multi_perform, (CURLM *multi, int *running), (multi, running), (*running = 1, CURLM_OUT_OF_MEMORY))
WRAP(CURLMcode, curl_multi_poll, (CURLM *multi, struct curl_waitfd *fds, unsigned n, int timeout, int *ready),
     (multi, fds, n, timeout, ready), CURLM_OUT_OF_MEMORY)
WRAP(struct curl_slist *, curl_slist_append, (struct curl_slist *list, const char *text), (list, text), NULL)

/* --- rabbitmq-c, its message as a whole --- */
WRAP(amqp_rpc_reply_t, amqp_read_message, (amqp_connection_state_t state, amqp_channel_t channel,
     amqp_message_t *message, int flags), (state, channel, message, flags), AMQP_MEMORY)
WRAP(void *, amqp_pool_alloc, (amqp_pool_t *pool, size_t amount), (pool, amount), NULL)
WRAP(int, amqp_decode_properties, (uint16_t class_id, amqp_pool_t *pool, amqp_bytes_t encoded, void **decoded),
     (class_id, pool, encoded, decoded), AMQP_STATUS_NO_MEMORY)
WRAP(amqp_rpc_reply_t, amqp_basic_get, (amqp_connection_state_t state, amqp_channel_t channel, amqp_bytes_t queue,
     amqp_boolean_t no_ack), (state, channel, queue, no_ack), AMQP_MEMORY)

#endif

#endif
