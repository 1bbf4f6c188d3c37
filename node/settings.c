#include "node/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/address.h"

enum { HEARTBEATS_PER_ELECTION_MIN = 2 };

/* One "id=host:port" of N bytes. */
static int parse_member(const char *p, size_t n, struct peers_member *ret_member, struct error *e)
{
    char *end;
    size_t len;
    unsigned long long id;
    struct address address;

    errno = 0;
    id = strtoull(p, &end, 10);
    if (end == p || errno != 0 || id == 0 || id > INT64_MAX || *end != '=' || p[0] == '-' || p[0] == '+') {
        return error_set(e, Q_INVALID,
                         "option members: \"%.*s\" does not begin with an id from 1 and =", (int)n, p);
    }
    end++;
    len = n - (size_t)(end - p);
    if (len > PEERS_ADDRESS_MAX) {
        return error_set(e, Q_INVALID, "option members: the address \"%.*s\" is longer than %d bytes",
                         (int)len, end, PEERS_ADDRESS_MAX);
    }
    ret_member->id = id;
    memcpy(ret_member->address, end, len);
    ret_member->address[len] = 0;
    return address_parse(ret_member->address, &address, e) == 0 ? 0 : error_wrap(e, "option members");
}

static int parse_members(const char *list, struct settings *s, struct error *e)
{
    unsigned count = 0;
    for (const char *p = list; *p != 0;) {
        size_t n = strcspn(p, ",");
        int rv = count == PEERS_MAX
                     ? error_set(e, Q_INVALID, "option members: more than %d members", PEERS_MAX)
                     : parse_member(p, n, &s->members[count], e);
        if (rv != 0) {
            return rv;
        }
        count++;
        p += n + (p[n] == ',' ? 1 : 0);
    }
    s->replica.members = s->members;
    s->replica.count = count;
    return 0;
}

/* The file's bytes but for white space at the end. */
static int read_secret_file(const char *path, struct settings *s, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    if (fd < 0) {
        return error_set(e, Q_INVALID, "secret file %s: %s", path, strerror(errno));
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(e, Q_INVALID, "secret file %s is not a regular file", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        close(fd);
        return error_set(e, Q_DENIED, "secret file %s can be read by others (mode %03o): chmod 600 it", path,
                         (unsigned)(st.st_mode & 0777));
    }
    n = read(fd, s->secret, sizeof s->secret);
    close(fd);
    if (n < 0) {
        return error_errno(e, errno, "secret file %s", path);
    }
    while (n > 0 && (s->secret[n - 1] == '\n' || s->secret[n - 1] == '\r' || s->secret[n - 1] == ' ')) {
        n--;
    }
    s->replica.secret_len = (size_t)n;
    return 0;
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
    s->replica.secret = s->secret;
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

int settings_make(const struct options *o, struct settings *ret_settings, struct error *e)
{
    struct settings *s = ret_settings;
    int rv = check(o, e);

    memset(s, 0, sizeof *s);
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
    return 0;
}
