#include "tests/unit/raft_glue/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft_glue/configuration.h"

static const char *name_of(uint64_t id)
{
    static char names[100][16];
    assert(id < 100);
    snprintf(names[id], sizeof names[id], "server-%llu", (unsigned long long)id);
    return names[id];
}

/* driver_io */

static bool io_save_vote(void *ctx, uint64_t term, uint64_t vote)
{
    struct server *s = ctx;
    assert(term > s->term || (term == s->term && (s->vote == 0 || s->vote == vote)));
    s->term = term;
    s->vote = vote;
    s->saves++;
    return true;
}

static uint64_t io_first(void *ctx)
{
    struct server *s = ctx;
    return s->log.first;
}

static uint64_t io_last(void *ctx)
{
    struct server *s = ctx;
    return memlog_last(&s->log);
}

static uint64_t io_term(void *ctx, uint64_t index)
{
    struct server *s = ctx;
    return memlog_term(&s->log, index);
}

static enum log_entry_type io_type(void *ctx, uint64_t index)
{
    struct server *s = ctx;
    return memlog_at(&s->log, index)->type;
}

static bool io_get(void *ctx, uint64_t index, struct log_entry *ret_entry)
{
    struct server *s = ctx;
    return index != s->damaged && memlog_get(&s->log, index, ret_entry);
}

static bool io_append(void *ctx, uint64_t term, enum log_entry_type type, const void *p, uint32_t len)
{
    struct server *s = ctx;
    if (!s->full) {
        memlog_append(&s->log, term, type, p, len);
    }
    return !s->full;
}

static void io_truncate(void *ctx, uint64_t index)
{
    struct server *s = ctx;
    memlog_truncate(&s->log, index);
    s->written = s->written < index ? s->written : index;
}

static void io_flush(void *ctx)
{
    struct server *s = ctx;
    s->flushes++;
}

static void io_send(void *ctx, const struct raft_message *message)
{
    struct server *s = ctx;
    struct buf b;

    /* Nothing leaves before the term and vote that it rests on are durable. */
    assert(s->driver == NULL || (s->term == driver_term(s->driver) && s->vote == driver_vote(s->driver)));
    buf_init(&b, MESSAGE_BYTES_MAX);
    message_encode(message, &b);
    assert(b.failed == Q_OK && strcmp(message->server_address, name_of(message->server_id)) == 0);
    struct letter *letter = malloc(sizeof *letter + b.len);
    *letter =
        (struct letter){.from = s->config.id, .to = message->server_id, .type = message->type, .len = b.len};
    memcpy(letter->bytes, b.data, b.len);
    buf_close(&b);
    *s->sent_end = letter;
    s->sent_end = &letter->next;
}

static void io_applicable(void *ctx, uint64_t index)
{
    struct server *s = ctx;
    assert(index > s->applicable && s->install.index == 0);
    s->applicable = index;
}

static void io_role(void *ctx, int state, uint64_t term, uint64_t leader)
{
    struct server *s = ctx;
    s->state = state;
    s->told_term = term;
    s->leader = leader;
    s->roles++;
}

static void io_configuration(void *ctx, uint64_t index, const struct raft_configuration *configuration)
{
    struct server *s = ctx;
    assert(configuration->n > 0);
    s->configuration_index = index;
    s->configurations++;
}

static void io_fetch(void *ctx, uint64_t from, uint64_t index, uint64_t term)
{
    struct server *s = ctx;
    s->fetch_from = from;
    s->fetch_index = index;
    s->fetch_term = term;
    s->fetches++;
}

static void copy_snapshot(struct raft_snapshot_metadata *to, const struct raft_snapshot_metadata *from)
{
    raft_configuration_close(&to->configuration);
    *to = *from;
    int rv = configuration_copy(&from->configuration, &to->configuration, NULL);
    assert(rv == 0);
}

static void io_install(void *ctx, const struct raft_snapshot_metadata *metadata)
{
    struct server *s = ctx;
    copy_snapshot(&s->install, metadata);
    s->installs++;
}

