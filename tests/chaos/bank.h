/* bank: what the clients keep in SQL: accounts, a ledger with a line for each transfer, in one transaction,
 * and lists to which numbers are appended. It knows the statements and how their answers read, not who sends
 * them.
 *
 * A ledger line has the number of the operation, so at the end each transfer can be found: acknowledged ones
 * once, refused ones never, unknown ones once or never; and the balances are what the lines say. It also has
 * the time and a random number, which must be the same on every node, however wrong its clock. */
#ifndef QUORATE_TESTS_CHAOS_BANK_H
#define QUORATE_TESTS_CHAOS_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/history.h"

#define BANK_LEDGER_SQL   "SELECT op, giver, taker, amount FROM ledger"
#define BANK_ACCOUNTS_SQL "SELECT balance FROM account ORDER BY id"

/* Bodies for /db/execute?transaction; a static string. */
const char *bank_setup(void);
void bank_append(char *body, size_t size, unsigned list, uint64_t op);
void bank_read_list(char *body, size_t size, unsigned list);
void bank_transfer(char *body, size_t size, uint64_t op, unsigned giver, unsigned taker, unsigned amount);

enum bank_answer { BANK_DONE, BANK_UNKNOWN, BANK_NOTHING, BANK_WRONG };

/* What an answer with status 200 says; BANK_WRONG with a sentence in TEXT if it is none that should be.
 * RET_ACCOUNTS, unless NULL, is for the answer to BANK_ACCOUNTS_SQL. */
enum bank_answer bank_read(const char *body, size_t len, struct account ret_accounts[HISTORY_ACCOUNTS],
                           char *text, size_t n);
/* The values of a list, from an answer to bank_read_list(); returned, free(). NULL: there are none. */
uint64_t *bank_list(const char *body, size_t len, uint32_t *ret_items);
/* The ledger and the balances as one node has them at the end, against the history. False with a sentence. */
bool bank_check(const struct history *h, const char *ledger, const char *sums, char *text, size_t n);

#endif
