/* deb822: stanzas of fields, as Debian's package lists have them (deb822(5)), read one after the other. It
 * does not know what the fields mean.
 *
 * A stanza is a run of lines; blank lines (or lines of white space) stand between stanzas. A line that begins
 * with a space or tab continues the field before it; one that begins with # is a comment, and belongs to no
 * field. Everything else is "Name: value". The last line may lack its line end. */
#ifndef QUORATE_NODE_CLI_DEB822_H
#define QUORATE_NODE_CLI_DEB822_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

enum { DEB822_STANZA_MAX = 4 * 1024 * 1024, DEB822_FIELDS_MAX = 1000 };

struct deb822_field {
    size_t name, name_len;   /* where in the stanza's bytes */
    size_t value, value_len; /* without white space around it; continuation lines as they stand */
};

struct deb822 {
    FILE *from;
    char *line;
    size_t line_cap;
    unsigned long line_number;
    struct buf bytes; /* of the stanza, each line with its end */
    struct deb822_field fields[DEB822_FIELDS_MAX];
    unsigned field_count;
    unsigned long first_line;
    size_t input_bytes; /* that the stanza took, with the blank lines before it */
};

/* FROM is kept. */
void deb822_init(struct deb822 *d, FILE *from);
void deb822_close(struct deb822 *d);
/* Reads the next stanza into D; ret_end if there is none. Errors: Q_INVALID (a line that is neither, the text
 * names it), Q_TOO_BIG (a stanza over the limits), Q_IO, Q_NOMEM. */
int deb822_next(struct deb822 *d, bool *ret_end, struct error *e);
/* The value of the first field of that name, in any case; NULL if there is none. Borrowed until the next
 * stanza, not terminated. */
const char *deb822_value(const struct deb822 *d, const char *name, size_t *ret_len);

#endif
