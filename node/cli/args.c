#include "node/cli/args.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct args_option common[] = {
    {"endpoint", ARGS_TEXT, "URL", NULL, 0, 0,
     "a node's HTTP address; repeatable (QUORATE_ENDPOINT, comma separated, else http://127.0.0.1:4001)"},
    {"timeout", ARGS_TIME, "TIME", "10s", 1, 86400000, "give up after this long"},
    {"json", ARGS_FLAG, NULL, NULL, 0, 0, "print JSON for programs"},
    {"help", ARGS_FLAG, NULL, NULL, 0, 0, "say how this command is used"},
};
enum { COMMON_COUNT = sizeof common / sizeof common[0] };

struct unit {
    const char *name;
    double factor;
};

static const struct unit plain[] = {{"", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1},        {"B", 1},       {"K", 1 << 10},
                                    {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit times[] = {{"", 1000},     {"ms", 1},       {"s", 1000}, {"m", 60000},
                                    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static bool overridden(const struct args_option *table, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int find(const struct args *a, const char *name, size_t n)
{
    for (unsigned i = 0; i < a->option_count; i++) {
        if (strlen(a->option[i]->name) == n && strncmp(a->option[i]->name, name, n) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int parse_number(const struct args_option *o, const char *value, int64_t *ret_number, struct error *e)
{
    const struct unit *unit = o->kind == ARGS_SIZE ? sizes : o->kind == ARGS_TIME ? times : plain;
    char *end, *whole_end;
    double v = strtod(value, &end);
    int64_t number;

    /* Whole numbers are read as such: a double does not hold all of them. */
    errno = 0;
    number = strtoll(value, &whole_end, 10);
    while (unit->name != NULL && strcasecmp(unit->name, end) != 0) {
        unit++;
    }
    if (unit->name != NULL && unit->factor != 1) {
        v *= unit->factor;
        number = fabs(v) < 9e15 ? (int64_t)llround(v) : INT64_MAX;
    } else if (end != whole_end || errno != 0) {
        unit = &plain[1];
    }
    if (end == value || unit->name == NULL || isnan(v) || number < o->min || number > o->max) {
        return error_set(e, Q_INVALID, "--%s: \"%s\" is not %s from %" PRId64 " to %" PRId64 "%s", o->name,
                         value,
                         o->kind == ARGS_SIZE   ? "a size"
                         : o->kind == ARGS_TIME ? "a time"
                                                : "a number",
                         o->min, o->max,
                         o->kind == ARGS_SIZE   ? " bytes (K, M and G are understood)"
                         : o->kind == ARGS_TIME ? " milliseconds (write 250ms, 10s or 2m)"
                                                : "");
    }
    *ret_number = number;
    return 0;
}

static int assign(struct args *a, unsigned i, const char *value, struct error *e)
{
    const struct args_option *o = a->option[i];

    if (o->kind != ARGS_FLAG && o->kind != ARGS_TEXT) {
        int rv = parse_number(o, value, &a->number[i], e);
        if (rv != 0) {
            return rv;
        }
    }
    a->text[i] = value;
    if (strcmp(o->name, "endpoint") == 0) {
        if (a->endpoint_count == ARGS_ENDPOINTS_MAX) {
            return error_set(e, Q_INVALID, "more than %d endpoints", ARGS_ENDPOINTS_MAX);
        }
        a->endpoints[a->endpoint_count++] = value;
    }
    return 0;
}

static void adopt(struct args *a, const struct args_option *o)
{
    unsigned i = a->option_count++;

    assert(i < ARGS_OPTIONS_MAX);
    a->option[i] = o;
    if (o->initial != NULL) {
        struct error e;
        int rv = assign(a, i, o->initial, &e);
        assert(rv == 0);
        (void)rv;
    }
}

/* One option, and how many words of the command line it took. */
static int take_option(struct args *a, int left, char **argv, int *ret_taken, struct error *e)
{
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    int i = find(a, name, n);

    *ret_taken = 1;
    if (i < 0) {
        return error_set(e, Q_INVALID, "unknown option --%.*s", (int)n, name);
    }
    a->given[i] = true;
    if (a->option[i]->kind == ARGS_FLAG) {
        return equals == NULL ? 0 : error_set(e, Q_INVALID, "--%s takes no value", a->option[i]->name);
    }
    if (equals != NULL) {
        return assign(a, (unsigned)i, equals + 1, e);
    }
    if (left < 2) {
        return error_set(e, Q_INVALID, "--%s needs a value (%s)", a->option[i]->name, a->option[i]->value);
    }
    *ret_taken = 2;
    return assign(a, (unsigned)i, argv[1], e);
}

int args_parse(struct args *a, const struct args_option *table, unsigned count, int argc, char **argv,
               struct error *e)
{
    bool ended = false;
    int rv = 0, taken;

    *a = (struct args){.words = calloc((size_t)argc + 1, sizeof *a->words)};
    if (a->words == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the arguments");
    }
    for (unsigned i = 0; i < count; i++) {
        adopt(a, &table[i]);
    }
    for (unsigned i = 0; i < COMMON_COUNT; i++) {
        if (!overridden(table, count, common[i].name)) {
            adopt(a, &common[i]);
        }
    }
    for (int i = 0; i < argc && rv == 0; i += taken) {
        const char *word = argv[i];
        taken = 1;
        if (ended || word[0] != '-' || word[1] == 0) {
            a->words[a->word_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
            a->tail = a->word_count;
        } else if (strcmp(word, "-h") == 0) {
            a->given[find(a, "help", 4)] = true;
        } else if (word[1] == '-') {
            rv = take_option(a, argc - i, argv + i, &taken, e);
        } else {
            rv = error_set(e, Q_INVALID, "unknown option %s (write -- before words that begin with -)", word);
        }
    }
    if (!ended) {
        a->tail = a->word_count;
    }
    return rv;
}

void args_close(struct args *a)
{
    free(a->words);
    *a = (struct args){0};
}

static unsigned index_of(const struct args *a, const char *name)
{
    int i = find(a, name, strlen(name));
    assert(i >= 0);
    return (unsigned)i;
}

bool args_flag(const struct args *a, const char *name)
{
    return a->given[index_of(a, name)];
}

bool args_given(const struct args *a, const char *name)
{
    return a->given[index_of(a, name)];
}

const char *args_text(const struct args *a, const char *name)
{
    return a->text[index_of(a, name)];
}

int64_t args_number(const struct args *a, const char *name)
{
    return a->number[index_of(a, name)];
}

static void help_row(const struct args_option *o, FILE *to)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", o->name, o->value != NULL ? " " : "",
             o->value != NULL ? o->value : "");
    fprintf(to, "  %-22s %s", left, o->help);
    if (o->initial != NULL) {
        fprintf(to, " [%s]", o->initial);
    }
    fputc('\n', to);
}

void args_help(const struct args_option *table, unsigned count, FILE *to)
{
    for (unsigned i = 0; i < count; i++) {
        help_row(&table[i], to);
    }
    for (unsigned i = 0; i < COMMON_COUNT; i++) {
        if (!overridden(table, count, common[i].name)) {
            help_row(&common[i], to);
        }
    }
}
