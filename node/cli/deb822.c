#include "node/cli/deb822.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void deb822_init(struct deb822 *d, FILE *from)
{
    *d = (struct deb822){.from = from};
    buf_init(&d->bytes, DEB822_STANZA_MAX);
}

void deb822_close(struct deb822 *d)
{
    free(d->line);
    buf_close(&d->bytes);
    d->line = NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_space(line[i])) {
            return false;
        }
    }
    return true;
}

/* Field names are printable ASCII without colon (Debian Policy, section 5.1). */
static size_t name_length(const char *line, size_t n)
{
    size_t i = 0;
    while (i < n && line[i] > ' ' && line[i] < 0x7f && line[i] != ':') {
        i++;
    }
    return i < n && line[i] == ':' && i > 0 && line[0] != '-' ? i : 0;
}

/* The value's bounds, once all its lines are there. */
static void trim(const struct deb822 *d, struct deb822_field *f)
{
    const char *p = (const char *)d->bytes.data;

    while (f->value_len > 0 && is_space(p[f->value])) {
        f->value++;
        f->value_len--;
    }
    while (f->value_len > 0 && is_space(p[f->value + f->value_len - 1])) {
        f->value_len--;
    }
}

static int take_line(struct deb822 *d, const char *line, size_t n, struct error *e)
{
    size_t at = d->bytes.len, name = name_length(line, n);
    bool continues = line[0] == ' ' || line[0] == '\t';

    if (line[0] == '#') {
        return 0;
    }
    if ((continues && d->field_count == 0) || (!continues && name == 0)) {
        return error_set(e, Q_INVALID, "line %lu is neither \"Name: value\" nor a continuation of a field",
                         d->line_number);
    }
    if (!continues && d->field_count == DEB822_FIELDS_MAX) {
        return error_set(e, Q_TOO_BIG, "the stanza that begins in line %lu has more than %d fields",
                         d->first_line, DEB822_FIELDS_MAX);
    }
    buf_put_bytes(&d->bytes, line, n);
    if (line[n - 1] != '\n') {
        buf_put_u8(&d->bytes, '\n');
    }
    if (d->bytes.failed != Q_OK) {
        char what[64];
        snprintf(what, sizeof what, "the stanza that begins in line %lu", d->first_line);
        return buf_check(&d->bytes, what, e);
    }
    if (continues) {
        struct deb822_field *f = &d->fields[d->field_count - 1];
        f->value_len = d->bytes.len - f->value;
    } else {
        d->fields[d->field_count++] = (struct deb822_field){
            .name = at, .name_len = name, .value = at + name + 1, .value_len = d->bytes.len - at - name - 1};
    }
    return 0;
}

int deb822_next(struct deb822 *d, bool *ret_end, struct error *e)
{
    ssize_t n;
    int rv = 0;

    buf_clear(&d->bytes);
    d->field_count = 0;
    d->first_line = 0;
    d->input_bytes = 0;
    errno = 0;
    while (rv == 0 && (n = getline(&d->line, &d->line_cap, d->from)) > 0) {
        d->line_number++;
        d->input_bytes += (size_t)n;
        if (is_blank(d->line, (size_t)n)) {
            if (d->field_count > 0) {
                break;
            }
        } else {
            d->first_line = d->first_line != 0 ? d->first_line : d->line_number;
            rv = take_line(d, d->line, (size_t)n, e);
        }
        errno = 0;
    }
    if (rv == 0 && ferror(d->from)) {
        rv = error_errno(e, errno != 0 ? errno : EIO, "reading behind line %lu", d->line_number);
    } else if (rv == 0 && errno == ENOMEM) {
        rv = error_set(e, Q_NOMEM, "line %lu is too long", d->line_number + 1);
    }
    for (unsigned i = 0; rv == 0 && i < d->field_count; i++) {
        trim(d, &d->fields[i]);
    }
    if (rv == 0) {
        *ret_end = d->field_count == 0;
    }
    return rv;
}

const char *deb822_value(const struct deb822 *d, const char *name, size_t *ret_len)
{
    const char *p = (const char *)d->bytes.data;

    for (unsigned i = 0; i < d->field_count; i++) {
        const struct deb822_field *f = &d->fields[i];
        if (f->name_len == strlen(name) && strncasecmp(p + f->name, name, f->name_len) == 0) {
            *ret_len = f->value_len;
            return p + f->value;
        }
    }
    return NULL;
}
