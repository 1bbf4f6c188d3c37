#include "raft_glue/segment_pool.h"

#include <assert.h>
#include <string.h>

#include "base/plant.h"

#define POOL_MAGIC 0x706f6f6cu

void segment_pool_init(struct segment_pool *p)
{
    p->magic = POOL_MAGIC;
    list_init(&p->ready);
    list_init(&p->old);
    p->next_sequence = 1;
    p->next_spare = 1;
    p->job = POOL_IDLE;
}

static void free_all(struct segment_pool *p, struct list *segments)
{
    LIST_EACH_SAFE (segments, item) {
        list_remove(item);
        segment_free(p->env, CONTAINER_OF(item, struct segment, link));
    }
}

void segment_pool_close(struct segment_pool *p)
{
    free_all(p, &p->ready);
    free_all(p, &p->old);
    if (p->job != POOL_IDLE) {
        segment_free(p->env, p->segment);
    }
    p->magic = 0;
}

int segment_pool_found_spare(struct segment_pool *p, uint64_t number, struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    struct env_file *file;
    uint64_t size;
    segment_spare_path(p->dir, number, path);
    int rc = env_open(p->env, path, 0, &file, e);
    if (rc == 0) {
        rc = env_size(p->env, file, &size, e);
        env_close(p->env, file);
    }
    if (rc != 0) {
        return rc;
    }
    if (number >= p->next_spare) {
        p->next_spare = number + 1;
    }
    if (size != p->bytes || p->spare_count == POOL_SPARES) {
        return env_unlink(p->env, path, e);
    }
    p->spares[p->spare_count++] = number;
    return 0;
}

static struct format_segment next_head(struct segment_pool *p)
{
    struct format_segment head = {.sequence = p->next_sequence++, .cluster = p->cluster, .bytes = p->bytes};
    if (!PLANTED("recycled_segments_keep_their_salt")) {
        env_random(p->env, &head.salt, sizeof head.salt);
    }
    return head;
}

static void choose_spare(struct segment_pool *p, uint64_t *ret_spare, bool *ret_zero)
{
    *ret_zero = p->spare_count == 0;
    *ret_spare = *ret_zero ? p->next_spare++ : p->spares[--p->spare_count];
}

static int prepare(struct segment_pool *p, uint64_t spare, bool zero, const struct format_segment *head,
                   struct segment **ret_segment, struct error *e)
{
    int rc = zero ? segment_zero(p->env, p->dir, spare, p->bytes, e) : 0;
    return rc != 0 ? rc : segment_from_spare(p->env, p->dir, spare, head, ret_segment, e);
}

/* A full disk may not hold one more file, so take one that was ready; the last, to leave no hole. */
static int ready_to_spare(struct segment_pool *p, struct error *e)
{
    if (p->spare_count > 0 || p->ready_count == 0 || p->job == POOL_PREPARE) {
        return 0;
    }
    struct segment *s = CONTAINER_OF(p->ready.prev, struct segment, link);
    return segment_pool_back_to_spare(p, s, e);
}

int segment_pool_back_to_spare(struct segment_pool *p, struct segment *s, struct error *e)
{
    uint64_t number = p->next_spare++;
    list_remove(&s->link);
    p->ready_count--;
    int rc = segment_to_spare(p->env, p->dir, s, number, e);
    segment_free(p->env, s);
    return rc != 0 ? rc : segment_pool_found_spare(p, number, e);
}

int segment_pool_begin(struct segment_pool *p, const struct format_segment *head,
                       struct segment **ret_segment, struct error *e)
{
    struct format_segment all = next_head(p);
    uint64_t spare;
    bool zero;
    all.begins = true;
    all.number = head->number;
    all.chain = head->chain;
    all.first = head->first;
    all.before_term = head->before_term;
    int rc = ready_to_spare(p, e);
    if (rc != 0) {
        return rc;
    }
    choose_spare(p, &spare, &zero);
    rc = prepare(p, spare, zero, &all, ret_segment, e);
    if (rc != 0) {
        return rc;
    }
    (*ret_segment)->last_number = all.number - 1;
    LIST_EACH_SAFE (&p->ready, item) {
        list_remove(item);
        list_push(&p->old, item);
    }
    p->ready_count = 0;
    p->wanted = false;
    return 0;
}

struct segment *segment_pool_take(struct segment_pool *p)
{
    struct list *item = list_pop(&p->ready);
    p->again = p->again || (item == NULL && !p->wanted);
    p->wanted = item == NULL;
    if (item != NULL) {
        p->ready_count--;
    }
    segment_pool_work(p);
    return item != NULL ? CONTAINER_OF(item, struct segment, link) : NULL;
}

void segment_pool_retire(struct segment_pool *p, struct segment *s)
{
    list_push(&p->old, &s->link);
}

