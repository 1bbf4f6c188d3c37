/* configuration: the members of the cluster as the consensus core holds and encodes them. Only raft_glue/
 * sees this header, because it shows <raft.h>. It does not know what is committed, or who leads.
 *
 * Format, the core's own, little-endian: u8 1, u64 servers, each u64 id, address with its NUL, u8 role; then
 * zeros up to a multiple of 8 bytes. The core's decoder trusts every length in it, so whatever comes from a
 * peer or a disk passes configuration_decode() first. */
#ifndef QUORATE_RAFT_GLUE_CONFIGURATION_H
#define QUORATE_RAFT_GLUE_CONFIGURATION_H

#include <raft.h>

#include "base/error.h"

/* A deep copy; close with raft_configuration_close(). Errors: Q_NOMEM. */
int configuration_copy(const struct raft_configuration *from, struct raft_configuration *ret_copy,
                       struct error *e);
/* Every length is checked before it is believed. Errors: Q_CORRUPT (also: id 0, a name or id twice, an
 * unknown role, no server), Q_TOO_BIG (over MESSAGE_SERVERS_MAX or MESSAGE_ADDRESS_MAX), Q_NOMEM. */
int configuration_decode(const void *p, size_t n, struct raft_configuration *ret_configuration,
                         struct error *e);
/* Adds a server whose fields come from outside, under the limits above. ADDRESS has no NUL at its end. */
int configuration_add(struct raft_configuration *c, uint64_t id, const void *address, size_t address_len,
                      int role, struct error *e);

/* NULL: no such member. */
const struct raft_server *configuration_find(const struct raft_configuration *c, uint64_t id);
bool configuration_is_voter(const struct raft_configuration *c, uint64_t id);
unsigned configuration_voters(const struct raft_configuration *c);
/* ID votes and nobody else does. */
bool configuration_sole_voter(const struct raft_configuration *c, uint64_t id);

/* Whether the core can go from one configuration to the other in one step: at most one voter comes or goes
 * (two at once could make majorities that share nobody), and a list of unchanged length names the same
 * servers in the same order (the core then keeps what it knows of them by position). Errors: Q_INVALID. */
int configuration_check_step(const struct raft_configuration *from, const struct raft_configuration *to,
                             struct error *e);

#endif
