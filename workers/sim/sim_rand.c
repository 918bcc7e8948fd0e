#include "sim_rand.h"

static uint64_t
sim_mix(uint64_t x)     /* the finisher of splitmix64 */
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t
sim_fold(uint64_t h, const char *text)      /* FNV-1a, the closing NUL included, so that "ab","c" is not "a","bc" */
{
    do {
        h = (h ^ (unsigned char) *text) * 0x100000001b3u;
    } while (*text++ != '\0');
    return h;
}

uint64_t
sim_hash(uint64_t seed, const char *who, const char *what, uint64_t count)
{
    return sim_mix(sim_fold(sim_fold(0xcbf29ce484222325u ^ sim_mix(seed), who), what) + count * 0x9e3779b97f4a7c15u);
}

double
sim_chance(uint64_t seed, const char *who, const char *what, uint64_t count)
{
    return (double) (sim_hash(seed, who, what, count) >> 11) * 0x1p-53;
}

int64_t
sim_between(uint64_t seed, const char *who, const char *what, int64_t low, int64_t high)
{
    return low + (int64_t) (sim_hash(seed, who, what, 0) % ((uint64_t) (high - low) + 1));
}

void
sim_uuid(uint64_t seed, const char *who, const char *what, uint64_t count, foodsvc_uuid_t *uuid)
{
    uint64_t half[2];

    half[0] = sim_hash(seed, who, what, count * 2);
    half[1] = sim_hash(seed, who, what, count * 2 + 1);
    for (int i = 0; i < 16; i++) {
        uuid->bytes[i] = (uint8_t) (half[i / 8] >> (56 - i % 8 * 8));
    }
    uuid->bytes[6] = (uint8_t) ((uuid->bytes[6] & 0x0f) | 0x40);
    uuid->bytes[8] = (uint8_t) ((uuid->bytes[8] & 0x3f) | 0x80);
}
