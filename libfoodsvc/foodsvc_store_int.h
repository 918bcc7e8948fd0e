/*
 * What the files of the store share, and nobody else includes.
 *
 *   foodsvc_store.c           the pool, what an error means, ping, indexes
 *   foodsvc_store_uri.c       the URI and its defaults
 *   foodsvc_store_run.c       the protocol of foodsvc_store.h: read, decide, write under a condition, look again
 *   foodsvc_store_group.c     the ops of a job, grouped by id, and their results
 *   foodsvc_store_read.c      a round's read, and the tokens of our writes
 *   foodsvc_store_bulk.c      one bulk of writes and what became of each
 *   foodsvc_store_orders.c    orders: insert, find, delete, list
 *   foodsvc_store_page.c      orders page by page, in the order of an index
 *   foodsvc_store_change.c    orders: changes and claims
 *   foodsvc_store_sweep.c     orders that owe something, by age
 *   foodsvc_store_payments.c  payments
 *   foodsvc_store_outbox.c    their outbox marks, cleared
 *   foodsvc_store_due.c       payments found: with old marks, pending for long
 *   foodsvc_store_keys.c      idempotency_keys
 *   foodsvc_store_urls.c      service_urls
 */
#ifndef FOODSVC_STORE_INT_H
#define FOODSVC_STORE_INT_H

#include <pthread.h>
#include <signal.h>
#include <mongoc/mongoc.h>
#include "foodsvc_names.h"
#include "foodsvc_store.h"

/* The field of the last writes' tokens: an array of int64, the newest last. */
#define FOODSVC_STORE_REV       "rev"
#define FOODSVC_STORE_REVS      4

/* Names of indexes on the payments. */
#define FOODSVC_STORE_UNSENT    "unsent_outbox.when_1"
#define FOODSVC_STORE_PENDING   "pending_created_1"

struct foodsvc_store_s {
    mongoc_client_pool_t  *pool;
    unsigned               timeout_ms;
    int                    read_ms;     /* maxTimeMS of reads: the socket's time-out */
};

/* One call of the public interface: a client of the pool, used by this thread alone. */
typedef struct {
    foodsvc_store_t  *store;
    mongoc_client_t  *client;
    sigset_t          mask;             /* the thread's, put back at the end */
    int64_t           deadline;         /* monotonic ms: no new attempt is begun after it */
} foodsvc_store_call_t;

/* False: no client; err says so and end() must not be called. Signals are blocked until end(). */
bool foodsvc_store_begin(foodsvc_store_t *store, foodsvc_store_call_t *call, char err[FOODSVC_ERR]);
void foodsvc_store_end(foodsvc_store_call_t *call);
/* A collection of api_db; destroy it before end(). */
mongoc_collection_t *foodsvc_store_collection(foodsvc_store_call_t *call, const char *name);

/* Whether this thread has sent a command since the last reset: without one, nothing can have been written. */
void foodsvc_store_sent_reset(void);
bool foodsvc_store_sent(void);

/* What an error of a write means: UNAVAILABLE (certainly nothing written), UNKNOWN, or FAILED. err may be NULL. */
foodsvc_store_rc_e foodsvc_store_error(const bson_error_t *error, bool sent, char err[FOODSVC_ERR]);
/* The same of a read, which is never UNKNOWN. */
foodsvc_store_rc_e foodsvc_store_read_error(const bson_error_t *error, char err[FOODSVC_ERR]);

/* The URI parsed and checked (NULL: the reason, without the password); and the defaults of foodsvc_store_uri.c. */
mongoc_uri_t *foodsvc_store_uri(const char *text, char err[FOODSVC_ERR]);
bool foodsvc_store_uri_defaults(mongoc_uri_t *uri, unsigned timeout_ms);
/* Makes the driver log through us, or not at all. */
void foodsvc_store_log_init(void);

/* Creates the indexes over a client that is at hand. */
foodsvc_store_rc_e foodsvc_store_indexes(foodsvc_store_call_t *call, char err[FOODSVC_ERR]);

/* Copies text, cut where it must be. */
void foodsvc_store_say(char err[FOODSVC_ERR], const char *text);
/* Appends the member `key` of `from` as it is, as `name`. False: there is none, or no memory. */
bool foodsvc_store_copy(bson_t *to, const char *name, const bson_t *from, const char *key);
/* Adds what can't be read to the list, as long as there is room. */
void foodsvc_store_note_bad(foodsvc_store_bad_t bad[FOODSVC_STORE_BAD], size_t *nbad, const bson_t *doc,
    const char *why);
/* Appends the condition that `key` still is what it is in doc, its absence included. */
bool foodsvc_store_same(bson_t *filter, const bson_t *doc, const char *key);

/* --- foodsvc_store_bulk.c --- */

typedef enum {
    FOODSVC_WRITE_DONE = 0,
    FOODSVC_WRITE_LOOK,         /* answered, but whether ours is among the matched shows only in the document */
    FOODSVC_WRITE_MAYBE,        /* no answer, or not yet by a majority */
    FOODSVC_WRITE_AGAIN,        /* certainly not written: the condition missed, or another server is the primary now */
    FOODSVC_WRITE_DUPLICATE,
    FOODSVC_WRITE_REFUSED,
    FOODSVC_WRITE_UNSENT
} foodsvc_store_outcome_e;

/*
 * Sends an unordered bulk of n writes, each of which should insert or match one document, and says what became of each.
 * err: the first reason that isn't a duplicate key.
 */
void foodsvc_store_execute(mongoc_bulk_operation_t *bulk, foodsvc_store_outcome_e outcomes[], size_t n,
    char err[FOODSVC_ERR]);