static const struct driver_io server_io = {
    .save_vote = io_save_vote,
    .first = io_first,
    .last = io_last,
    .term = io_term,
    .type = io_type,
    .get = io_get,
    .append = io_append,
    .truncate = io_truncate,
    .flush = io_flush,
    .send = io_send,
    .applicable = io_applicable,
    .role = io_role,
    .configuration = io_configuration,
    .fetch_snapshot = io_fetch,
    .install_snapshot = io_install,
};

/* Life */

void server_init(struct server *s, uint64_t id)
{
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name_of(id));
    memlog_init(&s->log);
    memlog_init(&s->disk);
    s->written = 1;
    s->sent_end = &s->sent;
    s->now_ms = 1;
    s->config = (struct driver_config){
        .id = id,
        .address = s->name,
        .seed = (unsigned)id,
        .election_ms = ELECTION_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .inflight_max = 1024,
        .message_bytes = 1 << 16,
        .io = &server_io,
        .ctx = s,
        .guards = GUARD_ALL,
    };
}

void server_bootstrap(struct server *s, unsigned voters)
{
    struct raft_configuration c = members(voters, 0);
    struct raft_buffer encoded;
    int rv = raft_configuration_encode(&c, &encoded);

    assert(rv == 0);
    memlog_append(&s->disk, 1, LOG_CONFIGURATION, encoded.base, (uint32_t)encoded.len);
    raft_free(encoded.base);
    raft_configuration_close(&c);
    s->term = 1;
}

uint64_t server_database(const struct server *s)
{
    return s->database > s->disk.first - 1 ? s->database : s->disk.first - 1;
}

int server_try_start(struct server *s, struct error *e)
{
    struct driver_config config = s->config;

    memlog_reset(&s->log, s->disk.first, s->disk.before_term);
    memlog_write(&s->log, &s->disk, s->disk.first, memlog_last(&s->disk));
    s->written = memlog_last(&s->disk) + 1;
    config.term = s->term;
    config.vote = s->vote;
    config.snapshot = s->snapshot.index > 0 ? &s->snapshot : NULL;
    config.applied = server_database(s);
    config.now_ms = s->now_ms;
    s->applicable = config.applied;
    s->state = RAFT_FOLLOWER;
    s->leader = 0;
    return driver_new(&config, &s->driver, e);
}

void server_start(struct server *s)
{
    struct error e;
    if (server_try_start(s, &e) != 0) {
        fprintf(stderr, "start: %s\n", e.text);
        abort();
    }
}

void server_stop(struct server *s)
{
    driver_free(s->driver);
    s->driver = NULL;
    raft_configuration_close(&s->install.configuration);
    memset(&s->install, 0, sizeof s->install);
}

void server_close(struct server *s)
{
    server_stop(s);
    server_forget_sent(s);
    server_last_sent(s, RAFT_TIMEOUT_NOW, 0);
    raft_configuration_close(&s->snapshot.configuration);
    memlog_close(&s->log);
    memlog_close(&s->disk);
}

/* Events */

static void must(int rv, const struct error *e)
{
    if (rv != 0) {
        fprintf(stderr, "driver: %s\n", e->text);
        abort();
    }
}

void server_hear(struct server *s, struct raft_message *message)
{
    struct error e;
    must(driver_receive(s->driver, s->now_ms, message, &e), &e);
}

void server_hear_letter(struct server *s, const struct letter *letter)
{
    struct raft_message message;
    struct error e;

    must(message_decode(letter->bytes, letter->len, letter->from, name_of(letter->from), &message, &e), &e);
    server_hear(s, &message);
    message_close(&message, true);
}

void server_timeout(struct server *s)
{
    uint64_t deadline = driver_deadline(s->driver);
    struct error e;

    s->now_ms = deadline > s->now_ms ? deadline : s->now_ms;
    must(driver_timeout(s->driver, s->now_ms, &e), &e);
}

void server_write(struct server *s, uint64_t index)
{
    struct error e;

    if (index < s->written) {
        return;
    }
    memlog_write(&s->disk, &s->log, s->written, index);
    s->written = index + 1;
    must(driver_durable(s->driver, s->now_ms, index, &e), &e);
}

void server_write_all(struct server *s)
{
    server_write(s, memlog_last(&s->log));
}

