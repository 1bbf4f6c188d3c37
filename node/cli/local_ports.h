/* local_ports: which TCP ports of this machine's loopback address are free. */
#ifndef QUORATE_NODE_CLI_LOCAL_PORTS_H
#define QUORATE_NODE_CLI_LOCAL_PORTS_H

#include "base/error.h"

enum { LOCAL_PORTS_MAX = 64 };

/* COUNT different ports that are free now. Errors: Q_IO. */
int local_ports_free(unsigned count, unsigned *ret_ports, struct error *e);
/* Q_CONFLICT if somebody listens on the port. */
int local_ports_check(unsigned port, struct error *e);

#endif
