#include "tests/chaos/machines.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NETWORK = 0x0a4d0000, /* 10.77.0.0/24, inside our own namespaces only */
    PEER_PORT = 4101,
    FILES_OPEN_MAX = 16,
};

unsigned machines_clients(const struct machines *ms)
{
    return ms->count;
}

static unsigned watchers(const struct machines *ms)
{
    return ms->count + 1;
}

static void add_members(struct process *p, unsigned count)
{
    char members[256] = "";
    size_t n = 0;

    for (unsigned i = 0; i < count; i++) {
        n += (size_t)snprintf(members + n, sizeof members - n, "%s%u=10.77.0.%u:%d", i ? "," : "", i + 1,
                              i + 1, PEER_PORT);
    }
    process_add_argument(p, "--members=%s", members);
}

/* With every other seed there is one whose log writes go through io_uring, past the shim: that way is taken
 * too. */
static bool takes_ring(const struct machines_config *config, unsigned i)
{
    return config->seed % 2 == 1 && i == config->seed / 2 % config->count;
}

static int prepare(struct machines *ms, unsigned i, const struct machines_config *config, struct error *e)
{
    struct machine *m = &ms->machine[i];
    struct process *p = &m->process;
    char dir[MACHINES_PATH_MAX], faults[MACHINES_PATH_MAX + 16];

    m->id = i + 1;
    m->http = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons(MACHINES_HTTP_PORT),
                                   .sin_addr.s_addr = htonl(ms->ports[i].address)};
    m->by_thread = !takes_ring(config, i);
    snprintf(dir, sizeof dir, "%.*s/node%u", MACHINES_PATH_MAX - 16, ms->dir, i + 1);
    snprintf(m->dir, sizeof m->dir, "%s", dir);
    snprintf(m->log, sizeof m->log, "%.*s.log", MACHINES_PATH_MAX - 8, dir);
    snprintf(faults, sizeof faults, "%s.faults", dir);
    process_init(p, config->quorated, m->log);
    p->network = ms->ports[i].fd;
    process_set_variable(p, "QUORATE_SECRET", MACHINES_SECRET);
    process_set_variable(p, "QUORATE_PLANT", config->plant);
    process_set_variable(p, "LD_PRELOAD", config->shim);
    process_set_variable(p, FAULT_CONTROL_VARIABLE, faults);
    /* The shim stands before the sanitizer on purpose: what it hands on is still looked at. */
    process_set_variable(p, "ASAN_OPTIONS", "verify_asan_link_order=0");
    process_add_argument(p, "--id=%" PRIu64, m->id);
    process_add_argument(p, "--dir=%s", m->dir);
    process_add_argument(p, "--http=10.77.0.%u:%d", i + 1, MACHINES_HTTP_PORT);
    add_members(p, ms->count);
    /* Small files, so that segments end and logs are compacted all the time. */
    process_add_argument(p, "--request-max=32K");
    process_add_argument(p, "--segment-bytes=128K");
    process_add_argument(p, "--compact-bytes=256K");
    process_add_argument(p, "--log-cache-bytes=64K");
    process_add_argument(p, "--ballast-bytes=1M");
    process_add_argument(p, m->by_thread ? "--no-io-uring" : "--io-uring");
    return disk_faults_open(&m->disk, faults, m->dir, e);
}

static int make_dir(struct machines *ms, struct error *e)
{
    const char *temporary = getenv("TMPDIR");
    char path[MACHINES_PATH_MAX / 2], *real;

    snprintf(path, sizeof path, "%s/quorate-chaos-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(path) == NULL) {
        return error_errno(e, errno, "cannot make directory %s", path);
    }
    real = realpath(path, NULL); /* as /proc/self/fd says it */
    snprintf(ms->dir, sizeof ms->dir, "%s", real != NULL ? real : path);
    free(real);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void machines_remove_files(const struct machines *ms)
{
    nftw(ms->dir, remove_one, FILES_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
}

int machines_open(struct machines *ms, const struct machines_config *config, struct error *e)
{
    int rv = 0;

    memset(ms, 0, sizeof *ms);
    ms->count = config->count;
    for (unsigned i = 0; i < TUNSWITCH_PORTS; i++) {
        ms->ports[i] = (struct netns){.fd = -1, .tun = -1};
    }
    for (unsigned i = 0; i <= watchers(ms) && rv == 0; i++) {
        rv = netns_open(&ms->ports[i], NETWORK + i + 1, e);
    }
    rv = rv ? rv : netns_enter(&ms->ports[watchers(ms)], e);
    rv = rv ? rv : make_dir(ms, e);
    for (unsigned i = 0; i < ms->count && rv == 0; i++) {
        rv = prepare(ms, i, config, e);
    }
    if (rv != 0) {
        machines_close(ms);
        if (ms->dir[0] != 0) {
            machines_remove_files(ms);
        }
        return rv;
    }
    ms->network = tunswitch_new(ms->ports, watchers(ms) + 1, config->seed);
    return 0;
}

void machines_close(struct machines *ms)
{
    for (unsigned i = 0; i < ms->count; i++) {
        process_close(&ms->machine[i].process);
        disk_faults_close(&ms->machine[i].disk);
    }
    tunswitch_free(ms->network);
    for (unsigned i = 0; i < TUNSWITCH_PORTS; i++) {
        netns_close(&ms->ports[i]);
    }
}

void machines_start(struct machines *ms, unsigned i)
{
    process_start(&ms->machine[i].process);
    ms->machine[i].up = true;
}

void machines_kill(struct machines *ms, unsigned i)
{
    process_kill(&ms->machine[i].process);
    ms->machine[i].up = false;
}

bool machines_has_ended(struct machines *ms, unsigned i, int *ret_status)
{
    struct machine *m = &ms->machine[i];

    if (!m->up || !process_ended(&m->process, ret_status)) {
        return false;
    }
    m->up = false;
    return true;
}

char *machines_last_words(const struct machines *ms, unsigned i)
{
    char *said = process_output(&ms->machine[i].process), *line, *words;
    size_t n = strlen(said);

    while (n > 0 && said[n - 1] == '\n') {
        said[--n] = 0;
    }
    line = strrchr(said, '\n');
    words = strdup(line != NULL ? line + 1 : said);
    free(said);
    if (words == NULL) {
        abort();
    }
    return words;
}
