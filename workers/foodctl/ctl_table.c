/*
 * The commands. Names of statuses, products, queues and services come from libfoodsvc.
 */
#include <string.h>
#include "ctl_table.h"
#include "foodsvc_names.h"
#include "foodsvc_scope.h"
#include "worker_amqp.h"

#define AT(member)  offsetof(ctl_t, member)

const char *const ctl_about =
    "Works with a running food delivery system: its orders, the services' addresses, the cache and the queue.";
const char *const ctl_about_settings =
    "A setting is a flag, a variable of the environment, or a line of build/run/env, which `make up` writes and which "
    "is looked for in this folder and those above it. A flag wins over the environment, the environment over the file. "
    "`file:/path` as a value stands for the first line of that file, so that no password needs to be on a command "
    "line.";
const char *const ctl_about_exit =
    "0: done. 1: it failed. 2: it was wrongly asked. What went wrong, and what to do, is one line on standard error.";

const ctl_option_t ctl_settings[] = {
    { "order-url", "URL", CTL_SETTING, AT(order_url), CTL_WORDS_NONE, "OrderService, as https://127.0.0.1:8000",
      "ORDER_URL", CTL_USES_ORDER },
    { "payment-url", "URL", CTL_SETTING, AT(payment_url), CTL_WORDS_NONE, "PaymentService, as https://127.0.0.1:8001",
      "PAYMENT_URL", CTL_USES_PAYMENT },
    { "api-key", "KEY", CTL_SETTING, AT(api_key), CTL_WORDS_NONE,
      "the API key; better from the environment or file:/path, since others can see a command's arguments",
      "API_KEY", CTL_USES_KEY },
    { "ca-cert", "FILE", CTL_SETTING, AT(ca_cert), CTL_WORDS_FILE, "the certificate of those who signed the servers'",
      "CA_CERT", CTL_USES_CA },
    { "mongo-url", "URL", CTL_SETTING, AT(mongo_url), CTL_WORDS_NONE, "MongoDB, as mongodb://127.0.0.1:27017",
      "MONGO_URL", CTL_USES_MONGO },
    { "redis-url", "URL", CTL_SETTING, AT(redis_url), CTL_WORDS_NONE, "Redis, as redis://:PASSWORD@127.0.0.1:6379",
      "REDIS_URL", CTL_USES_REDIS },
    { "amqp-url", "URL", CTL_SETTING, AT(amqp_url), CTL_WORDS_NONE,
      "RabbitMQ, as amqp://USER:PASSWORD@127.0.0.1:5672/VHOST; no VHOST, with the slash or without, means the vhost "
      "`/`",
      "AMQP_URL", CTL_USES_AMQP },
    { "partner-allow", "LIST", CTL_SETTING, AT(partner_allow), CTL_WORDS_NONE, "where partners may be, as the "
      "workers' setting of this name: addresses, networks and names, with blanks between", "PARTNER_ALLOW",
      CTL_USES_PARTNERS },
    { "json", NULL, CTL_FLAG, AT(json), CTL_WORDS_NONE, "print JSON", NULL, CTL_USES_JSON },
    { "help", NULL, CTL_HELP, 0, CTL_WORDS_NONE, "explain the command, and do nothing", NULL, ~0U },
    { "version", NULL, CTL_VERSION, 0, CTL_WORDS_NONE, "print the version, and do nothing", NULL, ~0U },
    { 0 }
};

static const ctl_option_t ctl_no_options[] = { { 0 } };

static const ctl_option_t ctl_keys_options[] = {
    { "scope", "SCOPES", CTL_TEXT, AT(scopes), CTL_WORDS_NONE, "what the key may do: one scope, or several with commas "
      "between (default: everything)", NULL, 0 },
    { 0 }
};

#define CTL_KEY \
    { "key", "TEXT", CTL_TEXT, AT(key), CTL_WORDS_NONE, "the request's " FOODSVC_IDEMPOTENCY_HEADER ": asked again " \
      "with it within a day it is not done twice, and gets the first answer (default: a new one)", NULL, 0 }

static const ctl_option_t ctl_cancel_options[] = { CTL_KEY, { 0 } };

