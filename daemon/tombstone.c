/* SPDX-License-Identifier: MIT */

/*
 * Owns what is remembered of the dead until their file system has been written through, since a
 * power cut can undo what was not. The tags of owners that have ended: a file whose unlinking was
 * lost carries one, and is found by the sweep that follows the next start. And the entries that no
 * sweep would find (tracked, reserved, moved to a target or aside): these are looked for one by one.
 *
 * The subtle thing: an entry is remembered only of an object that has ended with its deletion, down
 * to its last link, by the daemon or by a library that says so. No other with the same handle can
 * come to be. What was kept, moved to its place or merely missing leaves nothing behind, so that
 * nobody's file is taken for it, whatever it is renamed to and whenever the power goes.
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

bool tombstone_is_wanted(const struct directory *d)
{
        return identity_is_lasting(&d->identity) && !d->is_foreign;
}

/* ---- entries ---- */

int tombstone_end_entry(struct registry *g, uint64_t id, const struct identity *object,
                        struct directory *d, struct known_cred *k)
{
        uint8_t packed[IDENTITY_PACKED_MAX];
        struct store_bytes b = { packed, identity_pack(object, packed) };
        int r;

        if (!d || !k || !tombstone_is_wanted(d))
                return store_remove_entry(g->store, id);
        r = store_end_entry(g->store, id, b, g->n_flushes);
        if (r <= 0)
                return r;
        d->flushed_by = k;
        d->ended_since = g->n_flushes;
        g->n_unflushed++;
        g->needs_flush = true;
        return r;
}

int tombstone_revive(struct registry *g)
{
        return g->is_new_boot ? store_revive_ended(g->store) : store_recall_ended(g->store);
}

static int load_directory(uint64_t directory, uint64_t cred, void *userdata)
{
        struct registry *g = userdata;
        struct directory *d = registry_directory(g, directory);

        if (!d)
                return 0; /* damaged */
        d->flushed_by = registry_cred(g, cred);
        g->needs_flush = true;
        return 0;
}

int tombstone_load(struct registry *g)
{
        return store_each_ended(g->store, load_directory, g);
}

static void forget_entries(struct registry *g, const struct flush *f)
{
        struct directory *d = f->directory;
        uint64_t n = 0;

        if (store_forget_ended(g->store, d->id, f->number, &n) < 0)
                return; /* with the next occasion */
        registry_directory_changes(g, d, -(int) n);
        if (d->ended_since < f->number)
                d->flushed_by = NULL;
}

/* ---- writing through ---- */

static void note_dead_tag(const void *node, VISIT visit, void *userdata)
{
        struct tag *t = *(struct tag *const *) node;

        if ((visit == leaf || visit == postorder) && t->is_dead)
                t->directory->flushed_by = t->cred;
}

static void flush_directory(const void *node, VISIT visit, void *userdata)
{
        struct directory *d = *(struct directory *const *) node;
        struct registry *g = userdata;
        struct flush *f;

        if ((visit != leaf && visit != postorder) || !d->flushed_by)
                return;
        f = calloc(1, sizeof(*f));
        if (!f)
                return; /* with the next occasion */
        f->registry = g;
        f->directory = d;
        f->number = g->n_flushes;
        f->job.job.run = delegate_flush;
        batch_set_lane(&f->job.job, d, d->flushed_by);
        f->job.place = batch_place(d, d->flushed_by);
        pool_submit(g->pool, &f->job.job);
}

/* One job for each directory with tombstones: each writes its file system through. */
void tombstone_flush_all(struct registry *g)
{
        g->n_flushes++;
        g->n_unflushed = 0;
        twalk_r(g->tags_by_id, note_dead_tag, NULL);
        twalk_r(g->directories_by_id, flush_directory, g);
}

/* ---- tags ---- */

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

        if (f->job.error >= 0) {
                twalk_r(g->tags_by_id, add_if_covered, &c);
                forget_entries(g, f);
        } else {
                g->needs_flush = true;
        }
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
