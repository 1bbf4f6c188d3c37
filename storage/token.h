/* token: reads SQL word by word, as SQLite's tokenizer would: strings, quoted names, comments and parameters
 * are told apart from words. It does not know the grammar, nor which words are keywords. */
#ifndef QUORATE_STORAGE_TOKEN_H
#define QUORATE_STORAGE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind {
    TOKEN_WORD,   /* a name or keyword without quotes */
    TOKEN_QUOTED, /* a string or a name in quotes, with them; the closing one may be missing at the end */
    TOKEN_OTHER,  /* a parameter, or one byte of anything else */
};

struct token {
    enum token_kind kind;
    const char *p;
    size_t n;
};

/* The next token of the bytes from *SQL to END, which moves on; white space and comments are left out. False
 * at the end. */
bool token_next(const char **sql, const char *end, struct token *ret_token);
/* Whether it is this word, without quotes, in any case. */
bool token_is(const struct token *t, const char *word);
/* Whether it is a name, with or without quotes, that begins with PREFIX, in any case. */
bool token_begins(const struct token *t, const char *prefix);

#endif
