/* SPDX-License-Identifier: MIT */

/*
 * The limits: what the kernel and SQLite do at least, without any guarantee.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>

#include "libclient/util.h"
#include "tests/bench/rows.h"
#include "tests/bench/works.h"

#define MESSAGE_SIZE 64U

/* ---- files and directories -------------------------------------------------------------------- */

static int make_file(const char *dir)
{
        char path[512];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/tmp-XXXXXX", dir);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        (void) close(fd);
        return unlink(path) < 0 ? -errno : 0;
}

static int make_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const uint64_t start = clock_nsec();
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++)
                r = make_file(c->dir);
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work bare_file = { .run = make_files };

static int make_directories(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const uint64_t start = clock_nsec();
        char path[512];

        for (unsigned int i = 0; i < n; i++) {
                (void) snprintf(path, sizeof(path), "%s/tmp-XXXXXX", c->dir);
                if (!mkdtemp(path) || rmdir(path) < 0)
                        return -errno;
        }
        *ret_nsec = clock_nsec() - start;
        return 0;
}

const struct work bare_directory = { .run = make_directories };

/* ---- a socket --------------------------------------------------------------------------------- */

struct echo {
        int fd;
};

static void echo_forever(int fd, const char *dir _unused_)
{
        char buf[MESSAGE_SIZE];
        ssize_t n;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                if (send(fd, buf, (size_t) n, MSG_NOSIGNAL) != n)
                        break;
        _exit(0);
}

static int open_echo(struct echo *e, void (*serve)(int fd, const char *dir), const char *dir)
{
        int ends[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                (void) close(ends[0]);
                serve(ends[1], dir);
        }
        (void) close(ends[1]);
        e->fd = ends[0];
        return pid < 0 ? -errno : 0;
}

static int round_trip(const struct echo *e)
{
        char buf[MESSAGE_SIZE] = { 0 };

        if (send(e->fd, buf, sizeof(buf), MSG_NOSIGNAL) != (ssize_t) sizeof(buf) ||
            recv(e->fd, buf, sizeof(buf), 0) != (ssize_t) sizeof(buf))
                return -EIO;
        return 0;
}

static int open_round_trip(struct contestant *c)
{
        c->state = calloc(1, sizeof(struct echo));
        return c->state ? open_echo(c->state, echo_forever, c->dir) : -ENOMEM;
}

static int run_round_trip(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const uint64_t start = clock_nsec();
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++)
                r = round_trip(c->state);
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work bare_round_trip = { .open = open_round_trip, .run = run_round_trip };

/* ---- SQLite ----------------------------------------------------------------------------------- */

static int open_rows(struct contestant *c, const char *synchronous)
{
        c->state = calloc(1, sizeof(struct rows));
        return c->state ? rows_open(c->state, c->dir, synchronous, false) : -ENOMEM;
}

static int open_rows_normal(struct contestant *c)
{
        return open_rows(c, "NORMAL");
}

static int open_rows_full(struct contestant *c)
{
        return open_rows(c, "FULL");
}

static int run_rows(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const uint64_t start = clock_nsec();
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i += c->count)
                r = rows_insert(c->state, MIN(c->count, n - i), NULL);
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work bare_row_normal = { .open = open_rows_normal, .run = run_rows };
const struct work bare_row_full = { .open = open_rows_full, .run = run_rows };

/* ---- what a first file can't do without ------------------------------------------------------- */

/* A daemon that commits before it answers, and nothing else. */
static void commit_forever(int fd, const char *dir)
{
        char buf[MESSAGE_SIZE];
        struct rows rows;
        ssize_t n;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (rows_open(&rows, dir, "FULL", false) < 0)
                _exit(1);
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                if (rows_insert(&rows, 1, NULL) < 0 || send(fd, buf, (size_t) n, MSG_NOSIGNAL) != n)
                        break;
        _exit(0);
}

static int open_first(struct contestant *c)
{
        struct echo *e = calloc(1, sizeof(*e));

        c->state = e;
        return e ? open_echo(e, commit_forever, c->dir) : -ENOMEM;
}

static int make_first(struct contestant *c)
{
        int r = round_trip(c->state);

        return r < 0 ? r : make_file(c->dir);
}

static int run_first(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return fresh_run(c, make_first, n, ret_nsec);
}

const struct work bare_first = { .open = open_first, .run = run_first };
