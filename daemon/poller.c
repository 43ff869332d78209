/* SPDX-License-Identifier: MIT */

/*
 * Owns an epoll set, which is itself one event source: readable while events are pending in it. All
 * of them are taken in one go. The subtle thing: who is told of an event may remove others whose
 * events were taken together with it; these are crossed out.
 */

#include "daemon/poller.h"

#include <assert.h>
#include <sys/epoll.h>

#include "libclient/util.h"

#define EVENTS_MAX 256 /* at one time; others are told of in the next round */

struct poller {
        int fd;
        sd_event_source *source;
        struct epoll_event events[EVENTS_MAX];
        int n_events; /* being told of */
};

static int on_ready(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct poller *p = userdata;
        struct watch *w;

        p->n_events = epoll_wait(fd, p->events, EVENTS_MAX, 0); /* -1 is none, too */
        for (int i = 0; i < p->n_events; i++) {
                w = p->events[i].data.ptr;
                if (w)
                        w->ready(w, p->events[i].events);
        }
        p->n_events = 0;
        return 0;
}

static void poller_freep(struct poller **p)
{
        poller_free(*p);
}

int poller_new(sd_event *event, struct poller **ret)
{
        _cleanup_(poller_freep) struct poller *p = malloc(sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (struct poller) { .fd = epoll_create1(EPOLL_CLOEXEC) };
        if (p->fd < 0)
                return -errno;
        r = sd_event_add_io(event, &p->source, p->fd, EPOLLIN, on_ready, p);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

void poller_free(struct poller *p)
{
        if (!p)
                return;
        sd_event_source_disable_unref(p->source);
        close_fd(p->fd);
        free(p);
}

int poller_add(struct poller *p, struct watch *w, int fd, uint32_t events,
               void (*ready)(struct watch *w, uint32_t events))
{
        struct epoll_event e = { .events = events, .data.ptr = w };

        assert(fd >= 0);
        if (epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &e) < 0)
                return -errno;
        *w = (struct watch) { .ready = ready, .fd = fd };
        return 0;
}

int poller_change(struct poller *p, const struct watch *w, uint32_t events)
{
        struct epoll_event e = { .events = events, .data.ptr = (void *) w };

        return epoll_ctl(p->fd, EPOLL_CTL_MOD, w->fd, &e) < 0 ? -errno : 0;
}

void poller_remove(struct poller *p, struct watch *w)
{
        if (w->fd < 0)
                return;
        (void) epoll_ctl(p->fd, EPOLL_CTL_DEL, w->fd, NULL); /* fails for what is not there only */
        w->fd = -1;
        for (int i = 0; i < p->n_events; i++)
                if (p->events[i].data.ptr == w)
                        p->events[i].data.ptr = NULL;
}
