#include "tests/chaos/bank.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *bank_setup(void)
{
    static char body[1024];
    size_t n = (size_t)snprintf(
        body, sizeof body,
        "[\"CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)\","
        "\"CREATE TABLE IF NOT EXISTS ledger (op INTEGER, giver INTEGER, taker INTEGER, amount INTEGER, "
        "at TEXT DEFAULT CURRENT_TIMESTAMP, lot INTEGER DEFAULT (random()))\","
        "\"CREATE TABLE IF NOT EXISTS item (list INTEGER, value INTEGER)\","
        "\"INSERT OR IGNORE INTO account VALUES ");

    for (unsigned i = 0; i < HISTORY_ACCOUNTS; i++) {
        n += (size_t)snprintf(body + n, sizeof body - n, "%s(%u, %d)", i ? ", " : "", i, HISTORY_BALANCE);
    }
    snprintf(body + n, sizeof body - n, "\"]");
    return body;
}

void bank_transfer(char *body, size_t size, uint64_t op, unsigned giver, unsigned taker, unsigned amount)
{
    snprintf(body, size,
             "[[\"UPDATE account SET balance = balance - ? WHERE id = ?\",%u,%u],"
             "[\"UPDATE account SET balance = balance + ? WHERE id = ?\",%u,%u],"
             "[\"INSERT INTO ledger (op, giver, taker, amount) VALUES (?, ?, ?, ?)\",%" PRIu64 ",%u,%u,%u]]",
             amount, giver, amount, taker, op, giver, taker, amount);
}

void bank_append(char *body, size_t size, unsigned list, uint64_t op)
{
    snprintf(body, size, "[[\"INSERT INTO item VALUES (?, ?)\",%u,%" PRIu64 "]]", list, op);
}

void bank_read_list(char *body, size_t size, unsigned list)
{
    snprintf(body, size, "[[\"SELECT value FROM item WHERE list = ? ORDER BY rowid\",%u]]", list);
}

static const char *error_of(const json_t *from)
{
    return json_string_value(json_object_get(from, "error"));
}

static enum bank_answer judge(const json_t *root, struct account ret_accounts[HISTORY_ACCOUNTS], char *text,
                              size_t n)
{
    const json_t *results = json_object_get(root, "results"), *result, *rows;
    size_t i;

    if (error_of(root) != NULL) {
        return json_object_get(root, "outcome") != NULL ? BANK_UNKNOWN : BANK_NOTHING;
    }
    json_array_foreach(results, i, result)
    {
        if (error_of(result) != NULL) {
            snprintf(text, n, "a statement failed: %s", error_of(result));
            return BANK_WRONG;
        }
    }
    rows = json_object_get(json_array_get(results, 0), "values");
    for (i = 0; ret_accounts != NULL && i < HISTORY_ACCOUNTS; i++) {
        ret_accounts[i].balance = json_integer_value(json_array_get(json_array_get(rows, i), 0));
    }
    return BANK_DONE;
}

enum bank_answer bank_read(const char *body, size_t len, struct account ret_accounts[HISTORY_ACCOUNTS],
                           char *text, size_t n)
{
    json_t *root = json_loadb(body, len, 0, NULL);
    enum bank_answer answer = BANK_WRONG;

    if (root == NULL || !json_is_array(json_object_get(root, "results"))) {
        snprintf(text, n, "an answer is not understood: %.200s", body);
    } else {
        answer = judge(root, ret_accounts, text, n);
    }
    json_decref(root);
    return answer;
}

/* Of the first statement. */
static const json_t *rows_of(const json_t *root)
{
    return json_object_get(json_array_get(json_object_get(root, "results"), 0), "values");
}

uint64_t *bank_list(const char *body, size_t len, uint32_t *ret_items)
{
    json_t *root = json_loadb(body, len, 0, NULL);
    const json_t *rows = rows_of(root);
    size_t n = json_array_size(rows);
    uint64_t *list = n > 0 ? calloc(n, sizeof *list) : NULL;

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = (uint64_t)json_integer_value(json_array_get(json_array_get(rows, i), 0));
    }
    *ret_items = list != NULL ? (uint32_t)n : 0;
    json_decref(root);
    return list;
}

/* What the ledger adds up to. */
struct sums {
    int64_t balance[HISTORY_ACCOUNTS];
    unsigned char *found; /* how often, by operation */
};

static int64_t column(const json_t *row, size_t i)
{
    return json_integer_value(json_array_get(row, i));
}

static bool add_line(const struct history *h, struct sums *sums, const json_t *row, char *text, size_t n)
{
    int64_t op = column(row, 0), giver = column(row, 1), taker = column(row, 2), amount = column(row, 3);

    if (op < 1 || (uint64_t)op > h->count || h->ops[op - 1].kind != OP_TRANSFER || giver < 0 ||
        giver >= HISTORY_ACCOUNTS || taker < 0 || taker >= HISTORY_ACCOUNTS) {
        snprintf(text, n, "the ledger has operation %" PRId64 ", which is no transfer", op);
        return false;
    }
    if (h->ops[op - 1].outcome == OP_NOTHING) {
        snprintf(text, n, "transfer %" PRId64 " is in the ledger and was said to have done nothing", op);
        return false;
    }
    if (sums->found[op - 1]++ > 0) {
        snprintf(text, n, "transfer %" PRId64 " was done twice", op);
        return false;
    }
    sums->balance[giver] -= amount;
    sums->balance[taker] += amount;
    return true;
}

static bool check_found(const struct history *h, const struct sums *sums, char *text, size_t n)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].kind == OP_TRANSFER && h->ops[i].outcome == OP_DONE && sums->found[i] == 0) {
            snprintf(text, n, "LOST: transfer %zu was acknowledged and is not in the ledger", i + 1);
            return false;
        }
    }
    return true;
}

static bool check_balances(const struct sums *sums, const json_t *balances, char *text, size_t n)
{
    for (size_t i = 0; i < HISTORY_ACCOUNTS; i++) {
        int64_t held = column(json_array_get(balances, i), 0);
        if (held != sums->balance[i]) {
            snprintf(text, n, "account %zu holds %" PRId64 ", but its ledger says %" PRId64, i, held,
                     sums->balance[i]);
            return false;
        }
    }
    return true;
}

bool bank_check(const struct history *h, const char *ledger, const char *sums_body, char *text, size_t n)
{
    struct sums sums = {.found = calloc(h->count + 1, 1)};
    json_t *lines = json_loads(ledger, 0, NULL), *balances = json_loads(sums_body, 0, NULL);
    const json_t *row;
    bool ok = true;
    size_t i;

    for (i = 0; i < HISTORY_ACCOUNTS; i++) {
        sums.balance[i] = HISTORY_BALANCE;
    }
    json_array_foreach(rows_of(lines), i, row)
    {
        ok = ok && add_line(h, &sums, row, text, n);
    }
    ok = ok && check_found(h, &sums, text, n) && check_balances(&sums, rows_of(balances), text, n);
    free(sums.found);
    json_decref(lines);
    json_decref(balances);
    return ok;
}
