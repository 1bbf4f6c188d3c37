#include "storage/build.h"

#include <sqlite3.h>
#include <string.h>

static const char *const matters[] = {
    "CASE_SENSITIVE_LIKE",
    "DEFAULT_FOREIGN_KEYS",
    "DEFAULT_RECURSIVE_TRIGGERS",
    "DQS",
    "ENABLE_",
    "LIKE_",
    "MAX_",
    "OMIT_",
    "SOUNDEX",
};

void build_put(struct buf *b)
{
    int version = sqlite3_libversion_number();

    buf_printf(b, "%d.%d", version / 1000000, version / 1000 % 1000);
    for (int i = 0; sqlite3_compileoption_get(i) != NULL; i++) {
        const char *option = sqlite3_compileoption_get(i);

        for (size_t j = 0; j < sizeof matters / sizeof matters[0]; j++) {
            if (strncmp(option, matters[j], strlen(matters[j])) == 0) {
                buf_printf(b, " %s", option);
                break;
            }
        }
    }
}

int build_text(char ret_text[BUILD_TEXT_MAX], struct error *e)
{
    struct buf text;

    buf_init(&text, BUILD_TEXT_MAX - 1);
    build_put(&text);
    int rc = buf_check(&text, "the text about SQLite", e);
    if (rc == 0) {
        memcpy(ret_text, text.data, text.len);
        ret_text[text.len] = 0;
    }
    buf_close(&text);
    return rc;
}

static struct cursor next_word(struct cursor *text)
{
    size_t left = cursor_left(text);
    const uint8_t *blank = left ? memchr(text->p, ' ', left) : NULL;
    struct cursor word = cursor_of(text->p, blank ? (size_t)(blank - text->p) : left);

    text->p = blank ? blank + 1 : text->end;
    return word;
}

/* The first word of TEXT that OTHER lacks; empty if there is none. */
static struct cursor missing(struct cursor text, struct cursor other)
{
    while (cursor_left(&text) > 0) {
        struct cursor word = next_word(&text);
        struct cursor rest = other;
        bool found = false;

        while (!found && cursor_left(&rest) > 0) {
            struct cursor candidate = next_word(&rest);
            found = cursor_left(&candidate) == cursor_left(&word) &&
                    memcmp(candidate.p, word.p, cursor_left(&word)) == 0;
        }
        if (!found) {
            return word;
        }
    }
    return cursor_of(NULL, 0);
}

int build_compare(struct cursor recorded, struct cursor mine, struct error *e)
{
    struct cursor lacks = missing(recorded, mine);
    struct cursor adds = missing(mine, recorded);

    if (cursor_left(&lacks) > 0) {
        return error_set(
            e, Q_MISMATCH,
            "the database was written by another SQLite: %.*s, which this one (%s) is or has not",
            (int)cursor_left(&lacks), (const char *)lacks.p, sqlite3_libversion());
    }
    if (cursor_left(&adds) > 0) {
        return error_set(e, Q_MISMATCH,
                         "the database was written by another SQLite, without %.*s, which this one (%s) has",
                         (int)cursor_left(&adds), (const char *)adds.p, sqlite3_libversion());
    }
    return 0;
}

int build_check(const char *text, struct error *e)
{
    char mine[BUILD_TEXT_MAX];

    if (text[0] == 0) {
        return 0;
    }
    int rc = build_text(mine, e);
    return rc == 0 ? build_compare(cursor_of(text, strlen(text)), cursor_of(mine, strlen(mine)), e) : rc;
}
