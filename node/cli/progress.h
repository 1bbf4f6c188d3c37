/* progress: how far a load is, as a line for people: a bar on a terminal, a sentence elsewhere. */
#ifndef QUORATE_NODE_CLI_PROGRESS_H
#define QUORATE_NODE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PROGRESS_LINE_MAX = 200, PROGRESS_BAR_WIDTH = 30 };

struct progress_facts {
    uint64_t rows;        /* acknowledged */
    uint64_t bytes;       /* of input, acknowledged */
    uint64_t bytes_total; /* 0: unknown */
    uint64_t elapsed_us;
    uint64_t retried;
    const char *unit; /* what is counted instead, such as "chunks"; NULL: rows */
    const char *done; /* what has happened to them, such as "copied"; NULL: acknowledged */
};

struct progress {
    FILE *to;
    bool bar;
    uint64_t every_us, last_us;
    bool shown;
};

/* "[######........] 42 %  27003 rows  12345 rows/s  21.3 MB  ETA 4 s" */
void progress_format_bar(const struct progress_facts *f, char line[PROGRESS_LINE_MAX]);
/* "42 %, 27003 rows acknowledged, 12345 rows/s, 21.3 MB, ETA 4 s" */
void progress_format_line(const struct progress_facts *f, char line[PROGRESS_LINE_MAX]);

/* A bar is drawn ten times a second; a line is printed every EVERY_MS. */
void progress_init(struct progress *p, FILE *to, bool bar, uint64_t every_ms, uint64_t now_us);
/* Shows FACTS if it is time. */
void progress_show(struct progress *p, const struct progress_facts *f, uint64_t now_us);
/* Takes the bar away, so that other output has the line for itself. */
void progress_end(struct progress *p);

#endif
