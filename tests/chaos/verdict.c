#include "tests/chaos/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/chaos/bank.h"
#include "tests/chaos/clients.h"

enum {
    REST_MS = 60000, /* to heal, on a busy machine */
    ANSWER_MS = 10000,
    STOP_MS = 40000,
};

struct judging {
    struct machines *machines;
    struct record *record;
    struct http_client client[MACHINES_MAX];
};

static bool has_rest(struct judging *j, struct status *ret_status)
{
    bool rest = true;

    for (unsigned i = 0; i < j->machines->count; i++) {
        struct deadline deadline = deadline_in(ANSWER_MS);
        struct status *s = &ret_status[i];
        rest = status_ask(&j->client[i], &deadline, s) && rest && s->ready && s->applied == s->log_last &&
               s->applied == ret_status[0].applied;
    }
    return rest;
}

static void show(const struct judging *j, const struct status *status)
{
    for (unsigned i = 0; i < j->machines->count; i++) {
        const struct status *s = &status[i];
        printf("node %u: ready %d, leads %d, term %" PRIu64 ", applied %" PRIu64 " of %" PRIu64
               ", digest %s\n",
               i + 1, s->ready, s->leads, s->term, s->applied, s->log_last, s->digest);
    }
}

static bool wait_for_rest(struct judging *j)
{
    struct deadline deadline = deadline_in(REST_MS);
    struct status status[MACHINES_MAX];

    memset(status, 0, sizeof status);
    while (!has_rest(j, status)) {
        int ended;
        for (unsigned i = 0; i < j->machines->count; i++) {
            if (machines_has_ended(j->machines, i, &ended)) {
                record_violation(j->record, "node %u has ended by itself with status %d, in peace", i + 1,
                                 ended);
                return false;
            }
        }
        if (!deadline_wait(&deadline)) {
            record_violation(j->record, "the nodes do not come to rest within %d s", REST_MS / 1000);
            show(j, status);
            return false;
        }
    }
    for (unsigned i = 1; i < j->machines->count; i++) {
        if (strcmp(status[i].digest, status[0].digest) != 0) {
            record_violation(j->record, "digests differ at index %" PRIu64, status[0].applied);
            show(j, status);
            return false;
        }
    }
    return true;
}

/* Who is whole takes writes again, also one whose disk was full. */
static bool wait_for_writes(struct judging *j)
{
    struct deadline deadline = deadline_in(REST_MS);
    unsigned i = 0;

    while (i < j->machines->count) {
        const struct http_ask ask = {
            .method = "PUT", .target = "/v1/kv/" CLIENTS_NAMESPACE "/peace", .body = "1", .len = 1};
        struct deadline patience = deadline_in(ANSWER_MS);
        struct http_reply reply = {.status = 0};

        http_client_ask(&j->client[i], &ask, &patience, &reply);
        i += reply.status == 200;
        if (reply.status != 200 && !deadline_wait(&deadline)) {
            record_violation(j->record, "node %u takes no write within %d s: status %d, %s", i + 1,
                             REST_MS / 1000, reply.status, reply.body != NULL ? reply.body : "");
            http_reply_close(&reply);
            return false;
        }
        http_reply_close(&reply);
    }
    return true;
}

/* Returned, terminated; NULL and a violation unless it was answered 200, or 404 where that is allowed. */
static char *ask(struct judging *j, unsigned i, const char *target, const char *body, bool may_miss,
                 uint64_t *ret_version)
{
    struct http_ask ask = {.method = body != NULL ? "POST" : "GET", .target = target, .body = body};
    struct deadline deadline = deadline_in(ANSWER_MS);
    struct http_reply reply = {.status = 0};
    char etag[32] = "", *said = NULL;

    ask.len = body != NULL ? strlen(body) : 0;
    if (http_client_ask(&j->client[i], &ask, &deadline, &reply) == HTTP_ANSWERED) {
        if (reply.status == 200) {
            said = reply.body;
            reply.body = NULL;
        } else if (reply.status == 404 && may_miss) {
            said = strdup("");
        }
        http_reply_header(&reply, "ETag", etag, sizeof etag);
    }
    if (said == NULL) {
        record_violation(j->record, "node %u answers %s with %d at the end", i + 1, target, reply.status);
    } else if (ret_version != NULL) {
        *ret_version = strtoull(etag + (etag[0] == '"'), NULL, 10);
    }
    http_reply_close(&reply);
    return said;
}

