/* SPDX-License-Identifier: MIT */

/*
 * Owns the reports that have not reached the store: what was made, what is gone. They wait a few
 * turns, unless somebody asks about entries or their owner ends, and are written together; what has
 * come and gone by then never is. When the store can't take them they wait on. One that is lost with
 * the daemon is one that did not reach it: the tags of those who live then are swept. What is said of
 * a plain entry by its number is written at once, and remembered until it is committed.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define PLAIN_MAX 65536U /* while the disk is full; more is left to the ends of owners */
/* That they wait as long as nobody asks. Where nothing else wakes the loop, its timers' slack comes on
 * top: a quarter of a second at most. */
#define REPORTS_USEC (20 * USEC_PER_MSEC)

static void free_pending(void *p)
{
        free(((struct pending *) p)->name);
        free(p);
}

static int by_id(const void *a, const void *b)
{
        const struct pending *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static struct pending *find_pending(struct registry *g, uint64_t id)
{
        struct pending **node = tfind(&(struct pending) { .id = id }, &g->pending, by_id);

        return node ? *node : NULL;
}

static int add_pending(struct registry *g, uint64_t id, struct pending **ret)
{
        struct pending *p = find_pending(g, id);

        if (!p) {
                p = calloc(1, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                p->id = id;
                if (!tsearch(p, &g->pending, by_id)) {
                        free(p);
                        return -ENOMEM;
                }
        }
        free(p->name);
        p->name = NULL;
        p->is_written = false;
        *ret = p;
        return 0;
}

/* Who is about to be reaped, or has been, is not to wait. */
static void hurry_if_ended(struct registry *g, const struct tag *t)
{
        if (t->owner->state != OWNER_LIVING)
                g->reports_are_urgent = true;
}

int registry_report_made(struct registry *g, struct tag *t, uint32_t seq, unsigned int kind,
                         const char *name)
{
        _cleanup_(freep) char *copy = strdup(name);
        struct pending *p;
        int r;

        if (!copy)
                return -ENOMEM;
        r = add_pending(g, t->id << SEQ_BITS | seq, &p);
        if (r < 0)
                return r;
        p->is_gone = false;
        p->kind = kind;
        p->created_usec = now_realtime_usec();
        p->name = TAKE_PTR(copy);
        hurry_if_ended(g, t);
        return 0;
}

/* What comes and goes between two commits never reaches the store. */
int registry_report_gone(struct registry *g, struct tag *t, uint32_t seq)
{
        struct pending *p = find_pending(g, t->id << SEQ_BITS | seq);
        int r;

        if (p && !p->is_written && seq > t->flushed) {
                if (g->is_watched) {
                        tell_pending(g, WIRE_EVENT_REGISTERED, p);
                        tell_pending(g, WIRE_EVENT_GONE, p);
                }
                tdelete(p, &g->pending, by_id);
                free_pending(p);
                return 0;
        }
        r = add_pending(g, t->id << SEQ_BITS | seq, &p);
        if (r < 0)
                return r;
        p->is_gone = true;
        hurry_if_ended(g, t);
        return 0;
}

/* A worker has deleted it: if its row was not written yet it is not to be. */
void registry_forget_pending(struct registry *g, uint64_t id)
{
        struct pending *p = find_pending(g, id);

        if (!p)
                return;
        p->is_gone = true;
        p->is_written = false;
}

/* In the order of their numbers, so that those of one tag follow each other. */
struct writing {
        struct registry *registry;
        struct tag *tag;
};

static struct tag *tag_of(struct writing *w, const struct pending *p)
{
        if (!w->tag || w->tag->id != p->id >> SEQ_BITS)
                w->tag = registry_tag_by_id(w->registry, p->id >> SEQ_BITS);
        return w->tag;
}

/* A report can't be refused. What its user has no room for is in no list, but its tag is swept, so
 * it goes with its owner all the same; what is asked for with an answer is refused meanwhile. */
static bool may_be_listed(struct registry *g, struct tag *t)
{
        if (!t || usage_may(t->cred->user, USAGE_ENTRIES) >= 0)
                return true;
        t->has_unlisted = true;
        reaping_suspect(g, t);
        return false;
}

static void write_pending(const void *node, VISIT visit, void *userdata)
{
        struct pending *p = *(struct pending *const *) node;
        struct writing *w = userdata;
        struct registry *g = w->registry;
        struct store_entry e = { .id = p->id,
                                 .kind = p->kind,
                                 .state = WIRE_STATE_LIVE,
                                 .name = p->name,
                                 .created_usec = p->created_usec };
        uint64_t before = store_entries(g->store);
        struct tag *t;

        if ((visit != leaf && visit != postorder) || p->is_written)
                return;
        if (g->is_watched && p->is_gone)
                tell_stored(g, WIRE_EVENT_GONE, p->id);
        else if (g->is_watched)
                tell_pending(g, WIRE_EVENT_REGISTERED, p);
        t = tag_of(w, p);
        if (p->is_gone)
                (void) store_remove_entry(g->store, p->id); /* the commit reports a failure */
        else if (p->name && may_be_listed(g, t))
                (void) store_put_entry(g->store, &e);
        registry_count_entries(g, t ? t->cred->user : NULL, before);
        p->is_written = true;
}

/* Into the open transaction, so that the store can be asked about all that was reported. */
void registry_flush(struct registry *g)
{
        struct writing w = { .registry = g };

        if (!g->pending)
                return;
        twalk_r(g->pending, write_pending, &w);
        g->reports_are_written = true;
}

static void unwrite_pending(const void *node, VISIT visit, void *userdata)
{
        if (visit == leaf || visit == postorder)
                (*(struct pending *const *) node)->is_written = false;
}

static void note_flushed(const void *node, VISIT visit, void *userdata)
{
        const struct pending *p = *(struct pending *const *) node;
        struct tag *t;

        if (visit != leaf && visit != postorder)
                return;
        t = registry_tag_by_id(userdata, p->id >> SEQ_BITS);
        if (t)
                t->flushed = MAX(t->flushed, p->id & UINT32_MAX);
}

struct plain_report {
        uint64_t owner;
        struct wire_record record;
};

void registry_note_plain(struct registry *g, uint64_t owner, const struct wire_record *m)
{
        const size_t size = g->plain_size == 0 ? 64 : g->plain_size * 2;
        struct plain_report *grown;

        if (g->n_plain == g->plain_size) {
                grown = size > PLAIN_MAX ? NULL : reallocarray(g->plain, size, sizeof(*grown));
                if (!grown)
                        return;
                g->plain = grown;
                g->plain_size = size;
        }
        g->plain[g->n_plain++] = (struct plain_report) { owner, *m };
}

/* They stay noted until a commit has taken them. */
void registry_repeat_plain(struct registry *g)
{
        const size_t n = g->n_plain;

        if (!g->plain_has_failed)
                return;
        g->plain_has_failed = false;
        for (size_t i = 0; i < n; i++)
                register_plain(g, g->plain[i].owner, &g->plain[i].record, NULL);
}

static void settle_plain(struct registry *g, bool is_committed)
{
        if (is_committed)
                g->n_plain = 0;
        g->plain_has_failed = g->n_plain > 0;
}

/* The commit has taken them, or has not. */
void registry_settle_pending(struct registry *g, bool is_committed)
{
        settle_plain(g, is_committed);
        if (!g->reports_are_written)
                return;
        g->reports_are_written = false;
        if (!is_committed) {
                twalk_r(g->pending, unwrite_pending, NULL);
                return;
        }
        twalk_r(g->pending, note_flushed, g);
        tdestroy(g->pending, free_pending);
        g->pending = NULL;
        g->reports_since = 0;
        g->reports_are_urgent = false;
}

static int on_reports_due(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

/* A transaction that some are in takes all; else they may wait a little. */
bool registry_reports_are_due(struct registry *g)
{
        const uint64_t now = now_boottime_usec();

        if (!g->pending)
                return false;
        if (g->reports_are_written || g->reports_are_urgent)
                return true;
        if (g->reports_since == 0) {
                g->reports_since = now;
                registry_arm(g, &g->reports_timer, CLOCK_BOOTTIME, REPORTS_USEC, on_reports_due);
        }
        return now - g->reports_since >= REPORTS_USEC;
}

void registry_free_pending(struct registry *g)
{
        tdestroy(g->pending, free_pending);
        free(g->plain);
}
