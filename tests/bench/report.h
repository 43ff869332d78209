/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_REPORT_H
#define TEMPFILED_BENCH_REPORT_H

/*
 * What was measured: groups of results, the first of each being what the others are compared with.
 * Shown as a table while it grows, and at the end as JSON, as a table in a file, and as points for
 * a plot.
 */

#include <stdbool.h>
#include <stdio.h>

#include "tests/bench/measure.h"

struct result {
        enum role role;
        char *name;
        int error;           /* negative errno: there is nothing else */
        struct spread value; /* in the group's unit */
        struct spread ratio; /* to the group's first; median 0: not compared */
        double aim; /* what the ratio (or, uncompared, the value) is to be at most; 0: none */
};

struct group {
        char *title;
        const char *unit;
        const char *series; /* of the plot; NULL: none */
        double x;           /* in that series */
        struct result *results;
        size_t n_results;
};

struct report {
        struct group *groups;
        size_t n_groups;
        FILE *table;    /* where it is shown meanwhile; NULL: nowhere */
        bool is_failed; /* something of ours could not be measured */
};

/* All of them end the program when there is no memory. */
void report_group(struct report *r, const char *unit, const char *series, double x,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
void report_add(struct report *r, const struct result *result);

/* A result that is a number by itself. */
void report_value(struct report *r, enum role role, const char *name, double value, double aim);

/* Runs a contest and adds its results, in microseconds a unit. */
void report_contest(struct report *r, const struct contestant *c, size_t n, unsigned int rounds);

/* What the aims are and how near they are. */
void report_aims(const struct report *r, FILE *f);

void report_table(const struct report *r, FILE *f);
void report_json(const struct report *r, FILE *f);

/* A line for each point: series, x, role, name, median, low, high. */
void report_points(const struct report *r, FILE *f);

/* A string as JSON spells it. */
void report_json_string(const char *text, FILE *f);

void report_done(struct report *r);

#endif
