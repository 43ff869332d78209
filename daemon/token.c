/* SPDX-License-Identifier: MIT */

/*
 * Owns tokens: owners that end when the last copy of a pipe's writing end is closed, wherever fork
 * and exec have carried it. The pipe is a FIFO in the state directory, so that a daemon that has
 * restarted can look at the same pipe again. Opening it for writing once and closing that makes
 * the hang-up show if nobody else holds it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define TOKEN_NAME_SIZE 40U

static void token_name(const struct owner *o, char buf[TOKEN_NAME_SIZE])
{
        (void) snprintf(buf, TOKEN_NAME_SIZE, "tokens/%" PRIu64, o->id);
}

static int on_hangup(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        if (revents & EPOLLHUP) {
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
                registry_owner_ended(userdata);
        }
        return 0;
}

static int open_pipe(struct registry *g, struct owner *o, int *ret_writer)
{
        _cleanup_(closep) int writer = -1;
        char name[TOKEN_NAME_SIZE];

        token_name(o, name);
        o->fd = close_fd(o->fd); /* of an attempt that failed later on */
        o->fd = openat(g->state_dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (o->fd < 0)
                return -errno;
        writer = openat(g->state_dirfd, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (writer < 0)
                return -errno;
        *ret_writer = TAKE_FD(writer);
        return sd_event_add_io(g->event, &o->source, o->fd, EPOLLHUP, on_hangup, o);
}

int token_new(struct registry *g, const struct peer *p, struct owner **ret, int *ret_fd)
{
        char name[TOKEN_NAME_SIZE];
        struct owner *o;
        int r;

        r = registry_may(g, p, USAGE_OWNERS);
        if (r < 0)
                return r;
        o = registry_new_owner(g, g->next_owner++);
        if (!o)
                return -ENOMEM;
        o->kind = WIRE_OWNER_TOKEN;
        token_name(o, name);
        if ((mkdirat(g->state_dirfd, "tokens", 0700) < 0 && errno != EEXIST) ||
            (unlinkat(g->state_dirfd, name, 0) < 0 && errno != ENOENT) ||
            mkfifoat(g->state_dirfd, name, 0600) < 0)
                r = -errno;
        if (r >= 0)
                r = open_pipe(g, o, ret_fd);
        if (r < 0) {
                registry_free_owner(o);
                return r;
        }
        r = registry_add_other_owner(g, o, p);
        if (r >= 0)
                *ret = o;
        return r;
}

int token_restore(struct registry *g, struct owner *o)
{
        int writer = -1, r;

        r = open_pipe(g, o, &writer);
        close_fd(writer); /* if it was the last one, that shows now */
        return r;
}

/* It has ended: its pipe is of no more use. */
void token_forget(struct registry *g, struct owner *o)
{
        char name[TOKEN_NAME_SIZE];

        token_name(o, name);
        (void) unlinkat(g->state_dirfd, name, 0); /* a name too many harms nobody */
        o->fd = close_fd(o->fd);
}
