/* Which requests have waited long enough: for their answer, or for a leader. */
#include "base/plant.h"
#include "cluster/requests_impl.h"

static bool can_be_ended(const struct replica_request *q)
{
    return q->phase != REQUEST_CLASSIFY && q->phase != REQUEST_READING && q->phase != REQUEST_ANSWERED;
}

/* Takes it back from whoever has it; whether it may be done nevertheless. */
static bool withdraw(struct replica_request *q)
{
    switch (q->phase) {
    case REQUEST_WRITING: return !batcher_forget(q->owner->config.batcher, &q->writing);
    case REQUEST_FORWARDED: forward_forget(&q->call); return !PLANTED("late_forwarded_write_means_not_done");
    case REQUEST_ASKING_HERE: consensus_forget(&q->asking); return false;
    case REQUEST_ASKING_LEADER: forward_forget(&q->call); return false;
    case REQUEST_SEEKING:
    case REQUEST_CATCHING_UP:
    case REQUEST_CLASSIFY:
    case REQUEST_READING:
    case REQUEST_ANSWERED: return false;
    }
    return false;
}

static void expire(struct replica_request *q)
{
    static const char *const late[] = {
        [REQUEST_WRITING] = "the request waited too long: nothing was done",
        [REQUEST_ASKING_HERE] = "no majority confirmed the leader in time",
        [REQUEST_ASKING_LEADER] = "the leader did not answer in time",
        [REQUEST_SEEKING] = "leader not found",
        [REQUEST_CATCHING_UP] = "this node is too far behind the leader",
    };
    enum request_phase phase = q->phase;

    metric_add(&q->owner->counters[C_TIMEOUTS], 1);
    if (!withdraw(q)) {
        requests_finish_code(q, phase == REQUEST_SEEKING ? Q_NO_LEADER : Q_TIMEOUT, late[phase]);
    } else if (phase == REQUEST_WRITING) {
        requests_finish_code(
            q, Q_UNKNOWN,
            "no majority answered in time: the outcome is unknown, the write may still be applied");
    } else {
        requests_finish_code(
            q, Q_UNKNOWN,
            "the leader did not answer in time: the outcome is unknown, the write may still be applied");
    }
}

static void give_up(struct replica_request *q)
{
    if (withdraw(q)) {
        requests_finish_code(q, Q_UNKNOWN,
                             "this node is stopping: the outcome is unknown, the write may still be applied");
    } else {
        requests_finish_code(q, Q_CLOSED, "this node is stopping");
    }
}

/* Ends with END what is past its deadline at NOW and can be ended. Answers are told after the walk, so that
 * their callbacks cannot disturb it. */
static void end_all(struct requests *rs, uint64_t now, void (*end)(struct replica_request *q))
{
    struct list *const lists[] = {&rs->under_way, &rs->catching_up, &rs->seeking};

    rs->submitting = true;
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        LIST_EACH_SAFE (lists[i], item) {
            struct replica_request *q = CONTAINER_OF(item, struct replica_request, link);
            if (now >= q->deadline_ms && can_be_ended(q)) {
                end(q);
            }
        }
    }
    rs->submitting = false;
}

/* Those that seek a leader look again; each is looked at once. */
static void seek(struct requests *rs)
{
    struct list mine, *link;

    list_take(&mine, &rs->seeking);
    while ((link = list_pop(&mine)) != NULL) {
        list_push(&rs->under_way, link);
        requests_route(CONTAINER_OF(link, struct replica_request, link));
    }
}

void requests_tick(struct requests *rs)
{
    end_all(rs, env_now_ms(rs->config.env), expire);
    rs->submitting = true; /* no answer comes while those that wait are walked through */
    seek(rs);
    rs->submitting = false;
}

void requests_give_up(struct requests *rs)
{
    end_all(rs, UINT64_MAX, give_up);
}
