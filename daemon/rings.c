/* SPDX-License-Identifier: MIT */

/*
 * Lends rings to connections, and takes one back from somebody who does not use his any more when
 * another wants one: memory for all clients that were busy once would be too much.
 */

#include "daemon/rings.h"

#include <errno.h>

#include "daemon/conn.h"
#include "libclient/ring.h"

#define LENT_MAX 64U /* of 20 KiB each */

void rings_init(struct rings *r)
{
        *r = (struct rings) { 0 };
        TAILQ_INIT(&r->lent);
}

/* Who is not read by the clock has nothing in it. */
static void take_one_back(struct rings *r)
{
        struct conn *c;

        TAILQ_FOREACH(c, &r->lent, lent)
        if (!c->is_quiet)
                return rings_take_back(r, c);
}

int rings_lend(struct rings *r, struct conn *c, int *ret_fd)
{
        int error;

        if (c->ring)
                return -EALREADY;
        if (r->n_lent == LENT_MAX)
                take_one_back(r);
        if (r->n_lent == LENT_MAX)
                return -EBUSY;
        error = ring_new(&c->ring, ret_fd);
        if (error < 0)
                return error;
        TAILQ_INSERT_TAIL(&r->lent, c, lent);
        r->n_lent++;
        return 0;
}

void rings_take_back(struct rings *r, struct conn *c)
{
        if (!c->ring)
                return;
        ring_tell(c->ring, RING_OVER);
        ring_free(c->ring);
        c->ring = NULL;
        TAILQ_REMOVE(&r->lent, c, lent);
        r->n_lent--;
}
