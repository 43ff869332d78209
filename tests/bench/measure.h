/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_MEASURE_H
#define TEMPFILED_BENCH_MEASURE_H

/*
 * Contests: one work done by several, in turns. What the machine does beside them meets them all
 * alike, so that what is compared is each round's ratio to the first of them, the limit. Each
 * contestant is a process of its own, with its own connection to a daemon.
 */

#include <stddef.h>
#include <stdint.h>

/* Of several rounds: the middle, and what four in five of them lie between. */
struct spread {
        double median, low, high;
};

enum role {
        ROLE_LIMIT, /* what can't be beaten: the same without the guarantee */
        ROLE_OURS,
        ROLE_PEER,
};

struct contestant {
        enum role role;
        const char *name;
        const struct work *work;
        const char *dir;        /* where it makes things */
        const char *socket;     /* of the daemon; NULL: none */
        unsigned int count;     /* what the work makes of it: clients, files, rows; at least 1 */
        unsigned int per_round; /* units of work a round */
        double aim;             /* at most this multiple of the limit's cost; 0: none */
        void *state;            /* the work's own */
};

/* A contestant, with its other members as .member = value. */
#define LIMIT(name_, work_, ...)                                                                   \
        {                                                                                          \
                .role = ROLE_LIMIT, .name = (name_), .work = (work_), __VA_ARGS__                  \
        }
#define OURS(name_, work_, ...)                                                                    \
        {                                                                                          \
                .role = ROLE_OURS, .name = (name_), .work = (work_), __VA_ARGS__                   \
        }
#define PEER(name_, work_, ...)                                                                    \
        {                                                                                          \
                .role = ROLE_PEER, .name = (name_), .work = (work_), __VA_ARGS__                   \
        }

/* Both run in the contestant's process, and return 0 or a negative errno. */
struct work {
        int (*open)(struct contestant *c); /* may be NULL */
        /* Does @n units; *ret_nsec is what they took, without preparations. */
        int (*run)(struct contestant *c, unsigned int n, uint64_t *ret_nsec);
        void (*settle)(struct contestant *c); /* after each run, and not measured; may be NULL */
};

struct outcome {
        int error; /* negative errno: it could not do it */
        struct spread nsec, ratio;
};

uint64_t clock_nsec(void);

/* @values is sorted meanwhile; @n > 0. */
struct spread spread_of(double *values, size_t n);
struct spread spread_one(double value);
struct spread spread_scaled(struct spread s, double factor);

/*
 * Runs @rounds rounds after one to warm up; c[0] is the limit. @ret has an outcome for each, by
 * unit of work. Returns 0, also when contestants failed, or a negative errno.
 */
int contest_run(const struct contestant *c, size_t n, unsigned int rounds, struct outcome *ret);

#endif
