#include "cluster/members.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/object.h"
#include "base/plant.h"
#include "cluster/hello.h"

enum {
    MEMBERS_MAGIC = 0x51c0de20,
    PATH_BYTES = 4096,
    HEADER_BYTES = 16,
    RECORD_MAX = HEADER_BYTES + MEMBERS_KNOWN_MAX * (3 * 8 + 1 + 4 + PEERS_ADDRESS_MAX) + 4,
    COPY_MAX = (RECORD_MAX + ENV_BLOCK - 1) / ENV_BLOCK * ENV_BLOCK,
};

static const uint8_t file_magic[8] = {'Q', 'U', 'R', 'B', 'O', 'O', 'K', '1'};

struct members {
    OBJECT_MAGIC;
    struct env *env;
    char dir[PATH_BYTES];
    struct member *all; /* by id */
    unsigned known;
    const struct member *in[PEERS_MAX]; /* of ALL, those that were not removed */
    unsigned count;
    uint64_t version;
    bool saved;
    struct error damage;
};

static int check_member(const struct member *m, struct error *e)
{
    size_t n = strnlen(m->address, sizeof m->address);

    if (m->id == 0) {
        return error_set(e, Q_INVALID, "a member has the id 0");
    }
    if (m->state < MEMBER_AUTO || m->state > MEMBER_REMOVED) {
        return error_set(e, Q_INVALID, "node %" PRIu64 " has the state %d, which is none", m->id,
                         (int)m->state);
    }
    if (n == 0 || !hello_address_ok(m->address, n)) {
        return error_set(e, Q_INVALID, "the address of node %" PRIu64 " is not a host:port", m->id);
    }
    return 0;
}

static struct member *find(struct member *all, unsigned known, uint64_t id)
{
    for (unsigned i = 0; i < known; i++) {
        if (all[i].id == id) {
            return &all[i];
        }
    }
    return NULL;
}

