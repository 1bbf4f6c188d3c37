/* verdict: what must hold when everything is whole again. It does not know what was broken. */
#ifndef QUORATE_TESTS_CHAOS_VERDICT_H
#define QUORATE_TESTS_CHAOS_VERDICT_H

#include "tests/chaos/machines.h"
#include "tests/chaos/record.h"

/* The clients have stopped and nobody breaks anything. Waits until each node takes writes, and then until all
 * are ready and have applied the same; then they must have equal digests and hold, each by itself, what the
 * history (keys and lists) and the bank (transfers) say. Then all stop as SIGTERM asks them to, and none of
 * their logs has a sanitizer's complaint or the secret in it. */
void verdict(struct machines *ms, struct record *record);

#endif
