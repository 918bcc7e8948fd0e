/*
 * The names that the services, the queue, the database and the cache share.
 * Each is written here and nowhere else (configuration aside).
 *
 * Source of every name: specs/ (data.md for the stores, events.asyncapi.yaml for the queues, the OpenAPI files for
 * HTTP).
 */
#ifndef FOODSVC_NAMES_H
#define FOODSVC_NAMES_H

#define FOODSVC_VERSION                 "0.1.0"

/* Services; a service's name is also its key in service_urls and Redis, and the name of the queue it reads. */
#define FOODSVC_ORDER_SERVICE           "OrderService"
#define FOODSVC_PAYMENT_SERVICE         "PaymentService"
#define FOODSVC_CUSTOMER_SERVICE        "CustomerService"
#define FOODSVC_DELIVERY_SERVICE        "DeliveryService"
#define FOODSVC_KITCHEN_SERVICE         "KitchenService"
/* Not in service_urls: its address is a setting. */
#define FOODSVC_CARD_COMPANY            "CreditCardCompany"

/* MongoDB */
#define FOODSVC_DB                      "api_db"
#define FOODSVC_ORDERS                  "orders"
#define FOODSVC_PAYMENTS                "payments"
#define FOODSVC_SERVICE_URLS            "service_urls"
/* A field of an order that owes something: since when. */
#define FOODSVC_OWES_SINCE              "owes_since"
#define FOODSVC_IDEMPOTENCY_KEYS        "idempotency_keys"
#define FOODSVC_IDEMPOTENCY_TTL         86400       /* seconds that an answer is remembered */

/* RabbitMQ */
#define FOODSVC_QUEUE                   FOODSVC_ORDER_SERVICE
#define FOODSVC_QUEUE_DEAD              FOODSVC_QUEUE ".dead"
#define FOODSVC_QUEUE_RETRY_PREFIX      FOODSVC_QUEUE ".retry."     /* + the delay in seconds */
#define FOODSVC_CONTENT_TYPE            "application/json"
/* Headers of a parked or dead message. */
#define FOODSVC_AMQP_REASON             "x-foodsvc-reason"          /* text: why it is here */
#define FOODSVC_AMQP_ATTEMPTS           "x-foodsvc-attempts"        /* int: how often it was parked */
#define FOODSVC_AMQP_FIRST              "x-foodsvc-first"           /* text: ISO 8601, when it was parked first */

/* Redis: seconds that an entry lives; a deleted order leaves a tombstone, so that a late write can't bring it back.
   The braces keep the tombstone in the cluster slot of its order. */
#define FOODSVC_CACHE_ORDER_TTL         1800
#define FOODSVC_CACHE_URL_TTL           86400
#define FOODSVC_CACHE_TOMBSTONE_FORMAT  "foodsvc:deleted:{%s}"
#define FOODSVC_CACHE_TOMBSTONE_TTL     3600

/* HTTP */
#define FOODSVC_API_KEY_HEADER          "X-API-Key"
#define FOODSVC_IDEMPOTENCY_HEADER      "Idempotency-Key"
#define FOODSVC_IDEMPOTENCY_MAX         255         /* bytes of a client's key */
#define FOODSVC_REPLAYED_HEADER         "Idempotent-Replayed"       /* true: the answer is the first one's */
/* Idempotency keys of the calls we make; %s is the order id. */
#define FOODSVC_KEY_PAYMENT_FORMAT      "%s-payment"
#define FOODSVC_KEY_REIMBURSE_FORMAT    "%s-reimburse"
/* The key of a second reimbursement, and so on, after the company refused one; %s: the first one's. nginx's format. */
#define FOODSVC_KEY_REIMBURSE_AGAIN     "%s-%ui"
#define FOODSVC_KEY_DELIVERY_FORMAT     "%s-delivery"
#define FOODSVC_KEY_KITCHEN_FORMAT      "%s-kitchen"

/* Paths, of ours and of partners; %s is an id. */
#define FOODSVC_PATH_ORDERS             "/v1/orders"
#define FOODSVC_PATH_PAYMENTS           "/v1/payments"
#define FOODSVC_PATH_REIMBURSE          "/v1/payments/reimburse"
#define FOODSVC_PATH_CALLBACK           "/v1/payments/callback"
#define FOODSVC_PATH_HEALTH             "/health"
#define FOODSVC_PATH_BILLING_FORMAT     "/v1/customers/%s/billing"
#define FOODSVC_PATH_ADDRESS_FORMAT     "/v1/customers/%s/address"
#define FOODSVC_PATH_DELIVERIES         "/v1/deliveries"
#define FOODSVC_PATH_DELIVERY_CANCEL_FORMAT "/v1/deliveries/%s/cancel"
#define FOODSVC_PATH_KITCHEN            "/v1/kitchen"
#define FOODSVC_PATH_CARD_BILL          "/billings"
#define FOODSVC_PATH_CARD_REIMBURSE     "/billings/reimburse"

#endif
