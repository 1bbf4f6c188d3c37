#include "cluster/steward.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/plant.h"

static bool leaves(const struct steward_member *m)
{
    return m->wanted == MEMBER_LEAVING || m->wanted == MEMBER_REMOVED;
}

#define EACH(m_, view_)                                                                                      \
    const struct steward_member *m_ = (view_)->members;                                                      \
    m_ < (view_)->members + (view_)->members_count;                                                          \
    m_++

unsigned steward_voters(const struct steward_view *view)
{
    unsigned n = 0;
    for (EACH(m, view)) {
        n += m->role == ROLE_VOTER;
    }
    return n;
}

bool steward_rest_is_sound(const struct steward_view *view, uint64_t id, unsigned *ret_voters,
                           unsigned *ret_answer)
{
    *ret_voters = *ret_answer = 0;
    for (EACH(m, view)) {
        if (m->role == ROLE_VOTER && m->id != id) {
            (*ret_voters)++;
            *ret_answer += m->answers;
        }
    }
    return *ret_answer > *ret_voters / 2 || PLANTED("voters_go_whatever_remains");
}

/* A voter that does not answer; NULL: none. */
static const struct steward_member *silent_voter(const struct steward_view *view)
{
    for (EACH(m, view)) {
        if (m->role == ROLE_VOTER && !m->answers && !PLANTED("voters_are_made_beside_dead_ones")) {
            return m;
        }
    }
    return NULL;
}

static void set(struct steward_step *step, enum steward_step_kind kind, uint64_t id)
{
    step->kind = kind;
    step->id = id;
}

/* Of several reasons the first is told. */
static void __attribute__((format(printf, 2, 3))) wait_for(struct steward_step *step, const char *format, ...)
{
    va_list args;

    if (step->why[0] == '\0') {
        va_start(args, format);
        vsnprintf(step->why, sizeof step->why, format, args);
        va_end(args);
    }
}

static void record(const struct steward_view *view, struct steward_step *step)
{
    for (EACH(m, view)) {
        if (m->wanted == MEMBER_LEAVING && m->role == ROLE_OUT) {
            set(step, STEWARD_RECORD, m->id);
            return;
        }
    }
}

static const struct steward_member *successor(const struct steward_view *view)
{
    const struct steward_member *best = NULL;

    for (EACH(m, view)) {
        bool may = m->role == ROLE_VOTER && m->id != view->id && m->answers && !leaves(m) &&
                   m->wanted != MEMBER_STANDBY;
        if (may && (best == NULL || m->match > best->match)) {
            best = m;
        }
    }
    return best;
}

/* Who is on the way to have all, and may then take a voter's place; NULL: nobody. */
static const struct steward_member *newcomer(const struct steward_view *view)
{
    for (EACH(m, view)) {
        bool may_rise = m->wanted == MEMBER_AUTO || m->wanted == MEMBER_VOTER;
        bool comes = m->role == ROLE_OUT || (m->role == ROLE_STANDBY && m->answers && !m->close);
        if (may_rise && comes && !PLANTED("voters_go_before_their_successors_are_there")) {
            return m;
        }
    }
    return NULL;
}

/* Voter M is to become none. */
static void let_go(const struct steward_view *view, const struct steward_member *m,
                   enum steward_step_kind kind, struct steward_step *step)
{
    unsigned rest, answer;

    if (!steward_rest_is_sound(view, m->id, &rest, &answer)) {
        wait_for(step, "node %" PRIu64 " stays a voter as long as only %u of the other %u answer", m->id,
                 answer, rest);
    } else if (m->answers && newcomer(view) != NULL) {
        wait_for(step, "node %" PRIu64 " stays a voter until node %" PRIu64 " has caught up", m->id,
                 newcomer(view)->id);
    } else if (m->id != view->id || PLANTED("leaders_remove_themselves")) {
        set(step, kind, m->id);
    } else if (successor(view) != NULL) {
        set(step, STEWARD_HAND_OVER, successor(view)->id);
    } else {
        wait_for(step, "node %" PRIu64 " leads, and no other voter can", m->id);
    }
}

