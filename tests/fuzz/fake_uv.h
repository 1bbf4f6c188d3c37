/* fake_uv: as much of libuv as node/http uses, without a kernel: one listener, one client whose bytes come
 * and go as the target says, and a clock that it moves. Linked in place of libuv's functions. It does not
 * know HTTP. */
#ifndef QUORATE_TESTS_FUZZ_FAKE_UV_H
#define QUORATE_TESTS_FUZZ_FAKE_UV_H

#include <uv.h>

#include "base/buf.h"

/* What the server wrote to the client and the client has taken. */
extern struct buf fake_uv_out;

/* Begins anew; every handle was closed. The loop is only a name. */
void fake_uv_begin(void);
uv_loop_t *fake_uv_loop(void);
/* All handles are closed. */
bool fake_uv_is_idle(void);

/* A client comes: the server accepts it at once. */
void fake_uv_connect(void);
/* Whether the server holds the connection, and whether it wants bytes. */
bool fake_uv_is_connected(void);
bool fake_uv_is_read(void);
/* Bytes for the server, all at once; only while they are wanted. */
void fake_uv_send(const uint8_t *p, size_t n);
/* The client sends no more (0), or breaks the connection (an error of libuv's). */
void fake_uv_end(int error);
/* What the client takes at once of what is written from now on; the rest waits. */
void fake_uv_set_room(size_t bytes);
/* It takes that much of what waits. */
void fake_uv_take(size_t bytes);

uint64_t fake_uv_now_ms(void);
/* Time passes, and timers fire. */
void fake_uv_advance(uint64_t ms);
/* Calls back what was closed. After each of the above; before it, what was closed is still there. */
void fake_uv_settle(void);

#endif
