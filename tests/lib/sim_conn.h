/* sim_conn: a connection as a simulated process sees it: the connection functions of the env table, whose
 * contracts stand in base/env.h, and what a wire may do to its ends. The simulator's own header. */
#ifndef QUORATE_TESTS_LIB_SIM_CONN_H
#define QUORATE_TESTS_LIB_SIM_CONN_H

#include <stdbool.h>

#include "base/env.h"

struct sim_world;
struct unit;
struct wire;

struct env_conn *sim_conn_connect(struct env *env, const char *address,
                                  const struct env_conn_callbacks *callbacks, void *owner);
void sim_conn_accept(struct env_conn *c, const struct env_conn_callbacks *callbacks, void *owner);
void sim_conn_send(struct env_conn *c, uint8_t *bytes, size_t n);
size_t sim_conn_unsent(struct env_conn *c);
void sim_conn_close(struct env_conn *c);
void sim_conn_peer(struct env_conn *c, char *p, size_t n);

void sim_conns_init(struct sim_world *w);
void sim_conns_die(struct sim_world *w, bool power_loss);
/* Connections of a dead process. */
void sim_conns_free(struct sim_world *w);

/* Somebody dialled: true when a process listens there; its end is made. */
bool sim_conn_knock(struct wire *wire);
/* A unit (given) has arrived; the process notices it now, or when it is resumed. */
void sim_conn_take(struct env_conn *c, struct unit *unit);
/* There is room in the window again. */
void sim_conn_kick(struct env_conn *c);

#endif
