/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"

#define FILE_NAME      "credentials.json"
#define NEW_NAME       "credentials.json.new"
#define FILE_MAX_BYTES ((size_t)MIB)

/* ---- where ----------------------------------------------------------------------------------- */

static enum st folder_path(char out[static PATH_MAX], struct err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int len;
    if (config != NULL && config[0] == '/') /* the rule of XDG: others are ignored */
        len = snprintf(out, PATH_MAX, "%s/ebb", config);
    else if (home != NULL && home[0] == '/')
        len = snprintf(out, PATH_MAX, "%s/.config/ebb", home);
    else
        return err_set(err, ST_NOT_FOUND, "neither XDG_CONFIG_HOME nor HOME is set");
    return len < PATH_MAX ? ST_OK
                          : err_set(err, ST_INVALID, "the path of " FILE_NAME " is too long");
}

/* Makes the directories that are missing. */
static enum st make_folder(const char *path, struct err *err)
{
    char part[PATH_MAX];
    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        (void)str_copy((str){ path, i }, part, sizeof(part));
        enum st st = file_mkdir(AT_FDCWD, part, 0700, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum st open_folder(bool make, int *fd, struct err *err)
{
    char path[PATH_MAX];
    enum st st = folder_path(path, err);
    if (st == ST_OK && make)
        st = make_folder(path, err);
    if (st == ST_OK)
        st = file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, fd, err);
    return st;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum st read_text(int fd, struct buf *out, struct err *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return err_sys(err, FILE_NAME);
    if ((about.st_mode & 077) != 0)
        return err_set(err, ST_DENIED,
                       FILE_NAME
                       " of `ebb login` can be read by others; chmod 600 it, and take the "
                       "tokens in it back when others may have read them");
    if (about.st_size > (off_t)FILE_MAX_BYTES)
        return err_set(err, ST_TOO_LARGE, FILE_NAME " of `ebb login` is too large");
    if (!buf_reserve(out, (size_t)about.st_size + 1))
        return buf_status(out, err);
    return file_read_at(fd, out->ptr, (size_t)about.st_size, 0, &out->len, err);
}

/* *out: the file's object, or an empty one when it is not there. */
static enum st read_file(int folder, json_t **out, struct err *err)
{
    AUTO(buf_release) struct buf text = { .max_bytes = FILE_MAX_BYTES + 1 };
    AUTO(file_close_auto) int fd = -1;
    enum st st = file_open(folder, FILE_NAME, O_RDONLY, 0, &fd, err);
    if (st == ST_NOT_FOUND) {
        *out = json_pack("{s:{}}", "servers");
        return *out == NULL ? err_no_memory(err) : ST_OK;
    }
    if (st == ST_OK)
        st = read_text(fd, &text, err);
    if (st != ST_OK)
        return st;
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root) || !json_is_object(json_object_get(root, "servers"))) {
        json_decref(root);
        return err_set(err, ST_INVALID,
                       FILE_NAME " of `ebb login` is damaged; remove it and log in again");
    }
    *out = root;
    return ST_OK;
}

static bool take_text(const json_t *entry, const char *key, char *out, size_t size)
{
    const json_t *value = json_object_get(entry, key);
    out[0] = '\0';
    return !json_is_string(value) ||
           str_copy((str){ json_string_value(value), json_string_length(value) }, out, size);
}

enum st kept_find(const char *base, struct kept_login *out, struct err *err)
{
    AUTO(file_close_auto) int folder = -1;
    struct kept_login found = { 0 };
    json_t *root = NULL;
    enum st st = open_folder(false, &folder, err);
    if (st == ST_OK)
        st = read_file(folder, &root, err);
    if (st != ST_OK)
        return st;
    const json_t *entry = json_object_get(json_object_get(root, "servers"), base);
    json_int_t id = json_integer_value(json_object_get(entry, "id"));
    found.id = id < 0 ? 0 : (uint64_t)id;
    if (entry == NULL)
        st = err_set(err, ST_NOT_FOUND, "nobody is logged in to %s", base);
    else if (!take_text(entry, "user", found.user, sizeof(found.user)) ||
             !take_text(entry, "token", found.token, sizeof(found.token)) ||
             !take_text(entry, "expires_at", found.expires_at, sizeof(found.expires_at)) ||
             found.token[0] == '\0')
        st = err_set(err, ST_INVALID, "what " FILE_NAME " holds for %s is damaged; log in again",
                     base);
    if (st == ST_OK)
        *out = found;
    json_decref(root);
    return st;
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum st write_file(int folder, const json_t *root, struct err *err)
{
    AUTO(file_close_auto) int fd = -1;
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (text == NULL)
        return err_no_memory(err);
    /* What a crash left is nobody's; made anew, it has the mode and owner that it should. */
    enum st st = file_unlink(folder, NEW_NAME, err);
    if (st == ST_OK)
        st = file_open(folder, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, err);
    if (st == ST_OK)
        st = file_write_at(fd, text, strlen(text), 0, err);
    if (st == ST_OK)
        st = file_sync(fd, err);
    if (st == ST_OK)
        st = file_rename_over(folder, NEW_NAME, FILE_NAME, err);
    if (st == ST_OK)
        st = file_sync_dir(folder, ".", err);
    else
        (void)unlinkat(folder, NEW_NAME, 0);
    free(text); /* jansson's */
    return st;
}

/* Sets or, with NULL, removes. Takes `entry`. */
static enum st replace(const char *base, json_t *entry, struct err *err)
{
    AUTO(file_close_auto) int folder = -1;
    json_t *root = NULL;
    enum st st = open_folder(entry != NULL, &folder, err);
    if (st == ST_OK && flock(folder, LOCK_EX) != 0)
        st = err_sys(err, "lock the directory of " FILE_NAME);
    if (st == ST_OK)
        st = read_file(folder, &root, err);
    json_t *servers = json_object_get(root, "servers");
    if (st == ST_OK && entry == NULL && json_object_del(servers, base) != 0)
        st = err_set(err, ST_NOT_FOUND, "nobody is logged in to %s", base);
    if (st == ST_OK && entry != NULL && json_object_set(servers, base, entry) != 0)
        st = err_no_memory(err);
    if (st == ST_OK)
        st = write_file(folder, root, err);
    json_decref(root);
    json_decref(entry);
    return st;
}

enum st kept_set(const char *base, const struct kept_login *in, struct err *err)
{
    json_t *entry =
        json_pack("{s:s,s:s,s:I}", "user", in->user, "token", in->token, "id", (json_int_t)in->id);
    if (entry != NULL && in->expires_at[0] != '\0' &&
        json_object_set_new(entry, "expires_at", json_string(in->expires_at)) != 0) {
        json_decref(entry);
        entry = NULL;
    }
    return entry == NULL ? err_no_memory(err) : replace(base, entry, err);
}

enum st kept_remove(const char *base, struct err *err)
{
    return replace(base, NULL, err);
}
