/* SPDX-License-Identifier: Apache-2.0
 *
 * In builds with -Dfaults=true: SQLite's allocations and file calls pass fault_hit(), so that a
 * test can fail each of them in turn. In other builds: nothing.
 *
 * The file system shim is the default one with each file wrapped. Calls on shared memory and locks
 * are passed on untouched: they do no I/O.
 */
#include <stdatomic.h>

#include "base/fault.h"
#include "base/mem.h"
#include "db/db_sqlite.h"

#ifndef EBB_FAULTS

void db_fault_config_memory(void)
{
}

const char *db_fault_vfs(void)
{
    return NULL;
}

uint64_t db_fault_log_syncs(void)
{
    return 0;
}

#else

/* --- memory --- */

static sqlite3_mem_methods system_memory;

static void *fault_malloc(int size)
{
    return fault_hit(FAULT_ALLOC) ? NULL : system_memory.xMalloc(size);
}

static void *fault_realloc(void *old, int size)
{
    return fault_hit(FAULT_ALLOC) ? NULL : system_memory.xRealloc(old, size);
}

void db_fault_config_memory(void)
{
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory) != SQLITE_OK)
        return; /* in use already: allocations of SQLite do not fail */
    sqlite3_mem_methods memory = system_memory;
    memory.xMalloc = fault_malloc;
    memory.xRealloc = fault_realloc;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
}

/* --- files --- */

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
    bool is_log;
};

static atomic_ullong log_syncs;

uint64_t db_fault_log_syncs(void)
{
    return atomic_load(&log_syncs);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_file *)(void *)file)->real;
}

static int fault_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xClose(real);
}

static int fault_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    return fault_hit(FAULT_IO) ? SQLITE_IOERR_READ : real->pMethods->xRead(real, out, len, offset);
}

static int fault_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    if (!fault_hit(FAULT_IO))
        return real->pMethods->xWrite(real, bytes, len, offset);
    /* A write that fails may have been done in part. */
    (void)real->pMethods->xWrite(real, bytes, len / 2, offset);
    return SQLITE_IOERR_WRITE;
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    sqlite3_file *real = real_of(file);
    return fault_hit(FAULT_IO) ? SQLITE_IOERR_TRUNCATE : real->pMethods->xTruncate(real, size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    sqlite3_file *real = real_of(file);
    if (fault_hit(FAULT_IO))
        return SQLITE_IOERR_FSYNC;
    int code = real->pMethods->xSync(real, flags);
    if (code == SQLITE_OK && ((struct fault_file *)(void *)file)->is_log)
        atomic_fetch_add(&log_syncs, 1);
    return code;
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size)
{
    sqlite3_file *real = real_of(file);
    return fault_hit(FAULT_IO) ? SQLITE_IOERR_FSTAT : real->pMethods->xFileSize(real, size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xLock(real, level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xUnlock(real, level);
}

static int fault_check_lock(sqlite3_file *file, int *out)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xCheckReservedLock(real, out);
}

static int fault_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xFileControl(real, op, arg);
}

static int fault_sector(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xSectorSize(real);
}

static int fault_device(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xDeviceCharacteristics(real);
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    sqlite3_file *real = real_of(file);
    return fault_hit(FAULT_IO) ? SQLITE_IOERR_SHMMAP
                               : real->pMethods->xShmMap(real, page, size, extend, out);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmLock(real, offset, n, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    real->pMethods->xShmBarrier(real);
}

static int fault_shm_unmap(sqlite3_file *file, int delete)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmUnmap(real, delete);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2, /* 3 adds memory mapping, which is off */
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_check_lock,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static sqlite3_vfs *real_vfs;

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    (void)vfs;
    struct fault_file *own = (struct fault_file *)(void *)file;
    own->base.pMethods = NULL; /* not to be closed after a failure */
    own->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    own->real = (sqlite3_file *)(void *)(own + 1);
    if (fault_hit(FAULT_IO))
        return SQLITE_CANTOPEN;
    int code = real_vfs->xOpen(real_vfs, name, own->real, flags, got);
    if (own->real->pMethods != NULL)
        own->base.pMethods = &fault_methods;
    return code;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    return fault_hit(FAULT_IO) ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
}

static sqlite3_vfs fault_vfs;

static void register_once(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    if (real_vfs == NULL)
        return;
    fault_vfs = *real_vfs;
    fault_vfs.zName = "ebb-fault";
    fault_vfs.pNext = NULL;
    fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    fault_vfs.xOpen = fault_open;
    fault_vfs.xDelete = fault_delete;
    (void)sqlite3_vfs_register(&fault_vfs, 0);
}

const char *db_fault_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_once);
    return "ebb-fault";
}

#endif
