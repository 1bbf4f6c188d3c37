#include "tests/cluster/processes.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test.h"

enum { ANSWER_MS = 2000, STOP_MS = 30000, FILES_OPEN_MAX = 16 };

/* A port that is nobody else's for as long as the socket lives. */
static int reserve(struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    /* Set before: the port is one that no other socket has, not even one that would share it. */
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *ret_address = address;
    return fd;
}

static void prepare(struct processes *ps, struct node *node, uint64_t id)
{
    char log[PROCESS_PATH_MAX];

    *node = (struct node){.id = id};
    node->reserved[0] = reserve(&node->peer);
    node->reserved[1] = reserve(&node->http);
    snprintf(node->dir, sizeof node->dir, "%s/node%u", ps->dir, ps->count);
    snprintf(log, sizeof log, "%s/node%u.log", ps->dir, ps->count);
    http_client_init(&node->client, &node->http);
    process_init(&node->process, QUORATED, log);
    process_set_variable(&node->process, "QUORATE_SECRET", PROCESSES_SECRET);
    if (id != 0) {
        process_add_argument(&node->process, "--id=%" PRIu64, id);
    }
    process_add_argument(&node->process, "--dir=%s", node->dir);
    process_add_argument(&node->process, "--ballast-bytes=0"); /* many nodes come and go here */
    process_add_argument(&node->process, "--http=127.0.0.1:%u", ntohs(node->http.sin_port));
    ps->count++;
}

void processes_init(struct processes *ps, const char *const *options)
{
    const char *temporary = getenv("TMPDIR");
    int n;

    memset(ps, 0, sizeof *ps);
    n = snprintf(ps->dir, sizeof ps->dir, "%s/quorate-cluster-XXXXXX", temporary ? temporary : "/tmp");
    assert_true(n > 0 && (size_t)n < sizeof ps->dir);
    assert_non_null(mkdtemp(ps->dir));
    for (unsigned i = 0; i < 3; i++) {
        prepare(ps, &ps->node[i], i + 1);
    }
    snprintf(ps->members, sizeof ps->members, "1=127.0.0.1:%u,2=127.0.0.1:%u,3=127.0.0.1:%u",
             ntohs(ps->node[0].peer.sin_port), ntohs(ps->node[1].peer.sin_port),
             ntohs(ps->node[2].peer.sin_port));
    for (unsigned i = 0; i < ps->count; i++) {
        process_add_argument(&ps->node[i].process, "--members=%s", ps->members);
        for (const char *const *option = options; option != NULL && *option != NULL; option++) {
            process_add_argument(&ps->node[i].process, "%s", *option);
        }
    }
}

unsigned processes_add(struct processes *ps, uint64_t id)
{
    assert_true(ps->count < PROCESSES_MAX);
    prepare(ps, &ps->node[ps->count], id);
    return ps->count - 1;
}

unsigned processes_add_joiner(struct processes *ps, uint64_t id, const char *const *options)
{
    unsigned i = processes_add(ps, id);
    struct node *node = &ps->node[i];

    node->gone = true;
    process_add_argument(&node->process, "--listen=127.0.0.1:%u", ntohs(node->peer.sin_port));
    for (const char *const *option = options; option != NULL && *option != NULL; option++) {
        process_add_argument(&node->process, "%s", *option);
    }
    return i;
}

void processes_join(struct processes *ps, unsigned i)
{
    char others[64 * PROCESSES_MAX] = "";
    size_t n = 0;

    for (unsigned k = 0; k < ps->count; k++) {
        if (k != i) {
            n += (size_t)snprintf(others + n, sizeof others - n, "%s127.0.0.1:%u", n > 0 ? "," : "",
                                  ntohs(ps->node[k].peer.sin_port));
        }
    }
    process_add_argument(&ps->node[i].process, "--join=%s", others);
    ps->node[i].gone = false;
    processes_start_one(ps, i);
    processes_wait_ready(ps, i);
}

void processes_retire(struct processes *ps, unsigned i)
{
    if (ps->node[i].up) {
        processes_kill(ps, i);
    }
    ps->node[i].gone = true;
}

void processes_check_alive(struct processes *ps)
{
    for (unsigned i = 0; i < ps->count; i++) {
        if (ps->node[i].up && !process_runs(&ps->node[i].process)) {
            ps->node[i].up = false;
            fail_msg("node %" PRIu64 " has ended by itself", ps->node[i].id);
        }
    }
}

