#include "tests/cluster/deadline.h"

#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

enum { LOOK_MS = 5 };

uint64_t deadline_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct deadline deadline_in(unsigned ms)
{
    return (struct deadline){.at_ms = deadline_now_ms() + ms};
}

int deadline_left_ms(const struct deadline *d)
{
    uint64_t now = deadline_now_ms();
    uint64_t left = d->at_ms > now ? d->at_ms - now : 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

bool deadline_wait(const struct deadline *d)
{
    if (deadline_left_ms(d) == 0) {
        return false;
    }
    poll(NULL, 0, LOOK_MS);
    return true;
}
