#include "tests/unit/raft_glue/gallery.h"

enum { WORK_US = 2000 };

static struct gallery *gallery_of(struct member *member)
{
    return CONTAINER_OF(member->all, struct gallery, members);
}

struct database *gallery_database(struct member *member)
{
    return &gallery_of(member)->database[member->id];
}

static bool by_hand(struct member *member)
{
    return gallery_of(member)->by_hand;
}

/* What a life of a member has begun ends with it. */
struct work {
    struct member *member;
    unsigned boots;
    void (*run)(struct member *);
};

static void run_work(void *ctx)
{
    struct work work = *(struct work *)ctx;
    free(ctx);
    if (!gallery_is_down(work.member) && gallery_database(work.member)->boots == work.boots) {
        work.run(work.member);
    }
}

static void later(struct member *member, void (*run)(struct member *))
{
    struct sim *sim = member->all->sim;
    struct work *work = malloc(sizeof *work);
    *work = (struct work){member, gallery_database(member)->boots, run};
    sim_call(sim, sim_now_us(sim) + WORK_US, run_work, work);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 1099511628211u + 1;
}

static void check_hash(struct member *member)
{
    struct database *db = gallery_database(member);
    uint64_t *known = &gallery_of(member)->hash_at[db->index];

    if (*known != 0 && *known != db->hash) {
        fail_msg("member %d has another history at index %d of term %d", (int)member->id, (int)db->index,
                 (int)db->term);
    }
    *known = db->hash;
    gallery_of(member)->term_at[db->index] = db->term;
}

static void apply(struct member *member)
{
    struct database *db = gallery_database(member);
    struct log_entry entry;
    struct error e;

    while (!consensus_installing(member->c) && db->index < consensus_applicable(member->c)) {
        assert_in_range(db->index, 0, GALLERY_ENTRIES - 2);
        if (consensus_entry(member->c, db->index + 1, &entry, &e) != 0) {
            if (gallery_is_down(member)) {
                return;
            }
            fail_msg("member %d, index %d: %s", (int)member->id, (int)db->index + 1, e.text);
        }
        db->index++;
        db->term = entry.term;
        db->hash = mix(mix(db->hash, entry.term), (uint64_t)entry.type);
        for (uint32_t i = 0; i < entry.len; i++) {
            db->hash = mix(db->hash, entry.data[i]);
        }
        check_hash(member);
    }
}

void gallery_put_at(struct member *member, uint64_t index)
{
    struct database *db = gallery_database(member);

    db->index = index;
    db->term = gallery_of(member)->term_at[index];
    db->hash = gallery_of(member)->hash_at[index];
    assert_true(index == 0 || db->hash != 0);
}

static int on_applied(void *ctx, uint64_t *ret_index, uint64_t *ret_term, struct error *e)
{
    struct database *db = gallery_database(ctx);
    (void)e;
    *ret_index = db->index;
    *ret_term = db->term;
    return 0;
}

static int on_swap(void *ctx, const struct consensus_image *image, struct error *e)
{
    struct database *db = gallery_database(ctx);
    (void)e;
    assert_true((image->index == db->staged.index && image->term == db->staged.term) ||
                (image->index == db->index && image->term == db->term));
    gallery_put_at(ctx, image->index);
    assert_int_equal(db->term, image->term);
    db->swaps++;
    return 0;
}

int gallery_copy(struct member *target, struct member *source, uint64_t index, struct error *e)
{
    struct database *db = gallery_database(target);
    struct consensus_image image;
    int rv = consensus_image_at(source->c, index, &image, e);

    if (rv == 0) {
        assert_in_range(image.configuration_len, 1, sizeof db->configuration);
        db->staged = image;
        memcpy(db->configuration, image.configuration, image.configuration_len);
        db->staged.configuration = db->configuration;
    }
    return rv;
}

int gallery_stage(struct member *target, struct member *source, uint64_t index, struct error *e)
{
    int rv = gallery_copy(target, source, index, e);
    return rv == 0 ? consensus_staged(target->c, &gallery_database(target)->staged, e) : rv;
}

