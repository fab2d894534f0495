/* SPDX-License-Identifier: Apache-2.0
 *
 * mem - the only door to the heap, so that a test can make each allocation fail in turn (fault.h).
 *
 * All three return NULL when there is no memory; callers answer ST_NO_MEMORY. Free with mem_free().
 */
#ifndef EBB_MEM_H
#define EBB_MEM_H

#include "base/base.h"

void *mem_new(size_t size);                 /* zeroed; size > 0 */
void *mem_resize(void *old, size_t size);   /* as realloc(); `old` stays valid on failure */
char *mem_dup(const char *ptr, size_t len); /* copy with a NUL behind it */
void mem_free(void *ptr);                   /* NULL is fine */

/* For AUTO(mem_auto) char *p. */
void mem_auto(void *ptr_to_ptr);

#endif
