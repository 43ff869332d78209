/* SPDX-License-Identifier: MIT */

/*
 * The same work by many at once: by processes, each with a connection of its own, and by threads of
 * one process, which share one. The time is that of the last; a unit of work is one of any of them.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "libclient/util.h"
#include "tests/bench/works.h"

static unsigned int share_of(const struct contestant *c, unsigned int n)
{
        return MAX(n / c->count, 1U);
}

/* ---- processes -------------------------------------------------------------------------------- */

struct crowd {
        const struct work *work;
        int fds[]; /* of each process: a number of units there, the result back */
};

static void serve(struct contestant *c, const struct work *work, int fd)
{
        unsigned int n;
        uint64_t nsec;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (work->open && work->open(c) < 0)
                _exit(1);
        while (recv(fd, &n, sizeof(n), 0) == sizeof(n)) {
                r = n > 0 ? work->run(c, n, &nsec) : 0;
                if (n == 0 && work->settle)
                        work->settle(c);
                if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
                        break;
        }
        _exit(0);
}

static int add_process(struct contestant *c, struct crowd *crowd, unsigned int at)
{
        int ends[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                (void) close(ends[0]);
                serve(c, crowd->work, ends[1]);
        }
        (void) close(ends[1]);
        crowd->fds[at] = ends[0];
        return pid < 0 ? -errno : 0;
}

static int open_processes(struct contestant *c, const struct work *work)
{
        struct crowd *crowd = calloc(1, sizeof(*crowd) + c->count * sizeof(crowd->fds[0]));
        int r = 0;

        if (!crowd)
                return -ENOMEM;
        crowd->work = work;
        c->state = crowd;
        for (unsigned int i = 0; i < c->count && r == 0; i++)
                r = add_process(c, crowd, i);
        return r;
}

/* @n: units for each; 0: they settle. Returns the first error of any. */
static int run_each(struct contestant *c, unsigned int n)
{
        struct crowd *crowd = c->state;
        int r = 0, one = 0;

        for (unsigned int i = 0; i < c->count; i++)
                if (send(crowd->fds[i], &n, sizeof(n), MSG_NOSIGNAL) != sizeof(n))
                        return -EPIPE;
        for (unsigned int i = 0; i < c->count; i++) {
                if (recv(crowd->fds[i], &one, sizeof(one), 0) != sizeof(one))
                        one = -EPIPE;
                r = r < 0 ? r : one;
        }
        return r;
}

static int run_processes(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const unsigned int share = share_of(c, n);
        const uint64_t start = clock_nsec();
        int r = run_each(c, share);

        *ret_nsec = (clock_nsec() - start) * n / ((uint64_t) share * c->count);
        return r;
}

static void settle_processes(struct contestant *c)
{
        (void) run_each(c, 0);
}

static int open_bare_files(struct contestant *c)
{
        return open_processes(c, &bare_file);
}

static int open_our_files(struct contestant *c)
{
        return open_processes(c, &our_file);
}

static int open_our_reservations(struct contestant *c)
{
        return open_processes(c, &our_reservation);
}

static int ask_one(struct contestant *c, enum echo_store store)
{
        int r = echo_start(c->dir, store);

        return r < 0 ? r : open_processes(c, &bare_question);
}

static int open_bare_questions(struct contestant *c)
{
        return ask_one(c, ECHO_NOTHING);
}

static int open_bare_rows(struct contestant *c)
{
        return ask_one(c, ECHO_ROWS);
}

static int open_bare_indexed_rows(struct contestant *c)
{
        return ask_one(c, ECHO_INDEXED_ROWS);
}

const struct work processes_bare_question = { .open = open_bare_questions, .run = run_processes };
const struct work processes_bare_row = { .open = open_bare_rows, .run = run_processes };
const struct work processes_bare_indexed_row = { .open = open_bare_indexed_rows,
                                                 .run = run_processes };
const struct work processes_bare_file = { .open = open_bare_files, .run = run_processes };
const struct work processes_our_file = { .open = open_our_files, .run = run_processes };
const struct work processes_our_reservation = { .open = open_our_reservations,
                                                .run = run_processes,
                                                .settle = settle_processes };

/* ---- threads ---------------------------------------------------------------------------------- */

struct worker {
        struct contestant *c;
        const struct work *work;
        unsigned int n;
        pthread_t thread;
        int result;
};

static void *work_in_thread(void *userdata)
{
        struct worker *w = userdata;
        uint64_t nsec;

        w->result = w->work->run(w->c, w->n, &nsec);
        return NULL;
}

static int run_threads(struct contestant *c, const struct work *work, unsigned int n,
                       uint64_t *ret_nsec)
{
        _cleanup_(freep) struct worker *workers = calloc(c->count, sizeof(*workers));
        const unsigned int share = share_of(c, n);
        const uint64_t start = clock_nsec();
        unsigned int started;
        int r = 0;

        if (!workers)
                return -ENOMEM;
        for (started = 0; started < c->count; started++) {
                struct worker *w = &workers[started];

                *w = (struct worker) { .c = c, .work = work, .n = share };
                r = -pthread_create(&w->thread, NULL, work_in_thread, w);
                if (r < 0)
                        break;
        }
        for (unsigned int i = 0; i < started; i++) {
                (void) pthread_join(workers[i].thread, NULL);
                r = r < 0 ? r : workers[i].result;
        }
        *ret_nsec = (clock_nsec() - start) * n / ((uint64_t) share * c->count);
        return r;
}

static int run_bare_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return run_threads(c, &bare_file, n, ret_nsec);
}

static int run_our_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return run_threads(c, &our_file, n, ret_nsec);
}

static int run_our_reservations(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return run_threads(c, &our_reservation, n, ret_nsec);
}

static void settle_reservations(struct contestant *c)
{
        our_reservation.settle(c);
}

const struct work threads_bare_file = { .run = run_bare_files };
const struct work threads_our_file = { .run = run_our_files };
const struct work threads_our_reservation = { .run = run_our_reservations,
                                              .settle = settle_reservations };