/* --- foodsvc_store_run.c --- */

typedef struct foodsvc_store_job_s foodsvc_store_job_t;

typedef enum {
    FOODSVC_STORE_NO_WRITE = 0,
    FOODSVC_STORE_INSERT,               /* write: the document */
    FOODSVC_STORE_UPDATE,               /* filter and write: the condition and the update */
    FOODSVC_STORE_DELETE                /* filter */
} foodsvc_store_write_e;

/* The ops of one id: one document, at most one write at a time. */
typedef struct {
    const char            *id;
    size_t                 first, count;        /* in job->sorted */
    bool                   open;                /* has no result yet */
    bool                   seen;                /* the read has found it */
    bool                   ours;                /* the document as read carries our rev: our write got there */
    bool                   tried;               /* a write was sent */
    bool                   missing;             /* not there, as a majority has it; the primary has to be asked */
    foodsvc_store_rc_e     if_missing;          /* the result when it has none either */
    bool                   look;                /* the last write's outcome shows only in the document */
    bool                   maybe;               /* a write of ours got no answer: it may be done now or later */
    foodsvc_store_write_e  kind;
    bson_t                *filter, *write;
    void                  *subject;             /* the order or payment as read, then as decided; the kind frees it */
} foodsvc_store_group_t;

/* What differs between the jobs. `ops` are structs whose first member is `const char *id`. */
typedef struct {
    const char  *collection;
    const char  *field;         /* read only this field (and _id, rev); NULL: the whole document */
    bool         write_first;   /* nothing has to be read before the first attempt */
    bool         exists_final;  /* a first attempt's duplicate key means EXISTS; else the document is read */
    /* The document as read (NULL: none): either settles the group or sets its kind, filter and write. */
    void       (*decide)(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc);
    /* The result of one op, the i-th of its group; group->subject is the state after all of them. */
    void       (*result)(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
        const char *err);
    void       (*free)(void *subject);          /* NULL: none */
} foodsvc_store_job_kind_t;

typedef struct {
    const char  *id;
    size_t       op;            /* index in ops */
} foodsvc_store_sorted_t;

struct foodsvc_store_job_s {
    const foodsvc_store_job_kind_t  *kind;
    foodsvc_store_call_t             call;
    mongoc_collection_t             *collection;
    void                           **ops;
    size_t                           nops;
    foodsvc_store_sorted_t           sorted[FOODSVC_STORE_BATCH];      /* by id, then by op */
    foodsvc_store_group_t            groups[FOODSVC_STORE_BATCH];
    size_t                           ngroups, nopen;
    bool                             unread;       /* write_first's first round: no document, for none was read */
    int64_t                          rev;          /* the token of all writes of this job, random */
};

/* Runs ops of any number through jobs of at most FOODSVC_STORE_BATCH; every op gets its result exactly once. */
void foodsvc_store_run(foodsvc_store_t *store, const foodsvc_store_job_kind_t *kind, void **ops, size_t nops);

/* --- foodsvc_store_group.c --- */

/* Groups the job's ops by id; all groups are open. */
void foodsvc_store_make_groups(foodsvc_store_job_t *job);
/* Forgets what was decided, for another decision. */
void foodsvc_store_undecide(foodsvc_store_job_t *job, foodsvc_store_group_t *group);
/* The i-th op of a group. */
void *foodsvc_store_op(const foodsvc_store_job_t *job, const foodsvc_store_group_t *group, size_t i);
/* Gives all ops of an open group their result and closes it. */
void foodsvc_store_settle(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_rc_e rc,
    const char *err);
/* The same when no more can be found out: UNKNOWN, when a write of ours may be done now or later. */
void foodsvc_store_give_up(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_rc_e rc,
    const char *err);
/* The same when the codec did not take the document: it is UNREADABLE, unless memory was short. */
void foodsvc_store_unread(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const char *err);
/* foodsvc_store_give_up() for all that are open. */
void foodsvc_store_give_up_all(foodsvc_store_job_t *job, foodsvc_store_rc_e rc, const char *err);

/* --- foodsvc_store_read.c --- */

/* A short random pause before the round of that number, that keeps those apart who fight for one document. */
void foodsvc_store_pause(unsigned round);
/*
 * Reads all open groups and has each decided. False: the read failed, which is the result of all that were still open.
 */
bool foodsvc_store_read(foodsvc_store_job_t *job);
/*
 * For a kind's decide: the document is not there, as a majority has it, and rc is the result then. Settles the group so
 * when the decisions are made, or as UNAVAILABLE when the primary itself has the document: one that was elected just
 * now has all that was acknowledged, but does not know it at once.
 */
void foodsvc_store_missing(foodsvc_store_group_t *group, foodsvc_store_rc_e rc);
/* Appends `rev` as a write of this job leaves it: doc's last tokens (doc may be NULL) and the job's. */
bool foodsvc_store_append_rev(bson_t *to, const foodsvc_store_job_t *job, const bson_t *doc);

/* --- foodsvc_store_change.c --- */

/* There is none, it has expired, or it is for longer than anybody may claim. */
bool foodsvc_store_claim_is_free(const foodsvc_order_t *order, int64_t now);

/* --- foodsvc_store_page.c --- */

/* Which orders, and how they are sorted: by an index of foodsvc_store_prepare(). */
typedef struct {
    const char    *key[3];
    size_t         nkey;
    int            direction;       /* of all of them: 1 or -1 */
    const bson_t  *min, *max;       /* the index's part, or NULL; max is not part of it */
} foodsvc_store_paging_t;

void foodsvc_store_page_run(foodsvc_store_t *store, const foodsvc_store_paging_t *paging, foodsvc_store_page_t *page);

#endif
