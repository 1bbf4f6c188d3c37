#include "node/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/plant.h"
#include "node/env/address.h"

enum { HEARTBEATS_PER_ELECTION_MIN = 2 };

static int parse_address(const char *text, size_t n, struct peers_member *ret_member, struct error *e)
{
    struct address parsed;
    struct error why;

    if (n > PEERS_ADDRESS_MAX) {
        return error_set(e, Q_INVALID, "option members: an address is longer than %d bytes",
                         PEERS_ADDRESS_MAX);
    }
    memcpy(ret_member->address, text, n);
    ret_member->address[n] = 0;
    if (address_parse(ret_member->address, &parsed, &why) != 0) {
        return error_set(e, Q_INVALID, "option members: %s", why.text);
    }
    return parsed.port > 0 ? 0
                           : error_set(e, Q_INVALID, "option members: \"%s\" has no port from 1 to 65535",
                                       ret_member->address);
}

/* One "id=host:port" of N bytes. */
static int parse_member(const char *p, size_t n, struct peers_member *ret_member, struct error *e)
{
    const char *address;
    uint64_t id = 0;
    size_t i = 0;

    while (i < n && isdigit((unsigned char)p[i]) && id <= INT64_MAX / 10 - 1) {
        id = id * 10 + (uint64_t)(p[i++] - '0');
    }
    if (id == 0 || i == n || p[i] != '=') {
        return error_set(e, Q_INVALID,
                         "option members: \"%.*s\" does not begin with an id from 1 and =", (int)n, p);
    }
    ret_member->id = id;
    address = p + i + 1;
    return parse_address(address, n - i - 1, ret_member, e);
}

/* "id=host:port,id=host:port"; blanks around each mean nothing. */
static int parse_members(const char *list, struct settings *s, struct error *e)
{
    unsigned count = 0;
    for (const char *p = list; *p != 0;) {
        const char *end = p + strcspn(p, ","), *last = end;
        int rv;
        while (p < last && isspace((unsigned char)*p)) {
            p++;
        }
        while (p < last && isspace((unsigned char)last[-1])) {
            last--;
        }
        rv = count == PEERS_MAX ? error_set(e, Q_INVALID, "option members: more than %d members", PEERS_MAX)
                                : parse_member(p, (size_t)(last - p), &s->members[count], e);
        if (rv != 0) {
            return rv;
        }
        count++;
        p = *end == ',' ? end + 1 : end;
    }
    s->replica.count = count;
    return 0;
}

/* The file's bytes but for white space at the end. */
static int read_secret(int fd, const char *path, struct settings *s, struct error *e)
{
    char bytes[PEERS_SECRET_MAX + 16]; /* with room for the end of a line */
    struct stat st;
    ssize_t n;
    int rv = 0;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return error_set(e, Q_INVALID, "secret file %s is not a regular file", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0 && !PLANTED("secret_may_be_read_by_all")) {
        return error_set(e, Q_DENIED, "secret file %s can be read by others (mode %03o): chmod 600 it", path,
                         (unsigned)(st.st_mode & 0777));
    }
    n = read(fd, bytes, sizeof bytes);
    if (n < 0) {
        return error_errno(e, errno, "secret file %s", path);
    }
    while (n > 0 && isspace((unsigned char)bytes[n - 1])) {
        n--;
    }
    if (n > PEERS_SECRET_MAX) {
        rv = error_set(e, Q_INVALID, "the secret in %s has more than %d bytes", path, PEERS_SECRET_MAX);
    } else {
        memcpy(s->secret, bytes, (size_t)n);
        s->replica.secret_len = (size_t)n;
    }
    explicit_bzero(bytes, sizeof bytes);
    return rv;
}

static int read_secret_file(const char *path, struct settings *s, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would wait for one */
    int rv;

    if (fd < 0) {
        return error_set(e, Q_INVALID, "secret file %s: %s", path, strerror(errno));
    }
    rv = read_secret(fd, path, s, e);
    close(fd);
    return rv;
}

static int find_secret(const struct options *o, struct settings *s, struct error *e)
{
    const char *file = options_text(o, OPTION_secret_file), *text = options_text(o, OPTION_secret);
    int rv = 0;

    if (file[0] != 0) {
        rv = read_secret_file(file, s, e);
    } else if (text[0] != 0) {
        s->replica.secret_len = strlen(text);
        memcpy(s->secret, text, s->replica.secret_len);
    } else {
        rv = error_set(e, Q_INVALID,
                       "no secret is given: use --secret-file or the environment variable QUORATE_SECRET");
    }
    if (rv == 0 && s->replica.secret_len < PEERS_SECRET_MIN) {
        rv = error_set(e, Q_INVALID, "the secret has %zu bytes, fewer than %d", s->replica.secret_len,
                       PEERS_SECRET_MIN);
    }
    return rv;
}

