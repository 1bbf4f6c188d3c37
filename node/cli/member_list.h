/* member_list: the words "id=host:port,id=host:port" as a list. */
#ifndef QUORATE_NODE_CLI_MEMBER_LIST_H
#define QUORATE_NODE_CLI_MEMBER_LIST_H

#include "cluster/peers.h"

/* Errors: Q_INVALID what is wrong with which of them; Q_TOO_BIG more than PEERS_MAX. */
int member_list_parse(const char *text, struct peers_member ret_members[PEERS_MAX], unsigned *ret_count,
                      struct error *e);

#endif
