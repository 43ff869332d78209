/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_POLLER_H
#define TEMPFILED_POLLER_H

/*
 * Many descriptors, watched for little: a set of its own in the loop, since an event source of the
 * loop takes a few hundred bytes, and one question to the kernel for each event.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

/* Part of what is watched, whose it is to keep it where it is. */
struct watch {
        void (*ready)(struct watch *w, uint32_t events); /* events as epoll(7) has them */
        int fd;                                          /* -1: not watched */
};

struct poller;

int poller_new(sd_event *event, struct poller **ret);
void poller_free(struct poller *p);

/* @fd stays the caller's, and open while it is watched. Returns 0 or a negative errno. */
int poller_add(struct poller *p, struct watch *w, int fd, uint32_t events,
               void (*ready)(struct watch *w, uint32_t events));
int poller_change(struct poller *p, const struct watch *w, uint32_t events);

/* Of one that is not watched: nothing. It is not told of events any more, not even in this round. */
void poller_remove(struct poller *p, struct watch *w);

#endif
