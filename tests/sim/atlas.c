#include "tests/sim/atlas.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "raft_glue/log_format.h"
#include "raft_glue/meta.h"
#include "storage/page_sum.h"

#define DATABASE  "/node/db.sqlite"
#define CHUNKS    "/node/chunks/"
#define MANIFESTS "/node/manifests/"

enum { TRIES = 16 };

/* Whether the database, as its file is now, has a good page there, or none. */
static bool page_is_good(const struct group_node *node, uint64_t page)
{
    struct sim_disk *disk = sim_node_disk(node->machine);
    uint8_t bytes[PAGE_BYTES];
    struct sim_inode *inode;
    struct error e;
    size_t n = 0;
    bool good;

    if (sim_disk_faults(disk).read_eio > 0 || sim_disk_open(disk, DATABASE, 0, &inode, &e) != 0) {
        return false;
    }
    good = sim_disk_read(disk, inode, (page - 1) * PAGE_BYTES, bytes, sizeof bytes, &n, &e) == 0 &&
           (n < sizeof bytes || page_sum_ok(bytes, page));
    sim_disk_close(disk, inode);
    return good;
}

/* As all know it that run. */
static bool is_out(const struct group *g, uint64_t id)
{
    unsigned know = 0;
    for (unsigned i = 0; i < g->count; i++) {
        struct peek at = {.runs = false};
        if (g->nodes[i].replica != NULL) {
            peek(g->nodes[i].replica, &at);
        }
        if (at.runs && !at.removed && peek_has_member(g->nodes[i].replica, id)) {
            return false;
        }
        know += at.runs && !at.removed && peek_voters(g->nodes[i].replica) > 0;
    }
    return know > 0;
}

/* Of the fewest voters that anybody knows of. */
static unsigned minority(struct atlas *a)
{
    unsigned least = UINT_MAX;
    for (unsigned i = 0; i < a->group->count; i++) {
        struct peek at = {.runs = false};
        if (a->group->nodes[i].replica != NULL) {
            peek(a->group->nodes[i].replica, &at);
        }
        if (at.runs && !at.removed && peek_voters(a->group->nodes[i].replica) > 0) {
            unsigned voters = peek_voters(a->group->nodes[i].replica);
            least = voters < least ? voters : least;
        }
    }
    a->voters = least < UINT_MAX ? least : a->voters;
    return (a->voters - 1) / 2;
}

/* Its node runs, and has mended its log; or has got another page from somewhere. */
static bool has_healed(const struct group_node *node, const struct atlas_spot *spot)
{
    if (node->id != spot->id) {
        return is_out(node->group, spot->id);
    }

    struct peek at = {.runs = false};
    if (node->replica != NULL && node->boots > spot->boots && !node->stale) {
        peek(node->replica, &at);
    }
    return at.runs && (spot->page == 0 || (!at.fenced && page_is_good(node, spot->page)));
}

static void forget_healed(struct atlas *a)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < a->count; i++) {
        const struct group_node *node = &a->group->nodes[a->spots[i].node];
        if (!has_healed(node, &a->spots[i])) {
            a->spots[kept++] = a->spots[i];
        }
    }
    a->count = kept;
}

/* Whether a spot takes part in what may be said of the entries from FROM to TO: a node that still mends may
 * come to miss anything. */
static bool concerns(const struct atlas *a, const struct atlas_spot *spot, uint64_t from, uint64_t to)
{
    const struct group_node *node = &a->group->nodes[spot->node];
    struct peek at = {.recovering = false};
    if (node->replica != NULL) {
        peek(node->replica, &at);
    }
    return at.recovering || node->stale || (from <= spot->to && spot->from <= to);
}

/* In the log, or, where that begins behind, in the database. */
static bool has_good_copy(const struct atlas *a, unsigned node, uint64_t from, uint64_t to)
{
    const struct group_node *other = &a->group->nodes[node];
    struct peek at;
    if (other->replica == NULL || other->broken) {
        return false;
    }
    peek(other->replica, &at);
    return at.runs && at.durable >= to && (at.first <= from || (a->group->on_disk && !at.fenced));
}

/* Whether the entries from FROM to TO may be damaged on NODE, and it may be away until it has healed. */
static bool may_damage(struct atlas *a, unsigned node, uint64_t from, uint64_t to)
{
    unsigned damaged = 0, copies = 0;

    if (a->ruthless) {
        return true;
    }
    forget_healed(a);
    for (unsigned other = 0; other < a->group->count; other++) {
        bool hit = false;
        for (unsigned i = 0; i < a->count && other != node; i++) {
            hit = hit || (a->spots[i].node == other && concerns(a, &a->spots[i], from, to));
        }
        damaged += hit;
        copies += other != node && !hit && has_good_copy(a, other, from, to);
    }
    return damaged < minority(a) && (copies > 0 || to == UINT64_MAX) && a->count < ATLAS_SPOTS_MAX;
}

