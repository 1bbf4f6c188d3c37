#include "node/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/plant.h"
#include "node/env/address.h"

enum { HEARTBEATS_PER_ELECTION_MIN = 2 };

static int copy_address(enum option option, const char *text, size_t n,
                        char ret_address[PEERS_ADDRESS_MAX + 1], struct error *e)
{
    if (n > PEERS_ADDRESS_MAX) {
        return error_set(e, Q_INVALID, "option %s: an address is longer than %d bytes", options_name(option),
                         PEERS_ADDRESS_MAX);
    }
    memcpy(ret_address, text, n);
    ret_address[n] = 0;
    return 0;
}

/* A wildcard is let through: a sole member may have no better name. */
static int parse_member_address(const char *text, size_t n, char ret_address[PEERS_ADDRESS_MAX + 1],
                                struct error *e)
{
    struct address parsed;
    struct error why;
    int rv = copy_address(OPTION_members, text, n, ret_address, e);

    if (rv == 0 && address_parse(ret_address, &parsed, &why) != 0) {
        return error_set(e, Q_INVALID, "option members: %s", why.text);
    }
    if (rv == 0 && parsed.port == 0) {
        return error_set(e, Q_INVALID, "option members: \"%s\" has no port from 1 to 65535", ret_address);
    }
    return rv;
}

/* One "id=host:port" of N bytes. */
static int parse_member(struct settings *s, const char *p, size_t n, struct error *e)
{
    struct peers_member *member = &s->members[s->replica.count];
    uint64_t id = 0;
    size_t i = 0;

    while (i < n && isdigit((unsigned char)p[i]) && id <= INT64_MAX / 10 - 1) {
        id = id * 10 + (uint64_t)(p[i++] - '0');
    }
    if (id == 0 || i == n || p[i] != '=') {
        return error_set(e, Q_INVALID,
                         "option members: \"%.*s\" does not begin with an id from 1 and =", (int)n, p);
    }
    member->id = id;
    s->replica.count++;
    return parse_member_address(p + i + 1, n - i - 1, member->address, e);
}

/* One "host:port" of N bytes. */
static int parse_join(struct settings *s, const char *p, size_t n, struct error *e)
{
    char *address = s->join[s->joins++];
    struct error why;
    int rv = copy_address(OPTION_join, p, n, address, e);

    return rv == 0 && address_dialable(address, &why) != 0
               ? error_set(e, Q_INVALID, "option join: %s", why.text)
               : rv;
}

