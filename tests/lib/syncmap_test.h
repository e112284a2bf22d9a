/* What the tests of the concurrent map share: hashes, and numbers as values. */
#ifndef SYNCMAP_TEST_H
#define SYNCMAP_TEST_H

#include "knittest.h"

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t constant_hash(const void *key, size_t size)
{
    (void)key;
    (void)size;
    return 0;
}

/* Two shards, two chains each. */
static inline uint64_t truncated_hash(const void *key, size_t size)
{
    const unsigned char *bytes = key;
    uint64_t sum = size;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return (sum & 1) << 63 | (sum >> 1 & 1);
}

static const knit_syncmap_options hashes[] = {
    {NULL, NULL, NULL},
    {NULL, NULL, constant_hash},
    {NULL, NULL, truncated_hash},
};
enum { HASHES = sizeof hashes / sizeof hashes[0] };

static inline void *value_of(uintptr_t n)
{
    return (void *)n;
}

static inline uintptr_t number_of(const void *value)
{
    return (uintptr_t)value;
}

#endif
