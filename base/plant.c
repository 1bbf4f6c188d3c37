#include "base/plant.h"

#include <stdlib.h>
#include <string.h>

int plant_is_on(const char *name)
{
    const char *on = getenv("QUORATE_PLANT");
    return on != NULL && strcmp(on, name) == 0;
}
