/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FUZZ_SERVER_H
#define TEMPFILED_FUZZ_SERVER_H

/*
 * A server in the fuzzer's process, in memory (/dev/shm), with a directory in which it may delete
 * and one in which nothing may ever be missing. A fuzzer that root runs gives up its rights first:
 * nobody knows what it will find.
 */

#include <systemd/sd-event.h>

#include "daemon/server.h"
#include "tests/fuzz-replay.h"

extern char fuzz_dir[64]; /* with state/, files/, outside/ and the socket */

/* Empties files/ and state/; the first time it makes them all. */
void fuzz_server_clear(void);

int fuzz_server_start(void); /* on what is in state/; a negative errno: it refuses */
void fuzz_server_settle(void);
void fuzz_server_stop(void);

/* Aborts if what must stay does not. */
void fuzz_server_check(void);

/* A connection to it, not greeted. Nonblocking. */
int fuzz_server_connect(void);

/* PATH in fuzz_dir; valid until the fourth call from now. */
const char *fuzz_path(const char *path);
void fuzz_make_file(const char *path);

#endif