static const ctl_option_t ctl_place_options[] = {
    { "item", "PRODUCT[=QUANTITY]", CTL_ITEM, 0, CTL_WORDS_PRODUCT, "what is ordered; may be repeated (when there is "
      "none: the first product of the menu, twice, and the second)", NULL, 0 },
    { "customer", "UUID", CTL_TEXT, AT(customer), CTL_WORDS_NONE, "who orders (default: a new customer)", NULL, 0 },
    { "quiet", NULL, CTL_FLAG, AT(quiet), CTL_WORDS_NONE, "print the order's id alone", NULL, 0 },
    CTL_KEY,
    { 0 }
};

static const ctl_option_t ctl_watch_options[] = {
    { "timeout", "SECONDS", CTL_SECONDS, AT(timeout), CTL_WORDS_NONE, "give up after this long (default: never)", NULL,
      0 },
    { "until", "STATUS", CTL_STATUS, AT(until), CTL_WORDS_STATUS, "end here already: as soon as the order has taken "
      "this status", NULL, 0 },
    { 0 }
};

static const ctl_option_t ctl_repair_options[] = {
    { "wait", "SECONDS", CTL_SECONDS, AT(wait), CTL_WORDS_NONE, "when another process has claimed the order, wait for "
      "as long as this (default: not at all)", NULL, 0 },
    { 0 }
};

static const ctl_option_t ctl_load_options[] = {
    { "flush", NULL, CTL_FLAG, AT(flush), CTL_WORDS_NONE, "drop the old addresses from Redis, too, so that the new "
      "ones count at once", NULL, 0 },
    { 0 }
};

static const ctl_option_t ctl_send_options[] = {
    { "queue", "NAME", CTL_TEXT, AT(queue), CTL_WORDS_QUEUE, "the queue (default: " FOODSVC_QUEUE ")", NULL, 0 },
    { 0 }
};

static const ctl_option_t ctl_listen_options[] = {
    { "take", NULL, CTL_FLAG, AT(take), CTL_WORDS_NONE, "take the messages out of the queue: nobody else gets them",
      NULL, 0 },
    { "once", NULL, CTL_FLAG, AT(once), CTL_WORDS_NONE, "end when all that waits now has been printed", NULL, 0 },
    { "count", "N", CTL_COUNT, AT(count), CTL_WORDS_NONE, "end after N messages", NULL, 0 },
    { "timeout", "SECONDS", CTL_SECONDS, AT(timeout), CTL_WORDS_NONE, "end after this long: exit 0, or 1 when --count "
      "messages did not come", NULL, 0 },
    { 0 }
};

#define CTL_DEAD_CHOICE \
    { "reason", "TEXT", CTL_TEXT, AT(reason), CTL_WORDS_NONE, "those whose reason has this text in it, in capitals " \
      "or not", NULL, 0 }, \
    { "order", "ORDER", CTL_ORDER, AT(order), CTL_WORDS_NONE, "those of this order", NULL, 0 }, \
    { "older", "AGE", CTL_AGE, AT(older), CTL_WORDS_NONE, "those in trouble for at least this long: 90s, 10m, 2h, 1d", \
      NULL, 0 }, \
    { "newer", "AGE", CTL_AGE, AT(newer), CTL_WORDS_NONE, "those in trouble for less than this", NULL, 0 }, \
    { "limit", "N", CTL_COUNT, AT(limit), CTL_WORDS_NONE, "look at the first N messages of the queue alone (default: " \
      "1000)", NULL, 0 }
#define CTL_DEAD_ALL \
    { "all", NULL, CTL_FLAG, AT(all), CTL_WORDS_NONE, "all of them", NULL, 0 }

static const ctl_option_t ctl_dead_options[] = { CTL_DEAD_CHOICE, { 0 } };
static const ctl_option_t ctl_redrive_options[] = { CTL_DEAD_CHOICE, CTL_DEAD_ALL, { 0 } };
static const ctl_option_t ctl_drop_options[] = {
    CTL_DEAD_CHOICE, CTL_DEAD_ALL,
    { "yes", NULL, CTL_FLAG, AT(yes), CTL_WORDS_NONE, "don't ask", NULL, 0 },
    { 0 }
};

