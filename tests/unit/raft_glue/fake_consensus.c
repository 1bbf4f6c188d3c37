#include "tests/unit/raft_glue/fake_consensus.h"

#include "tests/unit/test.h"

void fake_init(struct consensus *c)
{
    memset(c, 0, sizeof *c);
    c->role = CONSENSUS_LEADER;
    c->term = 2;
}

void fake_append(struct consensus *c, uint64_t term, enum log_entry_type type, const void *p, uint32_t len)
{
    struct fake_entry *entry = &c->entries[c->last];
    assert_in_range(c->last, 0, FAKE_ENTRIES - 1);
    *entry = (struct fake_entry){.term = term, .type = type, .data = malloc(len ? len : 1), .len = len};
    memcpy(entry->data, p, len);
    c->last++;
}

void fake_truncate(struct consensus *c, uint64_t index)
{
    while (c->last >= index) {
        c->last--;
        free(c->entries[c->last].data);
    }
}

void fake_close(struct consensus *c)
{
    fake_truncate(c, 1);
}

bool consensus_leads(const struct consensus *c)
{
    return c->role == CONSENSUS_LEADER && !c->transferring;
}

enum consensus_role consensus_role(const struct consensus *c)
{
    return c->role;
}

uint64_t consensus_term(const struct consensus *c)
{
    return c->term;
}

uint64_t consensus_commit(const struct consensus *c)
{
    return c->commit;
}

uint64_t consensus_applicable(const struct consensus *c)
{
    return c->applicable;
}

uint64_t consensus_last(const struct consensus *c)
{
    return c->last;
}

uint64_t consensus_floor(const struct consensus *c)
{
    return c->floor;
}

uint32_t consensus_entry_max(const struct consensus *c)
{
    (void)c;
    return FAKE_ENTRY_MAX;
}

int consensus_submit(struct consensus *c, enum log_entry_type type, const void *p, uint32_t len,
                     struct error *e)
{
    if (c->refusal.code != Q_OK) {
        return error_set(e, c->refusal.code, "%s", c->refusal.text);
    }
    fake_append(c, c->term, type, p, len);
    return 0;
}

int consensus_entry(struct consensus *c, uint64_t index, struct log_entry *ret_entry, struct error *e)
{
    const struct fake_entry *entry = &c->entries[index - 1];
    assert_in_range(index, 1, c->last);
    if (index == c->damaged) {
        return error_set(e, Q_CORRUPT, "a record is damaged");
    }
    *ret_entry = (struct log_entry){
        .index = index, .term = entry->term, .type = entry->type, .data = entry->data, .len = entry->len};
    return 0;
}
