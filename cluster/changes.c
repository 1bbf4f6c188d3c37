#include "cluster/changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"

enum {
    CHANGES_MAGIC = 0x51c0de22,
    AGAIN_MS = 100,   /* between two attempts */
    SERVED_MS = 3000, /* that another node's wish waits here, at most */
    SERVED_MAX = 64,  /* wishes of other nodes at once */
    BODY_MAX = 512,
};

struct changes {
    OBJECT_MAGIC;
    struct changes_config config;
    struct list under_way; /* struct replica_change */
    struct list ended;     /* to be told from the timer */
    struct list served;    /* struct petition */
    unsigned petitions;
    struct env_timer *soon;
    bool stopped;
};

static_assert((int)PEERS_ADDRESS_MAX == (int)MEMBER_ADDRESS_MAX, "an address fits wherever it goes");

/* This node asks. */

static void on_soon(void *owner)
{
    struct changes *cs = CAST(struct changes, owner, CHANGES_MAGIC);
    struct list mine, *link;

    list_take(&mine, &cs->ended);
    while ((link = list_pop(&mine)) != NULL) {
        struct replica_change *change = CONTAINER_OF(link, struct replica_change, link);
        change->done(change, change->ended.code != Q_OK ? &change->ended : NULL);
    }
}

/* None is told inside the function that started it, nor while a list is walked. */
static void end(struct replica_change *change)
{
    struct changes *cs = change->owner;

    change->phase = CHANGE_ENDED;
    list_remove(&change->link);
    list_push(&cs->ended, &change->link);
    env_timer_start(cs->config.env, cs->soon, 0);
}

/* Whether another attempt may succeed where this error came from. */
static bool passes(enum error_code code)
{
    return code == Q_NO_LEADER || code == Q_NOT_LEADER || code == Q_UNKNOWN || code == Q_CLOSED ||
           code == Q_TIMEOUT;
}

/* An attempt ended. */
static void tried(struct replica_change *change, const struct error *failed)
{
    if (failed == NULL) {
        change->ended = (struct error){.code = Q_OK};
        end(change);
        return;
    }
    change->ended = *failed;
    change->unknown = change->unknown || failed->code == Q_UNKNOWN;
    change->phase = CHANGE_WAITING;
    change->again_ms = env_now_ms(change->owner->config.env) + AGAIN_MS;
    if (!passes(failed->code)) {
        end(change);
    }
}

static void on_decided(struct decision *d, const struct error *failed)
{
    struct replica_change *change = CONTAINER_OF(d, struct replica_change, decision);

    change->index = d->index;
    change->member = d->member;
    tried(change, failed);
}

static void on_answer(struct forward_call *call, const struct forward_answer *answer)
{
    struct replica_change *change = CONTAINER_OF(call, struct replica_change, call);
    struct error e;

    if (answer->error.code == Q_OK && answer->len != 8) {
        error_set(&e, Q_UNKNOWN, "the leader's answer of %zu bytes is not understood", answer->len);
        tried(change, &e);
        return;
    }
    change->index = answer->index;
    change->member = answer->error.code == Q_OK ? get_le64(answer->result) : 0;
    tried(change, answer->error.code != Q_OK ? &answer->error : NULL);
}

static struct wish wish_of(const struct replica_change *change)
{
    return (struct wish){.verb = change->verb,
                         .id = change->id,
                         .with = change->with,
                         .address = change->address,
                         .incarnation = change->incarnation};
}

static void ask_here(struct replica_change *change)
{
    change->phase = CHANGE_HERE;
    change->decision = (struct decision){
        .wish = wish_of(change),
        .deadline_ms = change->deadline_ms,
        .done = on_decided,
    };
    decisions_push(change->owner->config.decisions, &change->decision);
}

static bool forward_wish(struct changes *cs, uint64_t to, const struct wish *wish, bool relayed,
                         struct forward_call *call)
{
    struct buf body;