void server_submit(struct server *s, const char *text)
{
    struct error e;
    must(driver_submit(s->driver, s->now_ms, LOG_COMMANDS, text, (uint32_t)strlen(text), &e), &e);
}

void server_compact(struct server *s, uint64_t index, uint64_t trailing)
{
    struct raft_snapshot_metadata metadata = {.index = index, .term = memlog_term(&s->log, index)};
    uint64_t configuration_index;
    struct error e;

    metadata.configuration = *driver_committed_configuration(s->driver, &configuration_index);
    metadata.configuration_index = configuration_index;
    must(driver_compacted(s->driver, s->now_ms, &metadata, trailing, &e), &e);
    copy_snapshot(&s->snapshot, &metadata);
    if (index > trailing) {
        uint64_t first = index - trailing + 1;
        memlog_trim(&s->log, first);
        memlog_trim(&s->disk, first);
    }
}

int server_stage(struct server *s, uint64_t index, uint64_t term)
{
    struct raft_snapshot_metadata image = {.index = index, .term = term, .configuration_index = 1};
    struct error e;

    image.configuration = members(3, 0);
    int rv = driver_snapshot_staged(s->driver, s->now_ms, &image, term, &e);
    raft_configuration_close(&image.configuration);
    return rv;
}

void server_install(struct server *s)
{
    struct error e;

    assert(s->install.index > 0);
    copy_snapshot(&s->snapshot, &s->install);
    memlog_reset(&s->log, s->install.index + 1, s->install.term);
    memlog_reset(&s->disk, s->install.index + 1, s->install.term);
    s->written = s->install.index + 1;
    s->applicable = s->install.index;
    raft_configuration_close(&s->install.configuration);
    memset(&s->install, 0, sizeof s->install);
    must(driver_snapshot_installed(s->driver, s->now_ms, &s->snapshot, &e), &e);
}

void server_win(struct server *s, unsigned voters)
{
    server_timeout(s);
    uint64_t term = driver_term(s->driver) + 1;
    for (uint64_t id = 2; id <= voters && driver_term(s->driver) < term; id++) {
        struct raft_message m = vote_result(id, term, true, true);
        server_hear(s, &m);
    }
    for (uint64_t id = 2; id <= voters && driver_state(s->driver) != RAFT_LEADER; id++) {
        struct raft_message m = vote_result(id, term, true, false);
        server_hear(s, &m);
    }
    assert(driver_state(s->driver) == RAFT_LEADER);
}

/* What was sent */

unsigned server_sent(const struct server *s, enum raft_message_type type, uint64_t to)
{
    unsigned n = 0;
    for (const struct letter *l = s->sent; l != NULL; l = l->next) {
        n += l->type == type && l->to == to;
    }
    return n;
}

const struct raft_message *server_last_sent(struct server *s, enum raft_message_type type, uint64_t to)
{
    static struct raft_message message;
    static struct letter *copy;
    const struct letter *found = NULL;
    struct error e;

    if (copy != NULL) {
        message_close(&message, false);
        free(copy);
        copy = NULL;
    }
    if (to == 0) {
        return NULL; /* server_close() only ends the loan */
    }
    for (const struct letter *l = s->sent; l != NULL; l = l->next) {
        found = l->type == type && l->to == to ? l : found;
    }
    assert(found != NULL);
    copy = malloc(sizeof *copy + found->len);
    memcpy(copy, found, sizeof *copy + found->len);
    must(message_decode(copy->bytes, copy->len, copy->from, name_of(copy->from), &message, &e), &e);
    return &message;
}

struct letter *server_take_sent(struct server *s)
{
    struct letter *letter = s->sent;

    if (letter != NULL) {
        s->sent = letter->next;
        letter->next = NULL;
    }
    if (s->sent == NULL) {
        s->sent_end = &s->sent;
    }
    return letter;
}

void server_forget_sent(struct server *s)
{
    struct letter *letter;
    while ((letter = server_take_sent(s)) != NULL) {
        free(letter);
    }
}

/* Messages to hear */

static struct raft_message message_from(uint64_t from, enum raft_message_type type)
{
    struct raft_message m;

