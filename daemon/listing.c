/* SPDX-License-Identifier: MIT */

/*
 * Answers LIST: a bounded number of rows is looked at for each, whatever is asked for, so that nobody
 * makes a turn long.
 */

#include "daemon/listing.h"

#include <errno.h>

#include "daemon/conn.h"
#include "daemon/row.h"
#include "libclient/util.h"

#define LIST_SCAN 512U /* rows looked at for one LIST */

struct listing {
        uint8_t buf[WIRE_PACKET_MAX];
        size_t len;
        uint32_t count;
        struct wire_list filter;
        const struct cred *asker;
};

#define FILTERS_OF_WHAT_IS_LEFT (WIRE_LIST_LEAKED | WIRE_LIST_RETAINED)

static bool is_wanted(const struct listing *l, const struct wire_row *row)
{
        uint32_t flags = l->filter.flags;
        bool is_leaked = row->state == WIRE_STATE_STUCK || row->state == WIRE_STATE_WAITING;
        bool is_retained = row->state == WIRE_STATE_RETAINED;

        if (row->state == WIRE_STATE_KEPT || !row_is_visible(row->uid, l->asker))
                return false;
        if ((flags & WIRE_LIST_UID) && row->uid != l->filter.uid)
                return false;
        if ((flags & WIRE_LIST_PID) && row->pid != l->filter.pid)
                return false;
        if (!(flags & FILTERS_OF_WHAT_IS_LEFT))
                return true;
        return ((flags & WIRE_LIST_LEAKED) && is_leaked) ||
               ((flags & WIRE_LIST_RETAINED) && is_retained);
}

static int list_row(const struct store_row *row, void *userdata)
{
        struct listing *l = userdata;
        const char *strings[4];
        char path[ROW_PATH_SIZE];
        struct wire_row m;
        int r;

        row_to_wire(row, &m, path, strings);
        if (!is_wanted(l, &m))
                return 0;
        r = wire_add_row(l->buf, sizeof(l->buf), &l->len, &m, strings);
        if (r < 0)
                return r;
        l->count++;
        return 0;
}

void listing_answer(struct conn *c, const struct wire_list *filter)
{
        struct wire_rows m = { .header = { WIRE_VERSION, WIRE_ROWS, filter->header.serial } };
        struct listing *l = malloc(sizeof(*l));

        if (!l) {
                m.result = -ENOMEM;
                return conn_send(c, &m, sizeof(m));
        }
        l->filter = *filter;
        memcpy(l->buf, &m, sizeof(m)); /* rows are counted in it */
        l->len = sizeof(m);
        l->count = 0;
        l->asker = &c->peer.cred;
        m.cursor = l->filter.cursor;
        m.result =
                registry_list(server_registry(c->server), l->filter.flags & FILTERS_OF_WHAT_IS_LEFT,
                              &m.cursor, LIST_SCAN, list_row, l);
        if (m.result < 0) {
                l->len = sizeof(m);
                l->count = 0;
        }
        m.count = l->count;
        memcpy(l->buf, &m, sizeof(m));
        conn_send(c, l->buf, l->len);
        free(l);
}
