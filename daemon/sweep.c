/* SPDX-License-Identifier: MIT */

/*
 * Owns the search for names that carry a dead tag and that no entry tells of: their reports were
 * lost with the daemon, or with the power. All dead tags of one directory and user go in one pass.
 * What is found gets an entry, and is reaped as all others.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

void tag_array_add(struct tag_array *a, struct tag *t)
{
        struct tag **more;

        if (a->n == a->room) {
                more = reallocarray(a->tags, 2 * a->room + 16, sizeof(*more));
                if (!more) {
                        t->owner->registry->sweep_again = true;
                        return;
                }
                a->tags = more;
                a->room = 2 * a->room + 16;
        }
        a->tags[a->n++] = t;
}

struct sweep {
        struct sweep_job job;
        struct registry *registry;
        struct directory *directory;
        struct known_cred *cred;
};

static void free_sweep(struct sweep *s)
{
        swept_names_free(s->job.names, s->job.n_names);
        free(s->job.tags);
        free(s);
}

static bool wants_sweep(const struct tag *t)
{
        return t->needs_sweep && !t->is_sweeping && !t->is_unreadable &&
               t->owner->state != OWNER_LIVING;
}

/* All dead tags of one directory and user go in one sweep. */
static void sweep_place(struct registry *g, struct directory *d, struct known_cred *k,
                        struct tag **tags, size_t n)
{
        struct sweep *s = calloc(1, sizeof(*s));

        if (s)
                s->job.tags = calloc(n, sizeof(*s->job.tags));
        if (!s || !s->job.tags) {
                free(s);
                g->sweep_again = true; /* they want it still */
                return;
        }
        s->registry = g;
        s->directory = d;
        s->cred = k;
        s->job.job.run = delegate_sweep;
        batch_set_lane(&s->job.job, d, k);
        s->job.place = batch_place(d, k);
        for (size_t i = 0; i < n; i++) {
                s->job.tags[i] = (struct swept_tag) { tags[i]->tag, tags[i]->key, tags[i]->id };
                tags[i]->is_sweeping = true;
                tags[i]->owner->n_jobs++;
        }
        s->job.n_tags = n;
        pool_submit(g->pool, &s->job.job);
}

static int by_place(const void *a, const void *b)
{
        const struct tag *x = *(struct tag *const *) a, *y = *(struct tag *const *) b;

        if (x->directory != y->directory)
                return x->directory->id < y->directory->id ? -1 : 1;
        return (x->cred->cred.id > y->cred->cred.id) - (x->cred->cred.id < y->cred->cred.id);
}

void sweep_array(struct registry *g, struct tag_array *a)
{
        size_t first = 0;

        if (a->n > 0)
                qsort(a->tags, a->n, sizeof(*a->tags), by_place);
        for (size_t i = 1; i <= a->n; i++) {
                if (i < a->n && by_place(&a->tags[first], &a->tags[i]) == 0)
                        continue;
                sweep_place(g, a->tags[first]->directory, a->tags[first]->cred, a->tags + first,
                            i - first);
                first = i;
        }
        free(a->tags);
}

static void add_if_wanted(const void *node, VISIT visit, void *userdata)
{
        struct tag *t = *(struct tag *const *) node;

        if ((visit == leaf || visit == postorder) && wants_sweep(t))
                tag_array_add(userdata, t);
}

void sweep_all(struct registry *g)
{
        struct tag_array a = { 0 };

        twalk_r(g->tags_by_id, add_if_wanted, &a);
        sweep_array(g, &a);
}

/* Its owner alone could have brought a descriptor of that directory again. */
static void give_up_if_out_of_reach(struct registry *g, struct tag *t)
{
        if (!t->directory->is_foreign || t->directory->fd >= 0 || t->directory->is_over)
                return;
        log_warning("Cannot look for leaked names in '%s' any more: it could only be reached "
                    "through a descriptor, which is lost",
                    t->directory->path);
        t->needs_sweep = false;
        (void) store_change_tag(g->store, t->id, false, t->is_dead, t->boot); /* else said again */
}