    memset(&m, 0, sizeof m);
    m.type = type;
    m.server_id = from;
    m.server_address = name_of(from);
    return m;
}

void script_append(struct script *script, uint64_t from, uint64_t term, uint64_t prev, uint64_t prev_term,
                   uint64_t commit)
{
    memset(script, 0, sizeof *script);
    script->message = message_from(from, RAFT_APPEND_ENTRIES);
    script->message.append_entries.term = term;
    script->message.append_entries.prev_log_index = prev;
    script->message.append_entries.prev_log_term = prev_term;
    script->message.append_entries.leader_commit = commit;
    script->message.append_entries.entries = script->entries;
}

void script_entry(struct script *script, uint64_t term, enum raft_entry_type type, const void *p, size_t len)
{
    struct raft_append_entries *ae = &script->message.append_entries;

    assert(ae->n_entries < sizeof script->entries / sizeof script->entries[0]);
    script->entries[ae->n_entries++] =
        (struct raft_entry){.term = term, .type = type, .buf = {.base = (void *)(uintptr_t)p, .len = len}};
}

void script_command(struct script *script, uint64_t term, const char *text)
{
    script_entry(script, term, RAFT_COMMAND, text, strlen(text));
}

void script_configuration(struct script *script, uint64_t term, unsigned voters, unsigned standbys)
{
    struct raft_configuration c = members(voters, standbys);
    struct raft_buffer encoded;
    int rv = raft_configuration_encode(&c, &encoded);

    assert(rv == 0);
    script_entry(script, term, RAFT_CHANGE, encoded.base, encoded.len);
    raft_configuration_close(&c);
}

void script_close(struct script *script)
{
    for (unsigned i = 0; i < sizeof script->entries / sizeof script->entries[0]; i++) {
        if (script->entries[i].type == RAFT_CHANGE) {
            raft_free(script->entries[i].buf.base);
        }
    }
}

struct raft_message append_result(uint64_t from, uint64_t term, uint64_t rejected, uint64_t last)
{
    struct raft_message m = message_from(from, RAFT_APPEND_ENTRIES_RESULT);

    m.append_entries_result.version = 2;
    m.append_entries_result.term = term;
    m.append_entries_result.rejected = rejected;
    m.append_entries_result.last_log_index = last;
    return m;
}

struct raft_message vote_request(uint64_t from, uint64_t term, uint64_t last, uint64_t last_term,
                                 bool pre_vote, bool disrupt)
{
    struct raft_message m = message_from(from, RAFT_REQUEST_VOTE);

    m.request_vote.version = 2;
    m.request_vote.term = term;
    m.request_vote.candidate_id = from;
    m.request_vote.last_log_index = last;
    m.request_vote.last_log_term = last_term;
    m.request_vote.pre_vote = pre_vote;
    m.request_vote.disrupt_leader = disrupt;
    return m;
}

struct raft_message vote_result(uint64_t from, uint64_t term, bool granted, bool pre_vote)
{
    struct raft_message m = message_from(from, RAFT_REQUEST_VOTE_RESULT);

    m.request_vote_result.version = 2;
    m.request_vote_result.term = term;
    m.request_vote_result.vote_granted = granted;
    m.request_vote_result.pre_vote = pre_vote;
    return m;
}

struct raft_message install_request(uint64_t from, uint64_t term, uint64_t index, uint64_t index_term)
{
    struct raft_message m = message_from(from, RAFT_INSTALL_SNAPSHOT);

    m.install_snapshot.term = term;
    m.install_snapshot.last_index = index;
    m.install_snapshot.last_term = index_term;
    m.install_snapshot.conf = members(3, 0);
    m.install_snapshot.conf_index = 1;
    return m;
}

struct raft_configuration members(unsigned voters, unsigned standbys)
{
    struct raft_configuration c;

    raft_configuration_init(&c);
    for (uint64_t id = 1; id <= voters + standbys; id++) {
        int rv = raft_configuration_add(&c, id, name_of(id), id <= voters ? RAFT_VOTER : RAFT_STANDBY);
        assert(rv == 0);
    }
    return c;
}
