#include "cluster/found.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/charter.h"
#include "cluster/cluster_id.h"
#include "cluster/members.h"
#include "raft_glue/consensus_found.h"

enum { PATH_BYTES = 4096 };

static int check_list(const struct found_config *config, struct error *e)
{
    if (config->count == 0 || config->count > PEERS_MAX) {
        return error_set(e, Q_INVALID, "a cluster has 1 to %d members, not %u", PEERS_MAX, config->count);
    }
    for (unsigned i = 0; i < config->count; i++) {
        if (config->members[i].id == config->id) {
            return 0;
        }
    }
    return error_set(e, Q_INVALID, "node id %" PRIu64 " is not in the list of members", config->id);
}

/* A store whose content is what it should be, without members, and durable. */
static int settle(const struct found_config *config, struct store *s, struct store_position *ret_at,
                  struct error *e)
{
    struct store_position at;
    uint64_t durable;
    int rv;

    store_position(s, &at);
    if (config->digest != NULL && memcmp(config->digest, at.digest, sizeof at.digest) != 0 &&
        !PLANTED("restored_content_may_be_another")) {
        return error_set(e, Q_CORRUPT,
                         "the database's content is not what the backup says: its digest differs");
    }
    rv = config->scan ? store_verify(s, e) : 0;
    rv = rv == 0 ? store_forget_members(s, e) : rv;
    rv = rv == 0 ? store_checkpoint(s, &durable, e) : rv;
    store_position(s, ret_at);
    return rv;
}

static int prepare_database(const struct found_config *config, struct store_position *ret_at, struct error *e)
{
    char path[PATH_BYTES];
    struct store_config store = {
        .path = path,
        .vfs = config->vfs,
        .readers = 1,
        .result_max = config->result_max,
        .foreign_keys = config->foreign_keys,
        .instructions_max = config->instructions_max,
    };
    struct store *s;
    int rv;

    if ((size_t)snprintf(path, sizeof path, "%s/db.sqlite", config->dir) >= sizeof path) {
        return error_set(e, Q_INVALID, "the directory's name is longer than %d bytes", PATH_BYTES - 16);
    }
    rv = store_open(&store, &s, e);
    if (rv == 0) {
        rv = settle(config, s, ret_at, e);
        store_close(s);
    }
    return rv;
}

/* SQLite has synced what it wrote itself; the file may be older than that, and its name. */
static int sync_database(const struct found_config *config, struct error *e)
{
    char path[PATH_BYTES];
    struct env_file *f;
    int rv;

    snprintf(path, sizeof path, "%s/db.sqlite", config->dir);
    rv = env_open(config->env, path, ENV_WRITE, &f, e);
    if (rv == 0) {
        rv = env_sync(config->env, f, e);
        env_close(config->env, f);
    }
    return rv == 0 ? env_sync_dir(config->env, config->dir, e) : rv;
}

/* So that a start needs no list. */
static int save_members(const struct found_config *config, struct error *e)
{
    struct members *members;
    int rv = members_open(config->env, config->dir, config->members, config->count, &members, e);

    if (rv == 0) {
        rv = members_save(members, e);
        members_free(members);
    }
    return rv;
}

static int make_meta(const struct found_config *config, const struct store_position *at, struct error *e)
{
    char semantics[CLUSTER_SEMANTICS_MAX];
    struct consensus_server servers[PEERS_MAX];
    struct consensus_found found = {
        .env = config->env,
        .dir = config->dir,
        .id = config->id,
        .members = servers,
        .count = config->count,
        .index = at->index,
        .term = at->term,
    };
    int rv;

    memcpy(found.origin, config->origin, sizeof found.origin);
    for (unsigned i = 0; i < config->count; i++) {
        servers[i] = (struct consensus_server){config->members[i].id, config->members[i].address};
    }
    cluster_semantics(config->foreign_keys, config->instructions_max, semantics);
    rv = cluster_id_make(config->cluster_name, config->members, config->count, semantics, config->origin,
                         found.cluster_id, e);
    return rv == 0 ? consensus_found(&found, e) : rv;
}

static int save_charter(const struct found_config *config, struct error *e)
{
    struct charter charter;

    snprintf(charter.name, sizeof charter.name, "%s", config->cluster_name);
    cluster_semantics(config->foreign_keys, config->instructions_max, charter.semantics);
    return charter_save(config->env, config->dir, &charter, e);
}

int found_make(const struct found_config *config, struct store_position *ret_at, struct error *e)
{
    struct store_position at;
    int rv = check_list(config, e);

    rv = rv == 0 ? prepare_database(config, &at, e) : rv;
    rv = rv == 0 ? save_members(config, e) : rv;
    rv = rv == 0 ? save_charter(config, e) : rv;
    rv = rv == 0 ? sync_database(config, e) : rv;
    rv = rv == 0 ? make_meta(config, &at, e) : rv;
    if (rv == 0 && ret_at != NULL) {
        *ret_at = at;
    }
    return rv;
}
