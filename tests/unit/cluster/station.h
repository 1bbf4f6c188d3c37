/* station: a simulated node that runs nothing but peers, and writes down all that its callbacks tell.
 * For the tests of cluster/. */
#ifndef QUORATE_TESTS_STATION_H
#define QUORATE_TESTS_STATION_H

#include "cluster/join_message.h"
#include "cluster/peers.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, STATIONS = 3, STATION_MEMBERS = 9, STATION_FRAMES_MAX = 8000 };

enum station_callback {
    STATION_NOWHERE,
    STATION_ADMIT,
    STATION_RECEIVED,
    STATION_UP,
    STATION_DOWN,
    STATION_REFUSED,
    STATION_MOVED,
    STATION_ASKED,
};

struct heard {
    uint64_t from, number; /* the first 8 bytes of the body, if it has so many */
    uint8_t type;
    size_t len;
    bool intact; /* the body is what station_send() makes */
};

struct station {
    struct sim *sim;
    struct sim_node *node;
    struct env *env; /* of the running process */
    struct peers *peers;
    struct metrics metrics;
    struct peers_config config;
    struct peers_member members[STATION_MEMBERS];
    char listen[32], api_address[32];
    struct error refuse; /* code not Q_OK: admit refuses with it */
    enum station_callback close_in;
    bool closing; /* peers_close() was called: no callback may come but the last */
    unsigned closed, up[STATION_MEMBERS], down[STATION_MEMBERS], admitted[STATION_MEMBERS], refusals;
    char refused[20000]; /* "who: why\n" each */
    struct heard *heard;
    size_t n_heard;
    uint64_t removed_at[STATION_MEMBERS]; /* what it says of those that were */
    uint64_t told_by, told_at;            /* who told it that it was removed, and when */
    uint64_t introduced;                  /* who introduced itself last, and where it is */
    char introduced_at[PEERS_ADDRESS_MAX + 1];
    unsigned told;
    char moved_to[STATION_MEMBERS][32]; /* what members said last */
    unsigned moved[STATION_MEMBERS];
    unsigned asked; /* guests */
    uint64_t guest; /* the last one */
    struct join_ask ask;
    struct join_answer answer; /* given at once, if its error is not Q_OK or it has members */
    void (*inside)(struct station *s, enum station_callback where, uint64_t id); /* optional */
};

/* Stations 1 to STATIONS in RET_STATIONS[1...], each a member of one cluster with the others; not started. */
struct sim *stations_new(struct station ret_stations[STATIONS + 1], uint64_t seed);
/* Kills what runs and frees everything. */
void stations_free(struct sim *sim, struct station stations[STATIONS + 1]);

void station_start(struct station *s);
void stations_start(struct station stations[STATIONS + 1]);
/* Runs until every pair is connected both ways. */
void stations_connect(struct station stations[STATIONS + 1]);
/* Power loss. */
void station_crash(struct station *s);
/* peers_close(), and nothing of it is left afterwards. */
void station_stop(struct station *s);

/* A frame of N bytes (8 at least) whose content follows from NUMBER. */
bool station_send(struct station *s, uint64_t to, enum peers_queue queue, uint64_t number, size_t n);
int64_t station_metric(const struct station *s, const char *name, const char *labels);

/* Runs for US more. */
void run_for(struct sim *sim, uint64_t us);
/* Runs until EXPRESSION, at most 30 s of virtual time. */
#define RUN_UNTIL(sim_, expression)                                                                          \
    do {                                                                                                     \
        uint64_t deadline_ = sim_now_us(sim_) + 30 * (uint64_t)SECOND;                                       \
        while (!(expression) && sim_now_us(sim_) < deadline_ && sim_step(sim_)) {                            \
        }                                                                                                    \
        assert_true(expression);                                                                             \
    } while (0)

#endif
