/* kv_call: the targets and answers of /v1/kv/, as the commands of both kv files need them. */
#ifndef QUORATE_NODE_CLI_KV_CALL_H
#define QUORATE_NODE_CLI_KV_CALL_H

#include "base/buf.h"
#include "node/cli/args.h"

enum { KV_VALUE_MAX = 1 << 30, KV_TARGET_MAX = 64 * 1024 };

/* /v1/kv/NAMESPACE/KEY, terminated; without the last part if KEY is NULL. B must be initialized. */
void kv_target(struct buf *b, const char *ns, const char *key);
/* The rows --if-version, --if-absent and --if-exists of the arguments as a header. LINE is "" if there is no
 * condition. Q_INVALID: more than one of them. */
int kv_condition(const struct args *a, char line[64], struct error *e);

#endif
