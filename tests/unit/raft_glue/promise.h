/* promise: a scene that shows what a guard promises, played twice: with all guards, where the promise is
 * kept, and without this one, where the library's bug breaks it. */
#ifndef QUORATE_TEST_PROMISE_H
#define QUORATE_TEST_PROMISE_H

#include "raft_glue/driver.h"

enum breakage {
    BREAKS_PROMISE, /* the scene ends and says so */
    MAY_CRASH,      /* or the bug takes the process with it */
};

/* Plays the scene with these guards and says whether the promise was kept; closes its servers with
 * promise_close(), which counts the hits. Must not use cmocka's asserts: it also runs in a forked child. */
typedef bool promise_scene(unsigned guards);

struct server;
void promise_close(struct server *s);
/* Asserts both. */
void promise_needs_guard(promise_scene *scene, enum driver_guard guard, enum breakage breakage);

#endif
