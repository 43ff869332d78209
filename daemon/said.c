/* SPDX-License-Identifier: MIT */

/*
 * Owns a tree of what was said within the last day, and a queue of the same in the order of time, from
 * which it goes when it is a day old. It is in memory only: what an earlier daemon had tried may have
 * been said by it just before, so that counts as said when this one was started.
 */

#include "daemon/said.h"

#include <search.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "libclient/util.h"

struct saying {
        TAILQ_ENTRY(saying) in_time;
        uint64_t entry, usec;
};

struct said {
        void *by_entry; /* tsearch(3) tree */
        TAILQ_HEAD(, saying) in_time;
        uint64_t started_usec;
};

static int by_entry(const void *a, const void *b)
{
        const struct saying *x = a, *y = b;

        return (x->entry > y->entry) - (x->entry < y->entry);
}

struct said *said_new(uint64_t now_usec)
{
        struct said *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        TAILQ_INIT(&s->in_time);
        s->started_usec = now_usec;
        return s;
}

static void forget_first(struct said *s)
{
        struct saying *first = TAILQ_FIRST(&s->in_time);

        TAILQ_REMOVE(&s->in_time, first, in_time);
        (void) tdelete(first, &s->by_entry, by_entry);
        free(first);
}

void said_free(struct said *s)
{
        if (!s)
                return;
        while (!TAILQ_EMPTY(&s->in_time))
                forget_first(s);
        free(s);
}

static void forget_old(struct said *s, uint64_t now_usec)
{
        struct saying *first;

        while ((first = TAILQ_FIRST(&s->in_time)) && now_usec - first->usec >= SAID_DAY_USEC)
                forget_first(s);
}

bool said_may_say(struct said *s, uint64_t entry, bool is_first, uint64_t now_usec)
{
        struct saying *new;

        forget_old(s, now_usec);
        if (tfind(&(struct saying) { .entry = entry }, &s->by_entry, by_entry))
                return false;
        if (!is_first && now_usec - s->started_usec < SAID_DAY_USEC)
                return false;
        new = malloc(sizeof(*new));
        if (!new)
                return is_first; /* it can't be remembered */
        *new = (struct saying) { .entry = entry, .usec = now_usec };
        if (!tsearch(new, &s->by_entry, by_entry)) {
                free(new);
                return is_first;
        }
        TAILQ_INSERT_TAIL(&s->in_time, new, in_time);
        return true;
}
