#include "tests/chaos/tunswitch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/ip.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/chaos/packets.h"

enum {
    BURST = 64,          /* packets of one device before the next has its turn */
    QUEUE_US = 2000000,  /* what a slow wire keeps; the rest is lost, as in a router */
    WAITING_MAX = 20000, /* packets of all wires */
    LOOK_US = 50000,     /* when nothing is due */
};

/* One direction. */
struct direction {
    uint64_t packets;
    uint64_t free_at_us; /* of a slow wire: when what it has is through */
};

struct tunswitch {
    const struct netns *ports;
    unsigned count;
    uint64_t seed, number;
    pthread_t thread;
    int wake;
    struct packets waiting;
    struct packet *held[WAITING_MAX];
    size_t held_count;
    struct direction directions[TUNSWITCH_PORTS][TUNSWITCH_PORTS];
    pthread_mutex_t lock; /* guards all below */
    struct wires wires;
    struct tunswitch_counts counts;
    bool over;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The port of an address; the count of ports if it is nobody's. */
static unsigned find_port(const struct tunswitch *s, uint32_t address)
{
    unsigned i = 0;
    while (i < s->count && s->ports[i].address != address) {
        i++;
    }
    return i;
}

static void put(struct tunswitch *s, const struct packet *packet, uint64_t due_us)
{
    struct packet *copy = malloc(sizeof *copy + packet->len);

    assert(copy != NULL);
    memcpy(copy, packet, sizeof *copy + packet->len);
    copy->due_us = due_us;
    copy->number = s->number++;
    packets_put(&s->waiting, copy);
}

/* When a packet that is on the wire now is at its other end, without its delay; UINT64_MAX: the queue is
 * full. */
static uint64_t through_us(struct direction *d, const struct wire *w, size_t len, uint64_t now)
{
    if (w->bytes_per_s == 0) {
        d->free_at_us = now;
        return now;
    }
    d->free_at_us = d->free_at_us > now ? d->free_at_us : now;
    if (d->free_at_us > now + QUEUE_US) {
        return UINT64_MAX;
    }
    d->free_at_us += len * 1000000 / w->bytes_per_s;
    return d->free_at_us;
}

static void accept_packet(struct tunswitch *s, struct packet *packet, uint64_t now)
{
    struct direction *d = &s->directions[packet->from][packet->to];
    const struct wire *w = &s->wires.from_to[packet->from][packet->to];
    struct fate fate = wire_fate(w, s->seed, packet->from, packet->to, d->packets++);
    uint64_t through = fate.lost ? UINT64_MAX : through_us(d, w, packet->len, now);

    if (through == UINT64_MAX || s->waiting.count >= WAITING_MAX) {
        s->counts.lost++;
        return;
    }
    if (fate.corrupt) {
        s->counts.corrupted++;
        wire_corrupt(packet->bytes, packet->len, fate.where);
    }
    put(s, packet, through + fate.delay_us[0]);
    if (fate.twice) {
        s->counts.twice++;
        put(s, packet, through + fate.delay_us[1]);
    }
}

static void read_port(struct tunswitch *s, unsigned port, uint64_t now)
{
    struct packet *packet = malloc(sizeof *packet + PACKET_MAX);

    assert(packet != NULL);
    for (unsigned i = 0; i < BURST; i++) {
        struct iphdr ip;
        ssize_t n = read(s->ports[port].tun, packet->bytes, PACKET_MAX);

        if (n < (ssize_t)sizeof ip) {
            break;
        }
        memcpy(&ip, packet->bytes, sizeof ip);
        packet->from = port;
        packet->to = ip.version == 4 ? find_port(s, ntohl(ip.daddr)) : s->count;
        packet->len = (size_t)n;
        if (packet->to < s->count) {
            accept_packet(s, packet, now);
        }
    }
    free(packet);
}

static const struct wire *wire_of(const struct tunswitch *s, const struct packet *packet)
{
    return &s->wires.from_to[packet->from][packet->to];
}

/* What is let go comes before what is due now: it is older. */
static void release(struct tunswitch *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->held_count; i++) {
        if (wire_of(s, s->held[i])->held) {
            s->held[kept++] = s->held[i];
        } else {
            packets_put(&s->waiting, s->held[i]);
        }
    }
    s->held_count = kept;
}

