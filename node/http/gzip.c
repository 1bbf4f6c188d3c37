#include "node/http/gzip.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/object.h"

enum {
    GZIP_MAGIC = 0x475a5031,
    GZIP_ROOM = 64 * 1024,
    GZIP_LEVEL = 1,        /* databases get half as small at a disk's speed; more effort gives little more */
    GZIP_WINDOW = 15 + 16, /* the largest one; 16 asks for gzip's header instead of zlib's */
    GZIP_MEMORY = 8,
};

struct gzip {
    OBJECT_MAGIC;
    z_stream z;
};

struct gzip *gzip_new(void)
{
    struct gzip *g = calloc(1, sizeof *g);

    if (g == NULL) {
        return NULL;
    }
    g->magic = GZIP_MAGIC;
    if (deflateInit2(&g->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(g);
        return NULL;
    }
    return g;
}

void gzip_free(struct gzip *g)
{
    if (g != NULL) {
        deflateEnd(&g->z);
        g->magic = 0;
        free(g);
    }
}

int gzip_put(struct gzip *g, const void *p, size_t n, bool last, struct buf *out, struct error *e)
{
    int rc = Z_OK;

    assert(g->magic == GZIP_MAGIC && n <= UINT32_MAX);
    g->z.next_in = (z_const Bytef *)(uintptr_t)p;
    g->z.avail_in = (uInt)n;
    do {
        uint8_t *room = buf_reserve(out, GZIP_ROOM);
        if (room == NULL) {
            return buf_check(out, "the compressed piece", e);
        }
        g->z.next_out = room;
        g->z.avail_out = GZIP_ROOM;
        rc = deflate(&g->z, last ? Z_FINISH : Z_NO_FLUSH);
        assert(rc != Z_STREAM_ERROR);
        out->len += GZIP_ROOM - g->z.avail_out;
    } while (g->z.avail_out == 0 || (last && rc != Z_STREAM_END));
    return 0;
}
