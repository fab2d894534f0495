/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

void *mem_new(size_t size)
{
    assert(size > 0);
    if (fault_hit(FAULT_ALLOC))
        return NULL;
    return calloc(1, size);
}

void *mem_resize(void *old, size_t size)
{
    assert(size > 0);
    if (fault_hit(FAULT_ALLOC))
        return NULL;
    return realloc(old, size);
}

char *mem_dup(const char *ptr, size_t len)
{
    char *copy = mem_new(len + 1);
    if (copy != NULL && len > 0)
        memcpy(copy, ptr, len);
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_auto(void *ptr_to_ptr)
{
    void **p = ptr_to_ptr;
    mem_free(*p);
}
