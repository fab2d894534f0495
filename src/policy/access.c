/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/access.h"

#include "oci/name.h"

/* ---- words ----------------------------------------------------------------------------------- */

unsigned role_rights(enum role role)
{
    unsigned rights = 0;
    if (role >= ROLE_GUEST)
        rights |= RIGHT_PULL;
    if (role >= ROLE_DEVELOPER)
        rights |= RIGHT_PUSH;
    if (role >= ROLE_MAINTAINER)
        rights |= RIGHT_DELETE | RIGHT_RULES;
    if (role >= ROLE_OWNER)
        rights |= RIGHT_MEMBERS | RIGHT_NOW;
    return role >= ROLE_ADMINISTRATOR ? RIGHTS_ALL : rights;
}

const char *role_text(enum role role)
{
    switch (role) {
    case ROLE_NONE:
        return "none";
    case ROLE_GUEST:
        return "guest";
    case ROLE_DEVELOPER:
        return "developer";
    case ROLE_MAINTAINER:
        return "maintainer";
    case ROLE_OWNER:
        return "owner";
    case ROLE_ADMINISTRATOR:
        return "administrator";
    }
    return "unknown";
}

bool role_of(str text, enum role *out)
{
    static const enum role given[] = { ROLE_GUEST, ROLE_DEVELOPER, ROLE_MAINTAINER, ROLE_OWNER };
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        if (str_eq(text, str_of(role_text(given[i])))) {
            *out = given[i];
            return true;
        }
    }
    return false;
}

unsigned scope_rights(unsigned scopes)
{
    unsigned rights = 0;
    if ((scopes & SCOPE_ADMIN) != 0)
        return RIGHTS_ALL;
    if ((scopes & (SCOPE_PULL | SCOPE_PUSH | SCOPE_DELETE)) != 0)
        rights |= RIGHT_PULL;
    if ((scopes & SCOPE_PUSH) != 0)
        rights |= RIGHT_PUSH;
    if ((scopes & SCOPE_DELETE) != 0)
        rights |= RIGHT_DELETE;
    return rights;
}

enum role scope_role(unsigned scopes)
{
    if ((scopes & SCOPE_ADMIN) != 0)
        return ROLE_OWNER;
    if ((scopes & SCOPE_DELETE) != 0)
        return ROLE_MAINTAINER;
    if ((scopes & SCOPE_PUSH) != 0)
        return ROLE_DEVELOPER;
    return (scopes & SCOPE_PULL) != 0 ? ROLE_GUEST : ROLE_NONE;
}

static const struct scope_word {
    const char *text;
    unsigned scope;
} scope_words[] = {
    { "pull", SCOPE_PULL },
    { "push", SCOPE_PUSH },
    { "delete", SCOPE_DELETE },
    { "admin", SCOPE_ADMIN },
};

static unsigned scope_of(str word)
{
    for (size_t i = 0; i < ARRAY_LEN(scope_words); i++)
        if (str_eq(word, str_of(scope_words[i].text)))
            return scope_words[i].scope;
    return 0;
}

enum st scope_parse(str text, unsigned *out, struct err *err)
{
    unsigned scopes = 0;
    str rest = text;
    for (bool more = true; more;) {
        str word = rest;
        more = str_cut(rest, ',', &word, &rest);
        unsigned scope = scope_of(word);
        if (scope == 0)
            return err_set(err, ST_INVALID,
                           "scopes are pull, push, delete and admin, separated by commas");
        scopes |= scope;
    }
    *out = scopes;
    return ST_OK;
}

const char *scope_text(unsigned scopes, char out[static SCOPE_TEXT_MAX])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(scope_words); i++) {
        if ((scopes & scope_words[i].scope) == 0)
            continue;
        int added = snprintf(out + len, SCOPE_TEXT_MAX - len, "%s%s", len == 0 ? "" : ",",
                             scope_words[i].text);
        assert(added > 0 && (size_t)added < SCOPE_TEXT_MAX - len);
        len += (size_t)added;
    }
    return out;
}

/* ---- paths ----------------------------------------------------------------------------------- */