/* A bit of a record, or now and then of the header of the group before it. Not of one that the mark has not
 * passed: its loss looks like a write that a crash tore, which nobody was told about. */
static bool in_a_record(const struct atlas *a, const struct group_node *node, struct rng *rng,
                        struct atlas_place *place)
{
    struct peek at;
    struct peek_record record;
    uint64_t index, first, last;

    peek(node->replica, &at);
    if (a->disks[node - a->group->nodes].mark_boots == node->boots) {
        return false;
    }
    at.marked = at.marked < at.durable ? at.marked : at.durable;
    if (at.first > at.marked) {
        return false;
    }
    index = rng_between(rng, at.first, at.marked);
    if (!peek_record(node->replica, index, &record)) {
        return false;
    }
    memcpy(place->path, record.path, sizeof place->path);
    place->from = index;
    peek_group(node->replica, index, &first, &last);
    place->offset = record.offset + rng_between(rng, 0, record.len - 1);
    place->to = place->offset < record.offset + record.header ? last : index;
    if (rng_between(rng, 0, 4) == 0 && peek_record(node->replica, first, &record)) {
        place->offset = record.offset - FORMAT_GROUP_BYTES + rng_between(rng, 0, FORMAT_GROUP_BYTES - 1);
        place->from = first;
        place->to = last;
    }
    return true;
}

/* One of two slots, and always the same one of a node, so that the other is there to heal it. */
static void in_a_slot(const struct atlas *a, const struct group_node *node, struct rng *rng,
                      struct atlas_place *place)
{
    bool meta = rng_between(rng, 0, 1);
    uint64_t slot = a->ruthless ? rng_between(rng, 0, 1) : node->id % 2;
    snprintf(place->path, sizeof place->path, "%s", meta ? "/node/meta" : "/node/log/durable");
    place->offset = meta ? slot * META_SLOT_BYTES + rng_between(rng, 0, META_SLOT_BYTES - 1)
                         : slot * ENV_BLOCK + rng_between(rng, 0, FORMAT_MARK_BYTES - 1);
    place->from = 1;
    place->to = 0;
}

static bool in_the_database(const struct group_node *node, struct rng *rng, struct atlas_place *place)
{
    struct error e;
    uint64_t size;
    if (sim_disk_stat(sim_node_disk(node->machine), DATABASE, &size, &e) != 0 || size == 0) {
        return false;
    }
    *place = (struct atlas_place){
        .path = DATABASE, .offset = rng_between(rng, 0, size - 1), .from = 1, .to = UINT64_MAX};
    place->page = place->offset / PAGE_BYTES + 1;
    return true;
}

bool atlas_choose(struct atlas *a, const struct group_node *node, struct rng *rng,
                  struct atlas_place *ret_place)
{
    for (unsigned i = 0; i < TRIES; i++) {
        bool found = true;
        if (rng_between(rng, 0, 4) == 0) {
            in_a_slot(a, node, rng, ret_place);
        } else {
            found = in_a_record(a, node, rng, ret_place);
        }
        ret_place->bit = (unsigned)rng_between(rng, 0, 7);
        ret_place->page = 0;
        ret_place->marked = false;
        if (found && (ret_place->from > ret_place->to ||
                      may_damage(a, (unsigned)(node - a->group->nodes), ret_place->from, ret_place->to))) {
            return true;
        }
    }
    return false;
}

/* From now on, until the node has healed. */
static void mark_damage(struct atlas *a, struct group_node *node, uint64_t from, uint64_t to, uint64_t page)
{
    node->damaged = node->damaged || page == 0;
    node->bad_pages = node->bad_pages || page != 0;
    if (from <= to && !a->ruthless && a->count < ATLAS_SPOTS_MAX) {
        a->spots[a->count++] = (struct atlas_spot){
            .node = (unsigned)(node - a->group->nodes),
            .boots = node->boots,
            .id = node->id,
            .from = from,
            .to = to,
            .page = page,
        };
    }
}

void atlas_flip(struct atlas *a, struct group_node *node, const struct atlas_place *place)
{
    struct error e;
    if (!place->marked) {
        mark_damage(a, node, place->from, place->to, place->page);
    }
    if (sim_disk_flip(sim_node_disk(node->machine), place->path, place->offset, place->bit, &e) != 0) {
        group_say(a->group, "node %" PRIu64 ": nothing to flip: %s", node->id, e.text);
        return;
    }
    group_say(a->group,
              "node %" PRIu64 ": bit %u of byte %" PRIu64 " of %s flips (entries %" PRIu64 " to %" PRIu64 ")",
              node->id, place->bit, place->offset, place->path, place->from, place->to);
}

bool atlas_choose_record(struct atlas *a, struct group_node *node, struct rng *rng,
                         struct atlas_place *ret_place)
{
    for (unsigned i = 0; i < TRIES; i++) {
        if (in_a_record(a, node, rng, ret_place) &&
            may_damage(a, (unsigned)(node - a->group->nodes), ret_place->from, ret_place->to)) {
            mark_damage(a, node, ret_place->from, ret_place->to, 0);
            ret_place->bit = (unsigned)rng_between(rng, 0, 7);
            ret_place->page = 0;
            ret_place->marked = true;
            return true;
        }
    }
    return false;
}

