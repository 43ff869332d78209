/* SPDX-License-Identifier: MIT */

/*
 * Owns what an owner's end causes. Its tags are swept where a report may have been lost; names
 * found become entries like all others; then all its entries are read from the store a batch at a
 * time, at most two batches are out, and rows go when their files are gone. What can't be deleted
 * is stuck or waiting, and tried again with growing pauses, when something is mounted, and at
 * each start.
 *
 * A tag whose owner has ended stays as a tombstone until its file system has been written
 * through: a file whose unlinking was lost with the power is found again by the sweep that
 * follows the next start. Where nothing outlives a power cut it goes at once.
 */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define JOBS_PER_OWNER 2U
#define JOBS_PER_DIRECTORY 8U /* so that a million entries of the dead are never all in memory */
#define PAUSE_MAX_USEC (3600 * USEC_PER_SEC)
#define FLUSH_USEC (60 * USEC_PER_SEC)
#define SWEEP_AGAIN_USEC (60 * USEC_PER_SEC)
#define LOG_EVERY 24U /* attempts an hour apart */

/* ---- places and jobs ---- */

static struct reap_place place_of(struct directory *d, const struct known_cred *k)
{
        d->n_jobs++;
        return (struct reap_place) {
                .cred = &k->cred,
                .path = d->path,
                .identity = &d->identity,
                .fd = d->fd,
                .is_foreign = d->is_foreign,
                .opened_fd = -1,
        };
}

static void set_lane(struct job *j, const struct directory *d, const struct known_cred *k)
{
        j->uid = k->cred.uid;
        j->device = d->identity.dev;
}

/* What the worker has opened is kept for the next. */
static void leave_place(struct registry *g, struct directory *d, struct reap_place *p)
{
        struct owner *o;

        if (p->opened_fd >= 0 && d->fd < 0)
                d->fd = TAKE_FD(p->opened_fd);
        pool_close(g->pool, p->cred->uid, TAKE_FD(p->opened_fd));
        d->n_jobs--;
        while (d->n_jobs < JOBS_PER_DIRECTORY && (o = TAILQ_FIRST(&d->hungry))) {
                TAILQ_REMOVE(&d->hungry, o, dying);
                o->is_hungry = false;
                reaping_step(g, o);
        }
        registry_leave_directory(g, d, 0);
}

/* A batch of one place on its way: whose it is, and who asked. */
struct batch {
        struct delete_job job;
        struct registry *registry;
        struct directory *directory;
        struct known_cred *cred;
        uint64_t owner;          /* it is reaped for this one; 0: tried again */
        struct request *request; /* who waits for it; NULL: nobody */
        size_t room;
        struct batch *next;
};

static void free_batch(struct batch *b)
{
        for (size_t i = 0; i < b->job.n_items; i++)
                reap_item_done(&b->job.items[i]);
        free(b->job.items);
        free(b);
}

/* Entries under way into batches, one for each place. */
struct collector {
        struct registry *registry;
        struct batch *batches;
        uint64_t owner;
        struct request *request;
        bool defers; /* mark them as being tried */
        unsigned int count;
        uint64_t last;
};

static struct batch *batch_for(struct collector *c, struct directory *d, struct known_cred *k)
{
        struct batch *b;

        for (b = c->batches; b; b = b->next)
                if (b->directory == d && b->cred == k)
                        return b;
        b = calloc(1, sizeof(*b));
        if (!b)
                return NULL;
        b->registry = c->registry;
        b->directory = d;
        b->cred = k;
        b->owner = c->owner;
        b->request = c->request;
        b->next = c->batches;
        c->batches = b;
        return b;
}

static bool is_name(const char *name)
{
        return name && name_is_component(name, strlen(name));
}

static int fill_item(const struct store_entry *e, struct reap_item *i)
{
        *i = (struct reap_item) {
                .id = e->id,
                .owner = e->owner,
                .kind = e->kind,
                .attempts = e->attempts,
                .name = e->name ? strdup(e->name) : NULL,
                .target = e->target ? strdup(e->target) : NULL,
        };
        if (e->identity.len > 0) {
                i->identity = malloc(sizeof(*i->identity));
                if (!i->identity ||
                    identity_unpack(e->identity.data, e->identity.len, i->identity) < 0)
                        return -EBADMSG;
        }
        return is_name(i->name) && (!i->target || is_name(i->target)) ? 0 : -EBADMSG;
}

