#include "cluster/hello.h"

#include <assert.h>
#include <string.h>

bool hello_address_ok(const char *address, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (address[i] <= ' ' || address[i] > '~') {
            return false;
        }
    }
    return n <= PEERS_ADDRESS_MAX;
}

bool hello_is_guest(const struct hello *h)
{
    static const uint8_t no_cluster[PEERS_CLUSTER_ID_BYTES];
    return h->id == 0 && h->wanted == 0 && memcmp(h->cluster_id, no_cluster, sizeof no_cluster) == 0;
}

static uint8_t *put_life(uint8_t *p, const struct peers_life *life)
{
    put_le64(p, life->incarnation);
    put_le64(p + 8, life->boots);
    put_le32(p + 16, life->mark);
    put_le64(p + 20, life->term);
    put_le64(p + 28, life->index);
    put_le64(p + 36, life->index_term);
    return p + 8 + HELLO_LIFE_BYTES;
}

static struct peers_life get_life(struct cursor *in)
{
    struct peers_life life = {.incarnation = cursor_u64(in)};

    life.boots = cursor_u64(in);
    life.mark = cursor_u32(in);
    life.term = cursor_u64(in);
    life.index = cursor_u64(in);
    life.index_term = cursor_u64(in);
    return life;
}

static uint8_t *put_address(uint8_t *p, const char *address)
{
    size_t n = strlen(address);

    assert(hello_address_ok(address, n));
    put_le32(p, (uint32_t)n);
    memcpy(p + 4, address, n);
    return p + 4 + n;
}

/* One that may not be passed on makes IN bad. */
static void get_address(struct cursor *in, char ret_address[PEERS_ADDRESS_MAX + 1])
{
    struct cursor address = cursor_blob(in);
    size_t n = cursor_left(&address);

    in->bad = in->bad || !hello_address_ok((const char *)address.p, n);
    if (!in->bad) {
        memcpy(ret_address, address.p, n);
        ret_address[n] = '\0';
    }
}

size_t hello_write(const struct hello *h, uint8_t ret_bytes[HELLO_MAX])
{
    uint8_t *p = ret_bytes;

    put_le32(p, HELLO_MAGIC);
    put_le16(p + 4, HELLO_VERSION);
    p += 6;
    memcpy(p, h->cluster_id, PEERS_CLUSTER_ID_BYTES);
    p += PEERS_CLUSTER_ID_BYTES;
    put_le64(p, h->id);
    put_le64(p + 8, h->wanted);
    p = put_life(p + 16, &h->life);
    p = put_life(p, &h->seen);
    memcpy(p, h->nonce, HELLO_NONCE_BYTES);
    p = put_address(p + HELLO_NONCE_BYTES, h->api_address);
    p = put_address(p, h->address);
    return (size_t)(p - ret_bytes);
}

int hello_read(const void *p, size_t n, struct hello *ret_hello, struct error *e)
{
    struct cursor in = cursor_of(p, n);
    struct hello h = {.id = 0};
    uint32_t magic = cursor_u32(&in);
    uint16_t version = cursor_u16(&in);

    if (in.bad || magic != HELLO_MAGIC) {
        return error_set(e, Q_CORRUPT, "a hello of %zu bytes is not understood", n);
    }
    if (version != HELLO_VERSION) {
        return error_set(e, Q_MISMATCH,
                         "speaks version %d of the peer protocol, but the other side version %u",
                         HELLO_VERSION, (unsigned)version);
    }
    const uint8_t *cluster_id = cursor_bytes(&in, PEERS_CLUSTER_ID_BYTES);
    h.id = cursor_u64(&in);
    h.wanted = cursor_u64(&in);
    h.life = get_life(&in);
    h.seen = get_life(&in);
    const uint8_t *nonce = cursor_bytes(&in, HELLO_NONCE_BYTES);
    get_address(&in, h.api_address);
    get_address(&in, h.address);
    if (in.bad || cursor_left(&in) != 0) {
        return error_set(e, Q_CORRUPT, "a hello of %zu bytes is not understood", n);
    }
    memcpy(h.cluster_id, cluster_id, PEERS_CLUSTER_ID_BYTES);
    memcpy(h.nonce, nonce, HELLO_NONCE_BYTES);
    if (h.id == 0 && !hello_is_guest(&h)) {
        return error_set(e, Q_CORRUPT, "a hello of node 0, which is none");
    }
    *ret_hello = h;
    return 0;
}
