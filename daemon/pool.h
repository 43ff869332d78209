/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_POOL_H
#define TEMPFILED_POOL_H

/*
 * Worker threads: where every call on a client's path or descriptor happens, closing one
 * included, since any of them can hang for ever on a file system that stopped answering.
 *
 * A job runs in a lane, which is a uid and a device: a lane has few threads and a uid a bounded
 * number, fewer as the pool fills up, so that what hangs holds up its own kind only. A job that
 * learns its device while it runs moves there.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#define POOL_DEVICE_UNKNOWN UINT64_MAX

struct pool;

struct job {
        /* In a worker. Returns true when the job has changed its device and must go on there. */
        int (*run)(struct job *);
        /* In the loop, once; the job is the callee's again. */
        void (*done)(struct job *, void *userdata);
        uid_t uid;
        uint64_t device;
        struct job *next; /* the pool's */
};

/* @done_userdata goes to each job's done(). @ready is called in the loop when finished jobs wait. */
int pool_new(sd_event *event, void (*ready)(void *userdata), void *userdata, struct pool **ret);

/* Joins the threads. Jobs not run yet are dropped. False: some hang, and go on using their jobs and
 * what these refer to, which therefore must stay. */
bool pool_free(struct pool *p);

/* The job is the pool's until its done() is called. */
void pool_submit(struct pool *p, struct job *j);

/* Takes one finished job, NULL when there is none. The caller calls its done(). */
struct job *pool_take(struct pool *p);

/* Closes a descriptor that a client sent, where it may hang. */
void pool_close(struct pool *p, uid_t uid, int fd);

/* How many jobs run or wait now; how many have run for longer than ten seconds. */
void pool_count(struct pool *p, unsigned int *ret_jobs, unsigned int *ret_hung);

#endif