    buf_init(&body, BODY_MAX);
    buf_put_u8(&body, (uint8_t)wish->verb);
    buf_put_u64(&body, wish->id);
    buf_put_u64(&body, wish->with);
    buf_put_u64(&body, wish->incarnation);
    buf_put_blob(&body, wish->address, strlen(wish->address));
    buf_put_u8(&body, relayed);
    bool asked =
        body.failed == Q_OK && forward_ask(cs->config.forward, to, FORWARD_MEMBER, body.data, body.len, call);
    buf_close(&body);
    return asked;
}

static bool ask_there(struct replica_change *change, uint64_t to)
{
    struct wish wish = wish_of(change);

    change->phase = CHANGE_FORWARDED;
    change->call.done = on_answer;
    return forward_wish(change->owner, to, &wish, false, &change->call);
}

static void ask(struct replica_change *change)
{
    struct changes *cs = change->owner;
    uint64_t leader = cs->config.leader(cs->config.ctx);
    uint64_t to =
        leader != 0 || PLANTED("only_leaders_are_asked") ? leader : cs->config.anybody(cs->config.ctx);
    struct error e;

    if (leader == cs->config.id) {
        ask_here(change);
    } else if (to == 0 || !ask_there(change, to)) {
        error_set(&e, Q_NO_LEADER, "leader not found");
        tried(change, &e);
    }
}

void changes_ask(struct changes *cs, struct replica_change *change)
{
    change->owner = cs;
    change->deadline_ms = env_now_ms(cs->config.env) + change->timeout_ms;
    change->index = change->member = 0;
    change->unknown = false;
    list_push(&cs->under_way, &change->link);
    if (cs->stopped) {
        error_set(&change->ended, Q_CLOSED, "this node is stopping");
        end(change);
        return;
    }
    ask(change);
}

/* Gives the attempt up that is under way. */
static void give_up(struct replica_change *change)
{
    if (change->phase == CHANGE_FORWARDED) {
        forward_forget(&change->call);
        change->unknown = true;
    } else if (change->phase == CHANGE_HERE) {
        change->unknown = change->unknown || change->decision.running;
        decisions_forget(&change->decision);
    }
}

static void expire(struct replica_change *change)
{
    bool waiting = change->phase == CHANGE_WAITING;

    give_up(change);
    if (change->unknown) {
        error_set(&change->ended, Q_UNKNOWN, "no answer came in time: the change may or may not be made");
    } else if (!waiting) {
        error_set(&change->ended, Q_TIMEOUT, "the leader did not get to it in time");
    }
    end(change);
}

void changes_tick(struct changes *cs)
{
    uint64_t now = env_now_ms(cs->config.env);

    LIST_EACH_SAFE (&cs->under_way, item) {
        struct replica_change *change = CONTAINER_OF(item, struct replica_change, link);
        if (now >= change->deadline_ms) {
            expire(change);
        } else if (change->phase == CHANGE_WAITING && now >= change->again_ms) {
            ask(change);
        }
    }
    decisions_poll(cs->config.decisions);
}

/* Another node asks. */

struct petition {
    struct changes *owner;
    struct list link;
    struct forward_question question;
    struct decision decision;
    char address[MEMBER_ADDRESS_MAX + 1];
    bool relayed;               /* as it came: not to be passed on */
    struct forward_call passed; /* on to the leader */
    bool passing;
};

static void petition_free(struct petition *petition)
{
    petition->owner->petitions--;
    list_remove(&petition->link);
    free(petition);
}

static void on_served(struct decision *d, const struct error *failed)
{
    struct petition *petition = CONTAINER_OF(d, struct petition, decision);
    struct forward_answer answer = {.index = d->index};
    uint8_t id[8];

    put_le64(id, d->member);
    if (failed != NULL) {
        answer.error = *failed;
    } else {
        answer.result = id;
        answer.len = sizeof id;
    }
    forward_reply(petition->owner->config.forward, &petition->question, &answer);
    petition_free(petition);
}

static void on_passed(struct forward_call *call, const struct forward_answer *answer)
{
    struct petition *petition = CONTAINER_OF(call, struct petition, passed);

    forward_reply(petition->owner->config.forward, &petition->question, answer);
    petition_free(petition);
}

