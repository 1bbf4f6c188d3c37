#include "tests/alloc/failing.h"

#include <openssl/crypto.h>
#include <raft.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *text);
int __real_posix_memalign(void **p, size_t alignment, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);
int __wrap_posix_memalign(void **p, size_t alignment, size_t n);

static struct {
    bool armed, fired;
    uint64_t count, nth, times;
} state;

static bool fails(void)
{
    if (!state.armed) {
        return false;
    }
    state.count++;
    if (state.nth == 0 || state.count < state.nth || state.count >= state.nth + state.times) {
        return false;
    }
    state.fired = true;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_posix_memalign(void **p, size_t alignment, size_t n)
{
    return fails() ? 12 /* ENOMEM */ : __real_posix_memalign(p, alignment, n);
}

/* SQLite's, between it and its own allocator. */

static sqlite3_mem_methods sqlite;

static void *sqlite_malloc(int n)
{
    return fails() ? NULL : sqlite.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
    return fails() ? NULL : sqlite.xRealloc(p, n);
}

/* The consensus core's. */

static void *core_malloc(void *data, size_t n)
{
    (void)data;
    return __wrap_malloc(n);
}

static void core_free(void *data, void *p)
{
    (void)data;
    free(p);
}

static void *core_calloc(void *data, size_t count, size_t n)
{
    (void)data;
    return __wrap_calloc(count, n);
}

static void *core_realloc(void *data, void *p, size_t n)
{
    (void)data;
    return __wrap_realloc(p, n);
}

static void *core_aligned_alloc(void *data, size_t alignment, size_t n)
{
    (void)data;
    return fails() ? NULL : aligned_alloc(alignment, n);
}

static void core_aligned_free(void *data, size_t alignment, void *p)
{
    (void)data;
    (void)alignment;
    free(p);
}

/* OpenSSL's. */

static void *crypto_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return __wrap_malloc(n);
}

static void *crypto_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return __wrap_realloc(p, n);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

void failing_install(void)
{
    static struct raft_heap core = {
        .malloc = core_malloc,
        .free = core_free,
        .calloc = core_calloc,
        .realloc = core_realloc,
        .aligned_alloc = core_aligned_alloc,
        .aligned_free = core_aligned_free,
    };
    sqlite3_mem_methods ours;

    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1 ||
        sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite) != SQLITE_OK) {
        abort(); /* somebody has allocated before */
    }
    ours = sqlite;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK) {
        abort();
    }
    raft_heap_set(&core);
}

void failing_arm(uint64_t nth, uint64_t times)
{
    state.armed = true;
    state.fired = false;
    state.count = 0;
    state.nth = nth;
    state.times = times;
}

uint64_t failing_disarm(void)
{
    state.armed = false;
    return state.count;
}

bool failing_fired(void)
{
    return state.fired;
}
