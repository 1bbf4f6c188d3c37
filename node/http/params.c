#include "node/http/params.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    /* Longer names first: m would hide ms. */
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* the micro sign and the letter mu */
    {"\xce\xbcs", 1000},
    {"ms", 1000000},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
};

/* One number with its unit; moves *AT on. */
static bool parse_part(const char **at, double *ret_ns)
{
    const char *p = *at;
    size_t whole = strspn(p, "0123456789"), fraction = 0;

    if (p[whole] == '.') {
        fraction = strspn(p + whole + 1, "0123456789");
        if (whole + fraction == 0) {
            return false;
        }
        fraction++;
    } else if (whole == 0) {
        return false;
    }
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i].name);
        if (strncmp(p + whole + fraction, units[i].name, n) == 0) {
            *ret_ns = strtod(p, NULL) * (double)units[i].ns;
            *at = p + whole + fraction + n;
            return true;
        }
    }
    return false;
}

bool params_parse_duration(const char *text, int64_t *ret_ns)
{
    const char *p = text;
    bool negative = *p == '-';
    double sum = 0, part;

    p += *p == '-' || *p == '+';
    if (strcmp(p, "0") == 0) {
        *ret_ns = 0;
        return true;
    }
    do {
        if (!parse_part(&p, &part)) {
            return false;
        }
        sum += part;
    } while (*p != '\0');
    if (sum >= (double)INT64_MAX) {
        return false;
    }
    *ret_ns = negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

static bool is_integer(const char *text)
{
    char *end;
    errno = 0;
    strtoll(text, &end, 10);
    return *text != '\0' && *text != ' ' && *end == '\0' && errno == 0;
}

int params_check(const struct http_request *r, struct error *e)
{
    static const char *const durations[] = {"timeout", "freshness", "db_timeout", "linearizable_timeout"};
    static const char *const integers[] = {"retries", "trailing_logs"};
    const char *text = http_query_error(r);
    int64_t ns;

    if (text != NULL) {
        return error_set(e, Q_INVALID, "%s", text);
    }
    if (params_flag(r, "freshness_strict") && !params_flag(r, "freshness")) {
        return error_set(e, Q_INVALID, "freshness_strict requires freshness");
    }
    for (unsigned i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        text = http_param(r, durations[i]);
        if (text != NULL && !params_parse_duration(text, &ns)) {
            return error_set(e, Q_INVALID, "%s is not a valid duration", durations[i]);
        }
    }
    for (unsigned i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        text = http_param(r, integers[i]);
        if (text != NULL && !is_integer(text)) {
            return error_set(e, Q_INVALID, "%s is not a valid integer", integers[i]);
        }
    }
    text = http_param(r, "q");
    if (text != NULL && *text == '\0') {
        return error_set(e, Q_INVALID, "query parameter not set");
    }
    return 0;
}

bool params_flag(const struct http_request *r, const char *name)
{
    return http_param(r, name) != NULL;
}

/* In units of UNIT_NS, rounded up. */
static uint64_t duration(const struct http_request *r, const char *name, uint64_t unit_ns, uint64_t otherwise)
{
    const char *text = http_param(r, name);
    int64_t ns;
    if (text == NULL || !params_parse_duration(text, &ns)) {
        return otherwise;
    }
    return ns <= 0 ? 0 : ((uint64_t)ns + unit_ns - 1) / unit_ns;
}

uint64_t params_duration_ms(const struct http_request *r, const char *name, uint64_t otherwise)
{
    return duration(r, name, 1000000, otherwise);
}

uint64_t params_duration_us(const struct http_request *r, const char *name, uint64_t otherwise)
{
    return duration(r, name, 1000, otherwise);
}

int params_number(const struct http_request *r, const char *name, uint64_t low, uint64_t high,
                  uint64_t otherwise, uint64_t *ret_v, struct error *e)
{
    const char *text = http_param(r, name);
    char *end;
    uint64_t v;

    if (text == NULL) {
        *ret_v = otherwise;
        return 0;
    }
    errno = 0;
    v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || v < low || v > high) {
        return error_set(e, Q_INVALID, "%s must be a number from %" PRIu64 " to %" PRIu64, name, low, high);
    }
    *ret_v = v;
    return 0;
}
