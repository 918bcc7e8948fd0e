/*
 * What an API key may do: the scopes and their names. Pure; any thread.
 */
#ifndef FOODSVC_SCOPE_H
#define FOODSVC_SCOPE_H

#include <stddef.h>

#define FOODSVC_SCOPE_ORDERS_READ   0x01u       /* GET of orders */
#define FOODSVC_SCOPE_ORDERS_WRITE  0x02u       /* place, cancel, delete */
#define FOODSVC_SCOPE_PAYMENTS      0x04u       /* ask for a payment or a reimbursement */
#define FOODSVC_SCOPE_CALLBACK      0x08u       /* the card company's answer */
#define FOODSVC_SCOPE_ALL           0x0fu       /* of a key that names none */

/* For messages. */
#define FOODSVC_SCOPE_NAMES         "orders:read, orders:write, payments or callback"

/* 0: no such scope. */
unsigned foodsvc_scope_parse(const char *text, size_t len);
/* Of one scope. */
const char *foodsvc_scope_name(unsigned scope);

#endif
