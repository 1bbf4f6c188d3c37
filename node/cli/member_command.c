/* member: who is in the cluster, and changes of that: each is asked for, and then watched until it is done.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/clock.h"
#include "node/cli/command.h"
#include "node/cli/roster.h"
#include "node/cli/table.h"

enum { TARGET_MAX = 128, BODY_MAX = 400, LOOK_EVERY_MS = 200, SAY_EVERY_MS = 1000, PROGRESS_MAX = 480 };

#define NO_WAIT                                                                                              \
    {                                                                                                        \
        "no-wait", ARGS_FLAG, NULL, NULL, 0, 0, "return when it is decided, before it is done"               \
    }

static const struct args_option list_options[] = {
    {"all", ARGS_FLAG, NULL, NULL, 0, 0, "also those that were removed"},
};
static const struct args_option change_options[] = {
    NO_WAIT,
    {"wait", ARGS_TIME, "TIME", "10m", 1, 7 * 86400000, "how long to wait until it is done"},
};
static const struct args_option transfer_options[] = {NO_WAIT};

static int read_id(const char *word, uint64_t *ret_id, struct error *e)
{
    char *end;

    errno = 0;
    *ret_id = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == 0 && errno == 0 && *ret_id > 0
               ? 0
               : error_set(e, Q_INVALID, "\"%s\" is not the id of a member", word);
}

/* ---- list ---- */

static int print_roster(const struct roster *r, struct error *e)
{
    static const char *const heading[] = {"id",     "role",      "wanted", "leader",
                                          "behind", "reachable", "peers",  "http"};
    enum { COLUMNS = sizeof heading / sizeof heading[0] };
    struct table t;
    int rv;

    table_init(&t, COLUMNS);
    table_align_right(&t, 0);
    table_align_right(&t, 4);
    for (unsigned i = 0; i < COLUMNS; i++) {
        table_add(&t, heading[i]);
    }
    for (unsigned i = 0; i < r->count; i++) {
        const struct roster_member *m = &r->members[i];
        table_addf(&t, "%" PRIu64, m->id);
        table_add(&t, m->removed ? "-" : m->role);
        table_addf(&t, "%s%s", m->state, m->settled ? "" : " (under way)");
        table_add(&t, m->leader ? "yes" : "");
        if (m->lag != UINT64_MAX) {
            table_addf(&t, "%" PRIu64, m->lag);
        } else {
            table_add(&t, "-");
        }
        table_add(&t, m->removed ? "-" : m->reachable ? "yes" : "no");
        table_add(&t, m->address);
        table_add(&t, m->url);
    }
    rv = table_print(&t, stdout, e);
    table_close(&t);
    if (rv == 0 && r->waiting[0] != 0) {
        printf("waiting: %s\n", r->waiting);
    }
    return rv;
}

static enum outcome list(const struct args *a, struct error *e)
{
    struct client *client = NULL;
    struct roster r;
    int rv;

