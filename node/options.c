#include "node/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/ini.h"

struct option_row {
    const char *name;
    enum option_kind kind;
    const char *initial;
    int64_t min, max;
    const char *help;
};

#define ROW(field, name, kind, initial, min, max, help)                                                      \
    [OPTION_##field] = {name, kind, initial, min, max, help},
static const struct option_row rows[OPTION_COUNT] = {OPTIONS(ROW)};
#undef ROW

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {{"", 1},        {"B", 1},       {"K", 1 << 10},
                                    {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit times[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct unit *const units[] = {
    [OPTION_NUMBER] = plain,
    [OPTION_SIZE] = sizes,
    [OPTION_TIME] = times,
};

static const char *const kinds[] = {
    [OPTION_TEXT] = "TEXT", [OPTION_NUMBER] = "N",        [OPTION_SIZE] = "BYTES",
    [OPTION_TIME] = "TIME", [OPTION_FLAG] = "true|false",
};

static int parse_number(const struct option_row *row, const char *value, int64_t *ret_number, struct error *e)
{
    const struct unit *unit = units[row->kind];
    char *end;
    int64_t number;

    errno = 0;
    number = strtoll(value, &end, 10);
    while (unit->name != NULL && strcasecmp(unit->name, end) != 0) {
        unit++;
    }
    if (end == value || errno != 0 || unit->name == NULL ||
        __builtin_mul_overflow(number, unit->factor, &number) || number < row->min || number > row->max) {
        return error_set(e, Q_INVALID, "option %s: \"%s\" is not %s from %" PRId64 " to %" PRId64 "%s",
                         row->name, value,
                         row->kind == OPTION_NUMBER ? "a number"
                         : row->kind == OPTION_SIZE ? "a size"
                                                    : "a time",
                         row->min, row->max,
                         row->kind == OPTION_SIZE   ? " bytes (K, M and G are understood)"
                         : row->kind == OPTION_TIME ? " milliseconds (ms, s, m and h are understood)"
                                                    : "");
    }
    *ret_number = number;
    return 0;
}

static int parse_flag(const struct option_row *row, const char *value, int64_t *ret_number, struct error *e)
{
    static const char *const words[] = {"false", "true", "no", "yes", "0", "1", "off", "on"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], value) == 0) {
            *ret_number = i % 2;
            return 0;
        }
    }
    return error_set(e, Q_INVALID, "option %s: \"%s\" is neither true nor false", row->name, value);
}

static int check_text(const struct option_row *row, const char *value, struct error *e)
{
    size_t n = strlen(value);
    if ((int64_t)n < row->min || (int64_t)n > row->max) {
        return error_set(e, Q_INVALID, "option %s: %zu bytes are not between %" PRId64 " and %" PRId64,
                         row->name, n, row->min, row->max);
    }
    if (row == &rows[OPTION_storage] && strcmp(value, "sqlite") != 0 && strcmp(value, "memory") != 0) {
        return error_set(e, Q_INVALID, "option storage: \"%s\" is not one of: sqlite, memory", value);
    }
    return 0;
}

static void forget_text(struct options *o, enum option option)
{
    if (option == OPTION_secret && o->text[option] != NULL) {
        explicit_bzero(o->text[option], strlen(o->text[option]));
    }
    free(o->text[option]);
    o->text[option] = NULL;
}

static int assign(struct options *o, enum option option, const char *value, enum option_source source,
                  struct error *e)
{
    const struct option_row *row = &rows[option];
    int64_t number = 0;
    char *copy;
    int rv = 0;

    switch (row->kind) {
    case OPTION_TEXT: rv = check_text(row, value, e); break;
    case OPTION_FLAG: rv = parse_flag(row, value, &number, e); break;
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_TIME: rv = parse_number(row, value, &number, e); break;
    }
    if (rv != 0 || source < o->source[option]) {
        return rv;
    }
    copy = strdup(value);
    if (copy == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for option %s", row->name);
    }
    forget_text(o, option);
    o->text[option] = copy;
    o->number[option] = number;
    o->source[option] = source;
    return 0;
}

void options_init(struct options *o)
{
    memset(o, 0, sizeof *o);
    for (enum option i = 0; i < OPTION_COUNT; i++) {
        if (rows[i].kind == OPTION_FLAG) {
            parse_flag(&rows[i], rows[i].initial, &o->number[i], NULL);
        } else if (rows[i].kind != OPTION_TEXT && rows[i].initial[0] != '0') {
            parse_number(&rows[i], rows[i].initial, &o->number[i], NULL);
        }
    }
}

void options_close(struct options *o)
{
    for (enum option i = 0; i < OPTION_COUNT; i++) {
        forget_text(o, i);
    }
    memset(o, 0, sizeof *o);
}

int options_copy(const struct options *from, struct options *ret_copy, struct error *e)
{
    struct options copy = *from;
    bool failed = false;

    for (enum option i = 0; i < OPTION_COUNT; i++) {
        copy.text[i] = from->text[i] ? strdup(from->text[i]) : NULL;
        failed = failed || (from->text[i] && !copy.text[i]);
    }
    if (failed) {
        options_close(&copy);
        return error_set(e, Q_NOMEM, "out of memory for the options");
    }
    *ret_copy = copy;
    return 0;
}

static bool find(const char *name, size_t n, enum option *ret_option)
{
    for (enum option i = 0; i < OPTION_COUNT; i++) {
        if (strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0) {
            *ret_option = i;
            return true;
        }
    }
    return false;
}

int options_set(struct options *o, const char *name, const char *value, enum option_source source,
                struct error *e)
{
    enum option option;
    if (!find(name, strlen(name), &option)) {
        return error_set(e, Q_INVALID, "there is no option \"%s\" (see --help)", name);
    }
    return assign(o, option, value, source, e);
}

static int on_pair(void *ctx, const char *name, const char *value, struct error *e)
{
    return options_set(ctx, name, value, FROM_FILE, e);
}

int options_file(struct options *o, const char *path, struct error *e)
{
    struct stat st;
    int rv = ini_read(path, on_pair, o, e);

    if (rv == 0 && o->source[OPTION_secret] == FROM_FILE && stat(path, &st) == 0 &&
        (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return error_set(
            e, Q_DENIED,
            "configuration file %s holds the secret and can be read by others (mode %03o): chmod "
            "600 it",
            path, (unsigned)(st.st_mode & 0777));
    }
    return rv;
}

int options_environment(struct options *o, struct error *e)
{
    for (enum option i = 0; i < OPTION_COUNT; i++) {
        char name[64] = "QUORATE_";
        const char *value;
        size_t n = strlen(name);
        for (const char *p = rows[i].name; *p != 0 && n + 1 < sizeof name; p++) {
            name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        }
        name[n] = 0;
        value = getenv(name);
        if (value != NULL && assign(o, i, value, FROM_ENVIRONMENT, e) != 0) {
            return error_wrap(e, "environment variable %s", name);
        }
    }
    return 0;
}

/* One flag, and how many words of the command line it took. */
static int take_flag(struct options *o, int left, char **words, int *ret_taken, struct error *e)
{
    const char *name = words[0] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const char *value = equals ? equals + 1 : NULL;
    enum option option;

    *ret_taken = 1;
    if (n > 3 && value == NULL && strncmp(name, "no-", 3) == 0 && find(name + 3, n - 3, &option) &&
        rows[option].kind == OPTION_FLAG) {
        return assign(o, option, "false", FROM_FLAG, e);
    }
    if (!find(name, n, &option)) {
        return error_set(e, Q_INVALID, "there is no option --%.*s (see --help)", (int)n, name);
    }
    if (option == OPTION_secret) {
        return error_set(e, Q_INVALID,
                         "the secret is not taken from the command line, where others can read it: "
                         "use --secret-file or the environment variable QUORATE_SECRET");
    }
    if (value == NULL && rows[option].kind == OPTION_FLAG) {
        value = "true";
    } else if (value == NULL && left < 2) {
        return error_set(e, Q_INVALID, "option --%s needs a value", rows[option].name);
    } else if (value == NULL) {
        value = words[1];
        *ret_taken = 2;
    }
    return assign(o, option, value, FROM_FLAG, e);
}

int options_arguments(struct options *o, int argc, char **argv, bool *ret_help, bool *ret_version,
                      struct error *e)
{
    int rv = 0, taken;

    *ret_help = *ret_version = false;
    for (int i = 1; i < argc && rv == 0; i += taken) {
        taken = 1;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            *ret_version = true;
        } else if (strncmp(argv[i], "--", 2) != 0) {
            rv = error_set(e, Q_INVALID, "\"%s\" is not an option (see --help)", argv[i]);
        } else {
            rv = take_flag(o, argc - i, argv + i, &taken, e);
        }
    }
    if (rv == 0) {
        rv = options_environment(o, e);
    }
    if (rv == 0 && options_text(o, OPTION_config)[0] != 0) {
        rv = options_file(o, options_text(o, OPTION_config), e);
    }
    return rv;
}

const char *options_text(const struct options *o, enum option option)
{
    return o->text[option] ? o->text[option] : rows[option].initial;
}

int64_t options_number(const struct options *o, enum option option)
{
    return o->number[option];
}

const char *options_name(enum option option)
{
    return rows[option].name;
}

void options_help(FILE *to)
{
    for (enum option i = 0; i < OPTION_COUNT; i++) {
        char flag[64];
        if (i == OPTION_secret) {
            continue; /* not a flag */
        }
        snprintf(flag, sizeof flag, "--%s %s", rows[i].name, kinds[rows[i].kind]);
        fprintf(to, "  %-32s %s", flag, rows[i].help);
        if (rows[i].initial[0] != 0 && strcmp(rows[i].initial, "0") != 0) {
            fprintf(to, " [%s]", rows[i].initial);
        }
        fputc('\n', to);
    }
}
