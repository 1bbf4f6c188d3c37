#include "storage/script.h"

#include "base/plant.h"
#include "storage/token.h"

/* Words of a statement that matter, from its beginning. */
enum { WORDS = 3 };

struct statement {
    struct token word[WORDS];
    unsigned words;
    bool trigger; /* its body has statements of its own, up to END */
    bool ended;   /* the last token was END, or a semicolon after END */
};

static bool is_either(const struct token *t, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (token_is(t, *words)) {
            return true;
        }
    }
    return false;
}

static bool is_semicolon(const struct token *t)
{
    return t->kind == TOKEN_OTHER && t->n == 1 && *t->p == ';';
}

static bool goes(const struct statement *s)
{
    static const char *const transaction[] = {"begin", "commit", "end", NULL};

    if (s->words > 0 && is_either(&s->word[0], transaction)) {
        return true;
    }
    return s->words > 1 && token_is(&s->word[0], "pragma") && token_is(&s->word[1], "foreign_keys");
}

static void blank(char *from, const char *to)
{
    for (; from < to; from++) {
        *from = *from == '\n' ? '\n' : ' ';
    }
}

static void take(struct statement *s, const struct token *t)
{
    static const char *const temporary[] = {"temp", "temporary", NULL};

    if (s->words < WORDS) {
        s->word[s->words++] = *t;
    }
    bool second = s->words == 2 && token_is(&s->word[1], "trigger");
    bool third = s->words == 3 && is_either(&s->word[1], temporary) && token_is(&s->word[2], "trigger");
    s->trigger = s->trigger || (token_is(&s->word[0], "create") && (second || third));
    s->ended = token_is(t, "end");
}

/* Where a trigger's statement ends is as sqlite3_complete() has it: at END with a semicolon before it, and
 * one after it. CASE ... END has none before. */
void script_clean(char *sql, size_t n)
{
    const char *at = sql, *end = sql + n;
    struct statement s = {.words = 0};
    struct token t;
    char *from = NULL;
    bool after_semicolon = false;

    while (token_next(&at, end, &t)) {
        if (from == NULL) {
            from = sql + (t.p - sql);
        }
        if (!is_semicolon(&t)) {
            bool ends = token_is(&t, "end") && after_semicolon;
            take(&s, &t);
            s.ended = ends;
            after_semicolon = false;
        } else if (s.trigger && !s.ended && !PLANTED("triggers_end_with_their_first_statement")) {
            after_semicolon = true;
        } else {
            if (goes(&s)) {
                blank(from, at);
            }
            s = (struct statement){.words = 0};
            from = NULL;
            after_semicolon = false;
        }
    }
    if (from != NULL && goes(&s)) {
        blank(from, end);
    }
}
