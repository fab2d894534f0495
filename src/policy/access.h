/* SPDX-License-Identifier: Apache-2.0
 *
 * access - who may do what below which path: pure functions over what somebody was given.
 *
 *     role            on "group" holds for group and everything below it; the highest one counts
 *     visibility      public paths may be pulled by everybody; the nearest setting above counts
 *     cap             of a token: nothing outside its prefix, nothing beyond its scopes
 *
 *     rights(path) = (role_rights(role(path)) | pull when public) & cap
 *
 *  1. A path is matched by whole components: "group" holds for "group" and "group/x", never for
 *     "group2".
 *  2. What is not given is refused. An empty struct access may nothing.
 *
 * Threads: none of these changes anything.
 */
#ifndef EBB_ACCESS_H
#define EBB_ACCESS_H

#include "base/err.h"
#include "base/str.h"

enum {
    RIGHT_PULL = 1 << 0,
    RIGHT_PUSH = 1 << 1,
    RIGHT_DELETE = 1 << 2,
    RIGHT_RULES = 1 << 3,   /* rules, holds, locks, visibility */
    RIGHT_NOW = 1 << 4,     /* delete without a grace */
    RIGHT_MEMBERS = 1 << 5, /* who has which role; robots and deploy tokens */
    RIGHT_ADMIN = 1 << 6,   /* the registry itself: accounts, reclaim, check, the audit log */
};
#define RIGHTS_ALL 127u

/* The numbers are GitLab's access levels; they are what is stored. */
enum role {
    ROLE_NONE = 0,
    ROLE_GUEST = 10,      /* pulls */
    ROLE_DEVELOPER = 30,  /* and pushes */
    ROLE_MAINTAINER = 40, /* and deletes and sets rules */
    ROLE_OWNER = 50,      /* and manages members, and may delete without a grace */
    ROLE_ADMINISTRATOR = 60,
};
unsigned role_rights(enum role role);
const char *role_text(enum role role); /* "guest", ... */
/* A role that can be given: guest to owner. False for any other word. */
bool role_of(str text, enum role *out);

/* What a token may be used for. What its account may not, it may not either. */
enum {
    SCOPE_PULL = 1 << 0,
    SCOPE_PUSH = 1 << 1,   /* and pull */
    SCOPE_DELETE = 1 << 2, /* and pull */
    SCOPE_ADMIN = 1 << 3,  /* all that its account may */
};
unsigned scope_rights(unsigned scopes);
/* Of an identity that has a scope instead of a role (deploy tokens): what rules about levels see.
 */
enum role scope_role(unsigned scopes);
/* "pull", "pull,push", ... in this order. ST_INVALID for another word or none. */
MUST_CHECK enum st scope_parse(str text, unsigned *out, struct err *err);
#define SCOPE_TEXT_MAX 32
const char *scope_text(unsigned scopes, char out[static SCOPE_TEXT_MAX]);

/* A path that a role, a token or a setting is about: a repository's name or what names begin with,
 * by whole components; "" is the whole registry. ST_INVALID. */
MUST_CHECK enum st prefix_check(str prefix, struct err *err);
bool prefix_holds(str prefix, str path);

struct access_member {
    str prefix;
    enum role role;
};
struct access_visibility {
    str prefix;
    bool is_public;
};
/* Lists are in byte order of their prefixes, each once. Borrowed. */
struct access {
    bool administrator; /* a role on everything, and RIGHT_ADMIN */
    const struct access_member *members;
    size_t member_count;
    const struct access_visibility *visibility;
    size_t visibility_count;
    str cap_prefix;      /* "" or unset: none */
    unsigned cap_rights; /* RIGHTS_ALL: none */
};
enum role access_role(const struct access *a, str path);
unsigned access_rights(const struct access *a, str path);
/* For listing without looking at every name: no name behind `after`, up to *last and *last
 * included, may be pulled, so a list goes on with the names behind *last. (It may be `after`
 * itself.) False: nothing behind `after` may be. *last borrows from `after` or `room`; `after` may
 * lie in `room`. */
#define ACCESS_SEEK_MAX 260
bool access_seek(const struct access *a, str after, char room[static ACCESS_SEEK_MAX], str *last);

#endif