enum st prefix_check(str prefix, struct err *err)
{
    enum st st = prefix.len == 0 ? ST_OK : name_check(prefix, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "a path");
}

/* True for what lies below `prefix`, not for itself. */
static bool is_below(str prefix, str path)
{
    return prefix.len == 0 ||
           (path.len > prefix.len && path.ptr[prefix.len] == '/' && str_starts(path, prefix));
}

bool prefix_holds(str prefix, str path)
{
    return is_below(prefix, path) || str_eq(prefix, path);
}

/* The path above: false when there is none, for "". */
static bool go_up(str *path)
{
    str last;
    if (path->len == 0)
        return false;
    if (!str_cut_last(*path, '/', path, &last))
        *path = (str){ path->ptr, 0 };
    return true;
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* Index of the first prefix that is not before `path`. */
static size_t first_member(const struct access *a, str path)
{
    size_t low = 0, high = a->member_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(a->members[middle].prefix, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t first_visibility(const struct access *a, str path)
{
    size_t low = 0, high = a->visibility_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(a->visibility[middle].prefix, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum role role_at(const struct access *a, str prefix)
{
    size_t i = first_member(a, prefix);
    bool found = i < a->member_count && str_eq(a->members[i].prefix, prefix);
    return found ? a->members[i].role : ROLE_NONE;
}

static const struct access_visibility *visibility_at(const struct access *a, str prefix)
{
    size_t i = first_visibility(a, prefix);
    bool found = i < a->visibility_count && str_eq(a->visibility[i].prefix, prefix);
    return found ? &a->visibility[i] : NULL;
}

enum role access_role(const struct access *a, str path)
{
    enum role highest = ROLE_NONE;
    str at = path;
    if (a->administrator)
        return ROLE_ADMINISTRATOR;
    if (a->member_count == 0)
        return ROLE_NONE;
    do
        highest = MAX(highest, role_at(a, at));
    while (go_up(&at));
    return highest;
}

static bool is_public(const struct access *a, str path)
{
    str at = path;
    if (a->visibility_count == 0)
        return false;
    do {
        const struct access_visibility *nearest = visibility_at(a, at);
        if (nearest != NULL)
            return nearest->is_public;
    } while (go_up(&at));
    return false;
}

unsigned access_rights(const struct access *a, str path)
{
    unsigned cap = a->cap_rights;
    if (!prefix_holds(a->cap_prefix, path))
        return 0;
    if (a->cap_prefix.len > 0)
        cap &= ~(unsigned)RIGHT_ADMIN; /* which is about more than the prefix */
    unsigned rights = role_rights(access_role(a, path));
    if ((rights & RIGHT_PULL) == 0 && is_public(a, path))
        rights |= RIGHT_PULL;
    return rights & cap;
}

/* ---- seeking --------------------------------------------------------------------------------- */

/* In the order of bytes all names below p lie between "p/" and "p0"; "p" itself comes before, with
 * "p-x" and "p.x" between. Names have no byte behind 'z', so "p/~" is behind all below p. Where
 * pulling begins to be allowed is therefore one of four kinds of places, and the first of them is
 * looked for. The cap is cut out before. */

static bool may_pull(const struct access *a, str path)
{
    return access_role(a, path) >= ROLE_GUEST || is_public(a, path);
}

/* May what comes right behind `after` be pulled? It lies below whatever `after` lies below. */
static bool may_pull_behind(const struct access *a, str after)
{
    str above = after;
    return a->administrator || may_pull(a, go_up(&above) ? above : after);
}

/* A setting of that very prefix that lets pull below it. */
static bool opens(const struct access *a, str prefix)
{
    const struct access_visibility *set = visibility_at(a, prefix);
    return role_at(a, prefix) >= ROLE_GUEST || (set != NULL && set->is_public);
}

struct seeking {
    const struct access *access;
    str after;
    char *room;
    str found; /* unset: nothing yet */
};

/* The first of the places found is kept: `text` and one or two bytes more, the last of `text` cut
 * off when `cut` says so. */
static void found_place(struct seeking *s, str text, bool cut, const char *more)
{
    char place[ACCESS_SEEK_MAX];
    size_t len = text.len - (cut ? 1 : 0);
    size_t more_len = strlen(more);
    assert(len + more_len <= sizeof(place)); /* a prefix, or a part of one: NAME_MAX_BYTES */
    memcpy(place, text.ptr, len);
    memcpy(place + len, more, more_len);
    str candidate = { place, len + more_len };
    if (s->found.ptr != NULL && str_cmp(s->found, candidate) <= 0)
        return;
    memcpy(s->room, place, candidate.len);
    s->found = (str){ s->room, candidate.len };
}

/* The last place before `name`. */
static void found_name(struct seeking *s, str name)
{
    const char before[] = { (char)(name.ptr[name.len - 1] - 1), '~', '\0' };
    found_place(s, name, true, before);
}

/* `after` is between "p" and "p/". The longest such p comes first. */
static void seek_below(struct seeking *s)
{
    size_t longest = MIN(s->after.len, (size_t)NAME_MAX_BYTES);
    for (size_t len = longest; len > 0; len--) {
        str prefix = { s->after.ptr, len };
        bool between = len == s->after.len || s->after.ptr[len] < '/';
        if (!between || !opens(s->access, prefix))
            continue;
        if (prefix_holds(s->access->cap_prefix, prefix))
            found_place(s, prefix, false, "/");
        return;
    }
}

/* The next prefix that opens. */
static void seek_next(struct seeking *s)
{
    const struct access *a = s->access;
    for (size_t i = first_member(a, s->after); i < a->member_count; i++) {
        str prefix = a->members[i].prefix;
        if (str_eq(prefix, s->after) || a->members[i].role < ROLE_GUEST)
            continue;
        if (prefix_holds(a->cap_prefix, prefix))
            found_name(s, prefix);
        break;
    }
    for (size_t i = first_visibility(a, s->after); i < a->visibility_count; i++) {
        str prefix = a->visibility[i].prefix;
        if (str_eq(prefix, s->after) || !a->visibility[i].is_public)
            continue;
        if (prefix_holds(a->cap_prefix, prefix))
            found_name(s, prefix);
        break;
    }
}

/* Behind the end of a path that is closed, in one that is open. */
static void seek_end(struct seeking *s)
{
    str path = s->after;
    while (go_up(&path) && is_below(s->access->cap_prefix, path) && path.len > 0) {
        if (path.len <= NAME_MAX_BYTES && may_pull_behind(s->access, path)) {
            found_place(s, path, false, "/~");
            return;
        }
    }
}

/* Into the cap: false when `after` is behind it. `start` is room for a text of its own. */
static bool enter_cap(struct seeking *s, char start[static ACCESS_SEEK_MAX])
{
    str cap = s->access->cap_prefix;
    if (is_below(cap, s->after))
        return true;
    if (str_cmp(s->after, cap) < 0 && may_pull(s->access, cap)) {
        found_name(s, cap);
        return true;
    }
    assert(cap.len <= NAME_MAX_BYTES);
    memcpy(start, cap.ptr, cap.len);
    start[cap.len] = '/';
    str below = { start, cap.len + 1 };
    if (str_cmp(s->after, below) > 0)
        return false;
    s->after = below;
    if (may_pull_behind(s->access, below))
        found_place(s, cap, false, "/");
    return true;
}

bool access_seek(const struct access *a, str after, char room[static ACCESS_SEEK_MAX], str *last)
{
    char start[ACCESS_SEEK_MAX];
    char found[ACCESS_SEEK_MAX]; /* `after` may lie in `room` */
    struct seeking s = { .access = a, .after = after, .room = found };
    if ((a->cap_rights & RIGHT_PULL) == 0 || !enter_cap(&s, start))
        return false;
    if (s.found.ptr == NULL && may_pull_behind(a, s.after))
        s.found = s.after;
    if (s.found.ptr == NULL) {
        seek_below(&s);
        seek_next(&s);
        seek_end(&s);
    }
    if (s.found.ptr == NULL)
        return false;
    if (s.found.ptr == found) {
        memcpy(room, found, s.found.len);
        s.found.ptr = room;
    }
    *last = s.found;
    return true;
}
