#include "tests/chaos/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char device[] = "tun0";

static int open_tun(struct netns *ns, struct error *e)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};

    ns->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (ns->tun < 0) {
        return error_errno(e, errno, "cannot open /dev/net/tun");
    }
    memcpy(request.ifr_name, device, sizeof device);
    return ioctl(ns->tun, TUNSETIFF, &request) == 0 ? 0 : error_errno(e, errno, "cannot make a TUN device");
}

static int set_up(int control, const char *name, struct error *e)
{
    struct ifreq request = {.ifr_flags = 0};

    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0) {
        return error_errno(e, errno, "cannot look at device %s", name);
    }
    request.ifr_flags |= IFF_UP;
    return ioctl(control, SIOCSIFFLAGS, &request) == 0
               ? 0
               : error_errno(e, errno, "cannot start device %s", name);
}

static int set_address(int control, unsigned long what, uint32_t address, struct error *e)
{
    struct ifreq request = {.ifr_flags = 0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};

    memcpy(request.ifr_name, device, sizeof device);
    memcpy(&request.ifr_addr, &in, sizeof in);
    return ioctl(control, what, &request) == 0
               ? 0
               : error_errno(e, errno, "cannot set the address of a TUN device");
}

static int configure(uint32_t address, struct error *e)
{
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rv;

    if (control < 0) {
        return error_errno(e, errno, "cannot make a socket");
    }
    rv = set_address(control, SIOCSIFADDR, address, e);
    rv = rv ? rv : set_address(control, SIOCSIFNETMASK, 0xffffff00, e);
    rv = rv ? rv : set_up(control, device, e);
    rv = rv ? rv : set_up(control, "lo", e);
    close(control);
    return rv;
}

struct making {
    struct netns ns;
    struct error error;
    int rv;
};

/* On a thread of its own: the thread leaves our namespace for a new one, and does not come back. */
static void *make(void *arg)
{
    struct making *m = arg;

    if (unshare(CLONE_NEWNET) != 0) {
        m->rv = error_errno(&m->error, errno, "a network namespace is not permitted");
        return NULL;
    }
    m->ns.fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    m->rv = m->ns.fd < 0 ? error_errno(&m->error, errno, "cannot open a network namespace") : 0;
    m->rv = m->rv ? m->rv : open_tun(&m->ns, &m->error);
    m->rv = m->rv ? m->rv : configure(m->ns.address, &m->error);
    return NULL;
}

int netns_open(struct netns *ret_ns, uint32_t address, struct error *e)
{
    struct making m = {.ns = {.fd = -1, .tun = -1, .address = address}};
    pthread_t thread;
    int rv = pthread_create(&thread, NULL, make, &m);

    if (rv != 0) {
        return error_errno(e, rv, "cannot start a thread");
    }
    pthread_join(thread, NULL);
    if (m.rv != 0) {
        netns_close(&m.ns);
        *e = m.error;
        return m.rv;
    }
    *ret_ns = m.ns;
    return 0;
}

void netns_close(struct netns *ns)
{
    if (ns->tun >= 0) {
        close(ns->tun);
    }
    if (ns->fd >= 0) {
        close(ns->fd);
    }
    ns->fd = ns->tun = -1;
}

int netns_enter(const struct netns *ns, struct error *e)
{
    return setns(ns->fd, CLONE_NEWNET) == 0 ? 0 : error_errno(e, errno, "cannot enter a network namespace");
}
