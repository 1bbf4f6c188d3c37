/* A batcher on a scripted consensus, and callers who push commands. */
#ifndef QUORATE_TESTS_BATCHER_SCENE_H
#define QUORATE_TESTS_BATCHER_SCENE_H

#include "raft_glue/batcher.h"
#include "tests/lib/sim.h"
#include "tests/unit/raft_glue/fake_consensus.h"
#include "tests/unit/test.h"
#include <inttypes.h>

enum { COMMANDS = 3000, GRACE_MS = 150, SMALL = 10 };

struct scene;

struct caller {
    struct batcher_command command;
    struct scene *scene;
    uint8_t bytes[SMALL];
    unsigned done;
    enum error_code code;
    char text[32]; /* the result, or the beginning of the error's text */
    uint64_t index;
    struct caller *forgets, *pushes; /* what DONE does besides */
};

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct consensus consensus;
    struct batcher *batcher;
    struct batcher_position position;
    struct caller callers[COMMANDS];
    unsigned next; /* the next caller to push */
    uint8_t large[2 * 1024 * 1024];
    bool pushing;
};

void on_done(struct batcher_command *command, const struct batcher_answer *answer);
int set_up(void **state);
int tear_down(void **state);
int push(struct scene *s, unsigned caller, struct error *e);
void push_some(struct scene *s, unsigned n);
void push_large(struct scene *s, size_t len);
void poll(struct scene *s);
struct batch batch_at(const struct scene *s, uint64_t index);
void commit(struct scene *s, uint64_t index);
/* Entry INDEX is applied, with N results "result 0", "result 1" and so on. */
void apply(struct scene *s, uint64_t index, uint64_t term, unsigned n);
void lose_leadership(struct scene *s);
void lead_again(struct scene *s);
void wait_ms(struct scene *s, uint64_t ms);
void expect(struct scene *s, unsigned caller, enum error_code code, const char *text);
void expect_pending(struct scene *s, unsigned caller);

#endif
