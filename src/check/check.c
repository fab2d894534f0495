/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "check/check_int.h"

const struct check_kind check_kinds[CHECK_CODES] = {
#define WRONG                                      true
#define NOTE                                       false
#define FINDING(id, word, weight, meaning, action) [CHECK_##id] = { word, weight, meaning, action },
#include "check/findings.def"
#undef FINDING
#undef NOTE
#undef WRONG
};

const char *const check_phase_names[CHECK_PHASES] = {
    [CHECK_DATABASE] = "database",
    [CHECK_TAGS] = "tags",
    [CHECK_MANIFESTS] = "manifests",
    [CHECK_LINKS] = "links",
    [CHECK_REPOSITORIES] = "repositories",
    [CHECK_BLOBS] = "blobs",
    [CHECK_UPLOADS] = "uploads",
    [CHECK_FILES] = "files",
    [CHECK_HASH] = "hash",
};

enum st check_advance(struct check *c, uint64_t objects, struct err *err)
{
    c->progress.objects += objects;
    if (c->watch->progress == NULL || c->watch->progress(c->watch->ctx, &c->progress))
        return ST_OK;
    return err_set(err, ST_STOPPING, "the check was stopped");
}

void check_tell(struct check *c, enum check_code code, bool repaired, str object, const char *fmt,
                ...)
{
    char detail[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    const struct check_finding finding = {
        .code = code, .object = object, .detail = str_of(detail), .repaired = repaired
    };
    c->report->found[code]++;
    if (check_kinds[code].wrong)
        c->report->wrong++;
    else
        c->report->notes++;
    if (repaired)
        c->report->repaired++;
    c->watch->finding(c->watch->ctx, &finding);
}

str check_object_digest(const struct digest *d, bool readable, const char *what, int64_t id,
                        char out[static CHECK_OBJECT_MAX])
{
    if (readable)
        return digest_text(d, out);
    (void)snprintf(out, CHECK_OBJECT_MAX, "%s %lld", what, (long long)id);
    return str_of(out);
}

str check_object_in(str repo, char separator, str rest, char out[static CHECK_OBJECT_MAX])
{
    (void)snprintf(out, CHECK_OBJECT_MAX, "%.*s%c%.*s", STR_FMT(repo.ptr == NULL ? STR("?") : repo),
                   separator, STR_FMT(rest));
    return str_of(out);
}

static enum st check_database(struct check *c, struct err *err)
{
    struct err why = { 0 };
    enum st st = db_check(c->r->db, &why);
    if (st == ST_CORRUPT) {
        check_tell(c, CHECK_DATABASE_DAMAGED, false, STR("database"), "%s", why.text);
        return check_advance(c, 1, err);
    }
    if (st != ST_OK)
        return err_set(err, st, "%s", why.text);
    return check_advance(c, 1, err);
}

enum st check_run(struct registry *r, const struct check_options *options,
                  const struct check_watch *watch, struct check_report *out, struct err *err)
{
    /* Blobs come before hashes: they tell how much there is to hash. */
    static enum st (*const phases[CHECK_PHASES])(struct check * c, struct err * err) = {
        [CHECK_DATABASE] = check_database,
        [CHECK_TAGS] = check_tags,
        [CHECK_MANIFESTS] = check_manifests,
        [CHECK_LINKS] = check_links,
        [CHECK_REPOSITORIES] = check_repositories,
        [CHECK_BLOBS] = check_blobs,
        [CHECK_UPLOADS] = check_uploads,
        [CHECK_FILES] = check_files,
        [CHECK_HASH] = check_hashes,
    };
    struct check c = { .r = r, .options = options, .watch = watch, .report = out };
    enum st st = ST_OK;
    *out = (struct check_report){ 0 };
    c.now = options->now != 0 ? options->now : registry_now(r);
    for (enum check_phase i = 0; i < CHECK_PHASES && st == ST_OK; i++) {
        if (i == CHECK_HASH && (!options->hash || options->quick))
            continue;
        c.progress.phase = i;
        c.progress.objects = 0;
        c.progress.bytes_total = i == CHECK_HASH ? out->stored_bytes : 0;
        st = phases[i](&c, err);
        /* Behind a damaged page nothing can be said; what was found so far is told. */
        if (st == ST_CORRUPT && out->found[CHECK_DATABASE_DAMAGED] > 0)
            st = ST_OK;
        if (st != ST_OK && st != ST_STOPPING)
            (void)err_wrap(err, "check of %s", check_phase_names[i]);
    }
    out->stopped = st == ST_STOPPING;
    return st;
}
