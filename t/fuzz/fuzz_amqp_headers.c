/* A message's properties as RabbitMQ passes them on from whoever published it: what we read of them is in bounds. */
#include <amqp.h>
#include <amqp_framing.h>
#include "fuzz.h"
#include "worker_amqp_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amqp_pool_t            pool;
    amqp_bytes_t           bytes = { size, (void *) data };
    void                  *decoded;
    worker_amqp_message_t  message;

    init_amqp_pool(&pool, 4096);
    if (amqp_decode_properties(AMQP_BASIC_CLASS, &pool, bytes, &decoded) == AMQP_STATUS_OK) {
        memset(&message, 0, sizeof(message));
        worker_amqp_read_headers(decoded, &message);
        MUST(message.attempts >= 0 && message.attempts <= 1000000);
        MUST(memchr(message.reason, '\0', sizeof(message.reason)) != NULL);
        MUST(memchr(message.first, '\0', sizeof(message.first)) != NULL);
    }
    empty_amqp_pool(&pool);
    return 0;
}
