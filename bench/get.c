/* SPDX-License-Identifier: Apache-2.0
 *
 * get - GETs of one path, of a path with a random number in it, or of random paths of a list.
 * delete - DELETEs of the paths of a list in their order, or of a path with a growing number in it.
 */
#include "loop.h"

static void path_check(void)
{
    const char *percent = strchr(options.path, '%');
    if (percent && (strncmp(percent, "%d", 2) != 0 || strchr(percent + 2, '%')))
        die("--path may hold one %%d");
}

static bool get_next(struct conn *c)
{
    uint64_t index;
    if (!loop_take(c, &index))
        return false;
    const char *path = options.path;
    if (options.path_count)
        path = options.paths[random_next(&c->loop->random) % options.path_count];
    const char *percent = options.path_count ? NULL : strchr(path, '%');
    if (options.path_count == 0 && c->head_len > 0 && !percent)
        return true; /* the same request again */
    size_t before = percent ? (size_t)(percent - path) : strlen(path);
    char number[32] = "";
    if (percent)
        snprintf(number, sizeof(number), "%llu",
                 (unsigned long long)(random_next(&c->loop->random) % options.range));
    loop_head(c, KIND_GET,
              "GET %.*s%s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ebb-load\r\nAccept: %s\r\n\r\n",
              (int)before, path, number, percent ? percent + 2 : "", options.host, options.accept);
    return true;
}

static void get_answer(struct conn *c)
{
    loop_expect(c, 200);
}

const struct loop_ops get_ops = { path_check, NULL, get_next, get_answer, NULL };

static bool delete_next(struct conn *c)
{
    uint64_t index;
    if (!loop_take(c, &index) || (options.path_count && index >= options.path_count))
        return false;
    const char *path = options.path_count ? options.paths[index] : options.path;
    const char *percent = options.path_count ? NULL : strchr(path, '%');
    size_t before = percent ? (size_t)(percent - path) : strlen(path);
    char number[32] = "";
    if (percent)
        snprintf(number, sizeof(number), "%llu", (unsigned long long)(options.from + index));
    loop_head(c, KIND_DELETE, "DELETE %.*s%s%s HTTP/1.1\r\nHost: %s\r\n\r\n", (int)before, path,
              number, percent ? percent + 2 : "", options.host);
    return true;
}

static void delete_answer(struct conn *c)
{
    loop_expect(c, 202);
}

const struct loop_ops delete_ops = { path_check, NULL, delete_next, delete_answer, NULL };