    if (command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    rv = roster_fetch(client, args_flag(a, "all"), (uint64_t)args_number(a, "timeout"), &r, e);
    client_free(client);
    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    if (args_flag(a, "json")) {
        json_dumpf(r.json, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        rv = print_roster(&r, e);
    }
    roster_close(&r);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

/* ---- changes ---- */

/* What is asked for, and how one sees that it is done. */
struct wish {
    const char *method;
    char target[TARGET_MAX], body[BODY_MAX];
    uint64_t gone;    /* this member is not in any more; 0: not asked for */
    uint64_t settled; /* this one is in, and what is wanted of it; 0: not asked for */
    const char *done; /* what to say then */
};

static bool is_done(const struct wish *w, const struct roster *r, uint64_t index)
{
    const struct roster_member *m = w->settled != 0 ? roster_find(r, w->settled) : NULL;
    bool known = m != NULL && (m->changed >= index || w->gone != 0);

    return r->applied >= index && (w->gone == 0 || roster_find(r, w->gone) == NULL) &&
           (w->settled == 0 || (known && m->settled));
}

/* How far member ID is, in one line. */
static void describe(const struct roster *r, uint64_t id, char *to, size_t max)
{
    const struct roster_member *m = roster_find(r, id);
    int n;

    if (m == NULL) {
        n = snprintf(to, max, "member %" PRIu64 " is not in the cluster", id);
    } else if (m->lag != UINT64_MAX && m->lag > 0) {
        n = snprintf(to, max, "member %" PRIu64 " is a %s, %" PRIu64 " entries behind%s", id, m->role, m->lag,
                     m->reachable ? "" : ", not reachable");
    } else {
        n = snprintf(to, max, "member %" PRIu64 " is a %s%s%s", id, m->role, m->leader ? " and leads" : "",
                     m->reachable ? "" : ", not reachable");
    }
    if (r->waiting[0] != 0 && (size_t)n < max) {
        snprintf(to + n, max - (size_t)n, "; %s", r->waiting);
    }
}

/* Watches until it is done; says how far it is, where people look. */
static int wait_done(const struct args *a, struct client *client, const struct wish *w, uint64_t index,
                     struct error *e)
{
    uint64_t begin = clock_ms(), limit = (uint64_t)args_number(a, "wait"), said_ms = begin;
    char said[PROGRESS_MAX] = "", now[PROGRESS_MAX];

    for (;;) {
        struct roster r;
        struct error why;
        bool done = false;

        if (roster_fetch(client, false, (uint64_t)args_number(a, "timeout"), &r, &why) == 0) {
            done = is_done(w, &r, index);
            describe(&r, w->gone != 0 && roster_find(&r, w->gone) != NULL ? w->gone : w->settled, now,
                     sizeof now);
            roster_close(&r);
        } else {
            snprintf(now, sizeof now, "%.*s", PROGRESS_MAX - 1, why.text);
        }
        if (done) {
            return 0;
        }
        if (clock_ms() - begin >= limit) {
            return error_set(e, Q_TIMEOUT,
                             "it is decided (index %" PRIu64
                             ") but not done after %.1f s: %.300s; it goes on, "
                             "and quorate member list shows how far it is",
                             index, (double)limit / 1000, now);
        }
        if (clock_ms() - said_ms >= SAY_EVERY_MS && strcmp(now, said) != 0) {
            fprintf(stderr, "%s ...\n", now);
            snprintf(said, sizeof said, "%s", now);
            said_ms = clock_ms();
        }
        clock_pause(LOOK_EVERY_MS);
    }
}

static int ask(struct client *client, const struct wish *w, uint64_t *ret_index, struct error *e)
{
    struct client_request request = {
        .method = w->method,
        .target = w->target,
        .body = w->body[0] != 0 || strcmp(w->method, "POST") == 0 ? w->body : NULL,
        .len = strlen(w->body),
        .policy = CLIENT_REPEATABLE, /* asked for again it is so already */
    };
    struct client_response response;
    json_t *root;
    int rv = client_call(client, &request, &response, e);

    if (rv != 0) {
        return rv;
    }
    rv = client_refusal(&response, e);
    if (rv == 0) {
        root = json_loadb((const char *)response.body.data, response.body.len, 0, NULL);
        *ret_index = (uint64_t)json_integer_value(json_object_get(root, "index"));
        json_decref(root);
    }
    client_response_close(&response);
    return rv;
}

static enum outcome change(const struct args *a, const struct wish *w, struct error *e)
{
    bool wait = !args_flag(a, "no-wait") && (w->gone != 0 || w->settled != 0);
    struct client *client = NULL;
    uint64_t index = 0;
    int rv;

    if (command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    rv = ask(client, w, &index, e);
    if (rv == 0 && wait) {
        rv = wait_done(a, client, w, index, e);
    }
    client_free(client);
    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    if (args_flag(a, "json")) {
        printf("{\"index\":%" PRIu64 ",\"done\":%s}\n", index, wait ? "true" : "false");
    } else if (wait) {
        printf("%s\n", w->done);
    } else {
        printf("decided at index %" PRIu64 "\n", index);
    }
    return OUTCOME_DONE;
}

/* Of the form members/ID/VERB, for a verb that leaves the member in. */
static enum outcome change_one(const struct args *a, const char *verb, const char *done, struct error *e)
{
    struct wish w = {.method = "POST", .done = done};

    if (read_id(a->words[0], &w.settled, e) != 0) {
        return OUTCOME_USAGE;
    }
    snprintf(w.target, sizeof w.target, "/v1/cluster/members/%" PRIu64 "/%s", w.settled, verb);
    return change(a, &w, e);
}

static enum outcome promote(const struct args *a, struct error *e)
{
    return change_one(a, "promote", "it votes", e);
}

static enum outcome demote(const struct args *a, struct error *e)
{
    return change_one(a, "demote", "it stands by and does not vote", e);
}

static enum outcome remove_member(const struct args *a, struct error *e)
{
    struct wish w = {.method = "DELETE", .done = "it is removed: its directory is of no use any more"};

    if (read_id(a->words[0], &w.gone, e) != 0) {
        return OUTCOME_USAGE;
    }
    snprintf(w.target, sizeof w.target, "/v1/cluster/members/%" PRIu64, w.gone);
    return change(a, &w, e);
}

/* {"id":ID,"address":ADDRESS}; ID 0 is left out. Q_INVALID: ADDRESS has what no address has. */
static int put_body(struct wish *w, uint64_t id, const char *address, struct error *e)
{
    if (strlen(address) >= ROSTER_ADDRESS_MAX || strpbrk(address, "\"\\ \t\r\n") != NULL) {
        return error_set(e, Q_INVALID, "\"%.100s\" is not host:port", address);
    }
    snprintf(w->body, sizeof w->body,
             id != 0 ? "{\"address\":\"%s\",\"id\":%" PRIu64 "}" : "{\"address\":\"%s\"}", address, id);
    return 0;
}

static enum outcome add(const struct args *a, struct error *e)
{
    struct wish w = {.method = "POST", .target = "/v1/cluster/members"};
    enum outcome outcome;
    uint64_t id;

    if (read_id(a->words[0], &id, e) != 0 || put_body(&w, id, a->words[1], e) != 0) {
        return OUTCOME_USAGE;
    }
    outcome = change(a, &w, e); /* there is nothing to wait for before the machine is started */
    if (outcome == OUTCOME_DONE && !args_flag(a, "json")) {
        printf("now start it there: quorated --join MEMBER --id %" PRIu64 " --listen %s --dir DIR ...\n", id,
               a->words[1]);
    }
    return outcome;
}

static enum outcome move(const struct args *a, struct error *e)
{
    struct wish w = {.method = "POST", .done = "the others reach it there from now on"};

    if (read_id(a->words[0], &w.settled, e) != 0 || put_body(&w, 0, a->words[1], e) != 0) {
        return OUTCOME_USAGE;
    }
    snprintf(w.target, sizeof w.target, "/v1/cluster/members/%" PRIu64 "/move", w.settled);
    return change(a, &w, e);
}

static enum outcome replace(const struct args *a, struct error *e)
{
    struct wish w = {.method = "POST", .done = "the old one is removed, the new one is in its place"};

    if (read_id(a->words[0], &w.gone, e) != 0 ||
        (a->word_count > 1 && read_id(a->words[1], &w.settled, e) != 0)) {
        return OUTCOME_USAGE;
    }
    snprintf(w.target, sizeof w.target, "/v1/cluster/members/%" PRIu64 "/replace", w.gone);
    if (w.settled != 0) {
        snprintf(w.body, sizeof w.body, "{\"with\":%" PRIu64 "}", w.settled);
    } else {
        w.done = "the old one is removed; the next machine that joins takes its place (quorated --join "
                 "MEMBER ...)";
    }
    return change(a, &w, e);
}

/* ---- leadership ---- */

static enum outcome transfer(const struct args *a, struct error *e)
{
    bool wait = !args_flag(a, "no-wait");
    struct client *client = NULL;
    struct client_response response;
    char target[TARGET_MAX], body[BODY_MAX] = "";
    struct client_request request = {.method = "POST", .target = target, .body = body, .policy = CLIENT_ONCE};
    uint64_t to = 0, timeout_ms = (uint64_t)args_number(a, "timeout");
    int rv;

    if ((a->word_count > 0 && read_id(a->words[0], &to, e) != 0) || command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    snprintf(target, sizeof target, "/v1/cluster/transfer?timeout=%" PRIu64 "ms%s",
             timeout_ms > 1 ? timeout_ms / 2 : 1, wait ? "&wait" : "");
    if (to != 0) {
        snprintf(body, sizeof body, "{\"to\":%" PRIu64 "}", to);
    }
    request.len = strlen(body);
    rv = client_call(client, &request, &response, e);
    client_free(client);
    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    rv = client_refusal(&response, e);
    if (rv == 0 && args_flag(a, "json")) {
        printf("%s\n", (const char *)response.body.data);
    } else if (rv == 0 && wait) {
        json_t *root = json_loadb((const char *)response.body.data, response.body.len, 0, NULL);
        printf("member %" JSON_INTEGER_FORMAT " leads\n",
               json_integer_value(json_object_get(root, "leader")));
        json_decref(root);
    } else if (rv == 0) {
        printf("leadership is being handed over\n");
    }
    client_response_close(&response);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

#define CHANGE(verb, words, least, most, text, more, function)                                               \
    {                                                                                                        \
        .name = "member " verb, .usage = words, .summary = text, .details = more, .options = change_options, \
        .option_count = sizeof change_options / sizeof change_options[0], .words_min = least,                \
        .words_max = most, .run = function                                                                   \
    }

const struct command member_list_command = {
    .name = "member list",
    .usage = "",
    .summary = "show who is in the cluster and what becomes of each",
    .details = "wanted is what the cluster makes of the member: auto is a standby that becomes a voter when "
               "there is\n"
               "room for one. \"under way\" says that it is not so yet; behind counts log entries.\n",
    .options = list_options,
    .option_count = 1,
    .run = list,
};
const struct command member_add_command = CHANGE(
    "add", "ID ADDRESS", 2, 2, "let a new machine join under this id",
    "Only needed if the id or the address shall be settled beforehand: a machine that is started with\n"
    "quorated --join MEMBER joins without it.\n",
    add);
const struct command member_remove_command = CHANGE(
    "remove", "ID", 1, 1, "take a member out for good",
    "Its id is not used again, and its directory cannot come back. A leader hands over before it goes.\n"
    "Refused if the rest could not go on without it; the answer says what to do first.\n",
    remove_member);
const struct command member_promote_command =
    CHANGE("promote", "ID", 1, 1, "make a standby vote", "Also beyond the number of voters.\n", promote);
const struct command member_demote_command =
    CHANGE("demote", "ID", 1, 1, "make a voter stand by",
           "It keeps its copy of the database and does not vote any more.\n", demote);
const struct command member_move_command =
    CHANGE("move", "ID ADDRESS", 2, 2, "tell the others where a member is now",
           "A node that is started with another --listen or --advertise does this by itself.\n", move);
const struct command member_replace_command = CHANGE(
    "replace", "OLD [NEW]", 1, 2, "take a dead member out and let another one vote in its place",
    "NEW is a standby; without it the next machine that joins takes the place. On the new machine itself\n"
    "quorated --join MEMBER --replace OLD does all of this.\n",
    replace);
const struct command member_transfer_command = {
    .name = "member transfer",
    .usage = "[ID]",
    .summary = "hand leadership to another member",
    .details = "Without ID to the one that is furthest.\n",
    .options = transfer_options,
    .option_count = 1,
    .words_max = 1,
    .run = transfer,
};
