/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_WORLD_H
#define TEMPFILED_BENCH_WORLD_H

/*
 * Where it is measured: a directory in memory and one on a disk, and daemons of its own, one for
 * each durability, whose databases are on the disk. All of it goes at the end.
 */

#include <limits.h>
#include <stdint.h>

#include "tests/daemon-fixture.h"

struct world {
        char memory[PATH_MAX];
        char disk[PATH_MAX];
        struct daemon_fixture power, crash;
};

/* @memory, @disk: where the two directories are made; NULL: looked for. 0 or a negative errno. */
int world_open(struct world *w, const char *memory, const char *disk);
void world_close(struct world *w);

/* The daemons die with the process that starts them. 0 or a negative errno. */
int world_start_daemons(struct world *w);
void world_stop_daemons(struct world *w);

/* A fresh directory in @base; NULL: errno says why not. To be freed. */
char *world_directory(const char *base);

/* A daemon in @dir that is started. Returns 0 or a negative errno. */
int world_start_daemon(struct daemon_fixture *d, const char *dir, const char *durability);

/* Removes @dir with all that is in it. */
void world_remove(const char *dir);

/* Raises the limit of open descriptors to at least @n if that is allowed; returns what it is. */
uint64_t world_raise_descriptors(uint64_t n);

#endif
