/* quorate-chaos: a cluster of real processes, in network namespaces of its own, with clients, while
 * everything that can be broken is broken; then the same checks as in the simulator. What is broken when
 * follows from the seed, but not what comes of it: processes and their kernel have a time of their own. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/chaos/bank.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/nemesis.h"
#include "tests/chaos/verdict.h"

enum {
    EXIT_VIOLATION = 1,
    EXIT_USAGE = 2,
    EXIT_SKIPPED = 77, /* ctest's word for it */
    STEP_MS = 10,
    PROGRESS_MS = 5000,
    READY_MS = 60000,
    SETUP_MS = 20000,
};

struct settings {
    uint64_t seed, seconds;
    unsigned nodes, clients;
    const char *only, *plant, *quorated;
    bool story;
};

struct run {
    struct settings settings;
    struct machines machines;
    struct record record;
    struct watch *watch;
    struct nemesis nemesis;
    struct clients *clients;
    uint64_t started_ms, leaders;
};

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
    (void)number;
    asked_to_end = 1;
}

static uint64_t elapsed_ms(const struct run *r)
{
    return deadline_now_ms() - r->started_ms;
}

static void print_progress(struct run *r)
{
    struct watch_view view = watch_view(r->watch);
    struct buf now;

    buf_init(&now, 4096);
    nemesis_put_now(&r->nemesis, &now);
    pthread_mutex_lock(&r->record.lock);
    printf("%4" PRIu64 " s: operations %zu, acknowledged %" PRIu64 ", unknown %" PRIu64 ", term %" PRIu64
           ", index %" PRIu64 ", broken now: %.*s\n",
           elapsed_ms(r) / 1000, r->record.history.count, r->record.done, r->record.unknown, view.term,
           view.applied, (int)now.len, (const char *)now.data);
    pthread_mutex_unlock(&r->record.lock);
    fflush(stdout);
    buf_close(&now);
}

static void print_injected(struct run *r)
{
    struct tunswitch_counts packets = tunswitch_counts(r->machines.network);
    uint64_t errors = 0, kills = 0, refused = 0;

    for (unsigned i = 0; i < r->machines.count; i++) {
        disk_faults_count(&r->machines.machine[i].disk, &errors, &kills, &refused);
    }
    printf("packets %" PRIu64 ", lost %" PRIu64 ", twice %" PRIu64 ", corrupted %" PRIu64 ", held %" PRIu64
           "; disk calls with an error %" PRIu64 ", that were the last %" PRIu64 ", without room %" PRIu64
           "; leaders %" PRIu64 "\n",
           packets.delivered + packets.lost, packets.lost, packets.twice, packets.corrupted, packets.held,
           errors, kills, refused, r->leaders);
}

static void print_result(struct run *r)
{
    struct buf faults;

    buf_init(&faults, 4096);
    nemesis_put_counts(&r->nemesis, &faults);
    printf("seconds %" PRIu64 ", operations %zu, acknowledged %" PRIu64 ", unknown %" PRIu64
           ", faults by kind %.*s, violations %u\n",
           elapsed_ms(r) / 1000, r->record.history.count, r->record.done, r->record.unknown, (int)faults.len,
           (const char *)faults.data, r->record.violations);
    buf_close(&faults);
}

static bool all_run(struct run *r)
{
    int status;

    for (unsigned i = 0; i < r->machines.count; i++) {
        if (machines_has_ended(&r->machines, i, &status)) {
            process_show(&r->machines.machine[i].process);
            return false;
        }
    }
    return true;
}

/* Asks node I until it says that it is done. */
static bool ask_until_done(struct run *r, unsigned i, const char *target, const char *body)
{
    const struct http_ask ask = {.method = "POST", .target = target, .body = body, .len = strlen(body)};
    struct deadline deadline = deadline_in(READY_MS);
    struct http_client client;
    enum bank_answer answer = BANK_NOTHING;

    http_client_init(&client, &r->machines.machine[i].http);
    do {
        struct deadline patience = deadline_in(SETUP_MS);
        struct http_reply reply;
        char text[256];
        if (http_client_ask(&client, &ask, &patience, &reply) == HTTP_ANSWERED) {
            answer = reply.status == 200 ? bank_read(reply.body, reply.len, NULL, text, sizeof text)
                                         : BANK_NOTHING;
            http_reply_close(&reply);
        }
    } while (answer != BANK_DONE && all_run(r) && deadline_wait(&deadline));
    http_client_close(&client);
    return answer == BANK_DONE;
}

