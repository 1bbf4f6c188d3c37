/* An asking node 2 and an answering node 1, and the frames between them. */
#ifndef QUORATE_TESTS_FORWARD_SCENE_H
#define QUORATE_TESTS_FORWARD_SCENE_H

#include "cluster/forward.h"
#include "cluster/peers.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { QUESTION = 2, ANSWER = 3, GRACE_MS = 150, ANSWER_MAX = 4096, FRAMES = 16, CALLS = 4 };

struct frame {
    uint64_t to;
    uint8_t type;
    size_t len;
    uint8_t body[ANSWER_MAX];
};

struct side {
    struct forward *forward;
    struct frame sent[FRAMES];
    unsigned frames, refuse; /* how many of the next frames cannot be sent */
    unsigned asked;
    struct forward_question question; /* the last one */
    uint8_t command[64];
    size_t command_len;
};

struct caller {
    struct forward_call call;
    unsigned done;
    enum error_code code;
    char text[ERROR_TEXT_MAX], result[64];
    size_t len;
    uint64_t index;
    struct scene *scene;
    struct caller *asks, *forgets; /* what DONE does besides */
};

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct side asking, answering;
    struct caller caller[CALLS];
};

bool on_send(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n);
void on_asked(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n);
void on_done(struct forward_call *call, const struct forward_answer *answer);
void new_side(struct scene *s, struct side *side);
int set_up(void **state);
int tear_down(void **state);
void ask(struct scene *s, unsigned caller, enum forward_kind kind);
/* Brings the last question of node 2 to node 1. */
int bring_question(struct scene *s);
void reply(struct scene *s, enum error_code code, const char *text, uint64_t index);
/* Brings the last answer of node 1 to node 2, as if from node FROM. */
int bring_answer(struct scene *s, uint64_t from);
void expect(const struct scene *s, unsigned caller, unsigned done, enum error_code code);
void wait_ms(struct scene *s, uint64_t ms);

#endif