/* A row that makes no sense (a damaged database): shown, and not touched. */
static int skip_entry(struct collector *c, const struct store_entry *e)
{
        log_warning("Entry %" PRIu64 ".%" PRIu64 " is damaged and is left alone", e->id >> SEQ_BITS,
                    e->id & UINT32_MAX);
        return store_change_entry(c->registry->store, e->id, WIRE_STATE_STUCK, -EUCLEAN, 1, 0,
                                  NULL);
}

static int add_item(struct batch *b, const struct reap_item *item)
{
        struct reap_item *more;

        if (b->job.n_items == b->room) {
                more = reallocarray(b->job.items, 2 * b->room + 1, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                b->job.items = more;
                b->room = 2 * b->room + 1;
        }
        b->job.items[b->job.n_items++] = *item;
        return 0;
}

static int collect_entry(const struct store_entry *e, void *userdata)
{
        struct collector *c = userdata;
        struct directory *d = registry_directory(c->registry, e->directory);
        struct known_cred *k = registry_cred(c->registry, e->cred);
        struct reap_item item = { 0 };
        struct batch *b;

        c->count++;
        c->last = e->id;
        if (!d || !k || fill_item(e, &item) < 0) {
                reap_item_done(&item);
                return skip_entry(c, e);
        }
        b = batch_for(c, d, k);
        if (!b || add_item(b, &item) < 0) {
                reap_item_done(&item);
                return -ENOMEM;
        }
        if (c->defers)
                (void) store_defer_entry(c->registry->store, e->id); /* else tried twice */
        return 0;
}

static void submit_batches(struct collector *c)
{
        struct batch *b, *next;
        struct owner *o;

        for (b = c->batches; b; b = next) {
                next = b->next;
                b->job.job.run = reaper_delete;
                set_lane(&b->job.job, b->directory, b->cred);
                b->job.place = place_of(b->directory, b->cred);
                b->job.key = store_key(c->registry->store);
                c->registry->n_reaping += b->job.n_items;
                o = registry_owner(c->registry, b->owner);
                if (o)
                        o->n_jobs++;
                if (b->request)
                        b->request->n_jobs++;
                pool_submit(c->registry->pool, &b->job.job);
        }
        c->batches = NULL;
}

static void drop_batches(struct collector *c)
{
        struct batch *b, *next;

        for (b = c->batches; b; b = next) {
                next = b->next;
                free_batch(b);
        }
        c->batches = NULL;
}

/* Its entries are read from the first again: a sweep has added some. */
static void read_again(struct owner *o)
{
        o->state = OWNER_REAPING;
        o->at_tag = TAILQ_FIRST(&o->tags);
        o->past_tags = o->is_exhausted = false;
        o->cursor = 0;
}

/* ---- sweeping ---- */

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
                return; /* they want it still: with the next occasion */
        }
        s->registry = g;
        s->directory = d;
        s->cred = k;
        s->job.job.run = reaper_sweep;
        set_lane(&s->job.job, d, k);
        s->job.place = place_of(d, k);
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

struct tag_array {
        struct tag **tags;
        size_t n, room;
};

static void add_to_array(struct tag_array *a, struct tag *t)
{
        struct tag **more;

        if (a->n == a->room) {
                more = reallocarray(a->tags, 2 * a->room + 16, sizeof(*more));
                if (!more)
                        return; /* swept with the next occasion */
                a->tags = more;
                a->room = 2 * a->room + 16;
        }
        a->tags[a->n++] = t;
}

static void sweep_array(struct registry *g, struct tag_array *a)
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
                add_to_array(userdata, t);
}

void reaping_sweep_all(struct registry *g)
{
        struct tag_array a = { 0 };

        twalk_r(g->tags_by_id, add_if_wanted, &a);
        sweep_array(g, &a);
}

static void sweep_owner(struct registry *g, struct owner *o)
{
        struct tag_array a = { 0 };
        struct tag *t;

        TAILQ_FOREACH(t, &o->tags, of_owner)
        if (wants_sweep(t))
                add_to_array(&a, t);
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
        struct known_names known = { 0 };
        uint64_t last = 0;
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
        tdestroy(known.names, free);
        return r;
}

