/* SPDX-License-Identifier: MIT */

/*
 * Runs contests; see the header. A contestant's process waits for a number of units on its socket
 * and answers with the time that they took. The order is turned round every other round, so that
 * none always runs in the wake of the same one.
 */

#include "tests/bench/measure.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/util.h"

#define ROUND_LIMIT_MSEC 180000 /* one that takes longer hangs */
#define NSEC_PER_SEC UINT64_C(1000000000)

struct player {
        pid_t pid;
        int fd;
        int error;
        double *nsec; /* of each round, by unit */
};

struct answer {
        int64_t error;
        uint64_t nsec;
};

uint64_t clock_nsec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * NSEC_PER_SEC + (uint64_t) t.tv_nsec;
}

/* ---- statistics ------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
        const double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

struct spread spread_of(double *values, size_t n)
{
        const size_t tenth = n / 10;

        qsort(values, n, sizeof(*values), by_value);
        return (struct spread) {
                .median = (values[(n - 1) / 2] + values[n / 2]) / 2,
                .low = values[tenth],
                .high = values[n - 1 - tenth],
        };
}

struct spread spread_one(double value)
{
        return (struct spread) { value, value, value };
}

struct spread spread_scaled(struct spread s, double factor)
{
        return (struct spread) { s.median * factor, s.low * factor, s.high * factor };
}

/* ---- players ---------------------------------------------------------------------------------- */

static void play(struct contestant c, int fd)
{
        struct answer a = { 0 };
        unsigned int n;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        c.count = MAX(c.count, 1U);
        if (c.socket && setenv("TEMPFILED_SOCKET", c.socket, 1) < 0)
                _exit(1);
        if (c.work->open)
                a.error = c.work->open(&c);
        while (recv(fd, &n, sizeof(n), 0) == sizeof(n)) {
                if (a.error == 0)
                        a.error = c.work->run(&c, n, &a.nsec);
                if (c.work->settle)
                        c.work->settle(&c);
                if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
                        break;
        }
        _exit(0);
}

static int player_start(struct player *p, const struct contestant *c, unsigned int rounds)
{
        int ends[2];

        *p = (struct player) { .fd = -1 };
        p->nsec = calloc(rounds, sizeof(*p->nsec));
        if (!p->nsec)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        (void) fflush(NULL);
        p->pid = fork();
        if (p->pid == 0) {
                (void) close(ends[0]);
                play(*c, ends[1]);
        }
        (void) close(ends[1]);
        p->fd = ends[0];
        return p->pid < 0 ? -errno : 0;
}

/* One that hangs is killed; one that does not ends when its socket does. */
static void player_done(struct player *p)
{
        if (p->error == -ETIMEDOUT)
                (void) kill(p->pid, SIGKILL);
        p->fd = close_fd(p->fd);
        if (p->pid > 0)
                while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        free(p->nsec);
}

static int ask(struct player *p, unsigned int units, double *ret)
{
        struct pollfd waiting = { .fd = p->fd, .events = POLLIN };
        struct answer a;

        if (send(p->fd, &units, sizeof(units), MSG_NOSIGNAL) != sizeof(units))
                return -errno;
        if (poll(&waiting, 1, ROUND_LIMIT_MSEC) == 0)
                return -ETIMEDOUT;
        if (recv(p->fd, &a, sizeof(a), 0) != sizeof(a))
                return -EPIPE;
        *ret = (double) a.nsec / units;
        return (int) a.error;
}

static void turn(struct player *p, const struct contestant *c, unsigned int at)
{
        if (p->error == 0)
                p->error = ask(p, c->per_round, &p->nsec[at]);
}

static void play_rounds(struct player *p, const struct contestant *c, size_t n, unsigned int rounds)
{
        for (size_t i = 0; i < n; i++)
                turn(&p[i], &c[i], 0); /* to warm up: written over */
        for (unsigned int round = 0; round < rounds; round++)
                for (size_t i = 0; i < n; i++) {
                        const size_t who = round % 2 == 0 ? i : n - 1 - i;

                        turn(&p[who], &c[who], round);
                }
}

static int evaluate(const struct player *p, size_t n, unsigned int rounds, struct outcome *ret)
{
        _cleanup_(freep) double *ratios = calloc(rounds, sizeof(*ratios));

        if (!ratios)
                return -ENOMEM;
        for (size_t i = n; i-- > 0;) { /* the limit last: its rounds are sorted then */
                ret[i] = (struct outcome) { .error = p[i].error };
                if (p[i].error < 0 || p[0].error < 0)
                        continue;
                for (unsigned int round = 0; round < rounds; round++)
                        ratios[round] = p[i].nsec[round] / p[0].nsec[round];
                ret[i].ratio = spread_of(ratios, rounds);
                ret[i].nsec = spread_of(p[i].nsec, rounds);
        }
        return 0;
}

int contest_run(const struct contestant *c, size_t n, unsigned int rounds, struct outcome *ret)
{
        _cleanup_(freep) struct player *players = calloc(n, sizeof(*players));
        size_t started;
        int r = 0;

        if (!players)
                return -ENOMEM;
        for (started = 0; started < n && r == 0; started++)
                r = player_start(&players[started], &c[started], rounds);
        if (r == 0) {
                play_rounds(players, c, n, rounds);
                r = evaluate(players, n, rounds, ret);
        }
        while (started-- > 0)
                player_done(&players[started]);
        return r;
}