static const ctl_option_t ctl_show_options[] = {
    { "limit", "N", CTL_COUNT, AT(limit), CTL_WORDS_NONE, "look at the first N messages of the queue alone (default: "
      "1000)", NULL, 0 },
    { 0 }
};

static const ctl_option_t ctl_stuck_options[] = {
    { "older", "AGE", CTL_AGE, AT(older), CTL_WORDS_NONE, "what stands for this long, whatever its state allows: 90s, "
      "10m, 2h, 1d", NULL, 0 },
    { "limit", "N", CTL_COUNT, AT(limit), CTL_WORDS_NONE, "look at N orders of each status at most (default: 10000)",
      NULL, 0 },
    { 0 }
};

const ctl_command_t ctl_commands[] = {
    { "order place", NULL, 0, 0, { 0 }, CTL_USES_API, ctl_place_options, "Places an order.",
      "When the connection is cut, or no answer comes, it asks once more with the same " FOODSVC_IDEMPOTENCY_HEADER
      ", so that there is one order. If then nobody knows whether there is, the message says how to ask again.",
      "order place --item 'Lasagna=2' --quiet", ctl_order_place },
    { "order show", "ORDER", 1, 1, { 0 }, CTL_USES_API, ctl_no_options, "Shows an order and its history.", NULL, NULL,
      ctl_order_show },
    { "order list", NULL, 0, 0, { 0 }, CTL_USES_API, ctl_no_options, "Lists all orders, newest first.", NULL, NULL,
      ctl_order_list },
    { "order cancel", "ORDER", 1, 1, { 0 }, CTL_USES_API, ctl_cancel_options,
      "Cancels an order that has no driver yet, and gives the money back.",
      "An answer that does not come is asked for once more, with the same " FOODSVC_IDEMPOTENCY_HEADER ".", NULL,
      ctl_order_cancel },
    { "order delete", "ORDER", 1, 1, { 0 }, CTL_USES_API, ctl_no_options, "Deletes an order.",
      "Events of it that are parked, or still come, are tried for a while and then end among the dead: `foodctl dead "
      "drop --order ORDER` clears them.", NULL, ctl_order_delete },
    { "order watch", "ORDER", 1, 1, { 0 }, CTL_USES_API, ctl_watch_options, "Follows an order to its end.",
      "On a terminal the order's way is one line that grows; elsewhere each status is a line, with the seconds since "
      "the watch began. It exits with 0 when the order came to a good end, its money given back included, and with 1 "
      "when its payment failed.",
      "order watch 01a20869-b77a-7000-a231-1fc5d3d2d7fc --timeout 600", ctl_order_watch },
    { "order repair", "ORDER", 1, 1, { 0 }, CTL_USES_MONGO | CTL_USES_REDIS | CTL_USES_AMQP | CTL_USES_KEY | CTL_USES_CA
      | CTL_USES_PARTNERS | CTL_USES_JSON, ctl_repair_options,
      "Does now what an order owes, and sends the events of its payment that were not sent.",
      "It does what " FOODSVC_ORDER_SERVICE "'s workers do, in the same way: it claims the order, asks the services "
      "that have to be asked, stores what they answer and refreshes the cache. The key is shown to "
      FOODSVC_PAYMENT_SERVICE ". Nothing happens twice by it: every call has an idempotency key.\n"
      "Where the card company was asked for a payment or a refund two minutes ago or longer, and has not reported, or "
      "where the order has not heard of its report, " FOODSVC_PAYMENT_SERVICE " is asked once more.\n"
      "It exits with 0 when all was done or nothing is owed, with 1 when a service is away or refuses, when another "
      "process has claimed the order, or when the card company has still to report and can't be asked again, or not "
      "yet. An order that it was killed with is free again after a minute.",
      "order repair 01a20869-b77a-7000-a231-1fc5d3d2d7fc --wait 60", ctl_order_repair },
    { "order refund", "ORDER", 1, 1, { 0 }, CTL_USES_MONGO | CTL_USES_REDIS | CTL_USES_AMQP | CTL_USES_KEY | CTL_USES_CA
      | CTL_USES_PARTNERS | CTL_USES_JSON, ctl_repair_options,
      "Gives up a paid order that a service refuses for good: cancels it, and gives the money back.",
      "For an operator: the customer can cancel only while the delivery is scheduled, this goes from the payment until "
      FOODSVC_KITCHEN_SERVICE " has the order, which has no call that would take a meal back. The order becomes "
      "orderCancelled; then what it owes is done as by `foodctl order repair`: its delivery is cancelled, and the "
      "money given back, each once. The end, reimbursed, comes with the card company's callback.\n"
      "An order that is cancelled already is only repaired. It exits with 1 when the order can't be given up, and "
      "where `foodctl order repair` does.",
      "order refund 01a20869-b77a-7000-a231-1fc5d3d2d7fc --wait 60", ctl_order_refund },
    { "health", NULL, 0, 0, { 0 }, CTL_USES_API | CTL_USES_PAYMENT | CTL_USES_REDIS | CTL_USES_AMQP, ctl_no_options,
      "Asks both services how they, and what they need, are; Redis, too, and RabbitMQ who consumes the queue.",
      "The last two are asked from here, where REDIS_URL and AMQP_URL are known. Nobody can be asked about sweepd: "
      "what it should have done is in `foodctl stuck`. It exits with 1 when anything is down.", NULL, ctl_health },
    { "urls load", "FILE|NAME=URL...", 1, CTL_MAX_ARGS, { CTL_WORDS_FILE, CTL_WORDS_FILE },
      CTL_USES_MONGO | CTL_USES_REDIS | CTL_USES_JSON, ctl_load_options, "Writes the services' addresses to MongoDB.",
      "FILE has NAME=URL lines, an object {NAME: URL, ...}, or a list of documents {\"_id\": NAME, \"url\": URL}. All "
      "is checked before anything is written. The services find a new address within 24 hours, with --flush at once.\n"
      "Whether an address may be called is each service's own setting (nginx's foodsvc_partner_allow, the workers' "
      "partner_allow), and not known here: one that may not is down in `foodctl health`, and the logs say that the "
      "setting does not have its host.",
      "urls load " FOODSVC_CUSTOMER_SERVICE "=http://127.0.0.1:8002 --flush", ctl_urls_load },
    { "urls list", NULL, 0, 0, { 0 }, CTL_USES_MONGO | CTL_USES_JSON, ctl_no_options,
      "Lists the services' addresses in MongoDB.", NULL, NULL, ctl_urls_list },
    { "urls flush", NULL, 0, 0, { 0 }, CTL_USES_REDIS | CTL_USES_JSON, ctl_no_options,
      "Drops the services' addresses from Redis, so that MongoDB's count at once.", NULL, NULL, ctl_urls_flush },
    { "cache list", NULL, 0, 0, { 0 }, CTL_USES_REDIS | CTL_USES_JSON, ctl_no_options,
      "Lists what Redis has of the system: orders, addresses, marks of deleted orders.",
      "Keys of other kinds, which others may keep in the same Redis, are left out.", NULL, ctl_cache_list },
    { "cache show", "ORDER|SERVICE", 1, 1, { CTL_WORDS_SERVICE }, CTL_USES_REDIS | CTL_USES_JSON, ctl_no_options,
      "Shows what Redis has of an order, or the address of a service.", NULL, NULL, ctl_cache_show },
    { "cache flush", "[ORDER|SERVICE...]", 0, CTL_MAX_ARGS, { CTL_WORDS_SERVICE, CTL_WORDS_SERVICE },
      CTL_USES_REDIS | CTL_USES_JSON, ctl_no_options,
      "Drops orders and addresses from Redis: those named, or all of them.",
      "Nothing is lost: the next reader takes them from MongoDB. Keys of other kinds stay, and so do the marks that "
      "keep a late write from bringing a deleted order back.",
      NULL, ctl_cache_flush },
    { "queue send", "JSON", 1, 1, { 0 }, CTL_USES_AMQP | CTL_USES_CA | CTL_USES_JSON, ctl_send_options,
      "Sends a message to a queue, as it is.",
      "The message is not checked, so that bad ones can be tried; `-` reads it from standard input. It is persistent, "
      "and confirmed by the broker before the command says so. The queue has to be there.",
      NULL, ctl_queue_send },
    { "queue listen", "[QUEUE]", 0, 1, { CTL_WORDS_QUEUE }, CTL_USES_AMQP | CTL_USES_CA | CTL_USES_JSON,
      ctl_listen_options, "Prints the messages of a queue (default: " FOODSVC_QUEUE ") as they come, and leaves them "
      "there unless --take is given.",
      "Without --take it only looks: it gets what waits in the queue, up to 1000 messages, and puts it back at once; "
      "twice a second, and only when something waits. A message that a worker takes as soon as it comes is therefore "
      "not seen; stop the worker first (`make stop-orderd`). The messages are marked as redelivered by that.\n"
      "With --take a message is taken once it has been printed, and OrderService will never see it.",
      "queue listen " FOODSVC_QUEUE_DEAD " --once", ctl_queue_listen },
    { "respond", "ORDER STATUS", 2, 2, { CTL_WORDS_NONE, CTL_WORDS_RESPONSE }, CTL_USES_API | CTL_USES_AMQP,
      ctl_no_options, "Sends a status of an order to OrderService's queue, as the partner would that has to.",
      NULL, NULL, ctl_respond },
    { "stuck", NULL, 0, 0, { 0 }, CTL_USES_MONGO | CTL_USES_JSON, ctl_stuck_options,
      "Lists the orders and payments that stand for longer than their state allows, and why.",
      "An order stands too long when it has owed something for 15 seconds, or when the event that it waits for is "
      "overdue: the payment after 2 minutes, a driver after 30, each stage behind it after an hour, the money back "
      "after 10 minutes. A payment does when its event was not sent for 5 seconds, or when the card company has not "
      "called back for 2 minutes. It asks MongoDB alone, and changes nothing.\n"
      "It exits with 0 when nothing is stuck, and with 1 when something is. The last line has the totals.",
      NULL, ctl_stuck },
    { "dead list", NULL, 0, 0, { 0 }, CTL_USES_AMQP | CTL_USES_CA | CTL_USES_JSON, ctl_dead_options,
      "Lists the dead messages: those of " FOODSVC_QUEUE_DEAD ", which could not be processed.",
      "The options choose among them; a message has to meet all that are given. AGE is the time since the message was "
      "in trouble first. A message without an id gets one made of its content.\n"
      "It gets the messages and puts them back where they were, at once; they are marked as redelivered by that.",
      "dead list --reason 'unknown order' --older 1h", ctl_dead_list },
    { "dead show", "ID...", 1, CTL_MAX_ARGS, { 0 }, CTL_USES_AMQP | CTL_USES_CA | CTL_USES_JSON, ctl_show_options,
      "Shows dead messages: why they are dead, their headers, their body.",
      "Messages of one id are shown one after the other; --json prints one line each.", NULL, ctl_dead_show },
    { "dead redrive", "[ID...]", 0, CTL_MAX_ARGS, { 0 }, CTL_USES_AMQP | CTL_USES_CA | CTL_USES_JSON,
      ctl_redrive_options, "Gives dead messages back to " FOODSVC_QUEUE ", when what was wrong has been mended.",
      "They go in their order, with their ids, and without the headers that say why they were dead. A dead message "
      "goes only when RabbitMQ has confirmed the new one: if foodctl is killed in between there may be two of it, "
      "which does no harm, but never none. `foodctl dead list` with the same options shows what would be redriven.",
      "dead redrive --reason refused", ctl_dead_redrive },
    { "dead drop", "[ID...]", 0, CTL_MAX_ARGS, { 0 }, CTL_USES_AMQP | CTL_USES_CA | CTL_USES_JSON,
      ctl_drop_options, "Drops dead messages for ever.",
      "On a terminal it shows them and asks; elsewhere, and with --json, it needs --yes.",
      "dead drop --reason 'metadata is missing' --yes", ctl_dead_drop },
    { "keys new", NULL, 0, 0, { 0 }, CTL_USES_JSON, ctl_keys_options,
      "Makes an API key, and the line by which the services know it: its SHA-256 and what it may do.",
      "The key is shown this once and kept nowhere. Give it to the client, which sends it as " FOODSVC_API_KEY_HEADER
      "; put the line into the file of the directive `foodsvc_api_keys_file`, and reload nginx.\n"
      "Scopes are " FOODSVC_SCOPE_NAMES ". A key without one may do everything.",
      "keys new --scope callback", ctl_keys_new },
    { "completion", "SHELL", 1, 1, { CTL_WORDS_SHELL }, 0, ctl_no_options, "Prints what completes foodctl's arguments "
      "in a shell.",
      "For bash: `source <(foodctl completion bash)`, best in ~/.bashrc. For zsh: `foodctl completion zsh > "
      "DIR/_foodctl`, where DIR is a folder of $fpath.",
      NULL, ctl_completion },
    { "manual", NULL, 0, 0, { 0 }, 0, ctl_no_options, "Prints this manual's source.",
      "`foodctl manual | man -l -` shows it.", NULL, ctl_manual },
    { 0 }
};