static int record_sweep(struct registry *g, struct sweep *s)
{
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

static void settle_sweep(struct registry *g, struct sweep *s)
{
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
        leave_place(g, s->directory, &s->job.place);
        free_sweep(s);
}

/* ---- one owner ---- */

static bool is_sweeping(const struct owner *o)
{
        struct tag *t;

        TAILQ_FOREACH(t, &o->tags, of_owner)
        if (t->is_sweeping)
                return true;
        return false;
}

/* Reads the next batch; false when there is none left. */
static bool collect_next(struct registry *g, struct owner *o, struct collector *c)
{
        int r;

        if (!o->past_tags && !o->at_tag)
                o->past_tags = true;
        if (!o->past_tags)
                r = store_live_of_tag(g->store, o->at_tag->id, o->cursor, BATCH, collect_entry, c);
        else
                r = store_live_of_owner(g->store, o->id, o->cursor, BATCH, collect_entry, c);
        if (r < 0)
                return false; /* the store says why at the commit; the next start finds them */
        o->cursor = c->last;
        if (c->count == BATCH)
                return true;
        o->cursor = 0;
        if (o->past_tags)
                o->is_exhausted = true;
        else
                o->at_tag = TAILQ_NEXT(o->at_tag, of_owner);
        return !o->is_exhausted || c->count > 0;
}

/* Everything was tried. What no entry needs any more goes, now or when its disk has it. */
static void end_owner(struct registry *g, struct owner *o)
{
        struct tag *t, *next;
        bool has, keeps = false;

        o->state = OWNER_ENDED;
        for (t = TAILQ_FIRST(&o->tags); t; t = next) {
                next = TAILQ_NEXT(t, of_owner);
                if (store_tag_has_entries(g->store, t->id, &has) < 0 || has || t->needs_sweep) {
                        keeps = true;
                        continue;
                }
                if (!identity_outlives_power(&t->directory->identity)) {
                        registry_drop_tag(g, t);
                        continue;
                }
                if (!t->is_dead)
                        (void) store_change_tag(g->store, t->id, false, true, t->boot);
                t->is_dead = true;
                t->dead_since = g->n_flushes;
                g->needs_flush = true;
        }
        if (keeps || !TAILQ_EMPTY(&o->tags))
                return;
        if (store_owner_has_entries(g->store, o->id, &has) < 0 || has)
                return;
        registry_drop_owner(g, o);
}

/* For a place in its directory's queue. */
static bool must_wait(struct owner *o)
{
        struct directory *d = o->at_tag ? o->at_tag->directory : NULL;

        if (o->past_tags || !d || d->n_jobs < JOBS_PER_DIRECTORY)
                return false;
        o->is_hungry = true;
        TAILQ_INSERT_TAIL(&d->hungry, o, dying);
        return true;
}

void reaping_step(struct registry *g, struct owner *o)
{
        if (is_sweeping(o) || o->is_hungry)
                return;
        while (!o->is_exhausted && o->n_jobs < JOBS_PER_OWNER) {
                if (must_wait(o))
                        return;
                struct collector c = { .registry = g, .owner = o->id, .last = o->cursor };

                if (!collect_next(g, o, &c)) {
                        drop_batches(&c);
                        break;
                }
                submit_batches(&c);
        }
        if (o->n_jobs == 0)
                end_owner(g, o);
}

void reaping_begin(struct registry *g, struct owner *o)
{
        sd_event_source_disable_unref(o->source);
        o->source = NULL;
        o->pidfd = close_fd(o->pidfd);
        (void) registry_flush(g);
        (void) store_end_owner(g->store, o->id); /* else it is found dead again */
        (void) store_end_claims(g->store, o->id);
        read_again(o);
        sweep_owner(g, o);
        reaping_step(g, o);
}

/* ---- results ---- */

static uint64_t pause_usec(unsigned int attempts)
{
        return attempts > 12 ? PAUSE_MAX_USEC : MIN(USEC_PER_SEC << attempts, PAUSE_MAX_USEC);
}

static int record_item(struct registry *g, const struct reap_item *i)
{
        unsigned int attempts = i->attempts + 1;

        switch (i->outcome) {
        case REAP_GONE:
        case REAP_OTHER:
                return store_remove_entry(g->store, i->id);
        default:
                return store_change_entry(
                        g->store, i->id,
                        i->outcome == REAP_WAITING ? WIRE_STATE_WAITING : WIRE_STATE_STUCK,
                        i->error, attempts, now_realtime_usec() + pause_usec(attempts), i->failed);
        }
}

static void log_item(const struct batch *b, const struct reap_item *i)
{
        _cleanup_(freep) char *path = NULL;
        struct log_fields f = {
                .entry = i->id,
                .has_uid = 1,
                .uid = b->cred->cred.uid,
                .error = i->error,
        };

        if (asprintf(&path, "%s/%s", b->directory->path, i->target ? i->target : i->name) < 0)
                return;
        f.path = path;
        if (i->outcome == REAP_OTHER) {
                f.message_id = LOG_ID_REPLACED;
                log_write(LOG_NOTICE, &f, "'%s' is not what was registered any more: left alone",
                          path);
                return;
        }
        if (i->attempts > 0 && i->attempts % LOG_EVERY != 0)
                return; /* said before, not longer ago than a day */
        f.message_id = LOG_ID_STUCK;
        log_write(LOG_WARNING, &f, "Cannot delete '%s', will try again: %s", path,
                  strerror(-i->error));
}

static int record_batch(struct registry *g, struct batch *b)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < b->job.n_items; i++)
                r = record_item(g, &b->job.items[i]);
        return r;
}