/* All nodes have the tables of the bank before anybody reads them, at whatever level. */
static bool set_up(struct run *r)
{
    bool done = ask_until_done(r, 0, "/db/execute?transaction", bank_setup());

    for (unsigned i = 0; i < r->machines.count && done; i++) {
        done = ask_until_done(r, i, "/db/query?level=none", "[\"" BANK_ACCOUNTS_SQL "\"]");
    }
    return done;
}

static void break_things(struct run *r)
{
    uint64_t next_progress_ms = PROGRESS_MS;

    r->clients = clients_start(&r->machines, &r->record, r->settings.clients, r->settings.seed);
    while (elapsed_ms(r) < r->settings.seconds * 1000 && !asked_to_end) {
        nemesis_step(&r->nemesis);
        if (elapsed_ms(r) >= next_progress_ms) {
            print_progress(r);
            next_progress_ms += PROGRESS_MS;
        }
        poll(NULL, 0, STEP_MS);
    }
    nemesis_end(&r->nemesis);
    print_progress(r);
    clients_stop(r->clients);
}

static void keep_files(struct run *r)
{
    char path[MACHINES_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/history.jsonl", r->machines.dir);
    record_write(&r->record, path);
    printf("logs, data and history are kept in %s\n", r->machines.dir);
}

static void run(struct run *r)
{
    for (unsigned i = 0; i < r->machines.count; i++) {
        machines_start(&r->machines, i);
    }
    r->watch = watch_start(&r->machines, &r->record);
    r->nemesis.world.watch = r->watch;
    r->started_ms = deadline_now_ms();
    if (set_up(r)) {
        break_things(r);
        r->leaders = watch_view(r->watch).leaders;
        watch_stop(r->watch);
        verdict(&r->machines, &r->record);
    } else {
        record_violation(&r->record, "the cluster does not start");
        watch_stop(r->watch);
    }
    if (r->record.violations > 0) {
        keep_files(r);
    } else {
        machines_remove_files(&r->machines);
    }
    print_injected(r);
    print_result(r);
}

static int open_and_run(const struct settings *settings)
{
    static struct run r; /* large */
    struct machines_config config = {
        .count = settings->nodes,
        .seed = settings->seed,
        .quorated = settings->quorated,
        .shim = FAULT_SHIM,
        .plant = settings->plant,
    };
    struct error e;
    int rv;

    r.settings = *settings;
    record_init(&r.record);
    rv = nemesis_init(&r.nemesis, &r.machines, NULL, &r.record, settings->seed, settings->only, &e);
    if (rv != 0) {
        fprintf(stderr, "quorate-chaos: %s\n", e.text);
        return EXIT_USAGE;
    }
    r.nemesis.story = settings->story;
    rv = machines_open(&r.machines, &config, &e);
    if (rv != 0) {
        printf("SKIPPED: %s\n", e.text);
        return EXIT_SKIPPED;
    }
    printf("seed %" PRIu64 ", %u nodes, files in %s\n", settings->seed, settings->nodes, r.machines.dir);
    fflush(stdout);
    run(&r);
    rv = r.record.violations > 0 ? EXIT_VIOLATION : 0;
    machines_close(&r.machines);
    record_close(&r.record);
    return rv;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: quorate-chaos [--seed S] [--seconds T] [--nodes 3|5] [--clients N] [--only KIND,KIND...]\n"
        "                     [--plant NAME] [--quorated PATH] [--story]\n");
    return EXIT_USAGE;
}

static uint64_t fresh_seed(void)
{
    return (record_now_us() * 1000003 + (uint64_t)getpid()) % 1000000000;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 't'},
        {"nodes", required_argument, NULL, 'n'},
        {"clients", required_argument, NULL, 'c'},
        {"only", required_argument, NULL, 'o'},
        {"plant", required_argument, NULL, 'p'},
        {"quorated", required_argument, NULL, 'q'},
        {"story", no_argument, NULL, 'y'},
        {NULL, 0, NULL, 0},
    };
    struct settings settings = {.seed = fresh_seed(),
                                .seconds = 60,
                                .nodes = 3,
                                .clients = 16,
                                .quorated = QUORATED,
                                .plant = getenv("QUORATE_PLANT")};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's': settings.seed = strtoull(optarg, NULL, 10); break;
        case 't': settings.seconds = strtoull(optarg, NULL, 10); break;
        case 'n': settings.nodes = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'c': settings.clients = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'o': settings.only = optarg; break;
        case 'p': settings.plant = optarg; break;
        case 'q': settings.quorated = optarg; break;
        case 'y': settings.story = true; break;
        default: return usage();
        }
    }
    if (optind < argc || (settings.nodes != 3 && settings.nodes != 5) || settings.clients == 0 ||
        settings.clients > CLIENTS_MAX) {
        return usage();
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    return open_and_run(&settings);
}
