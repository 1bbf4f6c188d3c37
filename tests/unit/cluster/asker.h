/* asker: one request at a time to a replica of a simulated group, and what came of it. For the tests of
 * cluster/. */
#ifndef QUORATE_TESTS_ASKER_H
#define QUORATE_TESTS_ASKER_H

#include "tests/sim/group.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000 };

struct asker {
    struct replica_request request; /* level, timeout_ms and so on are set before the question */
    struct buf command;
    bool asking, submitting;
    unsigned done;
    enum error_code code;
    char text[ERROR_TEXT_MAX]; /* of the error */
    uint64_t index, served_by;
    bool logged;
    bool bare;       /* it had no result bytes: format() had them */
    char shown[256]; /* the result, readable: "put 1", "v1 hello", "none", "write 3/1", "rows a=1,2", "error
                        ..." */
    struct asker *then; /* asks this one's question again when done */
    struct group_node *then_node;
};

/* Ready to ask: linearizable, 5 s. */
void asker_init(struct asker *a);
void asker_close(struct asker *a);

/* Each returns at once; the answer comes while the simulation runs. */
void ask_put(struct asker *a, struct group_node *node, const char *key, const char *value);
void ask_get(struct asker *a, struct group_node *node, const char *key);
void ask_sql(struct asker *a, struct group_node *node, enum command_op op, const char *sql);
void ask_bytes(struct asker *a, struct group_node *node, const void *p, size_t n);
/* Asks what it asked last once more. */
void ask_again(struct asker *a, struct group_node *node);

/* Runs until EXPRESSION, at most 60 s of virtual time. */
#define GROUP_UNTIL(g_, expression)                                                                          \
    do {                                                                                                     \
        uint64_t deadline_ = sim_now_us((g_)->sim) + 60 * (uint64_t)SECOND;                                  \
        while (!(expression) && sim_now_us((g_)->sim) < deadline_ && sim_step((g_)->sim)) {                  \
        }                                                                                                    \
        assert_true(expression);                                                                             \
    } while (0)

void group_run_ms(struct group *g, uint64_t ms);
/* Runs until somebody leads whom all that live follow and have caught up with. */
struct group_node *group_settled(struct group *g);
struct group_node *group_follower(struct group *g, unsigned n); /* 0 or 1: one that does not lead */
/* Waits for A's answer, which must be Q_OK. */
void expect_shown(struct asker *a, struct group *g, const char *shown);
/* Waits for A's answer, which must be this error; TEXT may be NULL. */
void expect_failed(struct asker *a, struct group *g, enum error_code code, const char *text);
/* Cuts the node off from all others, or no more. */
void group_cut(struct group *g, struct group_node *node, bool cut);
struct replica_status status_of(const struct group_node *node);

#endif
