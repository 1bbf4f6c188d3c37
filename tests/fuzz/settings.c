/* settings: the configuration file: lines (node/ini.h), options, and what they mean together
 * (node/settings.h). What was written as name = value is read as that. */
#include <ctype.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/env/address.h"
#include "node/ini.h"
#include "node/settings.h"
#include "tests/fuzz/target.h"

enum { PATH_BYTES = 64, NAME_MAX_BYTES = 12, VALUE_MAX = 40 };

/* A file that holds the bytes; closed by the caller. */
static int make_file(const void *p, size_t n, char path[PATH_BYTES])
{
    int fd = memfd_create("quorate-fuzz", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, p, n) == (ssize_t)n, "there is memory");
    snprintf(path, PATH_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

/* ---- lines ---- */

struct reading {
    struct buf wanted; /* name, 0, value, 0 of each line that was written */
    size_t at;
};

static int on_wanted(void *ctx, const char *name, const char *value, struct error *e)
{
    struct reading *r = ctx;
    const char *wanted[] = {name, value};

    (void)e;
    for (unsigned i = 0; i < 2; i++) {
        const char *was = (const char *)r->wanted.data + r->at;
        FUZZ_CHECK(r->at < r->wanted.len && strcmp(was, wanted[i]) == 0, "a line is read as it was written");
        r->at += strlen(was) + 1;
    }
    return 0;
}

/* Bytes that stand for themselves in a name or a value: no line end, no blank at an end, no comment. */
static void sanitize(char *text, bool name)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        bool end = i == 0 || i + 1 == n;
        if (text[i] == '\n' || (name && strchr("=:", text[i]) != NULL) ||
            (end && (isspace((unsigned char)text[i]) || strchr(";#[\xef", text[i]) != NULL)) ||
            (text[i] == ';' && isspace((unsigned char)text[i - 1]))) {
            text[i] = 'x';
        }
    }
}

static void write_and_read(struct cursor input)
{
    struct reading r = {.at = 0};
    struct buf file;
    struct error e;
    char path[PATH_BYTES];
    int fd;

    buf_init(&r.wanted, FUZZ_INPUT_MAX * 4);
    buf_init(&file, FUZZ_INPUT_MAX * 4);
    for (unsigned lines = input_range(&input, 0, 6); lines > 0; lines--) {
        char *name = input_string(&input, NAME_MAX_BYTES), *value = input_string(&input, VALUE_MAX);
        if (name[0] != 0) {
            sanitize(name, true);
            sanitize(value, false);
            buf_printf(&file, "%s %c%s\n", name, (input_range(&input, 0, 1) ? ':' : '='), value);
            buf_printf(&r.wanted, "%s%c%s%c", name, 0, value, 0);
        }
        free(name);
        free(value);
    }
    fd = make_file(file.data, file.len, path);
    FUZZ_CHECK(ini_read(path, on_wanted, &r, &e) == 0 && r.at == r.wanted.len, "all lines are read");
    close(fd);
    buf_close(&file);
    buf_close(&r.wanted);
}

/* ---- options ---- */

static void check_settings(const struct options *o)
{
    struct settings s;
    struct error e;

    if (settings_make(o, &s, &e) != 0) {
        FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_IO || e.code == Q_DENIED,
                   "a refusal has one of the codes that are promised");
        return;
    }
    FUZZ_CHECK(s.replica.count <= PEERS_MAX && s.joins <= SETTINGS_JOIN_MAX &&
                   s.replica.secret_len >= PEERS_SECRET_MIN && s.replica.secret_len <= PEERS_SECRET_MAX,
               "settings are within their limits");
    FUZZ_CHECK(
        s.settled || (s.replica.count >= 1 && s.replica.id != 0 && s.joins == 0) ||
            (s.replica.count == 0 && s.joins >= 1 && s.replica.advertise != NULL && s.replica.listen != NULL),
        "a new machine is one of the first members, or it joins them and says where it is");
    for (unsigned i = 0; i < s.joins; i++) {
        FUZZ_CHECK(address_dialable(s.join[i], NULL) == 0, "who is asked can be dialled");
    }
    FUZZ_CHECK(s.replica.advertise == NULL || address_dialable(s.replica.advertise, NULL) == 0,
               "what is advertised can be dialled");
    for (unsigned i = 0; i < s.replica.count; i++) {
        FUZZ_CHECK(s.members[i].id != 0 && strchr(s.members[i].address, ':') != NULL,
                   "a member has id and port");
    }
}

static void read_file(const void *p, size_t n)
{
    struct options o;
    struct error e;
    char path[PATH_BYTES];
    int fd = make_file(p, n, path);

    options_init(&o);
    if (options_file(&o, path, &e) == 0) {
        check_settings(&o);
    } else {
        FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
    }
    options_close(&o);
    close(fd);
}

static void run(const uint8_t *p, size_t n)
{
    read_file(p, n);
    write_and_read(cursor_of(p, n));
}

static void seeds(struct seeds *s)
{
    static const char whole[] = "\xef\xbb\xbf# a node\n[node]\nid = 1\ndir: /var/lib/quorate ; of its own\n"
                                "members = 1=db1:4002, 2=[::1]:4002,3=10.0.0.3:4002\n"
                                "secret = correct horse battery staple\nelection-timeout = 1s\n"
                                "heartbeat-interval=100ms\nsegment-bytes=32M\nforeign-keys=true\n"
                                "http = :4001\nlisten =\nstorage = memory\n";
    static const char joins[] = "dir=d\njoin = db1:7001, [::1]:7002\nreplace=3\nlisten=0.0.0.0:7001\n"
                                "advertise=db4:7001\nvoters=5\nsecret = correct horse battery staple\n";
    static const char lines[] = "\3\4name\5value\0\1x\0\0\3abc\10a b;c ;d\1";

    seeds_add(s, "whole", whole, sizeof whole - 1);
    seeds_add(s, "lines", lines, sizeof lines - 1);
    seeds_add(s, "missing", "id=1\ndir=d\nmembers=1=a:1\n", 24);
    seeds_add(s, "joins", joins, sizeof joins - 1);
    seeds_add(s, "many", "readers = 17\nqueue-bytes=1G\nhttp-connections=0", 46);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
