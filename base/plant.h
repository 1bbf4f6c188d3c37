/* plant: bugs that a test build has on purpose, to see that the tests find them. It does not know what they
 * are.
 *
 *     if (!PLANTED("mark_is_not_written")) {
 *         ...the line that must not be missing...
 *     }
 *
 * A build with QUORATE_PLANTS contains all of them, switched off; QUORATE_PLANT=name in the environment of
 * the process switches one on. In any other build PLANTED() is the constant 0 and nothing of them is left.
 * Every name stands in one place of the code, and in a table of tests/mutants with what catches it. */
#ifndef QUORATE_BASE_PLANT_H
#define QUORATE_BASE_PLANT_H

#ifdef QUORATE_PLANTS

/* Whether NAME is the one that is switched on. */
int plant_is_on(const char *name);

#define PLANTED(name)                                                                                        \
    __extension__({                                                                                          \
        static int plant_on = -1; /* asked once in each place: some are on hot paths */                      \
        if (plant_on < 0) {                                                                                  \
            plant_on = plant_is_on(name);                                                                    \
        }                                                                                                    \
        plant_on;                                                                                            \
    })

#else
#define PLANTED(name) 0
#endif

#endif
