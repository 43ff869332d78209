/* SPDX-License-Identifier: MIT */

/*
 * What tempfiled's library does, one kind of creation after the other.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

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

/* What was reserved since the last time, by any thread: its end is not what is measured. */
static struct {
        pthread_mutex_t lock;
        struct tempfile **list;
        size_t n, room;
} held = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int hold(struct tempfile *t)
{
        struct tempfile **more;
        int r = 0;

        (void) pthread_mutex_lock(&held.lock);
        if (held.n == held.room) {
                more = reallocarray(held.list, 2 * held.room + 256, sizeof(struct tempfile *));
                r = more ? 0 : -ENOMEM;
                held.list = more ? more : held.list;
                held.room = more ? 2 * held.room + 256 : held.room;
        }
        if (r == 0)
                held.list[held.n++] = t;
        (void) pthread_mutex_unlock(&held.lock);
        return r;
}

static int run_reservations(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const struct tempfile_options o = our_reserving_options(c->dir);
        const uint64_t start = clock_nsec();
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = tempfile_mktemp(&o, TEMPFILE_KIND_FILE, &t);
                if (r == 0)
                        r = hold(t);
        }
        *ret_nsec = clock_nsec() - start;
        return r;
}

static void let_go(struct contestant *c _unused_)
{
        while (held.n > 0)
                (void) tempfile_close(held.list[--held.n]);
}

const struct work our_reservation = { .run = run_reservations, .settle = let_go };

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

static int make_one(struct contestant *c)
{
        uint64_t nsec;

        return run_files(c, 1, &nsec);
}

static int run_first(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return fresh_run(c, make_one, n, ret_nsec);
}

const struct work our_first = { .run = run_first };
