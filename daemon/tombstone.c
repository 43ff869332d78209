/* SPDX-License-Identifier: MIT */

/*
 * Owns the tags of owners that have ended. A tag stays until its file system has been written
 * through: a file whose unlinking was lost with the power carries it, and is found again by the
 * sweep that follows the next start. Where nothing outlives a power cut it goes at once.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

struct flush {
        struct flush_job job;
        struct registry *registry;
        struct directory *directory;
        uint64_t number; /* what has ended since it began is not covered */
};

struct flushing {
        struct tag_array array; /* one of each directory */
        uint64_t number;
};

static void flush_directory(const void *node, VISIT visit, void *userdata)
{
        struct tag *t = *(struct tag *const *) node;
        struct flushing *w = userdata;

        if ((visit != leaf && visit != postorder) || !t->is_dead ||
            t->directory->flushed == w->number)
                return;
        t->directory->flushed = w->number;
        tag_array_add(&w->array, t);
}

/* One job for each directory with tombstones: each writes its file system through. */
void tombstone_flush_all(struct registry *g)
{
        struct flushing w = { .number = ++g->n_flushes };
        const struct tag_array *a = &w.array;
        struct flush *f;

        g->n_unflushed = 0;
        twalk_r(g->tags_by_id, flush_directory, &w);
        for (size_t i = 0; i < a->n; i++) {
                f = calloc(1, sizeof(*f));
                if (!f)
                        break; /* with the next occasion */
                f->registry = g;
                f->directory = a->tags[i]->directory;
                f->number = g->n_flushes;
                f->job.job.run = delegate_flush;
                batch_set_lane(&f->job.job, f->directory, a->tags[i]->cred);
                f->job.place = batch_place(f->directory, a->tags[i]->cred);
                pool_submit(g->pool, &f->job.job);
        }
        free(w.array.tags);
}

struct covered {
        struct tag_array array;
        const struct flush *flush;
};

static void add_if_covered(const void *node, VISIT visit, void *userdata)
{
        struct tag *t = *(struct tag *const *) node;
        struct covered *c = userdata;

        if ((visit == leaf || visit == postorder) && t->is_dead && !t->needs_sweep &&
            t->directory == c->flush->directory && t->dead_since < c->flush->number)
                tag_array_add(&c->array, t);
}

void tombstone_settle(struct registry *g, struct job *j)
{
        struct flush *f = (struct flush *) j;
        struct covered c = { .flush = f };
        struct owner *o;
        bool has;

        if (f->job.error >= 0)
                twalk_r(g->tags_by_id, add_if_covered, &c);
        else
                g->needs_flush = true;
        for (size_t i = 0; i < c.array.n; i++) {
                struct tag *t = c.array.tags[i];

                if (store_tag_has_entries(g->store, t->id, &has) < 0 || has)
                        continue;
                o = t->owner;
                registry_drop_tag(g, t);
                if (o->state == OWNER_ENDED && o->n_jobs == 0)
                        reaping_end_owner(g, o);
        }
        free(c.array.tags);
        batch_leave_place(g, f->directory, &f->job.place);
        free(f);
}
