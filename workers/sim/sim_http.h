/*
 * Between the HTTP servers (sim_http.c) and the calls (sim_calls.c): a request, read to its end, and its answer.
 */
#ifndef SIM_HTTP_H
#define SIM_HTTP_H

#include "foodsvc_json.h"
#include "sim.h"

#define SIM_MAX_BODY    262144

typedef struct {
    sim_t              *sim;
    sim_service_e       service;
    const char         *method, *path;
    const char         *key;            /* Idempotency-Key or "" */
    const char         *order_id;       /* of the query, or NULL */
    const char         *body;
    size_t              len;
    /* the answer */
    int                 status;
    char               *answer;         /* JSON; owned by sim_http.c from then on. NULL: no memory */
    const char         *allow;          /* of a 405, or NULL */
    sim_fate_t          fate;           /* what the rules want besides */
} sim_request_t;

/* Finds the call, makes it, and fills in the answer. Any thread. */
void sim_call(sim_request_t *request);

/* {"calls": {"card.bill": 3, ...}}: how often each was made. */
json_t *sim_calls_json(void);

extern const foodsvc_json_limits_t sim_limits;

/* Steals body; NULL: no memory. */
void sim_answer_json(sim_request_t *request, int status, json_t *body);
void sim_answer_detail(sim_request_t *request, int status, const char *detail);
/* 422; clears faults. */
void sim_answer_faults(sim_request_t *request, foodsvc_faults_t *faults);
/* Asks the rules; false: the call goes no further, the answer is there. */
bool sim_call_goes_on(sim_request_t *request, const char *target, const char *who, unsigned products);

/* sim_calls_card.c */
void sim_call_bill(sim_request_t *request);
void sim_call_reimburse(sim_request_t *request);
void sim_call_ledger(sim_request_t *request);
void sim_call_rules(sim_request_t *request);
void sim_call_rules_set(sim_request_t *request);
void sim_call_speed(sim_request_t *request);
void sim_call_state(sim_request_t *request);

#endif
