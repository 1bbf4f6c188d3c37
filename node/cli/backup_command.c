/* backup list, verify, prune: what a directory of backups holds, whether it is sound, and less of it. They
 * need no node. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "node/cli/command.h"
#include "node/cli/local_files.h"
#include "node/cli/progress.h"
#include "node/cli/table.h"
#include "snapshots/backup_verify.h"

enum { PROGRESS_EVERY_MS = 3000, COLUMNS = 5, DATE_MAX = 32, NAME_MAX_BYTES = 48 };

/* The directory that the one word names. */
struct place {
    struct local_files *files;
    struct backup *backup;
};

static int place_open(const struct args *a, struct place *ret_place, struct error *e)
{
    struct place p = {NULL, NULL};
    int rv = local_files_open(&p.files, e);

    rv = rv == 0 ? backup_open_existing(local_files_env(p.files), a->words[0], &p.backup, e) : rv;
    if (rv != 0) {
        local_files_close(p.files);
        return rv;
    }
    *ret_place = p;
    return 0;
}

static void place_close(struct place *p)
{
    backup_close(p->backup);
    local_files_close(p->files);
}

static void format_date(uint64_t ms, char text[DATE_MAX])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(text, DATE_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* ---- list ---- */

static int list_table(const struct catalog *catalog, struct error *e)
{
    static const char *const heading[COLUMNS] = {"BACKUP", "MADE", "NODE", "MB", "CHUNKS"};
    struct table t;

    table_init(&t, COLUMNS);
    for (unsigned i = 0; i < COLUMNS; i++) {
        table_add(&t, heading[i]);
    }
    for (unsigned i = 2; i < COLUMNS; i++) {
        table_align_right(&t, i);
    }
    for (unsigned i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_entry *entry = catalog_at(catalog, i);
        char date[DATE_MAX];

        table_addf(&t, "%" PRIu64 "-%" PRIu64, entry->index, entry->term);
        if (entry->damaged) {
            table_add(&t, "damaged: its manifest cannot be read");
            table_add(&t, "-");
            table_add(&t, "-");
            table_add(&t, "-");
            continue;
        }
        format_date(entry->made_ms, date);
        table_add(&t, date);
        table_addf(&t, "%" PRIu64, entry->node);
        table_addf(&t, "%.1f", (double)entry->image_bytes / 1e6);
        table_addf(&t, "%" PRIu32, entry->chunks);
    }
    int rv = table_print(&t, stdout, e);
    table_close(&t);
    return rv;
}

static void list_json(const struct catalog *catalog)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_entry *entry = catalog_at(catalog, i);
        json_array_append_new(all,
                              json_pack("{s:I,s:I,s:b,s:I,s:I,s:I,s:I}", "index", (json_int_t)entry->index,
                                        "term", (json_int_t)entry->term, "damaged", entry->damaged, "made_ms",
                                        (json_int_t)entry->made_ms, "node", (json_int_t)entry->node, "bytes",
                                        (json_int_t)entry->image_bytes, "chunks", (json_int_t)entry->chunks));
    }
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static enum outcome run_list(const struct args *a, struct error *e)
{
    struct place p;
    int rv = place_open(a, &p, e);

    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    if (args_flag(a, "json")) {
        list_json(backup_catalog(p.backup));
    } else {
        rv = list_table(backup_catalog(p.backup), e);
    }
    place_close(&p);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

/* ---- verify ---- */

struct findings {
    json_t *damages; /* NULL: they are printed as they come */
    struct progress progress;
    struct progress_facts facts;
    uint64_t started_us;
};

static void on_damage(void *ctx, const struct error *what)
{
    struct findings *f = ctx;

    if (f->damages != NULL) {
        json_array_append_new(f->damages, json_string(what->text));
    } else {
        progress_end(&f->progress);
        printf("damaged: %s\n", what->text);
    }
}

static void on_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_all)
{
    struct findings *f = ctx;
    uint64_t now = clock_us();

    f->facts.rows++;
    f->facts.bytes = bytes_done;
    f->facts.bytes_total = bytes_all;
    f->facts.elapsed_us = now - f->started_us;
    progress_show(&f->progress, &f->facts, now);
}

