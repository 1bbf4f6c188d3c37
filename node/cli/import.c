#include "node/cli/import.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/clock.h"
#include "node/cli/cluster_view.h"
#include "node/cli/percent.h"
#include "node/cli/sql_result.h"

enum {
    BATCH_ROWS = 256,
    BATCH_BYTES = 256 * 1024,
    TURN_EVERY = 64, /* rows read between two looks at the wire */
    WAIT_MS = 50,
    PACE_MS = 2,
    LOOK_AFTER_US = 300 * 1000, /* from the last failure to the question who leads now */
    LOOK_MS = 300,
};

/* After a failure the connections went to whichever node came next; it forwards what it gets. When the load
 * goes on again, one question finds the new leader and saves that work. */
static void look_for_leader(struct import *im, uint64_t now)
{
    const struct loader_totals *t = loader_totals(im->loader);
    const char *answering = loader_answering(im->loader);
    struct cluster_view view;

    if (t->failures != im->failures_seen) {
        im->failures_seen = t->failures;
        im->look_at_us = now + LOOK_AFTER_US;
    }
    if (im->look_at_us == 0 || now < im->look_at_us || answering == NULL ||
        now - t->last_us > LOOK_AFTER_US) {
        return;
    }
    im->look_at_us = 0;
    if (cluster_view_ask(im->client, answering, LOOK_MS, &view, NULL) == 0) {
        loader_prefer(im->loader, cluster_view_leader_url(&view));
    }
}

static int turn(struct import *im, uint64_t timeout_ms, struct error *e)
{
    int rv = loader_run(im->loader, timeout_ms, e);
    const struct loader_totals *t = loader_totals(im->loader);
    uint64_t now = clock_us();
    struct progress_facts facts = {.rows = t->rows,
                                   .bytes = t->bytes,
                                   .bytes_total = im->bytes_total,
                                   .elapsed_us = now - im->begin_us,
                                   .retried = t->retried};

    im->since_turn = 0;
    look_for_leader(im, now);
    progress_show(&im->progress, &facts, now);
    return rv;
}

/* Holds back what would come too early for the rate. Rows do not wait for company then. */
static int keep_pace(struct import *im, struct error *e)
{
    int rv = 0;

    while (rv == 0 && im->rate != 0 &&
           (double)(im->rows + im->entries) > (double)im->rate * (double)(clock_us() - im->begin_us) / 1e6) {
        rv = import_flush(im, e);
        if (rv == 0) {
            rv = turn(im, PACE_MS, e);
        }
    }
    return rv;
}

static int take_job(struct import *im, struct loader_job **ret_job, struct error *e)
{
    struct loader_job *job;
    int rv = ++im->since_turn >= TURN_EVERY ? turn(im, 0, e) : 0;

    while (rv == 0 && (job = loader_take(im->loader)) == NULL) {
        rv = turn(im, WAIT_MS, e);
    }
    if (rv == 0) {
        *ret_job = job;
    }
    return rv;
}

int import_flush(struct import *im, struct error *e)
{
    struct loader_job *job;
    unsigned rows = im->insert.count;
    int rv = rows > 0 ? take_job(im, &job, e) : 0;

    if (rv != 0 || rows == 0) {
        return rv;
    }
    job->method = "POST";
    job->type = "application/json";
    job->sql = true;
    job->rows = rows;
    job->bytes = im->insert_bytes;
    buf_printf(&job->target, "/db/execute?transaction%c", 0);
    rv = insert_finish(&im->insert, &job->body, e);
    im->insert_bytes = 0;
    if (rv == 0) {
        loader_submit(im->loader, job);
    }
    return rv;
}

int import_row(struct import *im, const struct insert_value *values, size_t input_bytes, struct error *e)
{
    insert_add(&im->insert, values);
    im->insert_bytes += input_bytes;
    im->rows++;
    return insert_is_full(&im->insert, BATCH_ROWS, BATCH_BYTES) ? import_flush(im, e) : keep_pace(im, e);
}

int import_entry(struct import *im, const void *key, size_t key_len, const void *value, size_t len,
                 size_t input_bytes, struct error *e)
{
    struct loader_job *job;
    int rv = take_job(im, &job, e);

    if (rv != 0) {
        return rv;
    }
    job->method = "PUT";
    job->type = "application/octet-stream";
    job->sql = false;
    job->rows = 1;
    job->bytes = input_bytes;
    buf_printf(&job->target, "/v1/kv/");
    percent_put(&job->target, im->ns, strlen(im->ns));
    buf_put_u8(&job->target, '/');
    percent_put(&job->target, key, key_len);
    buf_put_u8(&job->target, 0);
    buf_put_bytes(&job->body, value, len);
    rv = buf_check(&job->target, "a key", e);
    if (rv == 0) {
        rv = buf_check(&job->body, "a value", e);
    }
    if (rv == 0) {
        loader_submit(im->loader, job);
        im->entries++;
        rv = keep_pace(im, e);
    }
    return rv;
}

int import_drain(struct import *im, struct error *e)
{
    int rv = import_flush(im, e);

    while (rv == 0 && !loader_is_done(im->loader)) {
        rv = turn(im, WAIT_MS, e);
    }
    return rv;
}

int import_schema(struct import *im, const char *sql, struct buf *ret_body, struct error *e)
{
    json_t *array = json_pack("[s]", sql);
    char *body = array != NULL ? json_dumps(array, JSON_COMPACT) : NULL;
    struct client_response response;
    int rv;

    json_decref(array);
    if (body == NULL) {
        return error_set(e, Q_INVALID, "a name is not UTF-8");
    }
    struct client_request request = {.method = "POST",
                                     .target = "/db/request?level=linearizable",
                                     .body = body,
                                     .len = strlen(body),
                                     .policy = CLIENT_REPEATABLE};
    rv = client_call(im->client, &request, &response, e);
    free(body);
    if (rv != 0) {
        return rv;
    }
    rv = client_refusal(&response, e);
    if (rv == 0) {
        rv = sql_result_check(&response.body, e);
    }
    if (rv == 0 && ret_body != NULL) {
        *ret_body = response.body;
        return 0;
    }
    client_response_close(&response);
    return rv;
}
