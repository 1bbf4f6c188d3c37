/* math_functions: SQL's transcendental functions (sin, exp, log, pow, ...) with the same result on every
 * machine of an architecture. It does not know what they are used for.
 *
 * SQLite asks the C library, whose double functions come in variants that it chooses by the CPU (with and
 * without fused multiply-add) and that differ between its releases; measured on glibc 2.36, all but sqrt give
 * other last bits in some places when the CPU has no FMA. Here they are computed with 64-bit mantissas, by
 * code that has no variants, and rounded to double once, which hides what little may differ. NULL and domain
 * rules are those of SQLite's own. */
#ifndef QUORATE_STORAGE_MATH_FUNCTIONS_H
#define QUORATE_STORAGE_MATH_FUNCTIONS_H

#include <sqlite3.h>

#include "base/error.h"

/* Replaces the functions on DB: on every connection to the same database, for indexes may hold their results.
 */
int math_functions_attach(sqlite3 *db, struct error *e);

#endif
