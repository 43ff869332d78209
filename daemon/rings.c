/* SPDX-License-Identifier: MIT */

/*
 * Reads so many rings, and no more; who has one that is asleep makes room for another. Memory for all
 * clients that were busy once would be too much, theirs though it is.
 */

#include "daemon/rings.h"

#include <errno.h>

#include "daemon/conn.h"
#include "libclient/ring.h"

#define RINGS_MAX 64U /* of 20 KiB each */
#define RINGS_OF_USER 16U

/* Who is not read by the clock has nothing in it, unless he is about to be read all the same. */
static bool is_asleep(const struct conn *c)
{
        return !c->is_quiet && !c->is_ready;
}

/* Drops one that is asleep; @user NULL: anybody's. */
static void make_room(struct rings *r, const struct usage_user *user)
{
        struct conn *c;

        TAILQ_FOREACH(c, &r->used, with_ring)
        if (is_asleep(c) && (!user || c->user == user))
                return rings_drop(r, c);
}

static unsigned int count_of(const struct rings *r, const struct usage_user *user)
{
        unsigned int n = 0;
        struct conn *c;

        TAILQ_FOREACH(c, &r->used, with_ring)
        n += c->user == user;
        return n;
}

static bool has_room(struct rings *r, const struct conn *c)
{
        const bool is_limited = c->peer.cred.uid != 0;

        if (is_limited && count_of(r, c->user) == RINGS_OF_USER)
                make_room(r, c->user);
        if (is_limited && count_of(r, c->user) == RINGS_OF_USER)
                return false;
        if (r->n == RINGS_MAX)
                make_room(r, NULL);
        return r->n < RINGS_MAX;
}

void rings_init(struct rings *r)
{
        *r = (struct rings) { 0 };
        TAILQ_INIT(&r->used);
}

int rings_add(struct rings *r, struct conn *c, int fd)
{
        struct ring *ring;
        int error;

        rings_drop(r, c); /* all of it has been read: it came before this */
        error = ring_open(fd, &ring);
        if (error < 0)
                return error;
        if (!has_room(r, c)) {
                ring_tell(ring, RING_OVER);
                ring_free(ring);
                return 0;
        }
        c->ring = ring;
        TAILQ_INSERT_TAIL(&r->used, c, with_ring);
        r->n++;
        return 0;
}

void rings_drop(struct rings *r, struct conn *c)
{
        if (!c->ring)
                return;
        ring_tell(c->ring, RING_OVER);
        ring_free(c->ring);
        c->ring = NULL;
        TAILQ_REMOVE(&r->used, c, with_ring);
        r->n--;
}