bool atlas_give_up(struct atlas *a, struct group_node *node)
{
    if (!may_damage(a, (unsigned)(node - a->group->nodes), 1, UINT64_MAX) && !a->ruthless) {
        return false;
    }
    mark_damage(a, node, 1, UINT64_MAX, 0);
    return true;
}

bool atlas_choose_page(struct atlas *a, const struct group_node *node, struct rng *rng,
                       struct atlas_place *ret_place)
{
    if (!in_the_database(node, rng, ret_place) ||
        !may_damage(a, (unsigned)(node - a->group->nodes), 1, UINT64_MAX)) {
        return false;
    }
    ret_place->bit = (unsigned)rng_between(rng, 0, 7);
    return true;
}

struct pick {
    struct rng *rng;
    struct atlas_place *place;
    unsigned seen;
};

static void maybe(void *ctx, const char *path, uint64_t size)
{
    struct pick *pick = ctx;
    if (size > 0 &&
        (strncmp(path, CHUNKS, sizeof CHUNKS - 1) == 0 ||
         strncmp(path, MANIFESTS, sizeof MANIFESTS - 1) == 0) &&
        rng_between(pick->rng, 0, pick->seen++) == 0) {
        *pick->place =
            (struct atlas_place){.offset = rng_between(pick->rng, 0, size - 1), .from = 1, .marked = true};
        snprintf(pick->place->path, sizeof pick->place->path, "%s", path);
    }
}

bool atlas_choose_image(const struct group_node *node, struct rng *rng, struct atlas_place *ret_place)
{
    struct pick pick = {.rng = rng, .place = ret_place};
    sim_disk_each_file(sim_node_disk(node->machine), maybe, &pick);
    ret_place->bit = (unsigned)rng_between(rng, 0, 7);
    return pick.seen > 0;
}

/* Which entries have their records in that range of a segment. False: one of them is not behind the mark yet.
 */
static bool entries_in(const struct group_node *node, const struct sim_disk_place *place, uint64_t *ret_from,
                       uint64_t *ret_to)
{
    struct peek at;
    struct peek_record record;
    uint64_t from = UINT64_MAX, to = 0;

    peek(node->replica, &at);
    for (uint64_t i = at.first; i <= at.last; i++) {
        if (peek_record(node->replica, i, &record) && strcmp(record.path, place->path) == 0 &&
            record.offset < place->offset + place->len && place->offset < record.offset + record.len) {
            if (i > at.marked) {
                return false;
            }
            from = i < from ? i : from;
            to = i;
        }
    }
    if (from ==
        UINT64_MAX) { /* nobody knows what it was: old entries, from which a start reads on, or nothing */
        *ret_from = 1;
        *ret_to = UINT64_MAX;
    } else {
        peek_group(node->replica, from, ret_from, &from);
        peek_group(node->replica, to, &to, ret_to);
    }
    return true;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

/* What may be lost is a write of meta or of the mark: both have another slot. What may be overwritten is what
 * the mark has passed, or nothing. */
static bool may_go_astray(void *ctx, const struct sim_disk_place *right, const struct sim_disk_place *wrong)
{
    struct atlas_disk *disk = ctx;
    struct group_node *node = disk->node;
    bool mark = ends_with(right->path, "/log/durable");
    uint64_t from = 1, to = 0;

    if (node->replica == NULL || node->broken || disk->mark_boots == node->boots ||
        (!mark && !ends_with(right->path, "/node/meta"))) {
        return false;
    }
    if (wrong->len > 0 &&
        (strstr(wrong->path, "/log/segment-") == NULL || !entries_in(node, wrong, &from, &to) ||
         (from <= to && !may_damage(disk->atlas, (unsigned)(node - disk->atlas->group->nodes), from, to)))) {
        return false;
    }
    disk->mark_boots = mark ? node->boots : disk->mark_boots;
    group_say(disk->atlas->group,
              "node %" PRIu64 ": a write to %s lands in %s at %" PRIu64 " (entries %" PRIu64 " to %" PRIu64
              ")",
              node->id, right->path, wrong->len > 0 ? wrong->path : "free space", wrong->offset, from, to);
    mark_damage(disk->atlas, node, from, to, 0);
    return true;
}

void atlas_init(struct atlas *a, struct group *g, bool ruthless)
{
    *a = (struct atlas){.group = g, .ruthless = ruthless, .voters = g->founders};
    for (unsigned i = 0; i < g->count; i++) {
        a->disks[i] = (struct atlas_disk){.atlas = a, .node = &g->nodes[i]};
        sim_disk_on_misdirect(sim_node_disk(g->nodes[i].machine), may_go_astray, &a->disks[i]);
    }
}