static void deliver(struct tunswitch *s, uint64_t now)
{
    struct packet *packet;

    while ((packet = packets_take(&s->waiting, now)) != NULL) {
        const struct wire *w = wire_of(s, packet);
        if (w->held && !w->cut && s->held_count < WAITING_MAX) {
            s->counts.held++;
            s->held[s->held_count++] = packet;
            continue;
        }
        /* A device that takes no more loses packets, as any does. */
        if (w->cut || w->held || write(s->ports[packet->to].tun, packet->bytes, packet->len) < 0) {
            s->counts.lost++;
        } else {
            s->counts.delivered++;
        }
        free(packet);
    }
}

static void wait_for_packets(struct tunswitch *s, struct pollfd *fds)
{
    uint64_t now = now_us(), next = packets_next_us(&s->waiting);
    uint64_t wait = next <= now ? 0 : next - now < LOOK_US ? next - now : LOOK_US;
    struct timespec timeout = {.tv_nsec = (long)wait * 1000};
    uint64_t woken;

    ppoll(fds, s->count + 1, &timeout, NULL);
    if (fds[s->count].revents != 0 && read(s->wake, &woken, sizeof woken) < 0) {
        abort();
    }
}

static void *run(void *arg)
{
    struct tunswitch *s = arg;
    struct pollfd fds[TUNSWITCH_PORTS + 1];
    bool over = false;

    for (unsigned i = 0; i < s->count; i++) {
        fds[i] = (struct pollfd){.fd = s->ports[i].tun, .events = POLLIN};
    }
    fds[s->count] = (struct pollfd){.fd = s->wake, .events = POLLIN};
    while (!over) {
        wait_for_packets(s, fds);
        pthread_mutex_lock(&s->lock);
        for (unsigned i = 0; i < s->count; i++) {
            if (fds[i].revents & POLLIN) {
                read_port(s, i, now_us());
            }
        }
        release(s);
        deliver(s, now_us());
        over = s->over;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

struct tunswitch *tunswitch_new(const struct netns *ports, unsigned count, uint64_t seed)
{
    struct tunswitch *s = calloc(1, sizeof *s);

    assert(s != NULL && count <= TUNSWITCH_PORTS);
    s->ports = ports;
    s->count = count;
    s->seed = seed;
    s->wake = eventfd(0, EFD_CLOEXEC);
    assert(s->wake >= 0);
    pthread_mutex_init(&s->lock, NULL);
    if (pthread_create(&s->thread, NULL, run, s) != 0) {
        abort();
    }
    return s;
}

static void wake(struct tunswitch *s)
{
    uint64_t one = 1;
    if (write(s->wake, &one, sizeof one) < 0) {
        abort();
    }
}

void tunswitch_free(struct tunswitch *s)
{
    if (s == NULL) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->over = true;
    pthread_mutex_unlock(&s->lock);
    wake(s);
    pthread_join(s->thread, NULL);
    close(s->wake);
    pthread_mutex_destroy(&s->lock);
    packets_close(&s->waiting);
    for (size_t i = 0; i < s->held_count; i++) {
        free(s->held[i]);
    }
    free(s);
}

void tunswitch_set(struct tunswitch *s, const struct wires *wires)
{
    pthread_mutex_lock(&s->lock);
    s->wires = *wires;
    pthread_mutex_unlock(&s->lock);
    wake(s);
}

struct tunswitch_counts tunswitch_counts(struct tunswitch *s)
{
    struct tunswitch_counts counts;

    pthread_mutex_lock(&s->lock);
    counts = s->counts;
    pthread_mutex_unlock(&s->lock);
    return counts;
}