static int by_id(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static unsigned count_in(const struct member *all, unsigned known)
{
    unsigned in = 0;
    for (unsigned i = 0; i < known; i++) {
        in += all[i].state != MEMBER_REMOVED;
    }
    return in;
}

/* ALL, given and in any order, takes the place of the list. */
static void adopt(struct members *m, struct member *all, unsigned known)
{
    qsort(all, known, sizeof *all, by_id);
    free(m->all);
    m->all = all;
    m->known = known;
    m->count = 0;
    for (unsigned i = 0; i < known; i++) {
        if (all[i].state != MEMBER_REMOVED) {
            m->in[m->count++] = &all[i];
        }
    }
    m->version++;
}

static int take_first(struct members *m, const struct peers_member *first, unsigned count, struct error *e)
{
    struct member *all = calloc(count, sizeof *all);
    int rv = all != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for %u members", count);

    for (unsigned i = 0; i < count && rv == 0; i++) {
        all[i] = (struct member){.id = first[i].id, .state = MEMBER_AUTO};
        memcpy(all[i].address, first[i].address, sizeof all[i].address);
        rv = check_member(&all[i], e);
        for (unsigned j = 0; j < i && rv == 0; j++) {
            if (all[j].id == all[i].id || strcmp(all[j].address, all[i].address) == 0) {
                rv =
                    error_set(e, Q_INVALID, "members %u and %u have the same id or address (%" PRIu64 ", %s)",
                              j + 1, i + 1, all[i].id, all[i].address);
            }
        }
    }
    if (rv != 0) {
        free(all);
        return rv;
    }
    adopt(m, all, count);
    return 0;
}

static void get_member(struct cursor *in, struct member *ret_member)
{
    *ret_member = (struct member){0};
    ret_member->id = cursor_u64(in);
    ret_member->incarnation = cursor_u64(in);
    ret_member->changed = cursor_u64(in);
    ret_member->state = (enum member_state)cursor_u8(in);
    struct cursor address = cursor_blob(in);
    size_t n = cursor_left(&address);
    if (n > 0 && n <= PEERS_ADDRESS_MAX) {
        memcpy(ret_member->address, address.p, n); /* else it stays empty, which is refused */
    }
}

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

/* One copy. RET_ALL is returned. */
static int decode(const uint8_t *p, size_t n, struct member **ret_all, unsigned *ret_known, struct error *e)
{
    struct cursor in = cursor_of(p, n);
    const uint8_t *magic = cursor_bytes(&in, sizeof file_magic);
    uint32_t length = cursor_u32(&in), known = cursor_u32(&in);
    struct member *all;
    int rv = 0;

    if (in.bad || memcmp(magic, file_magic, sizeof file_magic) != 0) {
        return error_set(e, Q_CORRUPT, "it does not begin as a list of members of this version");
    }
    if (length > n || length < HEADER_BYTES + 4 || known > MEMBERS_KNOWN_MAX ||
        !is_zero(p + length, n - length) ||
        (get_le32(p + length - 4) != crc32c(0, p, length - 4) &&
         !PLANTED("damaged_address_book_is_believed"))) {
        return error_set(e, Q_CORRUPT, "its length or its checksum is wrong");
    }
    all = calloc(known + 1, sizeof *all);
    if (all == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for %u members", known);
    }
    in.end = p + length - 4;
    for (uint32_t i = 0; i < known && rv == 0; i++) {
        get_member(&in, &all[i]);
        rv = in.bad ? (int)Q_CORRUPT : check_member(&all[i], e);
        rv = rv == 0 && i > 0 && all[i].id <= all[i - 1].id ? (int)Q_CORRUPT : rv;
    }
    if (rv != 0 || cursor_left(&in) != 0 || count_in(all, known) > PEERS_MAX) {
        free(all);
        return error_set(e, Q_CORRUPT, "what it says of its members makes no sense");
    }
    *ret_all = all;
    *ret_known = known;
    return 0;
}

static void path_of(const struct members *m, const char *name, char ret_path[PATH_BYTES])
{
    snprintf(ret_path, PATH_BYTES, "%.*s/%s", PATH_BYTES - 32, m->dir, name);
}

/* Into RET_BYTES (returned), all of it. */
static int read_file(struct members *m, uint8_t **ret_bytes, size_t *ret_n, struct error *e)
{
    char path[PATH_BYTES];
    struct env_file *f;
    uint8_t *bytes = NULL;
    uint64_t size = 0;
    size_t n = 0;
    int rv;

    path_of(m, "members", path);
    if ((rv = env_open(m->env, path, 0, &f, e)) != 0) {
        return rv;
    }
    rv = env_size(m->env, f, &size, e);
    if (rv == 0 && (size == 0 || size > 2 * (uint64_t)COPY_MAX)) {
        rv = error_set(e, Q_CORRUPT, "it has %" PRIu64 " bytes", size);
    }
    if (rv == 0 && (bytes = malloc((size_t)size)) == NULL) {
        rv = error_set(e, Q_NOMEM, "out of memory for %" PRIu64 " bytes", size);
    }
    if (rv == 0) {
        rv = env_read(m->env, f, 0, bytes, (size_t)size, &n, e);
    }
    env_close(m->env, f);
    if (rv != 0) {
        free(bytes);
        return rv;
    }
    *ret_bytes = bytes;
    *ret_n = n;
    return 0;
}

/* Q_CORRUPT: no copy is whole. */
static int load(struct members *m, struct error *e)
{
    struct member *all = NULL, *copy;
    unsigned known = 0, copy_known, whole = 0;
    uint8_t *bytes;
    size_t n;
    int rv = read_file(m, &bytes, &n, e);

    if (rv != 0) {
        return rv;
    }
    for (unsigned i = 0; i < 2 && rv != Q_NOMEM; i++) {
        rv = decode(bytes + i * (n / 2), n / 2, &copy, &copy_known, &m->damage);
        if (rv == 0 && whole++ == 0) {
            all = copy;
            known = copy_known;
        } else if (rv == 0) {
            free(copy);
        }
    }
    free(bytes);
    if (whole == 0) {
        *e = m->damage;
        return rv;
    }
    m->saved = whole == 2;
    adopt(m, all, known);
    return 0;
}

int members_open(struct env *env, const char *dir, const struct peers_member *first, unsigned count,
                 struct members **ret_members, struct error *e)
{
    struct members *m = calloc(1, sizeof *m);
    int rv;

    assert(count <= PEERS_MAX);
    if (m == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the members");
    }
    m->magic = MEMBERS_MAGIC;
    m->env = env;
    snprintf(m->dir, sizeof m->dir, "%s", dir);
    rv = load(m, &m->damage);
    if ((rv == Q_NOT_FOUND || rv == Q_CORRUPT) && count > 0) {
        m->damage.code = rv == Q_CORRUPT ? Q_CORRUPT : Q_OK;
        rv = take_first(m, first, count, e);
    } else if (rv != 0 && e != NULL) {
        *e = m->damage;
        error_wrap(e, "the list of members %.*s/members", PATH_BYTES - 32, m->dir);
    }
    if (rv != 0) {
        members_free(m);
        return rv;
    }
    *ret_members = m;
    return 0;
}

void members_free(struct members *m)
{
    if (m != NULL) {
        free(m->all);
        m->magic = 0;
        free(m);
    }
}

const char *members_damage(const struct members *m)
{
    return m->damage.code != Q_OK ? m->damage.text : "";
}

static void encode(const struct members *m, struct buf *out)
{
    size_t from = out->len;

    buf_put_bytes(out, file_magic, sizeof file_magic);
    buf_put_u32(out, 0);
    buf_put_u32(out, m->known);
    for (unsigned i = 0; i < m->known; i++) {
        const struct member *member = &m->all[i];
        buf_put_u64(out, member->id);
        buf_put_u64(out, member->incarnation);
        buf_put_u64(out, member->changed);
        buf_put_u8(out, (uint8_t)member->state);
        buf_put_blob(out, member->address, strlen(member->address));
    }
    if (out->failed == Q_OK) {
        buf_set_u32(out, from + sizeof file_magic, (uint32_t)(out->len - from + 4));
        buf_put_u32(out, crc32c(0, out->data + from, out->len - from));
        buf_put_zeros(out, (ENV_BLOCK - (out->len - from) % ENV_BLOCK) % ENV_BLOCK);
    }
}

static int write_file(struct members *m, const struct buf *bytes, struct error *e)
{
    char path[PATH_BYTES], fresh[PATH_BYTES];
    struct env_file *f;
    int rv;

    path_of(m, "members", path);
    path_of(m, "members.new", fresh);
    rv = env_unlink(m->env, fresh, e);
    if (rv != 0 && rv != Q_NOT_FOUND) {
        return rv;
    }
    rv = env_open(m->env, fresh, ENV_CREATE | ENV_WRITE, &f, e);
    if (rv != 0) {
        return rv;
    }
    rv = env_write(m->env, f, 0, bytes->data, bytes->len, e);
    if (rv == 0 && !PLANTED("address_book_is_renamed_before_it_is_synced")) {
        rv = env_sync(m->env, f, e);
    }
    env_close(m->env, f);
    if (rv == 0) {
        rv = env_rename(m->env, fresh, path, e);
    }
    return rv == 0 ? env_sync_dir(m->env, m->dir, e) : rv;
}

int members_save(struct members *m, struct error *e)
{
    struct buf bytes;
    int rv;

    if (m->saved) {
        return 0;
    }
    buf_init(&bytes, 2 * (size_t)COPY_MAX);
    encode(m, &bytes);
    encode(m, &bytes);
    rv = buf_check(&bytes, "the list of members", e);
    if (rv == 0) {
        rv = write_file(m, &bytes, e);
    }
    buf_close(&bytes);
    m->saved = rv == 0;
    return rv;
}

static bool same(const struct member *a, const struct member *b)
{
    return a->incarnation == b->incarnation && a->state == b->state && a->changed == b->changed &&
           strcmp(a->address, b->address) == 0;
}

/* Into ALL, which has room. */
static bool merge(struct member *all, unsigned *known, const struct member *row)
{
    struct member *old = find(all, *known, row->id);

    if (old == NULL) {
        all[(*known)++] = *row;
        return true;
    }
    if ((row->changed < old->changed && !PLANTED("old_news_of_members_count")) || same(row, old)) {
        return false;
    }
    *old = *row;
    return true;
}

int members_set(struct members *m, const struct member *rows, unsigned count, struct error *e)
{
    struct member *all = calloc(m->known + count + 1, sizeof *all);
    unsigned known = m->known;
    bool changed = false;
    int rv = all != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for %u members", known + count);

    for (unsigned i = 0; i < known && rv == 0; i++) {
        all[i] = m->all[i];
    }
    for (unsigned i = 0; i < count && rv == 0; i++) {
        rv = check_member(&rows[i], e);
        changed = (rv == 0 && merge(all, &known, &rows[i])) || changed;
    }
    if (rv == 0 && (known > MEMBERS_KNOWN_MAX || count_in(all, known) > PEERS_MAX)) {
        rv =
            error_set(e, Q_TOO_BIG, "more than %d members at once, or %d ever", PEERS_MAX, MEMBERS_KNOWN_MAX);
    }
    if (rv != 0 || !changed) {
        free(all);
        return rv != 0 ? rv : members_save(m, e);
    }
    adopt(m, all, known);
    m->saved = false;
    return members_save(m, e);
}

unsigned members_count(const struct members *m)
{
    return m->count;
}

const struct member *members_at(const struct members *m, unsigned i)
{
    assert(i < m->count);
    return m->in[i];
}

unsigned members_known(const struct members *m)
{
    return m->known;
}

const struct member *members_known_at(const struct members *m, unsigned i)
{
    assert(i < m->known);
    return &m->all[i];
}

const struct member *members_find(const struct members *m, uint64_t id)
{
    return find(m->all, m->known, id);
}

const struct member *members_in(const struct members *m, uint64_t id)
{
    const struct member *member = members_find(m, id);
    return member != NULL && member->state != MEMBER_REMOVED ? member : NULL;
}

uint64_t members_version(const struct members *m)
{
    return m->version;
}
