/* deb822: stanzas from a file, node/cli/deb822.h. Fields are within the stanza, and a stanza that is written
 * from its fields is read as the same. */
#include <string.h>

#include "node/cli/deb822.h"
#include "tests/fuzz/target.h"

enum { STANZAS_MAX = 2000, TEXT_MAX = 256 * 1024 };

static const char *bytes_of(const struct deb822 *d)
{
    return (const char *)d->bytes.data;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void check(const struct deb822 *d)
{
    for (unsigned i = 0; i < d->field_count; i++) {
        const struct deb822_field *f = &d->fields[i];
        FUZZ_CHECK(f->name_len > 0 && f->name + f->name_len <= d->bytes.len &&
                       f->value + f->value_len <= d->bytes.len,
                   "a field is within its stanza");
        FUZZ_CHECK(f->value_len == 0 || (!is_space(bytes_of(d)[f->value]) &&
                                         !is_space(bytes_of(d)[f->value + f->value_len - 1])),
                   "a value has no white space around it");
    }
    deb822_value(d, "Package", &(size_t){0});
}

/* The next stanza of TO as it was in FROM. */
static void write_again(const struct deb822 *from)
{
    struct deb822 *to = malloc(sizeof *to);
    struct buf text;
    struct error e;
    bool end = true;
    FILE *file;

    FUZZ_CHECK(to != NULL, "there is memory");
    buf_init(&text, TEXT_MAX);
    for (unsigned i = 0; i < from->field_count; i++) {
        const struct deb822_field *f = &from->fields[i];
        buf_put_bytes(&text, bytes_of(from) + f->name, f->name_len);
        buf_put_bytes(&text, ": ", 2);
        buf_put_bytes(&text, bytes_of(from) + f->value, f->value_len);
        buf_put_u8(&text, '\n');
    }
    file = fmemopen(text.data, text.len, "r");
    FUZZ_CHECK(file != NULL, "there is memory");
    deb822_init(to, file);
    FUZZ_CHECK(deb822_next(to, &end, &e) == 0 && !end, "it can be read");
    FUZZ_CHECK(to->field_count == from->field_count, "with all its fields");
    for (unsigned i = 0; i < from->field_count; i++) {
        const struct deb822_field *a = &from->fields[i], *b = &to->fields[i];
        FUZZ_CHECK(a->value_len == b->value_len &&
                       memcmp(bytes_of(from) + a->value, bytes_of(to) + b->value, a->value_len) == 0,
                   "and their values");
    }
    deb822_close(to);
    free(to);
    fclose(file);
    buf_close(&text);
}

static void run(const uint8_t *p, size_t n)
{
    struct deb822 *d = malloc(sizeof *d);
    FILE *file = n > 0 ? fmemopen((void *)(uintptr_t)p, n, "r") : NULL;
    struct error e;
    bool end = n == 0;

    FUZZ_CHECK(d != NULL && (file != NULL || n == 0), "there is memory");
    deb822_init(d, file);
    for (unsigned i = 0; i < STANZAS_MAX && !end; i++) {
        if (deb822_next(d, &end, &e) != 0) {
            FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
            break;
        }
        if (!end) {
            FUZZ_CHECK(d->field_count > 0, "a stanza has fields");
            check(d);
            write_again(d);
        }
    }
    deb822_close(d);
    free(d);
    if (file != NULL) {
        fclose(file);
    }
}

static void seeds(struct seeds *s)
{
    static const char list[] =
        "Package: zlib\nDescription: a\n library\n .\n  of it\n# a comment\nVersion:1.2\n\n"
        " \t\nPackage: a\r\nEmpty:\nTab:\t x \t\n\n\nPackage: without an end";

    seeds_add(s, "list", list, sizeof list - 1);
    seeds_add(s, "bad", "Package: a\n\n continues nothing\n", 32);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