static void tell_verified(const struct findings *f, const struct backup_verify *v)
{
    if (f->damages == NULL) {
        printf("%u backups, %u of them damaged; read %" PRIu64 " chunks, %.1f MB\n", v->backups,
               v->damaged_backups, v->chunks_read, (double)v->bytes_read / 1e6);
        if (v->chunks_damaged > 0 && v->remove_damaged) {
            printf("removed %" PRIu64
                   " damaged chunks: the next quorate backup create fetches again those that "
                   "the database still has\n",
                   v->chunks_damaged);
        }
        return;
    }
    json_t *root = json_pack("{s:i,s:i,s:I,s:I,s:I,s:O}", "backups", (int)v->backups, "damaged_backups",
                             (int)v->damaged_backups, "chunks_read", (json_int_t)v->chunks_read, "bytes_read",
                             (json_int_t)v->bytes_read, "chunks_damaged", (json_int_t)v->chunks_damaged,
                             "damages", f->damages);
    json_dumpf(root, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(root);
}

static enum outcome run_verify(const struct args *a, struct error *e)
{
    struct findings f = {.damages = args_flag(a, "json") ? json_array() : NULL,
                         .facts = {.unit = "chunks", .done = "verified"},
                         .started_us = clock_us()};
    struct backup_verify v = {.damage = on_damage,
                              .progress = on_progress,
                              .ctx = &f,
                              .remove_damaged = args_flag(a, "remove-damaged")};
    struct place p;
    int rv = place_open(a, &p, e);

    if (rv == 0) {
        progress_init(&f.progress, stderr, isatty(STDERR_FILENO) == 1, PROGRESS_EVERY_MS, f.started_us);
        rv = backup_verify(p.backup, &v, e);
        progress_end(&f.progress);
        place_close(&p);
    }
    if (rv == 0) {
        tell_verified(&f, &v);
    }
    json_decref(f.damages);
    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    return v.damaged_backups == 0 ? OUTCOME_DONE : OUTCOME_SILENT;
}

/* ---- prune ---- */

static enum outcome run_prune(const struct args *a, struct error *e)
{
    struct backup_prune prune = {.keep = (unsigned)args_number(a, "keep")};
    struct place p;

    if (!args_given(a, "keep") && !args_given(a, "older-than")) {
        error_set(e, Q_INVALID, "which backups go? --keep N or --older-than TIME says so");
        return OUTCOME_USAGE;
    }
    if (place_open(a, &p, e) != 0) {
        return OUTCOME_FAILED;
    }
    if (args_given(a, "older-than")) {
        uint64_t now = env_wall_ms(local_files_env(p.files)), age = (uint64_t)args_number(a, "older-than");
        prune.before_ms = now > age ? now - age : 1;
    }
    int rv = backup_prune(p.backup, &prune, e);
    place_close(&p);
    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    if (args_flag(a, "json")) {
        printf("{\"removed\":%u,\"kept\":%u,\"chunks\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"damaged\":%u}\n",
               prune.backups, prune.kept, prune.chunks, prune.bytes, prune.damaged);
    } else {
        printf("removed %u backups and %" PRIu64 " chunks, %.1f MB; %u backups are left\n", prune.backups,
               prune.chunks, (double)prune.bytes / 1e6, prune.kept);
    }
    if (prune.damaged > 0 && !args_flag(a, "json")) {
        printf("%u damaged manifests stay until they are older than what is kept, and so does every chunk\n",
               prune.damaged);
    }
    return OUTCOME_DONE;
}

static const struct args_option verify_options[] = {
    {"remove-damaged", ARGS_FLAG, NULL, NULL, 0, 0,
     "remove damaged chunks, so that the next backup that needs them fetches them again"},
};

static const struct args_option prune_options[] = {
    {"keep", ARGS_NUMBER, "N", NULL, 1, 1000000, "remove all but the newest N backups"},
    {"older-than", ARGS_TIME, "TIME", NULL, 0, INT64_C(3650) * 86400000,
     "remove those that are older, such as 7d, but never the newest"},
};

const struct command backup_list_command = {
    .name = "backup list",
    .usage = "DIR",
    .summary = "say which backups a directory holds",
    .words_min = 1,
    .words_max = 1,
    .run = run_list,
};

const struct command backup_verify_command = {
    .name = "backup verify",
    .usage = "DIR",
    .summary = "read all backups of a directory and name what is damaged",
    .details =
        "Reads each manifest, each chunk and each page by its checksum. Exits with 1 when something is\n"
        "damaged. What is shared by several backups is read once.\n",
    .options = verify_options,
    .option_count = sizeof verify_options / sizeof verify_options[0],
    .words_min = 1,
    .words_max = 1,
    .run = run_verify,
};

const struct command backup_prune_command = {
    .name = "backup prune",
    .usage = "DIR",
    .summary = "remove old backups, and what only they needed",
    .options = prune_options,
    .option_count = sizeof prune_options / sizeof prune_options[0],
    .words_min = 1,
    .words_max = 1,
    .run = run_prune,
};
