#include "tests/chaos/record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SAID_MAX = 20 };

void record_init(struct record *r)
{
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
}

void record_close(struct record *r)
{
    history_close(&r->history);
    pthread_mutex_destroy(&r->lock);
}

uint64_t record_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

size_t record_begin(struct record *r, const struct op *op)
{
    struct op begun = *op;
    size_t number;

    pthread_mutex_lock(&r->lock);
    begun.value = r->history.count + 1;
    begun.outcome = OP_UNKNOWN;
    begun.start_us = record_now_us();
    begun.end_us = UINT64_MAX;
    number = history_begin(&r->history, &begun);
    r->unknown++;
    pthread_mutex_unlock(&r->lock);
    return number;
}

void record_end(struct record *r, size_t number, const struct op *op)
{
    uint64_t end_us = record_now_us();
    struct op *kept;

    pthread_mutex_lock(&r->lock);
    kept = &r->history.ops[number];
    kept->end_us = op->outcome == OP_UNKNOWN ? UINT64_MAX : end_us;
    kept->outcome = op->outcome;
    kept->version = op->version;
    kept->seen = op->seen;
    kept->index = op->index;
    kept->list = op->list; /* given */
    kept->items = op->items;
    memcpy(kept->accounts, op->accounts, sizeof kept->accounts);
    r->unknown -= op->outcome != OP_UNKNOWN;
    r->refused += op->outcome == OP_NOTHING;
    r->done += op->outcome == OP_DONE || op->outcome == OP_CONFLICT;
    pthread_mutex_unlock(&r->lock);
}

void record_violation(struct record *r, const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&r->lock);
    if (r->violations++ < SAID_MAX) {
        printf("VIOLATION ");
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        printf("%s\n", r->violations == SAID_MAX ? " (more are counted, not said)" : "");
        fflush(stdout);
    }
    pthread_mutex_unlock(&r->lock);
}

void record_write(const struct record *r, const char *path)
{
    static const char *const outcomes[] = {
        [OP_UNKNOWN] = "unknown", [OP_DONE] = "done", [OP_CONFLICT] = "conflict", [OP_NOTHING] = "nothing"};
    FILE *file = fopen(path, "w");

    for (size_t i = 0; file != NULL && i < r->history.count; i++) {
        const struct op *op = &r->history.ops[i];
        fprintf(file,
                "{\"op\":%zu,\"kind\":\"%s\",\"key\":%u,\"current\":%d,\"start_us\":%" PRIu64
                ",\"end_us\":%" PRIu64 ",\"outcome\":\"%s\",\"version\":%" PRIu64 ",\"seen\":%" PRIu64
                ",\"index\":%" PRIu64 ",\"items\":%u}\n",
                i + 1, op_name(op->kind), op->key, op->current, op->start_us, op->end_us,
                outcomes[op->outcome], op->version, op->seen, op->index, op->items);
    }
    if (file != NULL) {
        fclose(file);
    }
}