static void fetch(struct member *member)
{
    struct database *db = gallery_database(member);
    struct member *source = &member->all->member[db->fetch_from];
    struct error e;

    if (gallery_is_down(source) || source->cut || member->cut || consensus_image_wanted(member->c) == 0) {
        return;
    }
    int rv = gallery_stage(member, source, gallery_database(source)->index, &e);
    if (rv != 0 && rv != Q_INVALID && rv != Q_BUSY) {
        fail_msg("staged: %s", e.text);
    }
}

static void on_fetch(void *ctx, uint64_t from, uint64_t index, uint64_t term)
{
    struct member *member = ctx;
    struct database *db = gallery_database(member);

    assert_false(member->quiet);
    db->fetches++;
    db->fetch_from = from;
    db->fetch_index = index;
    db->fetch_term = term;
    if (!by_hand(member)) {
        later(member, fetch);
    }
}

void gallery_put(struct member *member)
{
    const struct database *db = gallery_database(member);
    gallery_put_at(member, db->staged.index);
    assert_int_equal(db->term, db->staged.term);
}

/* On to a member that runs, from one that is open. */
static void go_on(struct member *member)
{
    const struct database *db = gallery_database(member);
    struct error e;
    int rv = consensus_recovering(member->c) ? consensus_recover(member->c, &e)
                                             : consensus_start(member->c, db->index, db->term, &e);
    if (rv != 0 && !gallery_is_down(member)) {
        fail_msg("member %d: %s", (int)member->id, e.text);
    }
}

static void installed(struct member *member)
{
    struct error e;
    bool recovering = consensus_recovering(member->c);

    if (consensus_installed(member->c, &e) == 0 && recovering) {
        go_on(member);
    }
}

void gallery_install(struct member *member)
{
    gallery_put(member);
    installed(member);
}

static void on_install(void *ctx)
{
    struct member *member = ctx;

    assert_false(member->quiet);
    gallery_database(member)->installs++;
    if (!by_hand(member)) {
        gallery_put(member);
        later(member, installed);
    }
}

static void on_recovering(void *ctx)
{
    struct member *member = ctx;
    struct log_report report;
    uint64_t given;
    struct error e;

    if (consensus_mended(member->c) && consensus_adopt(member->c, &report, &given, &e) == 0) {
        go_on(member);
    }
}

void gallery_init(struct gallery *g, unsigned count)
{
    memset(g, 0, sizeof *g);
    members_init(&g->members, count);
    for (unsigned i = 1; i <= count; i++) {
        struct member *member = &g->members.member[i];
        member->config.applied = on_applied;
        member->config.swap = on_swap;
        member->config.fetch = on_fetch;
        member->config.install = on_install;
        member->config.recovering = on_recovering;
        member->on_changed = apply;
    }
}

void gallery_start(struct member *member)
{
    struct error e;

    if (member_open(member, &e) != 0) {
        fail_msg("member %d: %s", (int)member->id, e.text);
    }
    go_on(member);
}

struct member *gallery_start_all(struct gallery *g)
{
    for (unsigned i = 1; i <= g->members.count; i++) {
        gallery_start(&g->members.member[i]);
    }
    return members_leader(&g->members);
}

bool gallery_is_down(const struct member *member)
{
    return member->c == NULL || sim_node_env(member->node) == NULL;
}

void gallery_crash(struct member *member)
{
    gallery_database(member)->boots++;
    member->fatals = 0;
    member_crash(member);
}

static bool all_applied(struct member *leader, uint64_t index)
{
    struct consensus_member found[MEMBERS_MAX];
    unsigned n = consensus_members(leader->c, found, MEMBERS_MAX);
    bool all = true;
    for (unsigned i = 0; i < n; i++) {
        struct member *member = &leader->all->member[found[i].id];
        all = all && (member->cut || gallery_database(member)->index >= index);
    }
    return all;
}

void gallery_write(struct member *leader, unsigned n)
{
    member_submit(leader, n, 100);
    uint64_t last = consensus_last(leader->c);
    MEMBERS_UNTIL(leader->all, all_applied(leader, last));
}

void gallery_compact(struct gallery *g)
{
    for (unsigned i = 1; i <= g->members.count; i++) {
        struct member *member = &g->members.member[i];
        uint64_t index = gallery_database(member)->index;
        struct error e;
        if (!member->cut && index > 0 && consensus_compact(member->c, index, index + 1, &e) != 0) {
            fail_msg("member %d: %s", (int)member->id, e.text);
        }
    }
}
