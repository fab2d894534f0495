/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_table.h"

#include "base/mem.h"
#include "base/quantity.h"
#include "cli/cli_text.h"

#define CELLS_MAX_BYTES ((size_t)(32 * MIB))
#define SHORT_DIGEST    12 /* hex digits, as docker shows them */

/* ---- cells ----------------------------------------------------------------------------------- */

static void add_text(const json_t *item, const struct table_column *c, struct buf *out)
{
    char text[TEXT_TIME_MAX];
    str s = ask_text(item, c->key);
    size_t colon = 0;
    if (c->kind == TABLE_TIME) {
        text_add(out, str_of(text_time(s, text)));
        return;
    }
    while (c->kind == TABLE_DIGEST && colon < s.len && s.ptr[colon] != ':')
        colon++;
    text_add(out, c->kind == TABLE_DIGEST ? str_slice(s, 0, colon + 1 + SHORT_DIGEST) : s);
}

static void add_number(uint64_t n, enum table_kind kind, struct buf *out)
{
    char text[MAX(QUANTITY_MAX, TEXT_COUNT_MAX)];
    if (kind == TABLE_BYTES || kind == TABLE_SIZE)
        buf_add(out, str_of(quantity_bytes_text((double)n, text)));
    else
        buf_add(out, str_of(text_count(n, text)));
}

void table_cell(const json_t *item, const struct table_column *c, enum cli_form form,
                struct buf *out)
{
    const json_t *value = json_object_get(item, c->key);
    if (c->text != NULL)
        c->text(item, form, out);
    else if (json_is_integer(value) && form == FORM_TABLE)
        add_number(ask_count(item, c->key), c->kind, out);
    else if (json_is_integer(value))
        buf_add_number(out, json_integer_value(value));
    else if (json_is_boolean(value))
        buf_add(out, json_is_true(value) ? STR("true") : STR("false"));
    else if (json_is_string(value) && form == FORM_TABLE)
        add_text(item, c, out);
    else if (json_is_string(value))
        text_add(out, ask_text(item, c->key));
    else if (form == FORM_TABLE)
        buf_add(out, STR("-"));
}

static bool is_right(const struct table_column *c)
{
    return c->kind == TABLE_COUNT || c->kind == TABLE_BYTES || c->kind == TABLE_SIZE;
}

/* ---- tables ---------------------------------------------------------------------------------- */

void table_begin(struct table *t, enum cli_form form, const struct table_column *columns)
{
    *t = (struct table){
        .form = form, .columns = columns, .out = stdout, .cells = { .max_bytes = CELLS_MAX_BYTES }
    };
    while (columns[t->count].title != NULL) {
        t->widths[t->count] = text_width(str_of(columns[t->count].title));
        t->count++;
    }
    assert(t->count <= TABLE_COLUMNS_MAX);
}

static str cell_of(const struct table *t, size_t i)
{
    size_t from = i == 0 ? 0 : t->ends[i - 1];
    return (str){ t->cells.ptr == NULL ? "" : t->cells.ptr + from, t->ends[i] - from };
}

static void print_padded(const struct table *t, size_t column, str s)
{
    size_t width = text_width(s);
    int fill = width < t->widths[column] ? (int)(t->widths[column] - width) : 0;
    bool last = column + 1 == t->count;
    if (is_right(&t->columns[column]))
        fprintf(t->out, "%*s%.*s%s", fill, "", STR_FMT(s), last ? "" : "  ");
    else
        fprintf(t->out, "%.*s%*s%s", STR_FMT(s), last ? 0 : fill, "", last ? "" : "  ");
}

static void print_titles(struct table *t)
{
    bool bold = cli_colored(t->out);
    if (t->titled)
        return;
    t->titled = true;
    fputs(bold ? "\033[1m" : "", t->out);
    for (size_t c = 0; c < t->count; c++)
        print_padded(t, c, str_of(t->columns[c].title));
    fputs(bold ? "\033[0m\n" : "\n", t->out);
}

static void flush_rows(struct table *t)
{
    if (t->rows == 0)
        return;
    for (size_t i = 0; i < t->rows * t->count; i++)
        t->widths[i % t->count] = MAX(t->widths[i % t->count], text_width(cell_of(t, i)));
    print_titles(t);
    for (size_t i = 0; i < t->rows * t->count; i++) {
        print_padded(t, i % t->count, cell_of(t, i));
        if (i % t->count + 1 == t->count)
            (void)fputc('\n', t->out);
    }
    buf_clear(&t->cells);
    t->rows = 0;
}

static enum st json_row(struct table *t, const json_t *item, struct err *err)
{
    fputs(t->total > 1 ? ",\n" : "{\"items\": [\n", t->out);
    if (json_dumpf(item, t->out, JSON_COMPACT) != 0)
        return err_set(err, ST_IO, "standard output does not take the list");
    return ST_OK;
}

enum st table_row(const json_t *item, void *table, struct err *err)
{
    struct table *t = table;
    t->total++;
    if (t->form == FORM_JSON)
        return json_row(t, item, err);
    for (size_t c = 0; c < t->count; c++) {
        if (t->form == FORM_TSV && c > 0)
            buf_add_byte(&t->cells, '\t');
        table_cell(item, &t->columns[c], t->form, &t->cells);
        t->ends[t->rows * t->count + c] = t->cells.len;
    }
    enum st st = buf_status(&t->cells, err);
    if (st == ST_OK && t->form == FORM_TSV) {
        fprintf(t->out, "%.*s\n", STR_FMT(buf_str(&t->cells)));
        buf_clear(&t->cells);
    } else if (st == ST_OK && ++t->rows == TABLE_ROWS) {
        flush_rows(t);
    }
    return st;
}

void table_end(struct table *t, const char *empty)
{
    flush_rows(t);
    if (t->form == FORM_JSON)
        fputs(t->total > 0 ? "\n]}\n" : "{\"items\": []}\n", t->out);
    else if (t->form == FORM_TABLE && t->total == 0 && empty != NULL)
        fprintf(t->out, "%s\n", empty);
    buf_release(&t->cells);
}

/* ---- objects --------------------------------------------------------------------------------- */

void table_json(const json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
}

void table_object(enum cli_form form, const struct table_column *columns, const json_t *object)
{
    size_t width = 0;
    if (form == FORM_JSON) {
        table_json(object);
        return;
    }
    for (const struct table_column *c = columns; c->title != NULL; c++)
        width = MAX(width, strlen(c->title));
    for (const struct table_column *c = columns; c->title != NULL; c++) {
        AUTO(buf_release) struct buf cell = { .max_bytes = MIB };
        if (form == FORM_TABLE && c->kind == TABLE_SIZE && ask_count(object, c->key) == 0)
            continue;
        struct table_column whole = *c;
        if (c->kind == TABLE_DIGEST)
            whole.kind = TABLE_TEXT; /* there is room for it */
        table_cell(object, &whole, form, &cell);
        str text = cell.ptr == NULL ? STR("") : buf_str(&cell);
        if (form == FORM_TSV)
            printf("%s%.*s", c == columns ? "" : "\t", STR_FMT(text));
        else
            printf("%s:%*s %.*s\n", c->title, (int)(width - strlen(c->title)), "", STR_FMT(text));
    }
    if (form == FORM_TSV)
        (void)fputc('\n', stdout);
}