void segment_pool_covered(struct segment_pool *p, uint64_t number)
{
    p->covered = number;
}

uint64_t segment_pool_wants_covered(const struct segment_pool *p)
{
    uint64_t wants = 0;
    LIST_EACH (&p->old, item) {
        uint64_t number = CONTAINER_OF(item, struct segment, link)->last_number;
        wants = number > wants ? number : wants;
    }
    return wants > p->covered ? wants : 0;
}

/* On the worker lane. */
static void run(struct env_work *work)
{
    struct segment_pool *p =
        CAST(struct segment_pool, CONTAINER_OF(work, struct segment_pool, work), POOL_MAGIC);
    char path[SEGMENT_PATH_MAX];
    segment_spare_path(p->dir, p->spare, path);
    if (p->job == POOL_PREPARE) {
        p->rc = prepare(p, p->spare, p->zero, &p->head, &p->segment, &p->error);
        if (p->rc == Q_NO_SPACE && p->zero) {
            env_unlink(p->env, path, NULL); /* the next attempt makes another */
        }
        return;
    }
    p->rc = segment_to_spare(p->env, p->dir, p->segment, p->spare, &p->error);
    if (p->rc == 0 && p->drop) {
        p->rc = env_unlink(p->env, path, &p->error);
    }
    /* Closing an unlinked file frees its blocks: not on the loop. */
    segment_free(p->env, p->segment);
    p->segment = NULL;
}

static void prepare_done(struct segment_pool *p)
{
    if (p->rc != 0) {
        /* The same sequence again: a hole would look like a lost segment. */
        if (p->next_sequence == p->head.sequence + 1) {
            p->next_sequence = p->head.sequence;
        }
        p->no_room = p->rc == Q_NO_SPACE;
        return;
    }
    p->no_room = false;
    if (p->next_sequence == p->head.sequence + 1) {
        list_push(&p->ready, &p->segment->link);
        p->ready_count++;
    } else {
        /* The log has begun anew behind it in the meantime. It goes before what it precedes. */
        list_push(p->old.next, &p->segment->link);
    }
    p->segment = NULL;
}

static void retire_done(struct segment_pool *p)
{
    if (p->rc == 0 && !p->drop) {
        p->spares[p->spare_count++] = p->spare;
    }
}

static void done(struct env_work *work)
{
    struct segment_pool *p =
        CAST(struct segment_pool, CONTAINER_OF(work, struct segment_pool, work), POOL_MAGIC);
    bool prepared = p->job == POOL_PREPARE;
    if (prepared) {
        prepare_done(p);
    } else {
        retire_done(p);
    }
    p->job = POOL_IDLE;
    if (p->stopped) {
        p->idle(p->ctx);
        return;
    }
    /* A disk that has no room for one more file is no failure: the log waits until there is some. One that
     * has none for a file that is there already is. */
    if (p->rc != 0 && (p->rc != Q_NO_SPACE || !prepared || !p->zero)) {
        p->stopped = true;
        p->failed(p->ctx, &p->error);
        p->idle(p->ctx);
        return;
    }
    if (prepared && p->rc == 0 && p->wanted) {
        p->prepared(p->ctx);
    }
    segment_pool_work(p);
    p->idle(p->ctx);
}

static void start(struct segment_pool *p, enum pool_job job)
{
    p->job = job;
    p->rc = 0;
    p->work.lane = ENV_WORKER;
    p->work.run = run;
    p->work.done = done;
    env_run(p->env, &p->work);
}

static struct segment *next_to_retire(struct segment_pool *p)
{
    if (list_empty(&p->old)) {
        return NULL;
    }
    struct segment *s = CONTAINER_OF(p->old.next, struct segment, link);
    bool covered = s->last_number <= p->covered || PLANTED("segments_go_before_the_mark_passed_them");
    return s->writes == 0 && covered ? s : NULL;
}

void segment_pool_work(struct segment_pool *p)
{
    if (p->job != POOL_IDLE || p->stopped) {
        return;
    }
    struct segment *old = next_to_retire(p);
    bool short_of_ready = p->ready_count < POOL_READY && (!p->no_room || p->again || p->spare_count > 0);
    if (short_of_ready && (p->spare_count > 0 || old == NULL)) {
        p->segment = NULL;
        p->again = false;
        p->head = next_head(p);
        choose_spare(p, &p->spare, &p->zero);
        start(p, POOL_PREPARE);
    } else if (old != NULL) {
        list_remove(&old->link);
        p->segment = old;
        p->spare = p->next_spare++;
        p->drop = p->spare_count == POOL_SPARES || old->head.bytes != p->bytes;
        start(p, POOL_RETIRE);
    }
}

void segment_pool_retry(struct segment_pool *p)
{
    p->again = p->no_room && !PLANTED("segment_is_tried_once");
    segment_pool_work(p);
}
