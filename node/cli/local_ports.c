#include "node/cli/local_ports.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket bound to the port of 127.0.0.1, or -1 with errno. */
static int bind_port(unsigned port, unsigned *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* So that connections of an earlier process that linger do not count. */
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
                    bind(fd, (struct sockaddr *)&address, n) != 0 || listen(fd, 1) != 0 ||
                    getsockname(fd, (struct sockaddr *)&address, &n) != 0)) {
        int failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int local_ports_free(unsigned count, unsigned *ret_ports, struct error *e)
{
    int fds[LOCAL_PORTS_MAX], rv = 0;
    unsigned n = 0;

    assert(count <= LOCAL_PORTS_MAX);
    /* All are held until all are known: else the same one could come twice. */
    for (; rv == 0 && n < count; n++) {
        fds[n] = bind_port(0, &ret_ports[n]);
        if (fds[n] < 0) {
            rv = error_errno(e, errno, "no free port");
            break;
        }
    }
    while (n > 0) {
        close(fds[--n]);
    }
    return rv;
}

int local_ports_check(unsigned port, struct error *e)
{
    unsigned bound;
    int fd = bind_port(port, &bound);

    if (fd < 0) {
        return errno == EADDRINUSE ? error_set(e, Q_CONFLICT, "port %u is in use", port)
                                   : error_errno(e, errno, "port %u", port);
    }
    close(fd);
    return 0;
}