static const char *const ctl_services[] = {
    FOODSVC_ORDER_SERVICE, FOODSVC_PAYMENT_SERVICE, FOODSVC_CUSTOMER_SERVICE, FOODSVC_DELIVERY_SERVICE,
    FOODSVC_KITCHEN_SERVICE, NULL
};
static const char *const ctl_shells[] = { "bash", "zsh", NULL };

bool
ctl_status_sent(foodsvc_status_e status)
{
    return status != FOODSVC_CREATED && status != FOODSVC_ORDER_CANCELLED;
}

static const char *
ctl_word_queue(size_t i)
{
    static char names[8][sizeof(FOODSVC_QUEUE_RETRY_PREFIX) + 12];

    if (i < 2) {
        return i == 0 ? FOODSVC_QUEUE : FOODSVC_QUEUE_DEAD;
    }
    if (i - 2 >= 8 || worker_amqp_delays[i - 2] == 0) {
        return NULL;
    }
    snprintf(names[i - 2], sizeof(names[0]), FOODSVC_QUEUE_RETRY_PREFIX "%d", worker_amqp_delays[i - 2]);
    return names[i - 2];
}

const char *
ctl_word(ctl_words_e words, size_t i)
{
    switch (words) {
    case CTL_WORDS_STATUS:
        return i < FOODSVC_STATUS_COUNT ? foodsvc_status_name((foodsvc_status_e) i) : NULL;
    case CTL_WORDS_RESPONSE:
        for (foodsvc_status_e s = 0; s < FOODSVC_STATUS_COUNT; s++) {
            if (ctl_status_sent(s) && i-- == 0) {
                return foodsvc_status_name(s);
            }
        }
        return NULL;
    case CTL_WORDS_PRODUCT:
        return foodsvc_products[i];
    case CTL_WORDS_QUEUE:
        return ctl_word_queue(i);
    case CTL_WORDS_SERVICE:
        return ctl_services[i];
    case CTL_WORDS_SHELL:
        return ctl_shells[i];
    default:
        return NULL;
    }
}

const char *
ctl_words_all(ctl_words_e words)
{
    static char  text[512];
    size_t       len = 0;

    text[0] = '\0';
    for (size_t i = 0; words != CTL_WORDS_QUEUE && ctl_word(words, i) != NULL && len < sizeof(text); i++) {
        len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? ", " : "", ctl_word(words, i));
    }
    return text;
}

const ctl_command_t *
ctl_command_find(const char *name, size_t len)
{
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        if (strlen(c->name) == len && memcmp(c->name, name, len) == 0) {
            return c;
        }
    }
    return NULL;
}

bool
ctl_command_group(const char *word, size_t len)
{
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        const char *blank = strchr(c->name, ' ');

        if (blank != NULL && (size_t) (blank - c->name) == len && memcmp(c->name, word, len) == 0) {
            return true;
        }
    }
    return false;
}
