/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/quantity.h"
#include "cli/check.h"

#define DRAW_MS 200   /* between two drawings on a terminal */
#define LINE_MS 10000 /* between two lines elsewhere */

#define NUMBER(field)                                                                              \
    {                                                                                              \
#field, offsetof(struct check_summary, field)                                              \
    }
const struct check_number check_numbers[CHECK_NUMBERS] = {
    NUMBER(wrong),     NUMBER(notes),        NUMBER(repaired),     NUMBER(tags),
    NUMBER(manifests), NUMBER(links),        NUMBER(blobs),        NUMBER(uploads),
    NUMBER(files),     NUMBER(stored_bytes), NUMBER(hashed_bytes),
};

static uint64_t number_of(const struct check_summary *sum, size_t i)
{
    uint64_t value;
    memcpy(&value, (const char *)sum + check_numbers[i].offset, sizeof(value));
    return value;
}

static void clear_stage(struct check_printer *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}

void check_print_begin(struct check_printer *p, const struct check_call *call)
{
    *p = (struct check_printer){ .call = call,
                                 .terminal = isatty(STDERR_FILENO) == 1,
                                 .started_ms = clock_mono_ms() };
    p->shown_ms = p->started_ms;
    if (!call->json)
        return;
    AUTO(buf_release) struct buf b = { .max_bytes = 64 * KIB };
    buf_add(&b, STR("{\"target\":"));
    json_add_string(&b, str_of(call->target));
    buf_add(&b, STR(",\"findings\":["));
    (void)fwrite(b.ptr, 1, b.len, stdout);
}

static void print_json(struct check_printer *p, const struct check_line *line)
{
    const struct {
        const char *key;
        str value;
    } texts[] = { { "code", line->code },
                  { "object", line->object },
                  { "detail", line->detail },
                  { "meaning", line->meaning },
                  { "action", line->action } };
    AUTO(buf_release) struct buf b = { .max_bytes = 64 * KIB };
    buf_printf(&b, "%s\n{\"wrong\":%s,\"repaired\":%s", p->findings > 0 ? "," : "",
               line->wrong ? "true" : "false", line->repaired ? "true" : "false");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_printf(&b, ",\"%s\":", texts[i].key);
        json_add_string(&b, texts[i].value);
    }
    buf_add_byte(&b, '}');
    (void)fwrite(b.ptr, 1, b.len, stdout);
}

void check_print_finding(struct check_printer *p, const struct check_line *line)
{
    clear_stage(p);
    if (p->call->json) {
        print_json(p, line);
    } else {
        printf("%.*s%s %.*s\n", STR_FMT(line->code), line->wrong ? "" : " (note)",
               STR_FMT(line->object));
        printf("    %.*s\n", STR_FMT(line->detail));
        printf("    %.*s\n", STR_FMT(line->meaning));
        if (line->repaired)
            printf("    ebb did %.*s\n", STR_FMT(line->action));
        else
            printf("    ebb would %.*s\n", STR_FMT(line->action));
    }
    p->findings++;
}

static void stage_text(const struct check_stage *s, char *out, size_t size)
{
    char rate[QUANTITY_MAX];
    char done[QUANTITY_MAX];
    if (s->bytes_total == 0) {
        (void)snprintf(out, size, "%.*s: %" PRIu64, STR_FMT(s->phase), s->objects);
        return;
    }
    double per_second =
        s->hash_ms > 0 ? (double)s->bytes * 1000.0 / (double)s->hash_ms : (double)s->bytes;
    uint64_t left = s->bytes_total > s->bytes ? s->bytes_total - s->bytes : 0;
    double seconds = per_second > 0 ? MIN((double)left / per_second, 9e8) : 0;
    (void)snprintf(
        out, size, "%.*s: %.0f%%, %s at %s/s, %" PRId64 ":%02" PRId64 " left", STR_FMT(s->phase),
        100.0 * (double)(s->bytes_total - left) / (double)s->bytes_total,
        quantity_bytes_text((double)s->bytes, done), quantity_bytes_text(per_second, rate),
        (int64_t)seconds / 60, (int64_t)seconds % 60);
}

void check_print_stage(struct check_printer *p, const struct check_stage *stage)
{
    char text[160];
    int64_t now = clock_mono_ms();
    if (now - p->shown_ms < (p->terminal ? DRAW_MS : LINE_MS))
        return;
    p->shown_ms = now;
    stage_text(stage, text, sizeof(text));
    if (p->terminal)
        fprintf(stderr, "\r\033[K%s", text);
    else
        fprintf(stderr, "ebb check: %s\n", text);
    (void)fflush(stderr);
    p->drawn = p->terminal;
}

void check_print_end(struct check_printer *p, const char *state, const struct check_summary *sum)
{
    char stored[QUANTITY_MAX];
    char hashed[QUANTITY_MAX];
    clear_stage(p);
    if (p->call->json) {
        printf("],\"state\":\"%s\",\"summary\":{", state);
        for (size_t i = 0; i < CHECK_NUMBERS; i++)
            printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", check_numbers[i].name, number_of(sum, i));
        printf("}}\n");
        return;
    }
    printf("%s%" PRIu64 " tags, %" PRIu64 " manifests, %" PRIu64 " blobs (%s in files), %" PRIu64
           " uploads, %" PRIu64 " files",
           p->findings > 0 ? "\n" : "", sum->tags, sum->manifests, sum->blobs,
           quantity_bytes_text((double)sum->stored_bytes, stored), sum->uploads, sum->files);
    if (sum->hashed_bytes > 0)
        printf(", %s hashed", quantity_bytes_text((double)sum->hashed_bytes, hashed));
    if (strcmp(state, "finished") != 0)
        printf("; %s before its end", state);
    if (sum->wrong == 0)
        printf(": nothing %s wrong", strcmp(state, "finished") == 0 ? "is" : "was found");
    else
        printf(": %" PRIu64 " wrong", sum->wrong);
    if (sum->notes > 0)
        printf(", %" PRIu64 " to note", sum->notes);
    if (sum->repaired > 0)
        printf(", %" PRIu64 " repaired", sum->repaired);
    printf("\n");
}
