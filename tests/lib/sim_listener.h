/* sim_listener: who listens where. The simulator's own header. */
#ifndef QUORATE_TESTS_LIB_SIM_LISTENER_H
#define QUORATE_TESTS_LIB_SIM_LISTENER_H

#include <stdbool.h>

#include "base/env.h"

struct sim_world;

int sim_listener_open(struct env *env, const char *address, void (*accepted)(void *owner, struct env_conn *),
                      void *owner, struct env_listener **ret_listener, struct error *e);
void sim_listener_close(struct env_listener *l);

void sim_listeners_init(struct sim_world *w);
void sim_listeners_die(struct sim_world *w);
/* Listeners that a dead process never closed. */
void sim_listeners_free(struct sim_world *w);

bool sim_listener_at(struct sim_world *w, const char *address);
/* Offers a connection to whoever listens at the address; false when nobody does. */
bool sim_listener_offer(struct sim_world *w, const char *address, struct env_conn *c);

#endif
