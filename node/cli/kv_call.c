#include "node/cli/kv_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/cli/percent.h"

void kv_target(struct buf *b, const char *ns, const char *key)
{
    buf_printf(b, "/v1/kv/");
    percent_put(b, ns, strlen(ns));
    if (key != NULL) {
        buf_put_u8(b, '/');
        percent_put(b, key, strlen(key));
    }
}

int kv_condition(const struct args *a, char line[64], struct error *e)
{
    bool version = args_given(a, "if-version"), absent = args_flag(a, "if-absent"),
         exists = args_flag(a, "if-exists");

    line[0] = 0;
    if (version + absent + exists > 1) {
        return error_set(e, Q_INVALID, "only one of --if-version, --if-absent and --if-exists can be given");
    }
    if (version) {
        snprintf(line, 64, "If-Match: \"%" PRId64 "\"", args_number(a, "if-version"));
    } else if (absent) {
        snprintf(line, 64, "If-None-Match: *");
    } else if (exists) {
        snprintf(line, 64, "If-Match: *");
    }
    return 0;
}
