/* A map that any number of tasks and threads use at once: bytes to pointers.
 *
 *     static knit_syncmap cache;                       {0}: valid, and empty
 *     knit_syncmap_store(&cache, name, strlen(name), page);
 *     if (knit_syncmap_load(&cache, name, strlen(name), &page) == 1) ...
 *
 * Keys are byte strings, compared as bytes; the map keeps a copy of its own. For a number or a
 * struct without padding give its address and its size. Values are pointers the map never looks
 * into; NULL is a value like any other.
 *
 * Whoever loads a value may be about to use it when another one deletes it. If values are freed one
 * day, give the map a ref and an unref function (knit_syncmap_init): then a reference goes with
 * every value the map hands out, taken in the same moment in which it is found. Without them
 * "reference" below means nothing, and values must live as long as anybody may use them.
 *
 * Everything that concerns one key happens at one moment, in one order for all. */
#ifndef KNIT_SYNCMAP_H
#define KNIT_SYNCMAP_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage; {0} is a valid, empty map without options. Its content is private. */
typedef struct knit_syncmap {
    void *knit__opaque[4];
} knit_syncmap;

typedef struct knit_syncmap_options {
    /* One more reference to value; called under a lock of the map: it must not wait and must not
     * use the map. NULL: values are not counted. */
    void (*ref)(void *value);
    /* Drop a reference; called without locks. NULL: nothing to do. */
    void (*unref)(void *value);
    /* All 64 bits should depend on all of the key. NULL: a good one, seeded anew for every map. */
    uint64_t (*hash)(const void *key, size_t size);
} knit_syncmap_options;

/* Begin with options (NULL: none), as {0} otherwise.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (m NULL).
 * Pointers: m and options borrowed.
 * Threads:  any task, any thread; before the map is used. */
KNIT_API int knit_syncmap_init(knit_syncmap *m, const knit_syncmap_options *options);

/* Drop all keys and their values and free what the map has allocated. It is as empty as {0} then,
 * and has its options still. NULL: nothing.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.
 * Threads:  any task, any thread; nobody else may use the map meanwhile. */
KNIT_API void knit_syncmap_fini(knit_syncmap *m);

/* Find the value of a key. 1: found, 0: there is none (*ret_value is untouched).
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL (m NULL; key NULL with size > 0; a size that no object can have).
 * Pointers: key borrowed; *ret_value returned with a reference. ret_value NULL: just ask.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_load(knit_syncmap *m, const void *key, size_t size, void **ret_value);

/* Set the value of a key. A former value is dropped.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ENOMEM, -EINVAL; then nothing has changed, and value is still the caller's.
 * Pointers: key borrowed (copied); value given: the map has the caller's reference now.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_store(knit_syncmap *m, const void *key, size_t size, void *value);

/* The value of a key; if it has none, value becomes that. 1: *ret_value is what was there, and
 * value is still the caller's. 0: value was stored, and *ret_value is value.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ENOMEM, -EINVAL; then nothing has changed.
 * Pointers: key borrowed (copied); value given if 0; *ret_value returned with a reference in both
 *           cases (so value has one more). ret_value may be NULL.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_load_or_store(knit_syncmap *m, const void *key, size_t size, void *value,
                                        void **ret_value);

/* Set the value of a key and get the former one. 1: *ret_value is the former; 0: there was none
 * (*ret_value is untouched).
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -ENOMEM, -EINVAL; then nothing has changed, and value is still the caller's.
 * Pointers: key borrowed (copied); value given; *ret_value returned with the map's reference.
 *           ret_value NULL: the former value is dropped.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_swap(knit_syncmap *m, const void *key, size_t size, void *value,
                               void **ret_value);

/* Remove a key and get its value. 1: it was there; 0: it was not (*ret_value is untouched).
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL.
 * Pointers: key borrowed; *ret_value returned with the map's reference. ret_value NULL: it is
 *           dropped.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_load_and_delete(knit_syncmap *m, const void *key, size_t size,
                                          void **ret_value);
KNIT_API int knit_syncmap_delete(knit_syncmap *m, const void *key, size_t size);

/* If the key is there and its value is the pointer `old`: set it to value; remove the key. 1: done;
 * 0: not so, nothing has changed. A key that is not there has no value, not NULL either.
 *
 * Parks:    no.
 * Cancel:   not affected.
 * Errors:   -EINVAL.
 * Pointers: key borrowed; old compared only; value given if 1; the map's reference to old is
 *           dropped if 1.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_compare_and_swap(knit_syncmap *m, const void *key, size_t size, void *old,
                                           void *value);
KNIT_API int knit_syncmap_compare_and_delete(knit_syncmap *m, const void *key, size_t size,
                                             void *old);

/* Sees one key: 0 to go on. */
typedef int knit_syncmap_fn(const void *key, size_t size, void *value, void *arg);

/* Call fn for every key, until it returns something else than 0. Returns what the last call
 * returned, 0 if there was none.
 *
 * Every key that is there from beginning to end is seen once, no key is seen twice; of keys that
 * come or go meanwhile some are seen. fn may use the map in every way, also range over it, and may
 * park. Nothing is allocated, nobody else is kept waiting.
 *
 * Parks:    no (fn may).
 * Cancel:   not affected.
 * Errors:   -EINVAL (m or fn NULL).
 * Pointers: key borrowed by fn until it returns; value with a reference for the same time.
 * Threads:  any task, any thread. */
KNIT_API int knit_syncmap_range(knit_syncmap *m, knit_syncmap_fn *fn, void *arg);

/* Remove all keys. What is stored meanwhile may stay. NULL: nothing.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API void knit_syncmap_clear(knit_syncmap *m);

/* How many keys there are: exact when nobody changes the map. 0 for NULL.
 *
 * Parks: no.  Cancel: not affected.  Errors: none.  Threads: any task, any thread. */
KNIT_API size_t knit_syncmap_len(const knit_syncmap *m);

#ifdef __cplusplus
}
#endif
#endif
