#include "tests/unit/sim/record.h"

#include <string.h>

#include "base/crc32c.h"
#include "tests/sim/question.h"
#include "tests/unit/test.h"

void record_close(struct record *r)
{
    history_close(&r->history);
    ledger_close(&r->ledger);
}

static struct buf command_of(const struct op *op)
{
    struct buf b;
    buf_init(&b, 4096);
    question_put(&b, op);
    return b;
}

struct op *record_op(struct record *r, struct op op)
{
    size_t number = history_begin(&r->history, &op);
    struct op *made = &r->history.ops[number];
    struct buf command;

    made->value = op_is_write(made) ? number + 1 : 0;
    made->start_us = number * 20 + 1;
    made->end_us = UINT64_MAX;
    command = command_of(made);
    made->command = crc32c(0, command.data, command.len);
    buf_close(&command);
    return made;
}

struct op *record_done(struct record *r, struct op op, uint64_t index)
{
    struct op *made = record_op(r, op);
    made->outcome = OP_DONE;
    made->index = index;
    made->end_us = made->start_us + 10;
    made->logged = op_is_write(made);
    return made;
}

uint64_t record_entry(struct record *r, const size_t *ops, size_t count)
{
    struct batch head = {.term = 1, .index = r->last + 1, .commands = (uint32_t)count};
    struct log_entry entry = {.index = r->last + 1, .term = 1, .type = LOG_COMMANDS};
    struct buf b;

    buf_init(&b, 65536);
    batch_put_header(&b, &head);
    for (size_t i = 0; i < count; i++) {
        struct buf command = command_of(&r->history.ops[ops[i]]);
        buf_put_blob(&b, command.data, command.len);
        buf_close(&command);
    }
    r->last++;
    entry.data = b.data;
    entry.len = (uint32_t)b.len;
    assert_true(ledger_note(&r->ledger, r->last, 1, r->last > 1, &entry, r->why, sizeof r->why));
    assert_true(ledger_commit(&r->ledger, r->last, 1, 1, r->why, sizeof r->why));
    buf_close(&b);
    return r->last;
}

uint64_t record_logged(struct record *r)
{
    size_t newest = r->history.count - 1;
    return record_entry(r, &newest, 1);
}
