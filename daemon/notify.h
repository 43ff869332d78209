/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_NOTIFY_H
#define TEMPFILED_NOTIFY_H

/*
 * What the service manager is told, without ever waiting for it: sd_notify(3) waits where its queue
 * is full.
 */

#include <systemd/sd-event.h>

/* As sd_notify(3) takes it, with a descriptor, or -1. 1: sent; 0: nobody wants to know; -EAGAIN: it
 * does not read now; or another negative errno. */
int notify_send(const char *text, int fd);

struct notify;
int notify_new(sd_event *event, struct notify **ret);
void notify_free(struct notify *n);

/* READY=1; while there is no room for it, again and again from the loop. */
void notify_ready(struct notify *n);

/* That the loop lives, as often as the service manager asks for; never, if it does not. */
int notify_start_watchdog(struct notify *n);

#endif