static int read_wish(struct petition *petition, const uint8_t *p, size_t n, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    uint8_t verb = cursor_u8(&c);
    struct wish wish = {.id = cursor_u64(&c), .with = cursor_u64(&c), .incarnation = cursor_u64(&c)};
    struct cursor address = cursor_blob(&c);
    uint8_t relayed = cursor_u8(&c);

    if (c.bad || cursor_left(&c) > 0 || relayed > 1 || cursor_left(&address) > MEMBER_ADDRESS_MAX ||
        verb > REPLICA_REPLACE) {
        return error_set(e, Q_CORRUPT, "a question of %zu bytes about the members is not understood", n);
    }
    snprintf(petition->address, sizeof petition->address, "%.*s", (int)cursor_left(&address),
             (const char *)address.p);
    wish.verb = (enum replica_verb)verb;
    wish.address = petition->address;
    petition->decision.wish = wish;
    petition->relayed = relayed == 1;
    return 0;
}

void changes_serve(struct changes *cs, const struct forward_question *question, const uint8_t *p, size_t n)
{
    bool full = cs->stopped || cs->petitions == SERVED_MAX;
    struct petition *petition = full ? NULL : calloc(1, sizeof *petition);
    struct forward_answer refused = {.result = NULL};

    if (petition == NULL) {
        error_set(&refused.error, cs->stopped ? Q_NOT_LEADER : Q_BUSY,
                  cs->stopped ? "this node is stopping" : "too many changes of the members wait here");
        forward_reply(cs->config.forward, question, &refused);
        return;
    }
    petition->owner = cs;
    petition->passed.done = on_passed;
    petition->question = *question;
    list_push(&cs->served, &petition->link);
    cs->petitions++;
    if (read_wish(petition, p, n, &refused.error)) {
        forward_reply(cs->config.forward, question, &refused);
        petition_free(petition);
        return;
    }
    uint64_t leader = cs->config.leader(cs->config.ctx);
    bool pass = leader != 0 && leader != cs->config.id && leader != question->from && !petition->relayed;
    if (pass && forward_wish(cs, leader, &petition->decision.wish, true, &petition->passed)) {
        petition->passing = true;
        return;
    }
    petition->decision.deadline_ms = env_now_ms(cs->config.env) + SERVED_MS;
    petition->decision.done = on_served;
    decisions_push(cs->config.decisions, &petition->decision);
}

void changes_stop(struct changes *cs)
{
    cs->stopped = true;
    LIST_EACH_SAFE (&cs->under_way, item) {
        struct replica_change *change = CONTAINER_OF(item, struct replica_change, link);
        give_up(change);
        error_set(&change->ended, change->unknown ? Q_UNKNOWN : Q_CLOSED, "this node is stopping%s",
                  change->unknown ? ": the change may or may not be made" : "");
        end(change);
    }
}

int changes_new(const struct changes_config *config, struct changes **ret_changes, struct error *e)
{
    struct changes *cs = calloc(1, sizeof *cs);

    if (cs != NULL) {
        cs->soon = env_timer_new(config->env, on_soon, cs);
    }
    if (cs == NULL || cs->soon == NULL) {
        free(cs);
        return error_set(e, Q_NOMEM, "out of memory for changes of the members");
    }
    cs->magic = CHANGES_MAGIC;
    cs->config = *config;
    list_init(&cs->under_way);
    list_init(&cs->ended);
    list_init(&cs->served);
    *ret_changes = cs;
    return 0;
}

void changes_free(struct changes *cs)
{
    if (cs == NULL) {
        return;
    }
    LIST_EACH_SAFE (&cs->served, item) {
        struct petition *petition = CONTAINER_OF(item, struct petition, link);
        if (petition->passing) {
            forward_forget(&petition->passed);
        } else {
            decisions_forget(&petition->decision);
        }
        petition_free(petition);
    }
    LIST_EACH_SAFE (&cs->under_way, item) {
        give_up(CONTAINER_OF(item, struct replica_change, link));
    }
    env_timer_free(cs->config.env, cs->soon);
    cs->magic = 0;
    free(cs);
}
