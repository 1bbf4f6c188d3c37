#include "storage/load_command.h"

int load_command_get(struct cursor *c, struct load_command *ret_load, struct error *e)
{
    uint8_t step = cursor_u8(c);
    struct load_command load = {.load = cursor_u64(c)};

    if (!c->bad && (step < LOAD_BEGIN || step > LOAD_ABORT)) {
        return error_set(e, Q_MISMATCH, "unknown step %u of a load", step);
    }
    load.step = (enum load_step)step;
    if (step == LOAD_PIECE || step == LOAD_FINISH) {
        load.number = cursor_u64(c);
    }
    if (step == LOAD_PIECE) {
        load.bytes = cursor_blob(c);
    }
    size_t n = cursor_left(&load.bytes);
    bool numbered = step != LOAD_PIECE || (load.number > 0 && load.number <= INT64_MAX);
    bool sized = step != LOAD_PIECE || (n > 0 && n <= LOAD_PIECE_MAX);
    if (c->bad || cursor_left(c) > 0 || load.load == 0 || !numbered || !sized) {
        return error_set(e, Q_CORRUPT, "the bytes of a load do not follow their format");
    }
    *ret_load = load;
    return 0;
}

void load_command_put(struct buf *b, const struct load_command *load)
{
    buf_put_u8(b, (uint8_t)load->step);
    buf_put_u64(b, load->load);
    if (load->step == LOAD_PIECE || load->step == LOAD_FINISH) {
        buf_put_u64(b, load->number);
    }
    if (load->step == LOAD_PIECE) {
        buf_put_blob(b, load->bytes.p, cursor_left(&load->bytes));
    }
}
