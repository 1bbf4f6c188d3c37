/* build: which SQLite this is, as far as it decides what rows a statement gives. It does not know where the
 * answer is recorded.
 *
 * Format: words separated by single blanks: the version without its last part ("3.40"), then those
 * compile-time options that add or take away functions, modules and syntax, or set limits, in SQLite's order.
 * Two builds with equal text give equal results; patch releases are trusted to. */
#ifndef QUORATE_STORAGE_BUILD_H
#define QUORATE_STORAGE_BUILD_H

#include "base/buf.h"

enum { BUILD_TEXT_MAX = 4096 };

/* Appends the text, not terminated. */
void build_put(struct buf *b);
/* The text, terminated. Errors: Q_NOMEM; Q_TOO_BIG it has BUILD_TEXT_MAX bytes or more. */
int build_text(char ret_text[BUILD_TEXT_MAX], struct error *e);
/* Compares two such texts. Q_MISMATCH names the first word that only one of them has. */
int build_compare(struct cursor recorded, struct cursor mine, struct error *e);
/* Whether a database whose recorded text is TEXT can be opened here; an empty text always can. Errors:
 * Q_MISMATCH, Q_NOMEM. */
int build_check(const char *text, struct error *e);

#endif