static bool read_keys(struct judging *j, unsigned i, struct final_state *ret_final)
{
    for (unsigned key = 0; key < HISTORY_KEYS; key++) {
        char target[64], *value;

        snprintf(target, sizeof target, "/v1/kv/" CLIENTS_NAMESPACE "/key%u?level=none", key);
        value = ask(j, i, target, NULL, true, &ret_final->keys[key].version);
        if (value == NULL) {
            return false;
        }
        ret_final->keys[key].value = strtoull(value, NULL, 10);
        free(value);
    }
    return true;
}

static bool read_lists(struct judging *j, unsigned i, struct final_state *ret_final)
{
    for (unsigned list = 0; list < HISTORY_LISTS; list++) {
        char body[128], *said;
        uint32_t items;

        bank_read_list(body, sizeof body, list);
        said = ask(j, i, "/db/query?level=none", body, false, NULL);
        if (said == NULL) {
            return false;
        }
        ret_final->lists[list].list = bank_list(said, strlen(said), &items);
        ret_final->lists[list].items = items;
        free(said);
    }
    return true;
}

/* False: what is wrong with the history is wrong whichever node is asked. */
static bool judge_history(struct judging *j, unsigned i)
{
    struct final_state final;
    char text[512];
    bool ok;

    memset(&final, 0, sizeof final);
    ok = read_keys(j, i, &final) && read_lists(j, i, &final);
    if (ok && !history_check(&j->record->history, &final, text, sizeof text)) {
        record_violation(j->record, "with what node %u holds at the end: %s", i + 1, text);
        ok = false;
    }
    for (unsigned list = 0; list < HISTORY_LISTS; list++) {
        free(final.lists[list].list);
    }
    return ok;
}

static bool judge_bank(struct judging *j, unsigned i)
{
    char *ledger = ask(j, i, "/db/query?level=none", "[\"" BANK_LEDGER_SQL "\"]", false, NULL);
    char *sums = ask(j, i, "/db/query?level=none", "[\"" BANK_ACCOUNTS_SQL "\"]", false, NULL);
    bool ok = ledger != NULL && sums != NULL;
    char text[512];

    if (ok && !bank_check(&j->record->history, ledger, sums, text, sizeof text)) {
        record_violation(j->record, "node %u at the end: %s", i + 1, text);
        ok = false;
    }
    free(ledger);
    free(sums);
    return ok;
}

static void stop_all(struct judging *j)
{
    for (unsigned i = 0; i < j->machines->count; i++) {
        process_ask_to_stop(&j->machines->machine[i].process);
    }
    for (unsigned i = 0; i < j->machines->count; i++) {
        struct deadline deadline = deadline_in(STOP_MS);
        int status = -1;

        while (!machines_has_ended(j->machines, i, &status) && deadline_wait(&deadline)) {
        }
        if (status != 0) {
            record_violation(j->record, "node %u was asked to stop at the end: status %d", i + 1, status);
        }
    }
}

static void judge_logs(struct judging *j)
{
    static const char *const never[] = {"Sanitizer", "runtime error:", MACHINES_SECRET};

    for (unsigned i = 0; i < j->machines->count; i++) {
        for (unsigned k = 0; k < sizeof never / sizeof never[0]; k++) {
            if (process_said(&j->machines->machine[i].process, never[k])) {
                record_violation(j->record, "the log of node %u has \"%s\" in it", i + 1, never[k]);
            }
        }
    }
}

void verdict(struct machines *ms, struct record *record)
{
    struct judging j = {.machines = ms, .record = record};

    for (unsigned i = 0; i < ms->count; i++) {
        http_client_init(&j.client[i], &ms->machine[i].http);
    }
    if (wait_for_writes(&j) && wait_for_rest(&j)) {
        for (unsigned i = 0; i < ms->count && judge_history(&j, i) && judge_bank(&j, i); i++) {
        }
        stop_all(&j);
    }
    for (unsigned i = 0; i < ms->count; i++) {
        http_client_close(&j.client[i]);
    }
    judge_logs(&j);
}