static void settle_request(struct registry *g, struct request *r, const struct batch *b)
{
        for (size_t i = 0; i < b->job.n_items; i++) {
                const struct reap_item *item = &b->job.items[i];

                if (item->outcome == REAP_GONE && r->result >= 0)
                        r->result++;
                else if (item->outcome != REAP_GONE && r->result >= 0 && r->id != 0)
                        r->result = item->outcome == REAP_OTHER ? -ESTALE : item->error;
        }
        if (--r->n_jobs == 0)
                g->callbacks.answer(r, g->callbacks.userdata);
}

static void settle_batch(struct registry *g, struct batch *b)
{
        struct owner *o;
        uint64_t n_left = 0;

        for (size_t i = 0; i < b->job.n_items; i++) {
                const struct reap_item *item = &b->job.items[i];

                if (item->outcome == REAP_GONE || item->outcome == REAP_OTHER)
                        n_left += item->id >> SEQ_BITS == 0;
                else
                        g->n_failed++;
                if (item->outcome == REAP_GONE)
                        g->n_reaped++;
                else
                        log_item(b, item);
        }
        registry_leave_directory(g, b->directory, n_left); /* held by the job until below */
        g->needs_schedule = true;
        g->n_reaping -= b->job.n_items;
        if (b->request)
                settle_request(g, b->request, b);
        o = registry_owner(g, b->owner);
        if (o) {
                o->n_jobs--;
                reaping_step(g, o);
        }
        for (size_t i = 0; !o && i < b->job.n_items; i++) {
                o = registry_owner(g, b->job.items[i].owner);
                if (o && o->state == OWNER_ENDED && o->n_jobs == 0)
                        end_owner(g, o);
                o = NULL;
        }
        leave_place(g, b->directory, &b->job.place);
        free_batch(b);
}

/* ---- tombstones ---- */

struct flush {
        struct flush_job job;
        struct registry *registry;
        struct directory *directory;
        uint64_t number; /* what has ended since it began is not covered */
};

static void flush_directory(const void *node, VISIT visit, void *userdata)
{
        struct tag *t = *(struct tag *const *) node;
        struct tag_array *a = userdata;

        if ((visit != leaf && visit != postorder) || !t->is_dead)
                return;
        for (size_t i = 0; i < a->n; i++)
                if (a->tags[i]->directory == t->directory)
                        return;
        add_to_array(a, t);
}

/* One job for each directory with tombstones: each writes its file system through. */
void reaping_flush_tombstones(struct registry *g)
{
        struct tag_array a = { 0 };
        struct flush *f;

        g->n_flushes++;
        twalk_r(g->tags_by_id, flush_directory, &a);
        for (size_t i = 0; i < a.n; i++) {
                f = calloc(1, sizeof(*f));
                if (!f)
                        break; /* with the next occasion */
                f->registry = g;
                f->directory = a.tags[i]->directory;
                f->number = g->n_flushes;
                f->job.job.run = reaper_flush;
                set_lane(&f->job.job, f->directory, a.tags[i]->cred);
                f->job.place = place_of(f->directory, a.tags[i]->cred);
                pool_submit(g->pool, &f->job.job);
        }
        free(a.tags);
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
                add_to_array(&c->array, t);
}

