#include "tests/unit/node/embedded.h"

enum { READY_MS = 20000 };

void embedded_open(struct embedded *n)
{
    memset(n, 0, sizeof *n);
    scratch_open(&n->scratch);
    n->options = quorate_options_new();
    assert_non_null(n->options);
    embedded_set(n, "id", "1");
    embedded_set(n, "dir", n->scratch.dir);
    embedded_set(n, "members", "1=127.0.0.1:7700");
    embedded_set(n, "listen", "127.0.0.1:0");
    embedded_set(n, "http", "");
    embedded_set(n, "secret", "correct horse battery staple");
    embedded_set(n, "segment-bytes", "1M");
    embedded_set(n, "request-max", "512K");
    embedded_set(n, "log-cache-bytes", "1M");
    embedded_set(n, "ballast-bytes", "0");
}

void embedded_stop(struct embedded *n)
{
    quorate_stop(n->node);
    n->node = NULL;
}

void embedded_close(struct embedded *n)
{
    quorate_result_free(n->result);
    embedded_stop(n);
    quorate_options_free(n->options);
    scratch_close(&n->scratch);
}

void embedded_set(struct embedded *n, const char *name, const char *value)
{
    if (quorate_options_set(n->options, name, value, &n->e) != 0) {
        fail_msg("%s", n->e.text);
    }
}

void embedded_start(struct embedded *n)
{
    if (quorate_start(n->options, &n->node, &n->e) != 0 ||
        quorate_wait_ready(n->node, READY_MS, &n->e) != 0) {
        fail_msg("%s", n->e.text);
    }
}

void embedded_start_alone(struct embedded *n)
{
    embedded_set(n, "members", "1=127.0.0.1:7701,2=127.0.0.1:1");
    if (quorate_start(n->options, &n->node, &n->e) != 0) {
        fail_msg("%s", n->e.text);
    }
}

void embedded_execute(struct embedded *n, const char *sql)
{
    quorate_result_free(n->result);
    n->result = NULL;
    if (quorate_execute(n->node, sql, NULL, 0, &n->result, &n->e) != 0) {
        fail_msg("%s: %s", sql, n->e.text);
    }
}

int64_t embedded_number(struct embedded *n, const char *sql)
{
    quorate_result_free(n->result);
    n->result = NULL;
    if (quorate_query(n->node, QUORATE_LINEARIZABLE, sql, NULL, 0, &n->result, &n->e) != 0) {
        fail_msg("%s: %s", sql, n->e.text);
    }
    assert_int_equal(quorate_result_rows(n->result), 1);
    return quorate_result_value(n->result, 0, 0).integer;
}
