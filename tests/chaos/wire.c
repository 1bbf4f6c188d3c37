#include "tests/chaos/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/rng.h"

enum { MILLION = 1000000 };

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static unsigned smaller_rate(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct wire wire_join(const struct wire *a, const struct wire *b)
{
    return (struct wire){
        .cut = a->cut || b->cut,
        .held = a->held || b->held,
        .delay_us = larger(a->delay_us, b->delay_us),
        .jitter_us = larger(a->jitter_us, b->jitter_us),
        .loss = larger(a->loss, b->loss),
        .twice = larger(a->twice, b->twice),
        .corrupt = larger(a->corrupt, b->corrupt),
        .bytes_per_s = smaller_rate(a->bytes_per_s, b->bytes_per_s),
    };
}

static bool happens(struct rng *rng, unsigned of_a_million)
{
    return rng_between(rng, 0, MILLION - 1) < of_a_million;
}

struct fate wire_fate(const struct wire *w, uint64_t seed, unsigned from, unsigned to, uint64_t number)
{
    struct fate fate;
    struct rng rng;

    rng_init(&rng, seed ^ ((uint64_t)from << 56) ^ ((uint64_t)to << 48) ^ number);
    fate.lost = happens(&rng, w->loss) || w->cut;
    fate.twice = happens(&rng, w->twice);
    fate.corrupt = happens(&rng, w->corrupt);
    fate.where = rng_next(&rng);
    for (unsigned i = 0; i < 2; i++) {
        fate.delay_us[i] = w->delay_us + rng_between(&rng, 0, w->jitter_us);
    }
    return fate;
}

/* One's complement sum of 16 bit words, going on from SUM. */
static uint32_t sum_words(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    }
    return n % 2 ? sum + (uint32_t)(p[n - 1] << 8) : sum;
}

static uint16_t checksum_of_tcp(const struct iphdr *ip, const uint8_t *tcp, size_t n)
{
    uint32_t sum = IPPROTO_TCP + (uint32_t)n;

    sum = sum_words((const uint8_t *)&ip->saddr, sizeof ip->saddr + sizeof ip->daddr, sum);
    sum = sum_words(tcp, n, sum);
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

void wire_corrupt(uint8_t *packet, size_t len, uint64_t where)
{
    struct iphdr ip;
    struct tcphdr tcp;
    size_t ip_len, head, payload;

    memcpy(&ip, packet, len < sizeof ip ? 0 : sizeof ip);
    ip_len = len < sizeof ip ? 0 : ip.ihl * 4U;
    if (ip_len == 0 || ip.protocol != IPPROTO_TCP || len < ip_len + sizeof tcp) {
        return;
    }
    memcpy(&tcp, packet + ip_len, sizeof tcp);
    head = ip_len + tcp.doff * 4U;
    payload = len > head ? len - head : 0;
    if (payload == 0) {
        return;
    }
    packet[head + where / 8 % payload] ^= (uint8_t)(1U << where % 8);
    tcp.check = 0;
    memcpy(packet + ip_len, &tcp, sizeof tcp);
    tcp.check = htons(checksum_of_tcp(&ip, packet + ip_len, len - ip_len));
    memcpy(packet + ip_len, &tcp, sizeof tcp);
}
