/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_MONITOR_H
#define TEMPFILED_MONITOR_H

/*
 * Connections that are told what happens. One that reads too slowly is told so, and no more: nobody
 * waits for it, and what waits for it is bounded.
 */

#include <sys/queue.h>

#include "libclient/wire.h"

struct conn;
struct monitor;
TAILQ_HEAD(monitor_list, monitor);

/* From now on. 0, also when it is told already; -EUSERS: its user has too many; -ENOMEM. */
int monitor_start(struct conn *c);
void monitor_stop(struct conn *c);

/* Tells those who may know it, with the end of the turn. As wire_add_row() takes it. */
void monitor_tell_all(struct monitor_list *monitors, struct wire_row *row,
                      const char *const strings[4]);
void monitor_flush_all(struct monitor_list *monitors);

#endif