void processes_start_one(struct processes *ps, unsigned i)
{
    process_start(&ps->node[i].process);
    ps->node[i].up = true;
}

void processes_start(struct processes *ps)
{
    for (unsigned i = 0; i < ps->count; i++) {
        if (!ps->node[i].up && !ps->node[i].gone) {
            processes_start_one(ps, i);
        }
    }
    for (unsigned i = 0; i < ps->count; i++) {
        if (!ps->node[i].gone) {
            processes_wait_ready(ps, i);
        }
    }
}

void processes_kill(struct processes *ps, unsigned i)
{
    processes_check_alive(ps);
    process_kill(&ps->node[i].process);
    http_client_close(&ps->node[i].client);
    ps->node[i].up = false;
}

void processes_pause(struct processes *ps, unsigned i)
{
    process_pause(&ps->node[i].process);
}

void processes_resume(struct processes *ps, unsigned i)
{
    process_resume(&ps->node[i].process);
}

static void wait_stopped(struct processes *ps, unsigned i)
{
    struct node *node = &ps->node[i];
    int status = process_wait(&node->process, STOP_MS);

    node->up = false;
    http_client_close(&node->client);
    if (status != 0) {
        fail_msg("node %" PRIu64 " was asked to stop and ended with status %d", node->id, status);
    }
}

/* A process that has hardly begun is ended by SIGTERM as any other; only one that serves stops as it should.
 */
static void ask_to_stop(struct processes *ps, unsigned i)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status;

    while (!processes_status(ps, i, &status)) {
        processes_check_alive(ps);
        if (!deadline_wait(&deadline)) {
            fail_msg("node %" PRIu64 " does not answer", ps->node[i].id);
        }
    }
    process_ask_to_stop(&ps->node[i].process);
}

void processes_stop(struct processes *ps, unsigned i)
{
    processes_check_alive(ps);
    ask_to_stop(ps, i);
    wait_stopped(ps, i);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void release(struct processes *ps)
{
    for (unsigned i = 0; i < ps->count; i++) {
        struct node *node = &ps->node[i];
        process_close(&node->process);
        http_client_close(&node->client);
        close(node->reserved[0]);
        close(node->reserved[1]);
    }
    ps->count = 0;
}

void processes_finish(struct processes *ps)
{
    processes_check_alive(ps);
    for (unsigned i = 0; i < ps->count; i++) {
        if (ps->node[i].up) {
            ask_to_stop(ps, i);
        }
    }
    for (unsigned i = 0; i < ps->count; i++) {
        if (ps->node[i].up) {
            wait_stopped(ps, i);
        }
    }
    release(ps);
    nftw(ps->dir, remove_one, FILES_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
}

void processes_abandon(struct processes *ps)
{
    for (unsigned i = 0; i < ps->count; i++) {
        process_kill(&ps->node[i].process);
        process_show(&ps->node[i].process);
    }
    fprintf(stderr, "---- all files are kept in %s\n", ps->dir);
    release(ps);
}

bool processes_status(struct processes *ps, unsigned i, struct status *ret_status)
{
    struct deadline deadline = deadline_in(ANSWER_MS);
    return status_ask(&ps->node[i].client, &deadline, ret_status);
}

void processes_wait_ready(struct processes *ps, unsigned i)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status;

    while (!processes_status(ps, i, &status) || !status.ready) {
        processes_check_alive(ps);
        if (!deadline_wait(&deadline)) {
            fail_msg("node %" PRIu64 " is not ready after %d ms", ps->node[i].id, PROCESSES_WAIT_MS);
        }
    }
}

static bool answers(const struct processes *ps, unsigned i)
{
    return ps->node[i].up && !ps->node[i].process.paused;
}

unsigned processes_leader(struct processes *ps)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status;

    for (;;) {
        for (unsigned i = 0; i < ps->count; i++) {
            if (answers(ps, i) && processes_status(ps, i, &status) && status.leads && status.ready) {
                return i;
            }
        }
        processes_check_alive(ps);
        if (!deadline_wait(&deadline)) {
            fail_msg("nobody leads after %d ms", PROCESSES_WAIT_MS);
        }
    }
}

unsigned processes_other(const struct processes *ps, unsigned avoid)
{
    for (unsigned i = 0; i < ps->count; i++) {
        if (i != avoid && answers(ps, i)) {
            return i;
        }
    }
    fail_msg("there is no other node that runs");
    return ps->count;
}
