#include "storage/member_change.h"

bool member_address_ok(const struct cursor *address)
{
    size_t n = cursor_left(address);

    for (size_t i = 0; i < n; i++) {
        if (address->p[i] < '!' || address->p[i] > '~') {
            return false;
        }
    }
    return n >= 1 && n <= MEMBER_ADDRESS_MAX;
}

static int get(struct cursor *c, struct member_change *ret_change, struct error *e)
{
    uint8_t kind = cursor_u8(c);
    struct member_change change = {.id = cursor_u64(c), .incarnation = cursor_u64(c)};
    uint8_t state = cursor_u8(c);

    change.address = cursor_blob(c);
    if (c->bad) {
        return error_set(e, Q_CORRUPT, "a change of a member ends early");
    }
    if (kind < MEMBER_ADMIT || kind > MEMBER_MOVE || state < MEMBER_AUTO || state > MEMBER_REMOVED) {
        return error_set(e, Q_MISMATCH, "unknown change %u of a member, to state %u", kind, state);
    }
    if (change.id == 0 || change.id > INT64_MAX) {
        return error_set(e, Q_INVALID, "a member's id is 1 to %lld", (long long)INT64_MAX);
    }
    if (!member_address_ok(&change.address)) {
        return error_set(e, Q_INVALID, "an address has 1 to %d printable ASCII characters and no space in it",
                         MEMBER_ADDRESS_MAX);
    }
    change.kind = (enum member_change_kind)kind;
    change.state = (enum member_state)state;
    *ret_change = change;
    return 0;
}

int member_changes_get(struct cursor *c, struct member_change ret_changes[MEMBER_CHANGES_MAX],
                       unsigned *ret_count, struct error *e)
{
    uint8_t count = cursor_u8(c);

    if (c->bad || count < 1 || count > MEMBER_CHANGES_MAX) {
        return error_set(e, Q_CORRUPT, "%u changes of members in one command", count);
    }
    for (unsigned i = 0; i < count; i++) {
        if (get(c, &ret_changes[i], e)) {
            return (int)e->code;
        }
    }
    if (cursor_left(c) > 0) {
        return error_set(e, Q_CORRUPT, "bytes follow the changes of members");
    }
    *ret_count = count;
    return 0;
}

void member_changes_put(struct buf *b, const struct member_change *changes, unsigned count)
{
    buf_put_u8(b, (uint8_t)count);
    for (unsigned i = 0; i < count; i++) {
        const struct member_change *change = &changes[i];

        buf_put_u8(b, (uint8_t)change->kind);
        buf_put_u64(b, change->id);
        buf_put_u64(b, change->incarnation);
        buf_put_u8(b, (uint8_t)change->state);
        buf_put_blob(b, change->address.p, cursor_left(&change->address));
    }
}
