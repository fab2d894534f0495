/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/scope.h"

#define NAME_MAX_BYTES 512 /* of a repository, with a host in front */

struct action_word {
    unsigned action;
    const char *word;
    unsigned rights;
};

static const struct action_word words[] = {
    { ACTION_PULL, "pull", RIGHT_PULL },
    { ACTION_PUSH, "push", RIGHT_PUSH },
    { ACTION_DELETE, "delete", RIGHT_DELETE | RIGHT_PULL },
    { ACTION_METADATA_READ, "metadata_read", RIGHT_PULL },
    { ACTION_METADATA_WRITE, "metadata_write", RIGHT_RULES },
    { ACTION_DELETED_READ, "deleted_read", RIGHT_DELETE | RIGHT_PULL },
    { ACTION_DELETED_RESTORE, "deleted_restore", RIGHT_DELETE | RIGHT_PULL },
    { ACTION_ALL, "*", RIGHTS_ALL },
};

unsigned action_rights(unsigned actions)
{
    unsigned rights = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if ((actions & words[i].action) != 0)
            rights |= words[i].rights;
    return rights;
}

unsigned actions_within(unsigned actions, unsigned rights)
{
    unsigned granted = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].action != ACTION_ALL && (actions & (words[i].action | ACTION_ALL)) != 0 &&
            (words[i].rights & ~rights) == 0)
            granted |= words[i].action;
    return granted;
}

const char *actions_text(unsigned actions, char out[static ACTIONS_TEXT_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((actions & words[i].action) == 0)
            continue;
        if (used > 0)
            out[used++] = ',';
        size_t len = strlen(words[i].word);
        memcpy(out + used, words[i].word, len);
        used += len;
        assert(used < ACTIONS_TEXT_MAX - 1);
    }
    out[used] = '\0';
    return out;
}

unsigned action_of(str word)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(word, str_of(words[i].word)))
            return words[i].action;
    return 0;
}

static unsigned actions_of(str text)
{
    unsigned actions = 0;
    for (bool more = true; more;) {
        str word = text;
        more = str_cut(text, ',', &word, &text);
        actions |= action_of(word);
    }
    return actions;
}

/* What a name may hold; the grammar proper is the doors' business. It must be safe in JSON, in a
 * header and in a log. */
static bool name_is_plain(str name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    memchr("._-/:@+~[]", c, 10) != NULL;
        if (!good && !(c == '*' && name.len == 1))
            return false;
    }
    return true;
}

static bool type_of(str type, str name, enum claim_type *out)
{
    str class = type;
    if (str_ends(type, STR(")")) && !str_cut(type, '(', &type, &class))
        return false;
    if (str_eq(type, STR("repository")))
        *out = CLAIM_REPOSITORY;
    else if (str_eq(type, STR("registry")) && str_eq(name, STR("catalog")))
        *out = CLAIM_CATALOG;
    else if (str_eq(type, STR("registry")) && str_eq(name, STR("deleted_catalog")))
        *out = CLAIM_DELETED_CATALOG;
    else
        return false;
    return true;
}

/* False for what is none of ours. */
static bool claim_of(str text, struct claim *out)
{
    str type, rest, actions;
    return str_cut(text, ':', &type, &rest) && str_cut_last(rest, ':', &out->name, &actions) &&
           name_is_plain(out->name) && type_of(type, out->name, &out->type) &&
           (out->actions = actions_of(actions)) != 0;
}

static enum st add_claim(struct claims *c, const struct claim *claim, struct arena *a,
                         struct err *err)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].type == claim->type && str_eq(c->items[i].name, claim->name)) {
            c->items[i].actions |= claim->actions;
            return ST_OK;
        }
    }
    if (c->count == CLAIMS_MAX)
        return err_set(err, ST_TOO_LARGE, "more than %d scopes in one token are not given",
                       CLAIMS_MAX);
    struct claim copy = *claim;
    copy.name = arena_dup(a, claim->name);
    if (copy.name.ptr == NULL)
        return err_no_memory(err);
    c->items[c->count++] = copy;
    return ST_OK;
}

enum st scope_add(struct claims *c, str text, struct arena *a, struct err *err)
{
    enum st st = ST_OK;
    for (bool more = true; more && st == ST_OK;) {
        str one = text;
        struct claim claim;
        more = str_cut(text, ' ', &one, &text);
        if (claim_of(one, &claim))
            st = add_claim(c, &claim, a, err);
    }
    return st;
}
