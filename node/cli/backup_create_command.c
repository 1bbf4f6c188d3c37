/* backup create: a directory gets what it lacks of the cluster's database as it is now. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "node/cli/backup_node.h"
#include "node/cli/clock.h"
#include "node/cli/command.h"
#include "node/cli/local_files.h"

enum {
    PROGRESS_EVERY_MS = 3000,
    SILENCE_MS = 30000, /* of a node that gives chunks, before another one is asked */
    TRIES = 4,
    TRY_AGAIN_MS = 1000,
};

static const struct args_option options[] = {
    {"to", ARGS_TEXT, "DIR", NULL, 0, 0, "the directory of the backups; it is made if need be"},
    {"from", ARGS_TEXT, "WHOM", "any", 0, 0,
     "any (a follower, else the leader), follower, leader, or the URL of a node"},
    {"keep", ARGS_NUMBER, "N", NULL, 1, 1000000, "then remove all but the newest N backups"},
    {"timeout", ARGS_TIME, "TIME", "10m", 1, 86400000, "give up when a node takes longer for the snapshot"},
};

struct made {
    struct backup_node node;
    struct manifest manifest;
    struct backup_totals totals;
    struct backup_prune prune;
    uint64_t fetched; /* bytes of chunks and deltas, in all attempts */
    uint64_t elapsed_us;
};

static int copy(struct made *made, struct backup *backup, struct error *e)
{
    struct progress progress;
    int rv = backup_begin(backup, &made->manifest, e);

    if (rv == Q_CONFLICT) { /* nothing has changed since the last one */
        made->totals = (struct backup_totals){.chunks_all = made->manifest.chunks};
        return 0;
    }
    if (rv != 0) {
        return rv;
    }
    progress_init(&progress, stderr, isatty(STDERR_FILENO) == 1, PROGRESS_EVERY_MS, clock_us());
    rv = backup_node_fetch(&made->node, &made->manifest, backup, SILENCE_MS, &progress, e);
    made->fetched += made->node.bytes_fetched;
    rv = rv == 0 ? backup_commit(backup, e) : rv;
    backup_totals(backup, &made->totals);
    return rv;
}

static int try_once(const struct args *a, struct client *client, struct made *made, struct backup *backup,
                    struct error *e)
{
    int rv = backup_node_choose(client, args_text(a, "from"), &made->node, e);

    manifest_close(&made->manifest);
    rv =
        rv == 0 ? backup_node_take(&made->node, (uint64_t)args_number(a, "timeout"), &made->manifest, e) : rv;
    return rv == 0 ? copy(made, backup, e) : rv;
}

/* Another node may do, or the same one later: what was fetched is kept. */
static bool may_try_again(int rv)
{
    return rv == Q_NO_LEADER || rv == Q_UNKNOWN || rv == Q_NOT_FOUND || rv == Q_CORRUPT;
}

/* The directory first: nobody takes an image for one that is in use. */
static int create(const struct args *a, struct client *client, struct env *env, struct made *made,
                  struct error *e)
{
    uint64_t started_us = clock_us();
    struct backup *backup;
    int rv = backup_open(env, args_text(a, "to"), &backup, e);

    if (rv != 0) {
        return rv;
    }
    rv = try_once(a, client, made, backup, e);
    for (unsigned i = 1; i < TRIES && may_try_again(rv); i++) {
        fprintf(stderr, "quorate: %s; once more\n", e->text);
        clock_pause(TRY_AGAIN_MS);
        rv = try_once(a, client, made, backup, e);
    }
    if (rv == 0 && args_given(a, "keep")) {
        made->prune.keep = (unsigned)args_number(a, "keep");
        rv = backup_prune(backup, &made->prune, e);
    }
    backup_close(backup);
    made->elapsed_us = clock_us() - started_us;
    return rv;
}

static void tell(const struct made *made, bool json)
{
    const struct manifest *m = &made->manifest;
    uint32_t reused = made->totals.chunks_all - made->totals.chunks_new;

    if (json) {
        printf("{\"index\":%" PRIu64 ",\"term\":%" PRIu64 ",\"node\":%" PRIu64 ",\"bytes\":%" PRIu64
               ",\"chunks\":%" PRIu32 ",\"chunks_new\":%" PRIu32 ",\"bytes_new\":%" PRIu64
               ",\"chunks_reused\":%" PRIu32 ",\"bytes_fetched\":%" PRIu64
               ",\"pruned\":%u,\"seconds\":%.3f}\n",
               m->index, m->term, made->node.id, m->image_bytes, m->chunks, made->totals.chunks_new,
               made->totals.bytes_new, reused, made->fetched, made->prune.backups,
               (double)made->elapsed_us / 1e6);
        return;
    }
    printf("backup %" PRIu64 "-%" PRIu64 " from node %" PRIu64 "%s: %.1f MB in %" PRIu32 " chunks, %" PRIu32
           " of them new (%.1f MB fetched, %.1f MB stored), %" PRIu32 " reused, in %.1f s\n",
           m->index, m->term, made->node.id, made->node.leads ? " (the leader)" : "",
           (double)m->image_bytes / 1e6, m->chunks, made->totals.chunks_new, (double)made->fetched / 1e6,
           (double)made->totals.bytes_new / 1e6, reused, (double)made->elapsed_us / 1e6);
    if (made->prune.backups > 0) {
        printf("removed %u older backups, %" PRIu64 " chunks, %.1f MB\n", made->prune.backups,
               made->prune.chunks, (double)made->prune.bytes / 1e6);
    }
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct client *client = NULL;
    struct local_files *files = NULL;
    struct made made = {.totals = {0}};
    enum outcome outcome = OUTCOME_FAILED;

    if (args_text(a, "to") == NULL) {
        error_set(e, Q_INVALID, "where to? --to DIR is the directory of the backups");
        return OUTCOME_USAGE;
    }
    if (backup_node_check(args_text(a, "from"), e) != 0 || command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    if (local_files_open(&files, e) == 0) {
        if (create(a, client, local_files_env(files), &made, e) == 0) {
            tell(&made, args_flag(a, "json"));
            outcome = OUTCOME_DONE;
        }
        manifest_close(&made.manifest);
        local_files_close(files);
    }
    client_free(client);
    return outcome;
}

const struct command backup_create_command = {
    .name = "backup create",
    .usage = "--to DIR",
    .summary = "copy what has changed since the last backup into a directory",
    .details =
        "A node takes an image of its database at one log index while it goes on serving; what the "
        "directory\n"
        "lacks of it is copied, chunk by chunk, each verified. The first backup copies everything, each "
        "later\n"
        "one what has changed. A backup that is broken off costs nothing: the next one goes on with what is\n"
        "there. The directory holds the backups of one cluster.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};