void sweep_gather(struct registry *g, struct owner *o, struct tag_array *a)
{
        struct tag *t;

        TAILQ_FOREACH(t, &o->tags, of_owner)
        if (wants_sweep(t))
                give_up_if_out_of_reach(g, t);
        TAILQ_FOREACH(t, &o->tags, of_owner)
        if (wants_sweep(t))
                tag_array_add(a, t);
}

void sweep_owner(struct registry *g, struct owner *o)
{
        struct tag_array a = { 0 };

        sweep_gather(g, o, &a);
        sweep_array(g, &a);
}

/* The names that the store knows under a tag, and the highest number. */
struct known_names {
        void *names; /* tsearch(3) tree of strings */
};

static int compare_strings(const void *a, const void *b)
{
        return strcmp(a, b);
}

static int note_name(const struct store_entry *e, void *userdata)
{
        struct known_names *k = userdata;
        char *name = e->name ? strdup(e->name) : NULL;

        if (!name)
                return e->name ? -ENOMEM : 0;
        if (tsearch(name, &k->names, compare_strings))
                return 0;
        free(name);
        return -ENOMEM;
}

/* Found without an entry: it gets one, and is reaped as all others. */
static int adopt_names(struct registry *g, struct sweep *s, size_t tag)
{
        struct tag *t = registry_tag_by_id(g, s->job.tags[tag].id);
        uint64_t before = store_entries(g->store), last = 0;
        struct known_names known = { 0 };
        int r;

        if (!t)
                return 0;
        r = store_names_of_tag(g->store, t->id, note_name, &known);
        if (r >= 0)
                r = store_last_of_tag(g->store, t->id, &last);
        for (size_t i = 0; r >= 0 && i < s->job.n_names; i++) {
                struct store_entry e = {
                        .id = ++last,
                        .kind = s->job.names[i].kind,
                        .state = WIRE_STATE_LIVE,
                        .name = s->job.names[i].name,
                        .created_usec = now_realtime_usec(),
                };

                if (s->job.names[i].tag == tag && !tfind(e.name, &known.names, compare_strings))
                        r = store_put_entry(g->store, &e);
        }
        registry_count_entries(g, t->cred->user, before);
        tdestroy(known.names, free);
        return r;
}

int sweep_record(struct registry *g, struct job *j)
{
        struct sweep *s = (struct sweep *) j;
        struct tag *t;
        int r = 0;

        if (s->job.error < 0)
                return 0;
        for (size_t i = 0; r >= 0 && i < s->job.n_tags; i++) {
                t = registry_tag_by_id(g, s->job.tags[i].id);
                if (!t)
                        continue;
                r = s->job.n_names > 0 ? adopt_names(g, s, i) : 0;
                if (r >= 0)
                        r = store_change_tag(g->store, t->id, false, t->is_dead, g->epoch.boot);
        }
        return r;
}

/* What batches have out must not be read once more: after them, then. */
static void read_again(struct owner *o)
{
        unsigned int n_sweeps = 0;
        struct tag *t;

        TAILQ_FOREACH(t, &o->tags, of_owner)
        n_sweeps += t->is_sweeping;
        if (o->n_jobs > n_sweeps)
                o->must_read_again = true;
        else
                reaping_read_again(o);
}

void sweep_settle(struct registry *g, struct job *j)
{
        struct sweep *s = (struct sweep *) j;
        struct tag *t;

        for (size_t i = 0; i < s->job.n_tags; i++) {
                t = registry_tag_by_id(g, s->job.tags[i].id);
                if (!t)
                        continue;
                t->is_sweeping = false;
                if (s->job.error >= 0) {
                        t->needs_sweep = false;
                        t->boot = g->epoch.boot;
                }
                t->owner->n_jobs--;
                if (s->job.n_names > 0 || t->owner->state == OWNER_ENDED)
                        read_again(t->owner);
                reaping_step(g, t->owner);
        }
        if (s->job.error < 0)
                g->sweep_again = true;
        if (s->job.error < 0)
                log_debug("Cannot look for leaked names in '%s', will try again: %s",
                          s->directory->path, strerror(-s->job.error));
        batch_leave_place(g, s->directory, &s->job.place);
        free_sweep(s);
}
