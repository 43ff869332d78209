/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_BENCH_H
#define TEMPFILED_BENCH_BENCH_H

/*
 * The sections of the report, and how much of each there is.
 */

#include <stdbool.h>

#include "tests/bench/report.h"
#include "tests/bench/world.h"

/* How much is done: the more, the less is left to chance, and the longer it takes. */
struct extent {
        const char *name;
        unsigned int
                rounds; /* of what takes microseconds: short ones, to fit between disturbances */
        unsigned int files;        /* a round */
        unsigned int crowd_rounds; /* of many at once */
        unsigned int crowd_files;
        unsigned int ends;         /* rounds of what takes milliseconds */
        unsigned int trees;        /* rounds of what takes seconds */
        unsigned int clients_max;  /* processes, threads */
        unsigned int few, many;    /* files of one owner, and in one tree */
        unsigned int owners;       /* killed at once */
        unsigned int entries_max;  /* powers of ten up to this */
        unsigned int owners_max;   /* the same, of processes */
        unsigned int leases_max;   /* the same, of leases */
        unsigned int interference; /* files of the tree that is reaped meanwhile */
        unsigned int pause_msec;   /* in which nothing is to happen */
};

struct bench {
        struct world *world;
        struct report *report;
        const struct extent *extent;
        bool has_python;
};

/* Each adds its groups to the report. What fails is a result, too. */
void bench_create(const struct bench *b);
void bench_throughput(const struct bench *b);
void bench_ends(const struct bench *b);
void bench_scale(const struct bench *b);
void bench_interference(const struct bench *b);

#endif
