#include "raft_glue/log_resync.h"

#include <assert.h>

static_assert(LOG_WRITES_MAX == 2, "of groups in flight, all but the first may stay behind a cut");

/* Whether FOUND is known to have counted; see the header. */
static int counts(struct log_replay *r, const struct log_found *found, bool *ret_counts, struct error *e)
{
    struct segment *s = found->segment, *after = log_replay_after(r, s);
    struct log_found next;
    uint64_t end = found->offset + found->head.bytes;
    int rc = 0;
    *ret_counts = found->head.number == found->head.durable + 1 ||
                  (found->head.number == r->mark->number && s->head.sequence == r->mark->sequence &&
                   end == r->mark->end);
    for (uint64_t offset = end; !*ret_counts && offset < s->head.bytes; offset += ENV_BLOCK) {
        *ret_counts =
            log_image_group(&r->image, offset, &next) && next.proved && next.head.number > found->head.number;
    }
    uint64_t chain;
    if (!*ret_counts && after != NULL && log_found_chain(found, &chain)) {
        rc = log_image_load(&r->image, after, e); /* in the place of what FOUND points to */
        *ret_counts = rc == 0 && log_image_group(&r->image, ENV_BLOCK, &next) &&
                      next.head.number == found->head.number + 1 && next.head.chain == chain;
        rc = rc != 0 ? rc : log_image_load(&r->image, s, e);
    }
    return rc;
}

static int go_on_before(struct log_replay *r, const struct log_found *found, struct error *e)
{
    r->at = (struct format_mark){
        .cluster = r->at.cluster,
        .number = found->head.number - 1,
        .chain = found->head.chain,
        .index = found->head.first - 1,
        .term = found->head.before_term,
        .sequence = found->segment->head.sequence,
        .end = found->offset,
    };
    r->end = found->segment;
    return log_replay_join(r, r->at.index, r->at.term, e);
}

static int go_on_at_mark(struct log_replay *r, struct error *e)
{
    r->at = *r->mark;
    /* The last segment that is not behind it; of an earlier one than the mark's nothing is left to read. */
    LIST_EACH (r->segments, item) {
        struct segment *s = CONTAINER_OF(item, struct segment, link);
        if (s->head.sequence <= r->mark->sequence) {
            r->end = s;
        }
    }
    r->at.end = r->end->head.sequence == r->mark->sequence ? r->mark->end : r->end->head.bytes;
    return log_replay_join(r, r->at.index, r->at.term, e);
}

static bool behind_mark(const struct log_replay *r, const struct segment *s, uint64_t offset)
{
    return r->mark->number > r->at.number &&
           (s->head.sequence > r->mark->sequence ||
            (s->head.sequence == r->mark->sequence && offset >= r->mark->end));
}

int log_resync(struct log_replay *r, struct error *e)
{
    struct log_found found, last = {0};
    bool good = false, claimed = false;
    uint64_t offset = r->at.end;
    int rc = 0;
    for (struct segment *s = r->end; s != NULL; s = log_replay_after(r, s), offset = ENV_BLOCK) {
        if ((rc = log_image_load(&r->image, s, e)) != 0) {
            return rc;
        }
        for (; offset < s->head.bytes; offset += ENV_BLOCK) {
            if (behind_mark(r, s, offset)) {
                return go_on_at_mark(r, e);
            }
            if (!log_image_group(&r->image, offset, &found) || !found.proved ||
                found.head.number <= r->at.number + 1 || found.head.first == 0) {
                continue;
            }
            if ((rc = counts(r, &found, &good, e)) != 0) {
                return rc;
            }
            if (good) {
                return go_on_before(r, &found, e);
            }
            if (found.head.durable == r->durable) {
                last = found;
                claimed = true;
            }
        }
    }
    if (r->mark->number > r->at.number) {
        return go_on_at_mark(r, e);
    }
    if (r->durable <= r->at.number) {
        return log_replay_join(r, r->known_index, r->known_term, e);
    }
    /* Whether the one that says so counted or not: it says, too, how far the log went then. It may stand in a
     * place that is not its own, and not behind this one. */
    if (claimed) {
        return go_on_before(r, &last, e);
    }
    r->at.number = r->claim.number - 1;
    r->at.chain = r->claim.chain;
    return log_replay_join(r, r->claim.first - 1, r->claim.before_term, e);
}
