/* quorated: a node as a process of its own, built on libquorate. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "node/node.h"
#include "node/options.h"
#include "node/version.h"

enum { EXIT_USAGE = 2 };

static void help(void)
{
    printf("usage: quorated --id N --dir DIR --members 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT [options]\n"
           "       quorated --dir DIR --join HOST:PORT --listen HOST:PORT [options]\n"
           "       quorated --dir DIR [options]\n"
           "\n"
           "Runs one node of a replicated SQLite and key-value store: one of the first members of a new "
           "cluster, a\n"
           "new machine that joins one, or any node whose directory is there already.\n"
           "Every option can also be given in the environment (QUORATE_ and its name in capitals, - as _) or "
           "in an\n"
           "INI file (--config); flags win over the environment, the environment over the file.\n"
           "\n");
    options_help(stdout);
}

static int complain(const char *text)
{
    fprintf(stderr, "quorated: %s\n", text);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options options;
    struct quorate *node;
    struct error e;
    sigset_t signals;
    bool want_help, want_version;
    int rv, signal_number;

    options_init(&options);
    rv = options_arguments(&options, argc, argv, &want_help, &want_version, &e);
    if (want_help || want_version) {
        want_help ? help() : (void)printf("quorated %s\n", QUORATE_VERSION);
        options_close(&options);
        return 0;
    }
    if (rv != 0) {
        options_close(&options);
        return complain(e.text);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread is made: they inherit it */
    signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit is an error then, and names the file */
    rv = node_start(&options, signalfd(-1, &signals, SFD_CLOEXEC), &node, &e);
    options_close(&options);
    if (rv == Q_CLOSED) {
        return 0; /* a signal came before it was a member: there is nothing to stop */
    }
    if (rv != 0) {
        complain(e.text);
        return rv == Q_INVALID || rv == Q_DENIED ? EXIT_USAGE : EXIT_FAILURE;
    }
    sigwait(&signals, &signal_number);
    node_stop(node);
    return 0;
}
