#include "tests/sim/fault.h"

#include <string.h>

#define FAULT_ROW(NAME, text, chance, sentence) {text, chance},
static const struct {
    const char *name;
    unsigned weight;
} table[] = {FAULTS(FAULT_ROW)};

const char *fault_name(enum fault fault)
{
    return table[fault].name;
}

unsigned fault_weight(enum fault fault)
{
    return table[fault].weight;
}

enum fault fault_by_name(const char *name)
{
    unsigned i = 0;
    while (i < FAULT_COUNT && strcmp(table[i].name, name) != 0) {
        i++;
    }
    return (enum fault)i;
}
