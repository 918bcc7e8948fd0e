/*
 * Redis: the commands and scripts of the cache.
 *
 * An entry may be what anybody left there. The writer's script keeps it only when it is a whole order of this id of
 * a higher rank than ours, every step of whose history looks like one; whatever else it finds is replaced. It decodes
 * the entry only when its steps (each has one "when") and two ids could make it the higher, which is rare: a writer
 * mostly brings the newer one.
 */
#include <stdio.h>
#include <string.h>
#include "foodsvc_break.h"
#include "foodsvc_cache.h"
#include "foodsvc_names.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

/* KEYS: entry, tombstone. ARGV: seconds to live, rank, the entry. Four ranks to a step: FOODSVC_ORDER_RANK. */
static const char set_script[] =
    "if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end\n"
    "local old, mine, steps = redis.pcall('GET', KEYS[1]), tonumber(ARGV[2]), 0\n"
    "if type(old) == 'string' then\n"
    "  for _ in string.gmatch(old, '\"when\"') do steps = steps + 1 end\n"
    "end\n"
    "local function newer(text)\n"
    "  local good, order = pcall(cjson.decode, text)\n"
    "  if not good or type(order) ~= 'table' or order.id ~= KEYS[1] then return false end\n"
    "  local updated = order.updated\n"
    "  if type(updated) ~= 'table' or type(order.status) ~= 'string' then return false end\n"
    "  for _, step in ipairs(updated) do\n"
    "    if type(step) ~= 'table' or type(step.status) ~= 'string' or type(step.when) ~= 'string' then\n"
    "      return false\n"
    "    end\n"
    "  end\n"
    "  local rank = #updated * 4\n"
    "  if type(order.kitchen_id) == 'string' then rank = rank + 1 end\n"
    "  if type(order.delivery_id) == 'string' then rank = rank + 1 end\n"
    "  return rank > mine\n"
    "end\n"
    "if steps * 4 + 2 > mine and newer(old) then return 0 end\n"
    "redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[1])\n"
    "return 1\n";

#ifdef FOODSVC_BREAKABLE
static const char blind_script[] = "redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[1]) return 1";
#define set_script  (foodsvc_break("blind-cache") ? blind_script : set_script)
#endif

/* KEYS: entry, tombstone. ARGV: seconds that the tombstone lives. */
static const char delete_script[] =
    "redis.call('SET', KEYS[2], '1', 'EX', ARGV[1])\n"
    "return redis.call('DEL', KEYS[1])\n";

/* SHA-1 of the scripts, which is their name on the server; the unit test computes them again. */
static const char set_sha[] = "fdd933c4985bc4dfe31be1fafd94f524db25ef7a";
static const char delete_sha[] = "db2e99cb9229026de03c1bf7757bd9bb0abb0379";

static void add(foodsvc_cache_cmd_t *cmd, const char *arg, size_t len)
{
    cmd->argv[cmd->argc] = arg;
    cmd->lens[cmd->argc] = len;
    cmd->argc++;
}

static void add_text(foodsvc_cache_cmd_t *cmd, const char *arg)
{
    add(cmd, arg, strlen(arg));
}

/* EVALSHA or EVAL, with the order's two keys. Returns the bytes of cmd->buf that it used. */
static size_t add_script(foodsvc_cache_cmd_t *cmd, const char *id, const char *sha, const char *script, bool eval)
{
    int n = snprintf(cmd->buf, sizeof(cmd->buf) - 24, FOODSVC_CACHE_TOMBSTONE_FORMAT, id);

    add_text(cmd, eval ? "EVAL" : "EVALSHA");
    add_text(cmd, eval ? script : sha);
    add_text(cmd, "2");
    add_text(cmd, id);
    add_text(cmd, cmd->buf);
    return (size_t) n < sizeof(cmd->buf) - 24 ? (size_t) n + 1 : sizeof(cmd->buf) - 24;
}

void foodsvc_cache_order_get(foodsvc_cache_cmd_t *cmd, const char *id)
{
    cmd->argc = 0;
    add_text(cmd, "GET");
    add_text(cmd, id);
}

void foodsvc_cache_order_ttl(foodsvc_cache_cmd_t *cmd, const char *id)
{
    cmd->argc = 0;
    add_text(cmd, "PTTL");
    add_text(cmd, id);
}

void foodsvc_cache_order_set(foodsvc_cache_cmd_t *cmd, const char *id, const char *json, size_t len, size_t rank,
    bool eval)
{
    size_t used;

    cmd->argc = 0;
    used = add_script(cmd, id, set_sha, set_script, eval || foodsvc_break("blind-cache"));
    snprintf(cmd->buf + used, sizeof(cmd->buf) - used, "%zu", rank);
    add_text(cmd, TEXT_OF(FOODSVC_CACHE_ORDER_TTL));
    add_text(cmd, cmd->buf + used);
    add(cmd, json, len);
}

void foodsvc_cache_order_delete(foodsvc_cache_cmd_t *cmd, const char *id, bool eval)
{
    cmd->argc = 0;
    add_script(cmd, id, delete_sha, delete_script, eval);
    add_text(cmd, TEXT_OF(FOODSVC_CACHE_TOMBSTONE_TTL));
}

void foodsvc_cache_url_get(foodsvc_cache_cmd_t *cmd, const char *service)
{
    cmd->argc = 0;
    add_text(cmd, "GET");
    add_text(cmd, service);
}

void foodsvc_cache_url_set(foodsvc_cache_cmd_t *cmd, const char *service, const char *url)
{
    cmd->argc = 0;
    add_text(cmd, "SET");
    add_text(cmd, service);
    add_text(cmd, url);
    add_text(cmd, "EX");
    add_text(cmd, TEXT_OF(FOODSVC_CACHE_URL_TTL));
}

void foodsvc_cache_url_delete(foodsvc_cache_cmd_t *cmd, const char *service)
{
    cmd->argc = 0;
    add_text(cmd, "DEL");
    add_text(cmd, service);
}

bool foodsvc_cache_noscript(const char *error, size_t len)
{
    static const char code[] = "NOSCRIPT";

    return len >= sizeof(code) - 1 && memcmp(error, code, sizeof(code) - 1) == 0;
}
