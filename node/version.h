/* version: what this build calls itself. */
#ifndef QUORATE_NODE_VERSION_H
#define QUORATE_NODE_VERSION_H

#define QUORATE_VERSION "0.1.0"

#endif
