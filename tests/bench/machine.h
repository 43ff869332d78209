/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_MACHINE_H
#define TEMPFILED_BENCH_MACHINE_H

/*
 * The machine that it was measured on, as far as it matters.
 */

#include <stdio.h>

#ifdef __OPTIMIZE__
#define MACHINE_OPTIMIZED 1
#else
#define MACHINE_OPTIMIZED 0
#endif

/* The type of a directory's file system. */
const char *machine_file_system(const char *dir);

/* Where things will be made, for the description. */
void machine_set_directories(const char *memory, const char *disk);

void machine_show(FILE *f);
void machine_json(FILE *f);

#endif
