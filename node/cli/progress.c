#include "node/cli/progress.h"

#include <inttypes.h>
#include <string.h>

enum { BAR_EVERY_US = 100 * 1000, PART_MAX = 48 };

static uint64_t rate(const struct progress_facts *f)
{
    return f->elapsed_us > 0 ? (uint64_t)((double)f->rows * 1e6 / (double)f->elapsed_us) : 0;
}

static const char *unit(const struct progress_facts *f)
{
    return f->unit != NULL ? f->unit : "rows";
}

static double share(const struct progress_facts *f)
{
    double done = f->bytes_total > 0 ? (double)f->bytes / (double)f->bytes_total : 0;
    return done < 1 ? done : 1;
}

/* "ETA 4 s" or "ETA 2:05 min"; empty if nothing can be said. */
static void format_eta(const struct progress_facts *f, const char *separator, char text[PART_MAX])
{
    double left_s;

    text[0] = 0;
    if (f->bytes == 0 || f->bytes_total == 0) {
        return;
    }
    left_s = share(f) < 1 ? (double)f->elapsed_us / 1e6 * (1 - share(f)) / share(f) : 0;
    if (left_s < 100) {
        snprintf(text, PART_MAX, "%sETA %.0f s", separator, left_s);
    } else if (left_s < 1e6) {
        snprintf(text, PART_MAX, "%sETA %u:%02u min", separator, (unsigned)left_s / 60,
                 (unsigned)left_s % 60);
    }
}

static void format_retried(const struct progress_facts *f, const char *separator, char text[PART_MAX])
{
    text[0] = 0;
    if (f->retried > 0) {
        snprintf(text, PART_MAX, "%s%" PRIu64 " retried", separator, f->retried);
    }
}

void progress_format_bar(const struct progress_facts *f, char line[PROGRESS_LINE_MAX])
{
    char bar[PROGRESS_BAR_WIDTH + 1], percent[PART_MAX] = "", eta[PART_MAX], retried[PART_MAX];
    unsigned full = (unsigned)(share(f) * PROGRESS_BAR_WIDTH);

    memset(bar, '.', PROGRESS_BAR_WIDTH);
    memset(bar, '#', full);
    bar[PROGRESS_BAR_WIDTH] = 0;
    if (f->bytes_total > 0) {
        snprintf(percent, sizeof percent, "[%s] %u %%  ", bar, (unsigned)(share(f) * 100));
    }
    format_eta(f, "  ", eta);
    format_retried(f, "  ", retried);
    snprintf(line, PROGRESS_LINE_MAX, "%s%" PRIu64 " %s  %" PRIu64 " %s/s  %.1f MB%s%s", percent, f->rows,
             unit(f), rate(f), unit(f), (double)f->bytes / 1e6, eta, retried);
}

void progress_format_line(const struct progress_facts *f, char line[PROGRESS_LINE_MAX])
{
    char percent[PART_MAX] = "", eta[PART_MAX], retried[PART_MAX];

    if (f->bytes_total > 0) {
        snprintf(percent, sizeof percent, "%u %%, ", (unsigned)(share(f) * 100));
    }
    format_eta(f, ", ", eta);
    format_retried(f, ", ", retried);
    snprintf(line, PROGRESS_LINE_MAX, "%s%" PRIu64 " %s %s, %" PRIu64 " %s/s, %.1f MB%s%s", percent, f->rows,
             unit(f), f->done != NULL ? f->done : "acknowledged", rate(f), unit(f), (double)f->bytes / 1e6,
             eta, retried);
}

void progress_init(struct progress *p, FILE *to, bool bar, uint64_t every_ms, uint64_t now_us)
{
    *p = (struct progress){
        .to = to, .bar = bar, .every_us = bar ? BAR_EVERY_US : every_ms * 1000, .last_us = now_us};
}

void progress_show(struct progress *p, const struct progress_facts *f, uint64_t now_us)
{
    char line[PROGRESS_LINE_MAX];

    if (now_us - p->last_us < p->every_us) {
        return;
    }
    p->last_us = now_us;
    if (p->bar) {
        progress_format_bar(f, line);
        fprintf(p->to, "\r%s\033[K", line);
        p->shown = true;
    } else {
        progress_format_line(f, line);
        fprintf(p->to, "%s\n", line);
    }
    fflush(p->to);
}

void progress_end(struct progress *p)
{
    if (p->shown) {
        fprintf(p->to, "\r\033[K");
        fflush(p->to);
        p->shown = false;
    }
}
