#include "tests/unit/raft_glue/batcher_scene.h"

void on_done(struct batcher_command *command, const struct batcher_answer *answer)
{
    struct caller *caller = CONTAINER_OF(command, struct caller, command);
    struct error e;

    assert_false(caller->scene->pushing);
    caller->done++;
    caller->code = answer->error.code;
    caller->index = answer->index;
    if (answer->error.code == Q_OK) {
        snprintf(caller->text, sizeof caller->text, "%.*s", (int)answer->len, (const char *)answer->result);
    } else {
        snprintf(caller->text, sizeof caller->text, "%.31s", answer->error.text);
    }
    if (caller->forgets != NULL) {
        batcher_forget(caller->scene->batcher, &caller->forgets->command);
    }
    if (caller->pushes != NULL) {
        batcher_push(caller->scene->batcher, &caller->pushes->command, &e);
    }
}

int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct error e;
    struct batcher_config config = {
        .consensus = &s->consensus,
        .inflight_max = 2,
        .backlog_max = 64,
        .queue_bytes = 4 * 1024 * 1024,
        .queue_commands = 2500,
        .grace_ms = GRACE_MS,
    };

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    s->env = config.env = sim_node_boot(s->node);
    fake_init(&s->consensus);
    assert_int_equal(batcher_new(&config, &s->batcher, &e), 0);
    for (unsigned i = 0; i < COMMANDS; i++) {
        struct caller *caller = &s->callers[i];
        caller->scene = s;
        snprintf((char *)caller->bytes, sizeof caller->bytes, "command %u", i % 10);
        caller->command = (struct batcher_command){.bytes = caller->bytes, .len = SMALL, .done = on_done};
    }
    *state = s;
    return 0;
}

int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    batcher_free(s->batcher);
    fake_close(&s->consensus);
    sim_free(s->sim);
    free(s);
    return 0;
}

int push(struct scene *s, unsigned caller, struct error *e)
{
    int rv;
    s->pushing = true;
    rv = batcher_push(s->batcher, &s->callers[caller].command, e);
    s->pushing = false;
    return rv;
}

void push_some(struct scene *s, unsigned n)
{
    struct error e;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(push(s, s->next++, &e), 0);
    }
}

void push_large(struct scene *s, size_t len)
{
    s->callers[s->next].command.bytes = s->large;
    s->callers[s->next].command.len = len;
    push_some(s, 1);
}

void poll(struct scene *s)
{
    batcher_poll(s->batcher, &s->position);
}

struct batch batch_at(const struct scene *s, uint64_t index)
{
    const struct fake_entry *entry = &s->consensus.entries[index - 1];
    struct batch batch;
    struct error e;

    assert_in_range(index, 1, s->consensus.last);
    assert_int_equal(entry->type, LOG_COMMANDS);
    assert_int_equal(batch_decode(entry->data, entry->len, &batch, &e), 0);
    return batch;
}

void commit(struct scene *s, uint64_t index)
{
    s->consensus.commit = index;
    poll(s);
}

void apply(struct scene *s, uint64_t index, uint64_t term, unsigned n)
{
    struct buf results;
    char text[32];

    buf_init(&results, 1024 * 1024);
    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof text, "result %u", i);
        buf_put_blob(&results, text, strlen(text));
    }
    s->position.applied = index;
    batcher_applied(s->batcher, index, term, cursor_of(results.data, results.len));
    buf_close(&results);
}

void lose_leadership(struct scene *s)
{
    s->consensus.role = CONSENSUS_FOLLOWER;
    s->consensus.term++;
    poll(s);
}

void lead_again(struct scene *s)
{
    s->consensus.role = CONSENSUS_LEADER;
    s->consensus.term++;
    poll(s);
}

void wait_ms(struct scene *s, uint64_t ms)
{
    sim_run_until(s->sim, sim_now_us(s->sim) + ms * 1000);
}

void expect(struct scene *s, unsigned caller, enum error_code code, const char *text)
{
    assert_int_equal(s->callers[caller].done, 1);
    assert_int_equal(s->callers[caller].code, code);
    if (text != NULL) {
        assert_string_equal(s->callers[caller].text, text);
    }
}

void expect_pending(struct scene *s, unsigned caller)
{
    assert_int_equal(s->callers[caller].done, 0);
}
