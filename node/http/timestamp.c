#include "node/http/timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

struct moment {
    int64_t year;
    int month, day, hour, minute, second;
    int nanos;
    int offset_minutes;
};

static const struct moment beginning = {.year = 1, .month = 1, .day = 1};

static void put(const struct moment *m, char to[TIMESTAMP_MAX])
{
    char fraction[12] = "", zone[8] = "Z";

    if (m->nanos != 0) {
        size_t n = (size_t)snprintf(fraction, sizeof fraction, ".%09d", m->nanos);
        while (fraction[n - 1] == '0') {
            fraction[--n] = '\0';
        }
    }
    if (m->offset_minutes != 0) {
        int minutes = m->offset_minutes < 0 ? -m->offset_minutes : m->offset_minutes;
        snprintf(zone, sizeof zone, "%c%02d:%02d", m->offset_minutes < 0 ? '-' : '+', minutes / 60 % 100,
                 minutes % 60);
    }
    snprintf(to, TIMESTAMP_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d%s%s", (long long)m->year, m->month, m->day,
             m->hour, m->minute, m->second, fraction, zone);
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Exactly DIGITS digits, no more than MAX. */
static bool number(struct cursor *c, unsigned digits, int max, int *ret_v)
{
    const uint8_t *p = cursor_bytes(c, digits);
    int v = 0;
    for (unsigned i = 0; p != NULL && i < digits; i++) {
        if (!is_digit(p[i])) {
            return false;
        }
        v = v * 10 + (p[i] - '0');
    }
    *ret_v = v;
    return p != NULL && v <= max;
}

static bool take(struct cursor *c, char wanted)
{
    if (cursor_left(c) == 0 || *c->p != (uint8_t)wanted) {
        return false;
    }
    c->p++;
    return true;
}

static int days_in(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_date(struct cursor *c, struct moment *m)
{
    int year;
    if (!number(c, 4, 9999, &year) || !take(c, '-') || !number(c, 2, 12, &m->month) || !take(c, '-') ||
        !number(c, 2, 31, &m->day) || m->month < 1) {
        return false;
    }
    m->year = year;
    return m->day >= 1 && m->day <= days_in(year, m->month);
}

static bool read_fraction(struct cursor *c, struct moment *m)
{
    int unit = 100000000;
    if (cursor_left(c) == 0 || !is_digit(*c->p)) {
        return false;
    }
    while (cursor_left(c) > 0 && is_digit(*c->p)) {
        m->nanos += (*c->p++ - '0') * unit;
        unit /= 10;
    }
    return true;
}

static bool read_offset(struct cursor *c, struct moment *m)
{
    bool negative = *c->p == '-';
    int hours, minutes;
    c->p++;
    if (!number(c, 2, 24, &hours) || !take(c, ':') || !number(c, 2, 59, &minutes)) {
        return false;
    }
    m->offset_minutes = (hours * 60 + minutes) * (negative ? -1 : 1);
    return true;
}

static bool read_time(struct cursor *c, struct moment *m)
{
    bool two = cursor_left(c) >= 2 && is_digit(c->p[1]);
    if (!number(c, two ? 2 : 1, 23, &m->hour) || !take(c, ':') || !number(c, 2, 59, &m->minute)) {
        return false;
    }
    if (!take(c, ':')) {
        return true;
    }
    if (!number(c, 2, 59, &m->second) || (take(c, '.') && !read_fraction(c, m))) {
        return false;
    }
    return cursor_left(c) == 0 || (*c->p != '+' && *c->p != '-') || read_offset(c, m);
}

void timestamp_of_text(const void *text, size_t n, char to[TIMESTAMP_MAX])
{
    struct cursor c = cursor_of(text, n);
    struct moment m = {0};

    if (n > 0 && c.end[-1] == 'Z') {
        c.end--;
    }
    if (!read_date(&c, &m) ||
        (cursor_left(&c) > 0 && ((!take(&c, ' ') && !take(&c, 'T')) || !read_time(&c, &m))) ||
        cursor_left(&c) > 0) {
        m = beginning;
    }
    put(&m, to);
}

/* Days since 1970-01-01 to a date of the Gregorian calendar, reckoned in its 400-year cycles from
 * 0000-03-01. */
static void date_of_days(int64_t days, struct moment *m)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* from March */

    m->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    m->month = (int)(month < 10 ? month + 3 : month - 9);
    m->year = year_of_era + era * 400 + (m->month <= 2);
}

void timestamp_of_integer(int64_t v, char to[TIMESTAMP_MAX])
{
    struct moment m = {0};
    int64_t seconds = v, days, rest;

    if (v > INT64_C(1000000000000) || v < -INT64_C(1000000000000)) {
        int64_t ms = v % 1000;
        seconds = v / 1000 - (ms < 0);
        m.nanos = (int)(ms + (ms < 0 ? 1000 : 0)) * 1000000;
    }
    rest = seconds % 86400;
    days = seconds / 86400 - (rest < 0);
    rest += rest < 0 ? 86400 : 0;
    date_of_days(days, &m);
    m.hour = (int)(rest / 3600);
    m.minute = (int)(rest / 60 % 60);
    m.second = (int)(rest % 60);
    put(&m, to);
}
