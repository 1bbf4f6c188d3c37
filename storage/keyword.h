/* keyword: finds a word in SQL where SQLite would read it as a keyword: not in strings, quoted names,
 * comments, parameters, nor behind a dot. It does not know the grammar. */
#ifndef QUORATE_STORAGE_KEYWORD_H
#define QUORATE_STORAGE_KEYWORD_H

#include <stdbool.h>
#include <stddef.h>

/* Whether KEYWORD (lower-case letters) stands in the N bytes of SQL, in any case. */
bool keyword_in(const char *sql, size_t n, const char *keyword);

#endif
