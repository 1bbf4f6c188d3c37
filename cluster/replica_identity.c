/* Who a replica is: what it is told at its start, and what its directory remembers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/charter.h"
#include "cluster/cluster_id.h"
#include "cluster/replica_impl.h"

/* A directory that was restored knows what from. */
int replica_make_cluster_id(struct replica *r, struct error *e)
{
    struct meta_state *meta;
    int rv;

    if (r->config.joined != NULL) {
        memcpy(r->cluster_id, r->config.joined->cluster_id, sizeof r->cluster_id);
    }
    if (r->config.joined != NULL || r->config.count == 0) {
        return 0; /* the directory knows */
    }
    meta = calloc(1, sizeof *meta);
    if (meta == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the cluster id");
    }
    /* What is wrong with it, or that it is not there, is said by who opens it. */
    meta_read(r->config.env, r->dir, meta, NULL);
    rv = cluster_id_make(r->name, r->first, r->config.count, r->semantics, meta->origin, r->cluster_id, e);
    free(meta);
    return rv;
}

/* The first list, or the one that a node that joined was told. */
static int copy_list(struct replica *r, const struct replica_config *config, struct error *e)
{
    const struct join_answer *joined = config->joined;
    bool listed = false;

    r->config.count = joined != NULL ? joined->count : config->count;
    if (r->config.count > PEERS_MAX) {
        return error_set(e, Q_INVALID, "a cluster has 1 to %d members, not %u", PEERS_MAX, r->config.count);
    }
    for (unsigned i = 0; i < r->config.count; i++) {
        if (joined == NULL) {
            r->first[i] = config->members[i];
        } else {
            r->first[i].id = joined->members[i].id;
            memcpy(r->first[i].address, joined->members[i].address, sizeof r->first[i].address);
        }
        listed = listed || r->first[i].id == config->id;
    }
    if (!listed && config->id != 0 && r->config.count > 0) {
        return error_set(e, Q_INVALID, "node id %" PRIu64 " is not in the list of members", config->id);
    }
    return 0;
}

int replica_copy_config(struct replica *r, const struct replica_config *config, struct error *e)
{
    r->config = *config;
    if (copy_list(r, config, e)) {
        return (int)e->code;
    }
    if (config->secret_len > sizeof r->secret) {
        return error_set(e, Q_INVALID, "the cluster secret is longer than %zu bytes", sizeof r->secret);
    }
    memcpy(r->secret, config->secret, config->secret_len);
    if ((size_t)snprintf(r->dir, sizeof r->dir, "%s", config->dir) >= sizeof r->dir - 32) {
        return error_set(e, Q_INVALID, "the directory's name is longer than %zu bytes", sizeof r->dir - 33);
    }
    snprintf(r->database, sizeof r->database, "%.*s/db.sqlite", (int)sizeof r->database - 16, r->dir);
    snprintf(r->name, sizeof r->name, "%s", config->cluster_name ? config->cluster_name : "");
    snprintf(r->listen, sizeof r->listen, "%s", config->listen ? config->listen : "");
    snprintf(r->api, sizeof r->api, "%s", config->api_address ? config->api_address : "");
    snprintf(r->advertise, sizeof r->advertise, "%s", config->advertise ? config->advertise : "");
    r->config.advertise = config->advertise != NULL ? r->advertise : NULL;
    r->config.members = r->first;
    r->config.secret = r->secret;
    r->config.dir = r->dir;
    r->config.cluster_name = r->name;
    r->config.listen = r->listen;
    r->config.api_address = r->api;
    cluster_semantics(r->config.foreign_keys, r->config.instructions_max, r->semantics);
    return 0;
}

/* The first list; where none is given, the one that the directory remembers, as long as nothing of it has
 * changed: a start that ended before its log had an entry is begun again with it. */
unsigned replica_first_servers(const struct replica *r, struct consensus_server ret_servers[PEERS_MAX])
{
    unsigned n = members_count(r->members);

    for (unsigned i = 0; i < r->config.count; i++) {
        ret_servers[i] = (struct consensus_server){r->first[i].id, r->first[i].address};
    }
    for (unsigned i = 0; i < n && r->config.count == 0; i++) {
        const struct member *m = members_at(r->members, i);

        if (m->changed != 0 || m->incarnation != 0 || members_known(r->members) != n) {
            return 0;
        }
        ret_servers[i] = (struct consensus_server){m->id, m->address};
    }
    return r->config.count > 0 ? r->config.count : n;
}

/* The list is the one of this node; what it is told now only goes into a new directory. */
int replica_find_self(struct replica *r, struct error *e)
{
    const struct member *self = members_find(r->members, r->config.id);

    if (self == NULL) {
        return error_set(e, Q_INVALID, "node id %" PRIu64 " is not in the list of members", r->config.id);
    }
    if (r->listen[0] == '\0') {
        snprintf(r->listen, sizeof r->listen, "%s", self->address);
    }
    return 0;
}

