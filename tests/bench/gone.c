/* SPDX-License-Identifier: MIT */

/*
 * See the header. To look costs little while names are left: the first of them ends it.
 */

#include "tests/bench/gone.h"

#include <dirent.h>
#include <poll.h>
#include <stdint.h>
#include <sys/inotify.h>

#include "libclient/util.h"
#include "tests/bench/measure.h"

#define EVENTS_MAX 2000U /* each costs those who delete something */
#define WAIT_MSEC 120000
#define LOOK_USEC 1000U

int gone_watch(struct gone *g, const char *dir, const char *prefix, unsigned int n)
{
        int r;

        *g = (struct gone) { .dir = dir, .prefix = prefix, .left = n, .events_fd = -1 };
        if (n > EVENTS_MAX)
                return 0;
        g->events_fd = inotify_init1(IN_CLOEXEC);
        if (g->events_fd < 0)
                return -errno;
        if (inotify_add_watch(g->events_fd, dir, IN_DELETE) < 0) {
                r = -errno;
                g->events_fd = close_fd(g->events_fd);
                return r;
        }
        return 0;
}

static unsigned int count_events(const struct gone *g, const char *buf, ssize_t len)
{
        const struct inotify_event *e;
        unsigned int n = 0;

        for (ssize_t at = 0; at < len; at += (ssize_t) (sizeof(*e) + e->len)) {
                e = (const struct inotify_event *) (buf + at);
                n += e->len > 0 && strncmp(e->name, g->prefix, strlen(g->prefix)) == 0;
        }
        return n;
}

static int wait_for_events(struct gone *g)
{
        char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
        struct pollfd p = { .fd = g->events_fd, .events = POLLIN };
        ssize_t n;

        while (g->left > 0) {
                if (poll(&p, 1, WAIT_MSEC) <= 0)
                        return -ETIMEDOUT;
                n = read(g->events_fd, buf, sizeof(buf));
                if (n < 0)
                        return -errno;
                g->left -= MIN(count_events(g, buf, n), g->left);
        }
        return 0;
}

static bool is_empty(const char *dir)
{
        const struct dirent *e;
        bool is_empty = true;
        DIR *d = opendir(dir);

        if (!d)
                return true;
        while (is_empty && (e = readdir(d)))
                is_empty = streq(e->d_name, ".") || streq(e->d_name, "..");
        (void) closedir(d);
        return is_empty;
}

/* Not too often where many go: a look holds up those who delete. */
static int look_again_and_again(const struct gone *g)
{
        const unsigned int pause_usec = MAX(LOOK_USEC, g->left / 20);
        const uint64_t end = clock_nsec() + WAIT_MSEC * USEC_PER_MSEC * NSEC_PER_USEC;

        while (!is_empty(g->dir)) {
                if (clock_nsec() > end)
                        return -ETIMEDOUT;
                (void) usleep(pause_usec);
        }
        return 0;
}

int gone_wait(struct gone *g)
{
        int r;

        if (g->events_fd < 0)
                return look_again_and_again(g);
        r = wait_for_events(g);
        g->events_fd = close_fd(g->events_fd);
        return r;
}
