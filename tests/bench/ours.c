/* SPDX-License-Identifier: MIT */

/*
 * What tempfiled's library does, one kind of creation after the other.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/bench/works.h"

#define PATIENCE_MSEC 60000
#define STRONG_PATTERN "XXXXXXXXXXXX" /* random enough to be reserved, and without a tag */

struct tempfile_options our_options(const char *dir)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.dir = dir;
        o.prefix = "tmp-";
        o.timeout_msec = PATIENCE_MSEC;
        return o;
}

struct tempfile_options our_reserving_options(const char *dir)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.dir = dir;
        o.pattern = STRONG_PATTERN;
        o.timeout_msec = PATIENCE_MSEC;
        return o;
}

static int run_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const struct tempfile_options o = our_options(c->dir);
        const uint64_t start = clock_nsec();
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = tempfile_named(&o, &t);
                if (r == 0)
                        r = tempfile_close(t);
        }
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work our_file = { .run = run_files };

static int run_directories(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const struct tempfile_options o = our_options(c->dir);
        const uint64_t start = clock_nsec();
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = tempfile_directory(&o, &t);
                if (r == 0)
                        r = tempfile_close(t);
        }
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work our_directory = { .run = run_directories };

static int run_acknowledged(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const struct tempfile_options o = our_reserving_options(c->dir);
        const uint64_t start = clock_nsec();
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = tempfile_named(&o, &t);
                if (r == 0)
                        r = tempfile_close(t);
        }
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work our_acknowledged = { .run = run_acknowledged };

static int run_reservations(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const struct tempfile_options o = our_reserving_options(c->dir);
        const uint64_t start = clock_nsec();
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = tempfile_mktemp(&o, TEMPFILE_KIND_FILE, &t);
                if (r == 0)
                        r = tempfile_close(t);
        }
        *ret_nsec = clock_nsec() - start;
        return r;
}

const struct work our_reservation = { .run = run_reservations };

/* ---- in an arena ------------------------------------------------------------------------------ */

static int open_arena(struct contestant *c)
{
        const struct tempfile_options o = our_options(c->dir);

        return tempfile_directory(&o, (struct tempfile **) &c->state);
}

static int run_arena_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const struct tempfile *arena = c->state;
        const uint64_t start = clock_nsec();
        char name[TEMPFILE_NAME_SIZE];
        int fd;

        for (unsigned int i = 0; i < n; i++) {
                fd = tempfile_arena_named(arena, NULL, name);
                if (fd < 0)
                        return fd;
                (void) close(fd);
                if (unlinkat(tempfile_fd(arena), name, 0) < 0)
                        return -errno;
        }
        *ret_nsec = clock_nsec() - start;
        return 0;
}

const struct work our_arena_file = { .open = open_arena, .run = run_arena_files };

/* ---- the first -------------------------------------------------------------------------------- */

/* In a process that has not met the daemon yet: what it took comes through the pipe. */
static void make_first(struct contestant *c, int to)
{
        uint64_t nsec;

        if (run_files(c, 1, &nsec) < 0 || write(to, &nsec, sizeof(nsec)) != sizeof(nsec))
                _exit(1);
        _exit(0);
}

static int run_first(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        uint64_t nsec;
        int ends[2], r = 0;

        *ret_nsec = 0;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        for (unsigned int i = 0; i < n && r == 0; i++) {
                const pid_t pid = fork();
                int status = 1;

                if (pid == 0)
                        make_first(c, ends[1]);
                if (pid < 0 || waitpid(pid, &status, 0) < 0)
                        r = -errno;
                else if (status != 0 || read(ends[0], &nsec, sizeof(nsec)) != sizeof(nsec))
                        r = -EIO;
                else
                        *ret_nsec += nsec;
        }
        (void) close(ends[0]);
        (void) close(ends[1]);
        return r;
}

const struct work our_first = { .run = run_first };