/* A machine that has joined: its list is durable before its meta, since no other list is ever given to it
 * again. What an earlier attempt left may be of another cluster. */
static int begin_members(struct replica *r, struct error *e)
{
    const struct join_answer *joined = r->config.joined;
    char path[REPLICA_DIR_MAX];
    int rv;

    snprintf(path, sizeof path, "%.*s/members", (int)sizeof path - 16, r->dir);
    rv = env_unlink(r->config.env, path, e);
    if (rv != 0 && rv != Q_NOT_FOUND) {
        return rv;
    }
    rv = members_open(r->config.env, r->dir, r->first, r->config.count, &r->members, e);
    return rv == 0 && !PLANTED("meta_is_made_before_the_list_of_members")
               ? members_set(r->members, joined->members, joined->count, e)
               : rv;
}

int replica_open_members(struct replica *r, struct error *e)
{
    return r->config.joined != NULL
               ? begin_members(r, e)
               : members_open(r->config.env, r->dir, r->first, r->config.count, &r->members, e);
}

/* The directory is this cluster's and this node's. On a full disk the list is what it would be read as. */
int replica_save_members(struct replica *r, struct error *e)
{
    int rv = r->config.joined != NULL ? 0 : members_save(r->members, e);

    if (members_damage(r->members)[0] != '\0') {
        replica_say(r, "members_damaged error=\"%s\"", members_damage(r->members));
    }
    return rv == Q_NO_SPACE ? 0 : rv;
}

/* Who is given neither a list nor a cluster must have been there before. */
int replica_check_begun(struct replica *r, struct error *e)
{
    char path[REPLICA_DIR_MAX];
    struct env_file *meta;

    if (r->config.count > 0 || r->config.joined != NULL) {
        return 0;
    }
    snprintf(path, sizeof path, "%.*s/meta", (int)sizeof path - 8, r->dir);
    if (env_open(r->config.env, path, 0, &meta, e)) {
        return error_wrap(e, "%.200s holds no node yet, and neither members nor a cluster to join are given",
                          r->dir);
    }
    env_close(r->config.env, meta);
    return 0;
}

/* What this node is started as. */
static struct charter charter_of(const struct replica *r)
{
    struct charter c;

    snprintf(c.name, sizeof c.name, "%s", r->name);
    snprintf(c.semantics, sizeof c.semantics, "%s", r->semantics);
    return c;
}

/* Neither a list nor an answer says which cluster this is: the directory does. */
static int check_charter(struct replica *r, const struct charter *kept, struct error *e)
{
    if (r->name[0] != '\0' && kept->name[0] != '\0' && strcmp(r->name, kept->name) != 0) {
        return error_set(e, Q_MISMATCH, "%.200s belongs to cluster \"%s\", not \"%s\"", r->dir, kept->name,
                         r->name);
    }
    if (strcmp(r->semantics, kept->semantics) != 0 && !PLANTED("a_node_starts_by_other_rules")) {
        return error_set(
            e, Q_MISMATCH,
            "the cluster of %.200s works with %s, and this node is started with %s: it would come to "
            "another content than the others",
            r->dir, kept->semantics, r->semantics);
    }
    if (kept->name[0] != '\0') {
        snprintf(r->name, sizeof r->name, "%s", kept->name);
    }
    return 0;
}

int replica_open_charter(struct replica *r, struct error *e)
{
    struct charter own = charter_of(r), kept;
    int rv;

    if (r->config.joined != NULL) {
        return charter_save(r->config.env, r->dir, &own, e); /* before there is a meta */
    }
    rv = r->config.count == 0 ? charter_load(r->config.env, r->dir, &kept, e) : Q_NOT_FOUND;
    if (rv == 0) {
        return check_charter(r, &kept, e);
    }
    if (rv == Q_CORRUPT) {
        replica_say(r, "charter_damaged error=\"%s\"", e->text);
    }
    return rv == Q_NOT_FOUND || rv == Q_CORRUPT ? 0 : rv;
}

int replica_save_charter(struct replica *r, struct error *e)
{
    struct charter own = charter_of(r), kept = {.name = ""};
    struct error ignored;
    int rv = 0;

    if (charter_load(r->config.env, r->dir, &kept, &ignored) != 0 || strcmp(kept.name, own.name) != 0 ||
        strcmp(kept.semantics, own.semantics) != 0) {
        rv = charter_save(r->config.env, r->dir, &own, e);
    }
    return rv == Q_NO_SPACE ? 0 : rv;
}