static void settle_flush(struct registry *g, struct flush *f)
{
        struct covered c = { .flush = f };
        struct owner *o;
        bool has;

        if (f->job.error >= 0)
                twalk_r(g->tags_by_id, add_if_covered, &c);
        for (size_t i = 0; i < c.array.n; i++) {
                struct tag *t = c.array.tags[i];

                if (store_tag_has_entries(g->store, t->id, &has) < 0 || has)
                        continue;
                o = t->owner;
                registry_drop_tag(g, t);
                if (o->state == OWNER_ENDED && o->n_jobs == 0)
                        end_owner(g, o);
        }
        free(c.array.tags);
        leave_place(g, f->directory, &f->job.place);
        free(f);
}

/* ---- from and to the turn ---- */

int reaping_record(struct registry *g, struct job *j)
{
        if (j->run == reaper_delete)
                return record_batch(g, (struct batch *) j);
        if (j->run == reaper_sweep)
                return record_sweep(g, (struct sweep *) j);
        return 0;
}

void reaping_settle(struct registry *g, struct job *j)
{
        if (j->run == reaper_delete)
                settle_batch(g, (struct batch *) j);
        else if (j->run == reaper_sweep)
                settle_sweep(g, (struct sweep *) j);
        else
                settle_flush(g, (struct flush *) j);
}

/* What is due is tried again; @r: NULL, or who waits until all of it was. */
void reaping_retry(struct registry *g, struct request *r)
{
        struct collector c = { .registry = g, .request = r, .defers = true };

        reaping_sweep_all(g);
        if (store_due(g->store, now_realtime_usec(), r ? UINT32_MAX : BATCH, collect_entry, &c) <
            0) {
                drop_batches(&c);
                registry_fail(g, r, -EIO);
                return;
        }
        if (!c.batches && r)
                registry_record(g, r);
        submit_batches(&c);
}

/* One entry, now. */
int reaping_one(struct registry *g, uint64_t id, struct request *r)
{
        struct collector c = { .registry = g, .request = r, .defers = true };
        int error;

        error = store_get_entry(g->store, id, collect_entry, &c);
        if (error >= 0 && !c.batches)
                error = -EUCLEAN;
        if (error < 0) {
                drop_batches(&c);
                return error;
        }
        if (r)
                r->id = id;
        submit_batches(&c);
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->retry_is_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

static int on_flush(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->flush_is_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

/* Directories in which living owners have entries: the descriptor must outlive a renaming. */
static void open_if_wanted(const void *node, VISIT visit, void *userdata)
{
        struct tag *t = *(struct tag *const *) node;
        struct batch *b;

        if ((visit != leaf && visit != postorder) || t->owner->state != OWNER_LIVING ||
            t->directory->fd >= 0 || t->directory->n_jobs > 0)
                return;
        b = calloc(1, sizeof(*b));
        if (!b)
                return; /* then it is found by its path */
        b->registry = userdata;
        b->directory = t->directory;
        b->cred = t->cred;
        b->job.job.run = reaper_delete; /* of nothing: it opens the place */
        set_lane(&b->job.job, t->directory, t->cred);
        b->job.place = place_of(t->directory, t->cred);
        pool_submit(b->registry->pool, &b->job.job);
}

void reaping_open_directories(struct registry *g)
{
        twalk_r(g->tags_by_id, open_if_wanted, g);
}

void reaping_schedule(struct registry *g)
{
        uint64_t due = 0, now = now_realtime_usec(), pause;

        if (g->needs_flush) {
                g->needs_flush = false;
                registry_arm(g, &g->flush_timer, FLUSH_USEC, on_flush);
        }
        if (!g->needs_schedule && !g->sweep_again)
                return;
        if (store_next_due(g->store, &due) < 0)
                return; /* keeps needs_schedule: the next turn asks again */
        pause = due > now ? MIN(due - now, PAUSE_MAX_USEC) : 0;
        if (g->sweep_again)
                pause = due > 0 ? MIN(pause, SWEEP_AGAIN_USEC) : SWEEP_AGAIN_USEC;
        if (due > 0 || g->sweep_again)
                registry_arm(g, &g->retry_timer, pause, on_retry);
        g->needs_schedule = g->sweep_again = false;
}
