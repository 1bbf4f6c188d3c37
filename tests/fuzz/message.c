/* message: raft_glue/message.h and raft_glue/configuration.h: each message of the core. What decodes keeps
 * the promises of message.h, and is encoded again to the same bytes. */
#include <string.h>

#include "raft_glue/configuration.h"
#include "raft_glue/message.h"
#include "tests/fuzz/target.h"

enum { BYTES_MAX = 64 * 1024 };

static void check_configuration(const struct raft_configuration *c)
{
    FUZZ_CHECK(c->n >= 1 && c->n <= MESSAGE_SERVERS_MAX, "a configuration has servers, and not too many");
    for (unsigned i = 0; i < c->n; i++) {
        FUZZ_CHECK(c->servers[i].id != 0, "a server has an id");
        FUZZ_CHECK(strlen(c->servers[i].address) <= MESSAGE_ADDRESS_MAX, "and no endless name");
        for (unsigned j = 0; j < i; j++) {
            FUZZ_CHECK(c->servers[i].id != c->servers[j].id, "of its own");
        }
    }
}

static void check_entries(const struct raft_append_entries *ae)
{
    uint64_t term = ae->prev_log_term;

    FUZZ_CHECK((ae->prev_log_index == 0) == (ae->prev_log_term == 0), "index and term are 0 together");
    FUZZ_CHECK(ae->n_entries <= MESSAGE_ENTRIES_MAX, "there are not too many entries");
    for (unsigned i = 0; i < ae->n_entries; i++) {
        const struct raft_entry *entry = &ae->entries[i];
        FUZZ_CHECK(entry->term >= term && entry->term <= ae->term && entry->term != 0,
                   "the terms of entries do not fall, nor pass the message's");
        term = entry->term;
        if (entry->type == RAFT_CHANGE) {
            struct raft_configuration c;
            FUZZ_CHECK(configuration_decode(entry->buf.base, entry->buf.len, &c, NULL) == 0,
                       "a configuration is well formed");
            raft_configuration_close(&c);
        }
    }
}

static void decode(const uint8_t *p, size_t n)
{
    struct raft_message m;
    struct error e;
    struct buf b;

    if (message_decode(p, n, 7, "n7", &m, &e) != 0) {
        FUZZ_CHECK(e.code == Q_MISMATCH || e.code == Q_CORRUPT || e.code == Q_TOO_BIG,
                   "a refusal has one of the codes that are promised");
        return;
    }
    if (m.type == RAFT_APPEND_ENTRIES) {
        check_entries(&m.append_entries);
    } else if (m.type == RAFT_INSTALL_SNAPSHOT) {
        check_configuration(&m.install_snapshot.conf);
    }
    buf_init(&b, BYTES_MAX);
    message_encode(&m, &b);
    FUZZ_CHECK(b.len == n && memcmp(b.data, p, n) == 0, "a message is encoded in one way only");
    buf_close(&b);
    message_close(&m, false);
}

/* As it stands in the log and in meta. */
static void decode_configuration(const uint8_t *p, size_t n)
{
    struct raft_configuration c, copy;
    struct raft_buffer b;
    struct error e;

    if (configuration_decode(p, n, &c, &e) != 0) {
        FUZZ_CHECK(e.code == Q_CORRUPT || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
        return;
    }
    check_configuration(&c);
    FUZZ_CHECK(raft_configuration_encode(&c, &b) == 0, "it can be encoded");
    FUZZ_CHECK(configuration_decode(b.base, b.len, &copy, &e) == 0 && copy.n == c.n, "and read again");
    for (unsigned i = 0; i < c.n; i++) {
        FUZZ_CHECK(copy.servers[i].id == c.servers[i].id && copy.servers[i].role == c.servers[i].role &&
                       strcmp(copy.servers[i].address, c.servers[i].address) == 0,
                   "as it was");
    }
    raft_configuration_close(&copy);
    raft_configuration_close(&c);
    raft_free(b.base);
}

static void run(const uint8_t *p, size_t n)
{
    decode(p, n);
    decode_configuration(p, n);
}

static void add(struct seeds *s, const char *name, const struct raft_message *m)
{
    struct buf b;
    buf_init(&b, BYTES_MAX);
    message_encode(m, &b);
    seeds_add(s, name, b.data, b.len);
    buf_close(&b);
}

static void seeds(struct seeds *s)
{
    struct raft_configuration c;
    struct raft_buffer encoded;
    char command[] = "command", name[2 * MESSAGE_ADDRESS_MAX] = "";
    struct raft_entry entries[3] = {{.term = 6, .type = RAFT_COMMAND, .buf = {.base = command, .len = 7}},
                                    {.term = 7, .type = RAFT_BARRIER},
                                    {.term = 7, .type = RAFT_CHANGE}};
    struct raft_message m;

    raft_configuration_init(&c);
    FUZZ_CHECK(raft_configuration_add(&c, 1, "n1", RAFT_VOTER) == 0 &&
                   raft_configuration_add(&c, 2, "n2", RAFT_SPARE) == 0 &&
                   raft_configuration_encode(&c, &encoded) == 0,
               "there is memory");
    seeds_add(s, "configuration", encoded.base, encoded.len);
    entries[2].buf = encoded;

    memset(&m, 0, sizeof m);
    m.type = RAFT_APPEND_ENTRIES;
    m.append_entries = (struct raft_append_entries){.version = 1,
                                                    .term = 7,
                                                    .prev_log_index = 41,
                                                    .prev_log_term = 6,
                                                    .leader_commit = 40,
                                                    .entries = entries,
                                                    .n_entries = 3};
    add(s, "append_entries", &m);
    memset(&m, 0, sizeof m);
    m.type = RAFT_APPEND_ENTRIES_RESULT;
    m.append_entries_result.term = 7;
    m.append_entries_result.last_log_index = 44;
    add(s, "append_entries_result", &m);
    memset(&m, 0, sizeof m);
    m.type = RAFT_REQUEST_VOTE;
    m.request_vote.term = 8;
    m.request_vote.candidate_id = 2;
    m.request_vote.pre_vote = true;
    add(s, "request_vote", &m);
    memset(&m, 0, sizeof m);
    m.type = RAFT_REQUEST_VOTE_RESULT;
    m.request_vote_result.term = 8;
    m.request_vote_result.vote_granted = true;
    add(s, "request_vote_result", &m);
    memset(&m, 0, sizeof m);
    m.type = RAFT_INSTALL_SNAPSHOT;
    m.install_snapshot.term = 9;
    m.install_snapshot.last_index = 1000;
    m.install_snapshot.last_term = 8;
    m.install_snapshot.conf_index = 77;
    m.install_snapshot.conf = c;
    add(s, "install_snapshot", &m);
    memset(name, 'n', sizeof name - 1);
    FUZZ_CHECK(raft_configuration_add(&m.install_snapshot.conf, 3, name, RAFT_VOTER) == 0, "there is memory");
    add(s, "long_name", &m);
    c = m.install_snapshot.conf;
    memset(&m, 0, sizeof m);
    m.type = RAFT_TIMEOUT_NOW;
    m.timeout_now.term = 9;
    add(s, "timeout_now", &m);
    raft_configuration_close(&c);
    raft_free(encoded.base);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
