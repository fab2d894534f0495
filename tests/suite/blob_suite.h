/* SPDX-License-Identifier: Apache-2.0
 *
 * blob_suite - what every blob store must pass (the contract in blob/blob.h). Failures go to
 * cmocka.
 */
#ifndef EBB_TESTS_BLOB_SUITE_H
#define EBB_TESTS_BLOB_SUITE_H

#include "blob/blob.h"

/* The contract, for a store that does not fail by itself. The store must be empty and is left so.
 */
void blob_suite_contract(struct blob_store *s);

/* `steps` random calls, drawn from `seed`, on a store that may fail at any time: each call does its
 * job or fails cleanly, and what was promised holds. `power_loss` is called now and then when it is
 * not NULL, with nothing open. Returns how many calls failed. */
unsigned blob_suite_model(struct blob_store *s, uint64_t seed, unsigned steps,
                          void (*power_loss)(struct blob_store *s, uint64_t *rng));

/* Many threads on one store that does not fail. */
void blob_suite_threads(struct blob_store *s);

#endif
