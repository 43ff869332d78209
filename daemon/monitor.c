/* SPDX-License-Identifier: MIT */

/*
 * Gathers for each monitor what happens in a turn, and sends it at the turn's end or when a packet
 * is full. A socket that is full has the connection queue packets; where that queue has grown to
 * OUT_MAX the reader is cut off: the last packet says so, and follows when it has read the others.
 */

#include "daemon/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/conn.h"
#include "daemon/row.h"
#include "libclient/util.h"

#define OUT_MAX 48U    /* packets that wait for one monitor: fewer than a connection may have */
#define PER_USER_MAX 8 /* monitors of one user */

struct monitor {
        TAILQ_ENTRY(monitor) link;
        struct conn *conn;
        size_t len;
        uint8_t packet[WIRE_PACKET_MAX];
};

static uint64_t now_realtime_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

/* An empty packet, to which rows are added. */
static void begin(struct monitor *m)
{
        struct wire_events head = {
                .header = { WIRE_VERSION, WIRE_EVENTS, 0 },
                .time_usec = now_realtime_usec(),
        };

        memcpy(m->packet, &head, sizeof(head));
        m->len = sizeof(head);
}

static void cut_off(struct monitor *m)
{
        struct wire_events last = {
                .header = { WIRE_VERSION, WIRE_EVENTS, 0 },
                .result = -EOVERFLOW,
                .time_usec = now_realtime_usec(),
        };
        struct conn *c = m->conn;

        monitor_stop(c);
        conn_send(c, &last, sizeof(last));
}

/* Ends the monitor when its reader is too slow: *m is gone then, and false returned. */
static bool flush(struct monitor *m)
{
        if (m->len <= sizeof(struct wire_events))
                return true;
        if (m->conn->n_out >= OUT_MAX) {
                cut_off(m);
                return false;
        }
        conn_send(m->conn, m->packet, m->len);
        m->len = 0;
        return true;
}

static void add(struct monitor *m, struct wire_row *row, const char *const strings[4])
{
        if (m->len == 0)
                begin(m);
        if (wire_add_row(m->packet, sizeof(m->packet), &m->len, row, strings) == 0 || !flush(m))
                return;
        begin(m);
        (void) wire_add_row(m->packet, sizeof(m->packet), &m->len, row, strings); /* one fits */
}

void monitor_tell_all(struct monitor_list *monitors, struct wire_row *row,
                      const char *const strings[4])
{
        struct monitor *m, *next;

        for (m = TAILQ_FIRST(monitors); m; m = next) {
                next = TAILQ_NEXT(m, link);
                if (!m->conn->is_closed && row_is_visible(row->uid, &m->conn->peer.cred))
                        add(m, row, strings);
        }
}

void monitor_flush_all(struct monitor_list *monitors)
{
        struct monitor *m, *next;

        for (m = TAILQ_FIRST(monitors); m; m = next) {
                next = TAILQ_NEXT(m, link);
                (void) flush(m);
        }
}

static unsigned int count_of_user(const struct monitor_list *monitors, uid_t uid)
{
        const struct monitor *m;
        unsigned int n = 0;

        TAILQ_FOREACH(m, monitors, link)
        n += m->conn->peer.cred.uid == uid;
        return n;
}

int monitor_start(struct conn *c)
{
        struct monitor_list *monitors = server_monitors(c->server);
        struct monitor *m;

        if (c->monitor)
                return 0;
        if (count_of_user(monitors, c->peer.cred.uid) >= PER_USER_MAX)
                return -EUSERS;
        m = malloc(sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->conn = c;
        m->len = 0;
        TAILQ_INSERT_TAIL(monitors, m, link);
        c->monitor = m;
        registry_watch(server_registry(c->server), true);
        return 0;
}

void monitor_stop(struct conn *c)
{
        struct monitor_list *monitors = server_monitors(c->server);

        if (!c->monitor)
                return;
        TAILQ_REMOVE(monitors, c->monitor, link);
        free(TAKE_PTR(c->monitor));
        if (TAILQ_EMPTY(monitors))
                registry_watch(server_registry(c->server), false);
}