/* In this order: who only costs (a standby), who is dead anyway, who answers, and the leader itself. */
static unsigned turn(const struct steward_view *view, const struct steward_member *m)
{
    if (m->role == ROLE_STANDBY) {
        return 0;
    }
    return m->id == view->id ? 3 : m->answers ? 2 : 1;
}

static void remove_leaving(const struct steward_view *view, struct steward_step *step)
{
    for (unsigned now = 0; now <= 3; now++) {
        for (EACH(m, view)) {
            if (!leaves(m) || m->role == ROLE_OUT || turn(view, m) != now || step->kind != STEWARD_REST) {
                continue;
            }
            if (m->role == ROLE_STANDBY) {
                set(step, STEWARD_REMOVE, m->id);
            } else {
                let_go(view, m, STEWARD_REMOVE, step);
            }
        }
    }
}

static void add(const struct steward_view *view, struct steward_step *step)
{
    for (EACH(m, view)) {
        if (m->role == ROLE_OUT && !leaves(m)) {
            set(step, STEWARD_ADD, m->id);
            return;
        }
    }
}

/* Whether standby M is to become a voter once there are N of them. */
static bool rises(const struct steward_view *view, const struct steward_member *m, unsigned n)
{
    return m->role == ROLE_STANDBY &&
           (m->wanted == MEMBER_VOTER || (m->wanted == MEMBER_AUTO && n < view->target));
}

static bool is_ready(const struct steward_member *m)
{
    return m->answers && m->close;
}

/* Of those that could rise now: first who has to, then who may. */
static const struct steward_member *next_voter(const struct steward_view *view, unsigned n)
{
    const struct steward_member *next = NULL;

    for (EACH(m, view)) {
        bool first = next == NULL || (m->wanted == MEMBER_VOTER && next->wanted != MEMBER_VOTER);
        if (rises(view, m, n) && is_ready(m) && first) {
            next = m;
        }
    }
    return next;
}

/* Whether somebody could follow NEXT at once. */
static bool has_follower(const struct steward_view *view, const struct steward_member *next, unsigned n)
{
    for (EACH(m, view)) {
        if (m != next && rises(view, m, n + 1) && is_ready(m)) {
            return true;
        }
    }
    return false;
}

static void promote(const struct steward_view *view, struct steward_step *step)
{
    const struct steward_member *silent = silent_voter(view);
    unsigned n = steward_voters(view);
    const struct steward_member *next = next_voter(view, n);

    for (EACH(m, view)) {
        if (rises(view, m, n) && silent != NULL) {
            wait_for(step, "node %" PRIu64 " becomes no voter as long as voter %" PRIu64 " does not answer",
                     m->id, silent->id);
        } else if (rises(view, m, n) && !is_ready(m)) {
            wait_for(step, "node %" PRIu64 " %s", m->id, m->answers ? "is catching up" : "does not answer");
        }
    }
    if (next == NULL || silent != NULL) {
        return;
    }
    if (n == 1 && !has_follower(view, next, n) && !PLANTED("two_voters_are_enough")) {
        wait_for(step, "node %" PRIu64 " waits for a third: two voters would both have to live", next->id);
        return;
    }
    set(step,
        next->caught_up || PLANTED("standbys_vote_before_they_are_there") ? STEWARD_PROMOTE
                                                                          : STEWARD_CATCH_UP,
        next->id);
}

static void demote(const struct steward_view *view, struct steward_step *step)
{
    for (EACH(m, view)) {
        if (m->wanted == MEMBER_STANDBY && m->role == ROLE_VOTER && step->kind == STEWARD_REST) {
            let_go(view, m, STEWARD_DEMOTE, step);
        }
    }
}

void steward_next(const struct steward_view *view, struct steward_step *ret_step)
{
    void (*const stages[])(const struct steward_view *, struct steward_step *) = {record, remove_leaving, add,
                                                                                  promote, demote};
    struct steward_step step = {.kind = STEWARD_REST};

    for (unsigned i = 0; i < sizeof stages / sizeof stages[0] && step.kind == STEWARD_REST; i++) {
        stages[i](view, &step);
    }
    if (step.kind != STEWARD_REST) {
        step.why[0] = '\0';
    }
    *ret_step = step;
}
