/* clock: monotonic time, and waiting, for a tool that has no event loop of its own. */
#ifndef QUORATE_NODE_CLI_CLOCK_H
#define QUORATE_NODE_CLI_CLOCK_H

#include <stdint.h>

uint64_t clock_us(void);
uint64_t clock_ms(void);
void clock_pause(uint64_t ms);

#endif
