/* SPDX-License-Identifier: MIT */

/*
 * Owns the entries on their way to a worker: read from the store, put together by directory and
 * user, since a worker takes on one user's credentials and works in one directory. A directory has
 * a bounded number of jobs out; owners that find it full wait in its queue.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

struct reap_place batch_place(struct directory *d, const struct known_cred *k)
{
        d->n_jobs++;
        return (struct reap_place) {
                .cred = &k->cred,
                .path = d->path,
                .identity = &d->identity,
                .fd = d->fd,
                .is_foreign = d->is_foreign,
                .is_over = d->is_over,
                .opened_fd = -1,
        };
}

void batch_set_lane(struct job *j, const struct directory *d, const struct known_cred *k)
{
        j->uid = k->cred.uid;
        j->device = d->identity.dev;
}

/* What the worker has opened is kept for the next. */
void batch_leave_place(struct registry *g, struct directory *d, struct reap_place *p)
{
        registry_keep_open(g, d, usage_user(g->usage, p->cred->uid), &p->opened_fd);
        pool_close(g->pool, p->cred->uid, TAKE_FD(p->opened_fd));
        batch_leave_directory(g, d);
}

/* A job of any kind is back. Those who waited may add others, but none lets the directory go. */
void batch_leave_directory(struct registry *g, struct directory *d)
{
        struct owner *o;

        d->n_jobs--;
        while (d->n_jobs < JOBS_PER_DIRECTORY && (o = TAILQ_FIRST(&d->hungry))) {
                TAILQ_REMOVE(&d->hungry, o, dying);
                o->is_hungry = false;
                reaping_step(g, o);
        }
        registry_leave_directory(g, d, 0);
}

void batch_free(struct batch *b)
{
        for (size_t i = 0; i < b->job.n_items; i++)
                reap_item_done(&b->job.items[i]);
        free(b->job.items);
        free(b);
}

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

/* What no sweep would find again: without a tag in its name, or moved away from that, as directories
 * are that are about to be deleted. */
static bool must_be_remembered(const struct store_entry *e)
{
        return e->id >> SEQ_BITS == 0 || e->identity.len > 0 || e->kind == WIRE_KIND_DIRECTORY;
}

static int fill_item(const struct store_entry *e, const struct directory *d, struct reap_item *i)
{
        *i = (struct reap_item) {
                .may_come_back = must_be_remembered(e) && tombstone_is_wanted(d),
                .id = e->id,
                .owner = e->owner,
                .kind = e->kind,
                .attempts = e->attempts,
                .has_waited = e->state == WIRE_STATE_WAITING,
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

/* Its owner has ended without releasing it: kept for the time asked for. */
static int retain_entry(struct collector *c, const struct store_entry *e)
{
        struct store_entry retained = *e;
        struct owner *lease;
        int r;

        r = lease_for_retained(c->registry, e, &lease);
        if (r < 0)
                return r;
        retained.state = WIRE_STATE_RETAINED;
        retained.owner = lease->id;
        r = store_set_owner(c->registry->store, &retained);
        if (r >= 0 && c->registry->is_watched)
                tell_stored(c->registry, WIRE_EVENT_RETAINED, e->id);
        return r;
}

/* By another's end, or on request. Rows of living owners' entries are in no batch, but for that. */
static bool is_out(const struct collector *c, const struct store_entry *e)
{
        const struct batch *b;

        if (!c->defers && e->state != WIRE_STATE_REAPING)
                return false;
        LIST_FOREACH(b, &c->registry->out, out)
        for (size_t i = 0; i < b->job.n_items; i++)
                if (b->job.items[i].id == e->id)
                        return true;
        return false;
}

/*
 * Nothing is deleted by what a transaction says that has failed: claims that were to be inherited
 * may have gone back to the dead with it. Nor twice: what has that name by then may be another's.
 */
int batch_collect(const struct store_entry *e, void *userdata)
{
        struct collector *c = userdata;
        struct directory *d = registry_directory(c->registry, e->directory);
        struct known_cred *k = registry_cred(c->registry, e->cred);
        struct reap_item item = { 0 };
        struct batch *b;
        int r;

        r = store_failed(c->registry->store);
        if (r < 0)
                return r;
        c->count++;
        c->last = e->id;
        if (is_out(c, e)) {
                c->n_out++;
                return 0;
        }
        if (e->retain_sec > 0 && e->state == WIRE_STATE_LIVE && !c->request)
                return retain_entry(c, e);
        if (!d || !k || fill_item(e, d, &item) < 0) {
                reap_item_done(&item);
                return skip_entry(c, e);
        }
        b = batch_for(c, d, k);
        if (!b || add_item(b, &item) < 0) {
                reap_item_done(&item);
                return -ENOMEM;
        }
        return 0;
}

static void defer(struct registry *g, const struct batch *b)
{
        for (size_t i = 0; i < b->job.n_items; i++)
                (void) store_defer_entry(g->store, b->job.items[i].id);
}

/*
 * The jobs begin when what was changed so far is committed: a directory is moved aside to a name
 * that only its row tells. Were the daemon killed after that and before the commit of a row that
 * came in the same turn, a sweep would look for the name it was made with, and find nothing.
 */
void batch_submit(struct collector *c)
{
        struct batch *b, *next;
        struct owner *o;

        for (b = c->batches; b; b = next) {
                next = b->next;
                b->job.job.run = delegate_delete;
                batch_set_lane(&b->job.job, b->directory, b->cred);
                b->job.place = batch_place(b->directory, b->cred);
                b->job.key = store_key(c->registry->store);
                c->registry->n_reaping += b->job.n_items;
                o = registry_owner(c->registry, b->owner);
                if (o)
                        o->n_jobs++;
                if (b->request)
                        b->request->n_jobs++;
                if (c->defers) /* else tried twice */
                        defer(c->registry, b);
                LIST_INSERT_HEAD(&c->registry->out, b, out);
                b->next = c->registry->submitted;
                c->registry->submitted = b;
        }
        c->batches = NULL;
}

/* Also when the commit has failed: what the disk has no room for is deleted all the same. */
void batch_start_submitted(struct registry *g)
{
        struct batch *b;

        while ((b = g->submitted)) {
                g->submitted = b->next;
                pool_submit(g->pool, &b->job.job);
        }
}

/* At the end: those that were submitted are among them. */
void batch_free_out(struct registry *g)
{
        struct batch *b;

        while ((b = LIST_FIRST(&g->out))) {
                LIST_REMOVE(b, out);
                batch_free(b);
        }
}

void batch_drop(struct collector *c)
{
        struct batch *b, *next;

        for (b = c->batches; b; b = next) {
                next = b->next;
                batch_free(b);
        }
        c->batches = NULL;
}
