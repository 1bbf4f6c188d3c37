#include "cluster/replica_impl.h"

#include <inttypes.h>

#include "storage/dump.h"

static int put(void *ctx, const void *p, size_t n, struct error *e)
{
    struct replica_dump *dump = ctx;
    int rv = env_write(dump->owner->config.env, dump->file, dump->bytes, p, n, e);

    dump->bytes += rv == 0 ? n : 0;
    return rv;
}

static void on_lane(struct env_work *work)
{
    struct replica_dump *dump = CONTAINER_OF(work, struct replica_dump, work);
    struct env *env = dump->owner->config.env;
    struct dump_out out = {.put = put, .ctx = dump};

    if (env_open(env, dump->path, ENV_CREATE | ENV_WRITE, &dump->file, &dump->error) != 0) {
        return;
    }
    int rv = store_dump(dump->owner->store, dump->tables, &out, &dump->index, &dump->error);
    env_close(env, dump->file);
    if (rv != 0) {
        env_unlink(env, dump->path, NULL);
    }
}

static void on_done(struct env_work *work)
{
    struct replica_dump *dump = CONTAINER_OF(work, struct replica_dump, work);
    struct replica *r = replica_of(dump->owner);
    bool failed = dump->error.code != Q_OK;

    r->dumps--;
    replica_say(r, "dumped index=%" PRIu64 " bytes=%" PRIu64 "%s%s%s", dump->index, dump->bytes,
                failed ? " error=\"" : "", failed ? dump->error.text : "", failed ? "\"" : "");
    if (dump->error.code == Q_CORRUPT) {
        replica_page_bad(r, &dump->error);
    }
    dump->done(dump, failed ? &dump->error : NULL);
}

int replica_dump(struct replica *r, struct replica_dump *dump, struct error *e)
{
    if (r->stopped != NULL || r->dead) {
        return error_set(e, Q_CLOSED, "this node is stopping");
    }
    if (r->fenced) {
        return error_set(e, Q_CONFLICT, "this node's database is known to be wrong");
    }
    r->dumps++;
    dump->owner = r;
    dump->index = dump->bytes = 0;
    dump->error = (struct error){.code = Q_OK};
    dump->work = (struct env_work){.run = on_lane, .done = on_done, .lane = ENV_READER};
    env_run(r->config.env, &dump->work);
    return 0;
}
