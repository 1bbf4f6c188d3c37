/* scratch: a temporary directory with files in it, for tests of what is read from files. */
#ifndef QUORATE_TEST_SCRATCH_H
#define QUORATE_TEST_SCRATCH_H

#include "tests/unit/test.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[64], path[128];
};

static inline void scratch_open(struct scratch *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/quorate-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
}

static inline int scratch_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void scratch_close(struct scratch *s)
{
    nftw(s->dir, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* A file with these bytes and this mode; its path, valid until the next call. */
static inline const char *scratch_file(struct scratch *s, const char *name, const void *bytes, size_t n,
                                       mode_t mode)
{
    FILE *f;
    snprintf(s->path, sizeof s->path, "%s/%s", s->dir, name);
    f = fopen(s->path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(s->path, mode), 0);
    return s->path;
}

static inline const char *scratch_text(struct scratch *s, const char *name, const char *text)
{
    return scratch_file(s, name, text, strlen(text), 0600);
}

#endif
