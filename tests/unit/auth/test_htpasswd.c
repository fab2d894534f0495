/* SPDX-License-Identifier: Apache-2.0
 *
 * The htpasswd file: what is read of it, and who logs in by it as it changes.
 */
#include <fcntl.h>
#include <unistd.h>

#include "auth_test.h"

#include "auth/auth_int.h"
#include "base/mem.h"

#define KNOWN "$2y$05$......................................................"

struct file {
    struct fixture *f;
    char dir[32];
    char path[64];
};
static struct file file;

static void write_file(const char *text)
{
    char fresh[80];
    (void)snprintf(fresh, sizeof(fresh), "%s.new", file.path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(strlen(text), write(fd, text, strlen(text)));
    assert_int_equal(0, close(fd));
    assert_int_equal(0, rename(fresh, file.path));
}

/* A line "name:hash". */
static const char *line(struct fixture *f, const char *name, const char *password)
{
    str hash;
    OK(auth_hash_password(str_of(password), &f->arena, &hash, &f->err));
    return arena_printf(&f->arena, "%s:%.*s\n", name, STR_FMT(hash)).ptr;
}

static int setup_file(void **state)
{
    (void)setup_rows(state);
    struct fixture *f = *state;
    struct auth_options options = test_options();
    file.f = f;
    (void)snprintf(file.dir, sizeof(file.dir), "/tmp/ebb-htpasswd-XXXXXX");
    assert_non_null(mkdtemp(file.dir));
    (void)snprintf(file.path, sizeof(file.path), "%s/htpasswd", file.dir);
    write_file(line(f, "ann", "secret one"));
    options.htpasswd = file.path;
    OK(auth_open(&f->r, &options, &f->a, f->made, &f->err));
    return 0;
}

static int teardown_file(void **state)
{
    (void)unlink(file.path);
    (void)rmdir(file.dir);
    return teardown(state);
}
#define FILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_file, teardown_file)

/* ---- reading --------------------------------------------------------------------------------- */

static void lines_are_read(void **state)
{
    (void)state;
    struct htpasswd_table *t = NULL;
    assert_int_equal(ST_OK,
                     htpasswd_parse(STR("# who\n\nbob:" KNOWN "\r\nann:$6$salt$x\n"), &t, NULL));
    assert_int_equal(2, t->count);
    assert_true(str_eq(htpasswd_find(t, STR("bob")), STR(KNOWN)));
    assert_true(str_eq(htpasswd_find(t, STR("ann")), STR("$6$salt$x")));
    assert_null(htpasswd_find(t, STR("eve")).ptr);
    assert_null(htpasswd_find(t, STR("")).ptr);
    counted_drop(&t->counted);
    assert_int_equal(ST_OK, htpasswd_parse(STR(""), &t, NULL));
    assert_int_equal(0, t->count);
    assert_null(htpasswd_find(t, STR("ann")).ptr);
    counted_drop(&t->counted);
    assert_null(htpasswd_find(NULL, STR("ann")).ptr);
}

static void other_lines_refuse_the_file(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } bad[] = {
        { "ann", "line 1" },
        { "\nann" KNOWN, "line 2" },
        { "Ann:" KNOWN, "line 1" },
        { ":" KNOWN, "line 1" },
        { "anonymous:" KNOWN, "line 1" },
        { "a b:" KNOWN, "line 1" },
        { "ann:", "line 1" },
        { "ann:secret", "line 1" },
        { "ann:abJnggxhB/yWI", "line 1" }, /* DES */
        { "ann:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "line 1" },
        { "ann:$apr1$salt$hash", "line 1" },
        { "ann:" KNOWN ":more", "line 1" },
        { "bob:" KNOWN "\nann:" KNOWN "\nbob:" KNOWN "\n", "bob is there twice" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct htpasswd_table *t = NULL;
        struct err err;
        enum st st = htpasswd_parse(str_of(bad[i].text), &t, &err);
        if (st != ST_INVALID || strstr(err.text, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].text, st == ST_OK ? "taken" : err.text);
        assert_null(t);
        assert_null(strstr(err.text, "secret"));
    }
}

static void a_file_has_limits(void **state)
{
    (void)state;
    struct htpasswd_table *t = NULL;
    size_t len = HTPASSWD_BYTES_MAX + 1;
    char *text = mem_new(len);
    memset(text, '#', len);
    assert_int_equal(ST_TOO_LARGE, htpasswd_parse((str){ text, len }, &t, NULL));
    memset(text, '\n', len);
    assert_int_equal(ST_TOO_LARGE, htpasswd_parse((str){ text, HTPASSWD_ENTRIES_MAX }, &t, NULL));
    assert_int_equal(ST_OK, htpasswd_parse((str){ text, HTPASSWD_ENTRIES_MAX - 1 }, &t, NULL));
    counted_drop(&t->counted);
    mem_free(text);
}

/* ---- logging in ------------------------------------------------------------------------------ */

static void next_second(struct fixture *f)
{
    f->now += CHECK_MS;
    OK(auth_tick(f->a, f->now, &f->err));
}

static void an_account_is_made_at_the_first_log_in(void **state)
{
    struct fixture *f = *state;
    struct identity id = { 0 };
    struct credentials ann = basic("ann", "secret one");
    REFUSED(basic("ann", "secret two"));
    OK(identify(f, ann, &id));
    assert_true(id.account_id > 0);
    assert_true(str_eq(id.name, STR("ann")));
    identity_release(&id);
    set_role(f, "ann", "group", ROLE_GUEST);
    assert_int_equal(RIGHT_PULL, rights(f, ann, "group"));
    set_disabled(f, "ann", true);
    REFUSED(ann);
    set_disabled(f, "ann", false);
    assert_int_equal(RIGHT_PULL, rights(f, ann, "group"));
    /* A removed account does not come back by the file. */
    remove_account(f, "ann");
    REFUSED(ann);
    REFUSED(ann);
}

static void who_disappears_is_out(void **state)
{
    struct fixture *f = *state;
    struct credentials ann = basic("ann", "secret one");
    (void)rights(f, ann, "x");
    set_role(f, "ann", "group", ROLE_GUEST);
    struct token t = add_token(f, "ann", "", SCOPE_PULL, 0);
    struct credentials jwt = bearer(issue(f, ann, JWT_ACCESS, "repository:group:pull"));
    assert_int_equal(RIGHT_PULL, rights(f, jwt, "group"));
    assert_int_equal(RIGHT_PULL, rights(f, bearer(str_of(t.text)), "group"));
    write_file(line(f, "bob", "secret two"));
    next_second(f);
    REFUSED(ann);
    REFUSED(jwt);
    REFUSED(bearer(str_of(t.text)));
    (void)rights(f, basic("bob", "secret two"), "x");
    /* And is back with the entry; with another hash older JWTs are none. */
    write_file(line(f, "ann", "secret two"));
    next_second(f);
    REFUSED(ann);
    REFUSED(jwt);
    assert_int_equal(RIGHT_PULL, rights(f, basic("ann", "secret two"), "group"));
    assert_int_equal(0, unlink(file.path));
    next_second(f);
    REFUSED(basic("ann", "secret two"));
}

static void a_broken_file_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct credentials ann = basic("ann", "secret one");
    (void)rights(f, ann, "x");
    write_file("ann:half a li");
    next_second(f);
    (void)rights(f, ann, "x");
    write_file("");
    next_second(f);
    REFUSED(ann);
}

static void a_row_is_stronger_than_the_file(void **state)
{
    struct fixture *f = *state;
    write_file(line(f, "admin", "secret two"));
    next_second(f);
    REFUSED(basic("admin", "secret two"));
    assert_int_equal(RIGHTS_ALL, rights(f, basic("admin", ADMIN_PASSWORD), "x"));
}

static void unknown_names_cost_one_hash_here_as_well(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 8; i++) {
        char peer[32], name[32];
        (void)snprintf(peer, sizeof(peer), "198.51.100.%d", i);
        (void)snprintf(name, sizeof(name), "nobody%d", i);
        struct credentials c = basic(name, "secret one");
        c.peer = str_of(peer);
        uint64_t before = password_count(f->a->passwords);
        REFUSED(c);
        assert_int_equal(before + 1, password_count(f->a->passwords));
    }
}

static void a_start_needs_the_file(void **state)
{
    struct fixture *f = *state;
    struct auth_options options = test_options();
    options.htpasswd = "/nowhere/at/all";
    IS(ST_NOT_FOUND, auth_open(&f->r, &options, &f->a, f->made, &f->err));
    assert_non_null(strstr(f->err.text, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(other_lines_refuse_the_file),
        cmocka_unit_test(a_file_has_limits),
        FILE_TEST(an_account_is_made_at_the_first_log_in),
        FILE_TEST(who_disappears_is_out),
        FILE_TEST(a_broken_file_changes_nothing),
        FILE_TEST(a_row_is_stronger_than_the_file),
        FILE_TEST(unknown_names_cost_one_hash_here_as_well),
        ROWS_TEST(a_start_needs_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