/* OPTION's value: up to MAX items with commas between them; blanks around each mean nothing. */
static int parse_list(const struct options *o, enum option option, unsigned max, struct settings *s,
                      int (*parse)(struct settings *s, const char *p, size_t n, struct error *e),
                      struct error *e)
{
    unsigned count = 0;
    for (const char *p = options_text(o, option); *p != 0;) {
        const char *end = p + strcspn(p, ","), *last = end;
        int rv;
        while (p < last && isspace((unsigned char)*p)) {
            p++;
        }
        while (p < last && isspace((unsigned char)last[-1])) {
            last--;
        }
        rv = count == max
                 ? error_set(e, Q_INVALID, "option %s: more than %u members", options_name(option), max)
                 : parse(s, p, (size_t)(last - p), e);
        if (rv != 0) {
            return rv;
        }
        count++;
        p = *end == ',' ? end + 1 : end;
    }
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

static bool is_given(const struct options *o, enum option option)
{
    return options_text(o, option)[0] != 0;
}

/* A directory that cannot be looked at counts as one that is there: whoever opens it says what is wrong. */
static bool is_settled(const char *dir)
{
    char meta[4096];

    return (size_t)snprintf(meta, sizeof meta, "%s/meta", dir) < sizeof meta &&
           (access(meta, F_OK) == 0 || errno != ENOENT);
}

/* Whether who this node is, and of which cluster, can be known. */
static int check_identity(const struct options *o, bool settled, struct error *e)
{
    bool members = is_given(o, OPTION_members), join = is_given(o, OPTION_join);

    if (!is_given(o, OPTION_dir)) {
        return error_set(e, Q_INVALID, "option dir is missing");
    }
    if (options_number(o, OPTION_id) == 0 && !join && !settled) {
        return error_set(e, Q_INVALID, "option id is missing");
    }
    if (!members && !join && !settled) {
        return error_set(e, Q_INVALID,
                         "option members is missing: name the first members of a new cluster, or with join a "
                         "member of the cluster that this machine is to join");
    }
    if (members && join && !settled) {
        return error_set(e, Q_INVALID,
                         "options members and join do not go together: a new machine is one of the first "
                         "members or it joins them");
    }
    if (options_number(o, OPTION_replace) != 0 && !join) {
        return error_set(e, Q_INVALID,
                         "option replace goes with join only: it says whose place a new machine takes");
    }
    if (options_number(o, OPTION_replace) != 0 &&
        options_number(o, OPTION_replace) == options_number(o, OPTION_id)) {
        return error_set(e, Q_INVALID,
                         "options replace and id are the same: a machine that takes the place of another one "
                         "has an id of its own (leave id out, and it gets one)");
    }
    return 0;
}

/* Works out where the others reach this node. What one listens on says so, too, unless it is a wildcard, or
 * the list of the first members has its own answer. */
static int find_advertised(const struct options *o, struct settings *s, struct error *e)
{
    bool told = is_given(o, OPTION_advertise);
    const char *text = options_text(o, told ? OPTION_advertise : OPTION_listen);
    struct address address;

    if (s->joins > 0 && text[0] == 0) {
        return error_set(e, Q_INVALID,
                         "option listen is missing: a machine that joins says at which host:port the other "
                         "members reach it (or by option advertise)");
    }
    if (text[0] == 0 || (!told && is_given(o, OPTION_members))) {
        return 0; /* it is where they know it to be */
    }
    if (!told && s->joins == 0 && address_parse(text, &address, NULL) == 0 && address_is_wildcard(&address)) {
        return 0;
    }
    s->replica.advertise = text;
    if (address_dialable(text, e) == 0) {
        return 0;
    }
    return told ? error_wrap(e, "option advertise")
                : error_wrap(
                      e, "option listen (advertise says where the others reach this machine, if not there)");
}

static int check(const struct options *o, bool settled, struct error *e)
{
    int64_t election = options_number(o, OPTION_election), heartbeat = options_number(o, OPTION_heartbeat);
    int rv = check_identity(o, settled, e);

    if (rv != 0) {
        return rv;
    }
    if (options_number(o, OPTION_backup_every) != 0 && !is_given(o, OPTION_backup_dir)) {
        return error_set(e, Q_INVALID, "option backup-every needs backup-dir, where the backups go");
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
    int rv;

    s->settled = is_settled(options_text(o, OPTION_dir));
    rv = check(o, s->settled, e);
    if (rv == 0) {
        rv = parse_list(o, OPTION_members, PEERS_MAX, s, parse_member, e);
    }
    if (rv == 0) {
        rv = parse_list(o, OPTION_join, SETTINGS_JOIN_MAX, s, parse_join, e);
    }
    s->joins = s->settled && !PLANTED("a_member_joins_again") ? 0 : s->joins;
    if (rv == 0) {
        rv = find_advertised(o, s, e);
    }
    if (rv == 0) {
        rv = find_secret(o, s, e);
    }
    if (rv != 0) {
        return rv;
    }
    s->replica.dir = options_text(o, OPTION_dir);
    s->replica.id = (uint64_t)options_number(o, OPTION_id);
    s->replica.cluster_name =
        s->settled && o->source[OPTION_cluster_name] == FROM_DEFAULT && !is_given(o, OPTION_members)
            ? NULL /* the directory knows */
            : options_text(o, OPTION_cluster_name);
    s->replica.listen = is_given(o, OPTION_listen) ? options_text(o, OPTION_listen)
                        : s->joins > 0             ? s->replica.advertise
                                                   : NULL;
    s->replica.voters = (unsigned)options_number(o, OPTION_voters);
    s->replaces = (uint64_t)options_number(o, OPTION_replace);
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
    s->replica.log_keep_bytes = (uint64_t)options_number(o, OPTION_log_keep_bytes);
    s->replica.verify_installs = options_number(o, OPTION_verify_installs) != 0;
    s->replica.ship_rate = (uint64_t)options_number(o, OPTION_ship_rate);
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