/* The option's address, unless it is empty. */
static int check_address(const struct options *o, enum option option, struct error *e)
{
    const char *text = options_text(o, option);
    struct address address;

    return text[0] == 0 || address_parse(text, &address, e) == 0
               ? 0
               : error_wrap(e, "option %s", options_name(option));
}

static int check(const struct options *o, struct error *e)
{
    int64_t election = options_number(o, OPTION_election), heartbeat = options_number(o, OPTION_heartbeat);
    int rv;

    if (options_number(o, OPTION_id) == 0) {
        return error_set(e, Q_INVALID, "option id is missing");
    }
    if (options_text(o, OPTION_dir)[0] == 0) {
        return error_set(e, Q_INVALID, "option dir is missing");
    }
    if (options_text(o, OPTION_members)[0] == 0) {
        return error_set(e, Q_INVALID, "option members is missing");
    }
    if (heartbeat * HEARTBEATS_PER_ELECTION_MIN > election) {
        return error_set(e, Q_INVALID,
                         "heartbeat-interval (%" PRId64
                         " ms) must be at most half of election-timeout (%" PRId64 " ms)",
                         heartbeat, election);
    }
    if (options_number(o, OPTION_segment_bytes) % ENV_BLOCK != 0) {
        return error_set(e, Q_INVALID, "segment-bytes (%" PRId64 ") is not a multiple of %d",
                         options_number(o, OPTION_segment_bytes), ENV_BLOCK);
    }
    if (options_number(o, OPTION_request_max) * 5 / 4 > options_number(o, OPTION_segment_bytes)) {
        return error_set(e, Q_INVALID,
                         "request-max (%" PRId64 " bytes) does not fit into segment-bytes (%" PRId64
                         " bytes) with room to spare",
                         options_number(o, OPTION_request_max), options_number(o, OPTION_segment_bytes));
    }
    if (options_number(o, OPTION_request_max) * 2 > options_number(o, OPTION_http_memory)) {
        return error_set(e, Q_INVALID,
                         "http-memory (%" PRId64 " bytes) must be at least twice request-max (%" PRId64
                         " bytes)",
                         options_number(o, OPTION_http_memory), options_number(o, OPTION_request_max));
    }
    rv = check_address(o, OPTION_listen, e);
    return rv == 0 ? check_address(o, OPTION_http, e) : rv;
}

static int make(const struct options *o, struct settings *s, struct error *e)
{
    int rv = check(o, e);

    if (rv == 0) {
        rv = parse_members(options_text(o, OPTION_members), s, e);
    }
    if (rv == 0) {
        rv = find_secret(o, s, e);
    }
    if (rv != 0) {
        return rv;
    }
    s->replica.dir = options_text(o, OPTION_dir);
    s->replica.id = (uint64_t)options_number(o, OPTION_id);
    s->replica.cluster_name = options_text(o, OPTION_cluster_name);
    s->replica.listen = options_text(o, OPTION_listen)[0] ? options_text(o, OPTION_listen) : NULL;
    s->replica.in_memory = strcmp(options_text(o, OPTION_storage), "memory") == 0;
    s->replica.foreign_keys = options_number(o, OPTION_foreign_keys) != 0;
    s->replica.instructions_max = (uint64_t)options_number(o, OPTION_sql_instructions);
    s->replica.readers = (unsigned)options_number(o, OPTION_readers);
    s->replica.election_ms = (unsigned)options_number(o, OPTION_election);
    s->replica.heartbeat_ms = (unsigned)options_number(o, OPTION_heartbeat);
    s->replica.batches_inflight = (unsigned)options_number(o, OPTION_inflight);
    s->replica.queue_bytes = (uint64_t)options_number(o, OPTION_queue_bytes);
    s->replica.queue_commands = (uint64_t)options_number(o, OPTION_queue_commands);
    s->replica.result_max = SETTINGS_RESULT_MAX;
    s->replica.segment_bytes = (uint64_t)options_number(o, OPTION_segment_bytes);
    s->replica.cache_bytes = (uint64_t)options_number(o, OPTION_cache_bytes);
    s->replica.compact_bytes = (uint64_t)options_number(o, OPTION_compact_bytes);
    s->replica.ballast_bytes = (uint64_t)options_number(o, OPTION_ballast_bytes);
    s->replica.space_min_bytes = (uint64_t)options_number(o, OPTION_space_min_bytes);
    return 0;
}

int settings_make(const struct options *o, struct settings *ret_settings, struct error *e)
{
    struct settings made;
    int rv;

    memset(&made, 0, sizeof made);
    rv = make(o, &made, e);
    if (rv == 0) {
        *ret_settings = made;
        ret_settings->replica.members = ret_settings->members;
        ret_settings->replica.secret = ret_settings->secret;
    }
    explicit_bzero(&made, sizeof made);
    return rv;
}
