/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quantity.h"

#include "base/clock.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Smallest first: printing takes the largest that divides. */
static const struct unit duration_units[] = {
    { "ms", 1 },
    { "s", (uint64_t)CLOCK_SECOND_MS },
    { "m", (uint64_t)CLOCK_MINUTE_MS },
    { "h", (uint64_t)CLOCK_HOUR_MS },
    { "d", (uint64_t)CLOCK_DAY_MS },
    { NULL, 0 },
};
static const struct unit size_units[] = {
    { "B", 1 }, { "KiB", KIB }, { "MiB", MIB }, { "GiB", GIB }, { "TiB", 1024 * GIB }, { NULL, 0 },
};

static const struct unit *units_of(enum quantity q)
{
    return q == QUANTITY_DURATION ? duration_units : size_units;
}

static bool refuse(const char **why, const char *text)
{
    *why = text;
    return false;
}

static bool is_unit(enum quantity q, bool short_forms, const struct unit *u, str suffix)
{
    str name = str_of(u->name);
    if (q == QUANTITY_DURATION || !short_forms)
        return str_eq(suffix, name);
    return str_eq_nocase(suffix, name) || str_eq_nocase(suffix, str_slice(name, 0, 1));
}

bool quantity_read(enum quantity q, bool short_forms, str text, uint64_t *out, const char **why)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (digits == 0)
        return refuse(why, "does not start with a whole number");
    if (digits == text.len)
        return refuse(why, "has no unit");
    str suffix = str_slice(text, digits, text.len);
    for (const struct unit *u = units_of(q); u->name != NULL; u++) {
        if (!is_unit(q, short_forms, u, suffix))
            continue;
        uint64_t n;
        if (!str_to_u64(str_slice(text, 0, digits), INT64_MAX / u->factor, &n))
            return refuse(why, "is out of range");
        *out = n * u->factor;
        return true;
    }
    return refuse(why, "has an unknown unit");
}

static enum st parse(enum quantity q, str text, uint64_t *out, struct err *err)
{
    const char *why;
    if (quantity_read(q, true, text, out, &why))
        return ST_OK;
    str shown = str_slice(text, 0, 64);
    return err_set(err, ST_INVALID, "\"%.*s\" %s: a %s is a whole number and a unit (%s), as in %s",
                   STR_FMT(shown), why, q == QUANTITY_DURATION ? "duration" : "size",
                   quantity_units(q), q == QUANTITY_DURATION ? "7d" : "10GiB");
}

enum st quantity_parse_duration(str text, int64_t *ms, struct err *err)
{
    uint64_t value;
    enum st st = parse(QUANTITY_DURATION, text, &value, err);
    if (st == ST_OK)
        *ms = (int64_t)value;
    return st;
}

enum st quantity_parse_size(str text, uint64_t *bytes, struct err *err)
{
    return parse(QUANTITY_SIZE, text, bytes, err);
}

const char *quantity_print(enum quantity q, uint64_t value, char out[static QUANTITY_MAX])
{
    /* nothing reads best in seconds */
    const struct unit *best = &units_of(q)[value == 0 && q == QUANTITY_DURATION];
    for (const struct unit *u = best; value != 0 && u->name != NULL; u++)
        if (value % u->factor == 0)
            best = u;
    (void)snprintf(out, QUANTITY_MAX, "%llu%s", (unsigned long long)(value / best->factor),
                   best->name);
    return out;
}

const char *quantity_units(enum quantity q)
{
    return q == QUANTITY_DURATION ? "ms, s, m, h or d" : "B, KiB, MiB, GiB or TiB";
}

const char *quantity_bytes_text(double bytes, char out[static QUANTITY_MAX])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t i = 0;
    /* from where it would be rounded to 1024 */
    for (; bytes >= (i == 0 ? 1024 : 1023.5) && i + 1 < ARRAY_LEN(units); i++)
        bytes /= 1024;
    (void)snprintf(out, QUANTITY_MAX, i == 0 || bytes >= 99.95 ? "%.0f %s" : "%.1f %s", bytes,
                   units[i]);
    return out;
}
