/* SPDX-License-Identifier: MIT */

/*
 * Owns what an owner's end causes. Its tags are swept where a report may have been lost; then all
 * its entries are read from the store a batch at a time, at most four batches are out, and rows go
 * when their files are gone. What can't be deleted is stuck or waiting, and tried again with
 * growing pauses, when something is mounted, and at each start.
 */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/histogram.h"
#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "daemon/said.h"
#include "libclient/util.h"

#define JOBS_PER_OWNER 4U
#define DOUBLINGS_MAX 30U /* of a second: 34 years */
#define FLUSH_USEC (60 * USEC_PER_SEC)
#define FLUSH_SOON_USEC USEC_PER_SEC
#define TOMBSTONES_MANY 1000U
#define SWEEP_AGAIN_USEC (60 * USEC_PER_SEC)

/* ---- one owner ---- */

/* Its entries are read from the first again: a sweep has added some. */
void reaping_read_again(struct owner *o)
{
        o->state = OWNER_REAPING;
        o->at_tag = TAILQ_FIRST(&o->tags);
        o->past_tags = o->is_exhausted = false;
        o->cursor = 0;
}

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
                r = store_live_of_tag(g->store, o->at_tag->id, o->cursor, BATCH, batch_collect, c);
        else
                r = store_live_of_owner(g->store, o->id, o->cursor, BATCH, batch_collect, c);
        if (r < 0) { /* the store says why at the commit */
                o->must_read_again = o->is_exhausted = true;
                return false;
        }
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

/* What was deleted there, after a power cut; and could it be found then? */
static bool may_come_back(const struct directory *d)
{
        return identity_outlives_power(&d->identity) && (!d->is_foreign || d->fd >= 0);
}

/* Everything was tried. What no entry needs any more goes, now or when its disk has it. */
void reaping_end_owner(struct registry *g, struct owner *o)
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
                if (t->is_unused || !may_come_back(t->directory)) {
                        registry_drop_tag(g, t);
                        continue;
                }
                if (!t->is_dead) {
                        (void) store_change_tag(g->store, t->id, false, true, t->boot);
                        g->n_unflushed++;
                }
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
        if (o->state != OWNER_REAPING || is_sweeping(o) || o->is_hungry)
                return;
        while (!o->is_exhausted && o->n_jobs < JOBS_PER_OWNER) {
                if (must_wait(o))
                        return;
                struct collector c = { .registry = g, .owner = o->id, .last = o->cursor };

                if (!collect_next(g, o, &c)) {
                        batch_drop(&c);
                        break;
                }
                batch_submit(&c);
        }
        if (o->n_jobs == 0 && o->must_read_again) {
                o->state = OWNER_DYING;
                TAILQ_INSERT_TAIL(&g->dying, o, dying);
                registry_arm_again(g);
        } else if (o->n_jobs == 0 && !o->is_ending) {
                o->is_ending = true;
                TAILQ_INSERT_TAIL(&g->ending, o, ending);
        }
}

/* After a commit: what they were read by, and what was done about it, is so. */
void reaping_end_all(struct registry *g)
{
        struct owner *o;

        while ((o = TAILQ_FIRST(&g->ending))) {
                TAILQ_REMOVE(&g->ending, o, ending);
                o->is_ending = false;
                if (o->state == OWNER_REAPING && o->is_exhausted && o->n_jobs == 0 &&
                    !is_sweeping(o))
                        reaping_end_owner(g, o);
        }
}

static void bury_again(const void *node, VISIT visit, void *userdata)
{
        struct owner *o = *(struct owner *const *) node;
        struct registry *g = userdata;

        if ((visit != leaf && visit != postorder) ||
            (o->state != OWNER_REAPING && o->state != OWNER_ENDED))
                return;
        o->must_read_again = true;
        if (o->n_jobs > 0 || o->is_hungry)
                return; /* when its jobs are back */
        o->state = OWNER_DYING;
        TAILQ_INSERT_TAIL(&g->dying, o, dying);
}

/* A disk that is full, most likely. Their rows may be as they were before. */
void reaping_read_all_again(struct registry *g)
{
        twalk_r(g->owners_by_id, bury_again, g);
}

/* A report of something made under it may be lost. */
void reaping_suspect(struct registry *g, struct tag *t)
{
        if (t->is_unreadable || t->needs_sweep)
                return;
        t->needs_sweep = true;
        (void) store_change_tag(g->store, t->id, true, t->is_dead, t->boot);
}

/* What it was watched by. */
static void release(struct registry *g, struct owner *o)
{
        if (o->is_released)
                return;
        o->is_released = true;
        sd_event_source_disable_unref(o->source);
        o->source = NULL;
        o->again = sd_event_source_disable_unref(o->again);
        poller_remove(g->poller, &o->end);
        o->pidfd = close_fd(o->pidfd);
        if (o->kind == WIRE_OWNER_DESCRIPTOR)
                descriptor_forget(g, o);
        o->fd = close_fd(o->fd);
        if (o->kind == WIRE_OWNER_TOKEN)
                token_forget(g, o);
}

/* What of it is to be swept goes to @swept: of all that end at a time in one pass. Then, the step. */
void reaping_begin(struct registry *g, struct owner *o, struct tag_array *swept)
{
        release(g, o);
        if (o->ended_usec == 0)
                o->ended_usec = now_boottime_usec();
        o->must_read_again = false;
        registry_flush(g);
        (void) store_end_owner(g->store, o->id); /* else it is found dead again */
        (void) store_end_claims(g->store, o->id);
        reaping_read_again(o);
        sweep_gather(g, o, swept);
}

/* ---- results ---- */

/* Two seconds, then twice as long each time. */
static uint64_t pause_usec(const struct registry *g, unsigned int attempts)
{
        return MIN(USEC_PER_SEC << MIN(attempts, DOUBLINGS_MAX), g->config.retry_max_usec);
}

/* Its owner's end may have come before it was made. */
static int pass_on(struct registry *g, struct reap_item *i)
{
        bool is_passed;
        int r;

        r = store_pass_on(g->store, i->id, &is_passed);
        if (r >= 0)
                i->outcome = is_passed ? REAP_PASSED : REAP_GONE;
        return r;
}

static int end_item(struct registry *g, const struct batch *b, struct reap_item *i)
{
        const uint64_t before = store_entries(g->store);
        int r;

        registry_forget_pending(g, i->id);
        if (i->ended)
                r = tombstone_end_entry(g, i->id, i->ended, b->directory, b->cred);
        else
                r = store_remove_entry(g->store, i->id);
        i->is_remembered = r > 0;
        i->had_row = store_entries(g->store) != before; /* else somebody else has ended it */
        return r;
}

static int record_item(struct registry *g, const struct batch *b, struct reap_item *i)
{
        unsigned int attempts = i->attempts + 1;
        int r;

        if (i->outcome == REAP_ABSENT || i->outcome == REAP_PASSED) {
                r = pass_on(g, i);
                if (r < 0)
                        return r;
        }
        switch (i->outcome) {
        case REAP_PASSED:
                return 0;
        case REAP_GONE:
        case REAP_OTHER:
                return end_item(g, b, i);
        default:
                return store_change_entry(g->store, i->id,
                                          i->outcome == REAP_WAITING ? WIRE_STATE_WAITING
                                                                     : WIRE_STATE_STUCK,
                                          i->error, attempts,
                                          now_boottime_usec() + pause_usec(g, attempts), i->failed);
        }
}

/* Whose it was, as far as that is in memory. */
static void add_owner(const struct batch *b, struct log_fields *f)
{
        const struct owner *o = registry_owner(b->registry, b->owner);

        if (!o)
                return;
        f->owner_pid = o->pid;
        f->unit = o->unit ? o->unit : o->process ? o->process->unit : NULL;
}

/* A directory that is away may just be moved aside, to be deleted itself: at the second look. */
static bool may_say(const struct batch *b, const struct reap_item *i)
{
        const unsigned int first = i->has_waited || i->outcome == REAP_WAITING ? 1 : 0;

        if (i->attempts < first)
                return false;
        return said_may_say(b->registry->said, i->id, i->attempts == first, now_boottime_usec());
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
        add_owner(b, &f);
        if (i->outcome == REAP_OTHER) {
                f.message_id = LOG_ID_REPLACED;
                log_write(LOG_NOTICE, &f, "'%s' is not what was registered any more: left alone",
                          path);
                return;
        }
        if (!may_say(b, i))
                return;
        f.message_id = LOG_ID_STUCK;
        log_write(LOG_WARNING, &f, "Cannot delete '%s', will try again: %s", path,
                  strerror(-i->error));
}

static int record_batch(struct registry *g, struct batch *b)
{
        uint64_t before = store_entries(g->store);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < b->job.n_items; i++)
                r = record_item(g, b, &b->job.items[i]);
        registry_count_entries(g, b->cred->user, before);
        return r;
}

/* For who asked: there is nothing there now. */
static bool is_gone(const struct reap_item *i)
{
        return i->outcome == REAP_GONE || i->outcome == REAP_PASSED;
}

static void settle_request(struct registry *g, struct request *r, const struct batch *b)
{
        for (size_t i = 0; i < b->job.n_items; i++) {
                const struct reap_item *item = &b->job.items[i];

                if (is_gone(item) && r->result >= 0)
                        r->result++;
                else if (!is_gone(item) && r->result >= 0 && r->id != 0)
                        r->result = item->outcome == REAP_OTHER ? -ESTALE : item->error;
        }
        if (--r->n_jobs == 0)
                g->callbacks.answer(r, g->callbacks.userdata);
}

/* Its owner, and the owner of its tag, which may be another, may have waited for just that. */
static void end_if_done(struct registry *g, const struct batch *b, const struct reap_item *i)
{
        struct tag *t = registry_tag_by_id(g, i->id >> SEQ_BITS);
        uint64_t tag_owner = t ? t->owner->id : 0;
        struct owner *o;

        o = i->owner != b->owner ? registry_owner(g, i->owner) : NULL;
        if (o && o->state == OWNER_ENDED && o->n_jobs == 0)
                reaping_end_owner(g, o);
        o = tag_owner != b->owner && tag_owner != i->owner ? registry_owner(g, tag_owner) : NULL;
        if (o && o->state == OWNER_ENDED && o->n_jobs == 0)
                reaping_end_owner(g, o);
}

/* Counts and tells what came of it; how many hold their directory no more. */
static uint64_t settle_items(struct registry *g, const struct batch *b)
{
        const struct owner *o = registry_owner(g, b->owner);
        uint64_t n_left = 0, n_gone = 0;

        for (size_t i = 0; i < b->job.n_items; i++) {
                const struct reap_item *item = &b->job.items[i];

                if (item->outcome == REAP_PASSED)
                        continue;
                if (item->outcome == REAP_GONE || item->outcome == REAP_OTHER)
                        n_left +=
                                item->id >> SEQ_BITS == 0 && item->had_row && !item->is_remembered;
                else
                        g->n_failed++;
                if (g->is_watched)
                        tell_outcome(g, b, item);
                if (item->outcome == REAP_GONE)
                        n_gone++;
                else
                        log_item(b, item);
        }
        g->n_reaped += n_gone;
        if (o && o->ended_usec > 0)
                histogram_add(&g->reap_usec, now_boottime_usec() - o->ended_usec, n_gone);
        return n_left;
}

static void settle_batch(struct registry *g, struct batch *b)
{
        uint64_t n_left = settle_items(g, b);
        struct owner *o;

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
        for (size_t i = 0; i < b->job.n_items; i++)
                end_if_done(g, b, &b->job.items[i]);
        batch_leave_place(g, b->directory, &b->job.place);
        LIST_REMOVE(b, out);
        batch_free(b);
}

/* ---- from and to the turn ---- */

int reaping_record(struct registry *g, struct job *j)
{
        if (j->run == delegate_delete)
                return record_batch(g, (struct batch *) j);
        if (j->run == delegate_sweep)
                return sweep_record(g, j);
        return 0;
}

void reaping_settle(struct registry *g, struct job *j)
{
        if (j->run == delegate_delete)
                settle_batch(g, (struct batch *) j);
        else if (j->run == delegate_sweep)
                sweep_settle(g, j);
        else
                tombstone_settle(g, j);
}

/* What is due is tried again; @r: NULL, or who waits until all of it was. */
void reaping_retry(struct registry *g, struct request *r)
{
        struct collector c = { .registry = g, .request = r, .defers = true };

        g->needs_schedule = true; /* also when nothing was due yet */
        sweep_all(g);
        if (store_due(g->store, now_boottime_usec(), r ? UINT32_MAX : BATCH, batch_collect, &c) <
            0) {
                batch_drop(&c);
                registry_fail(g, r, -EIO);
                return;
        }
        if (!c.batches && r)
                registry_record(g, r);
        batch_submit(&c);
}

/* One entry, now. -EALREADY: it is being deleted. */
int reaping_one(struct registry *g, uint64_t id, struct request *r)
{
        struct collector c = { .registry = g, .request = r, .defers = true };
        int error;

        error = store_get_entry(g->store, id, batch_collect, &c);
        if (error >= 0 && !c.batches)
                error = c.n_out > 0 ? -EALREADY : -EUCLEAN;
        if (error < 0) {
                batch_drop(&c);
                return error;
        }
        if (r)
                r->id = id;
        batch_submit(&c);
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
        g->flush_is_armed = FLUSH_NONE;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

/* Directories in which living owners have entries: the descriptor must outlive a renaming. One of
 * another view, whose descriptor is lost, is where its owner still sees it. */
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
        b->job.job.run = delegate_delete; /* of nothing: it opens the place */
        batch_set_lane(&b->job.job, t->directory, t->cred);
        b->job.place = batch_place(t->directory, t->cred);
        if (t->owner->kind == WIRE_OWNER_PROCESS && !t->owner->is_lost)
                b->job.place.seen_by = t->owner->pid;
        LIST_INSERT_HEAD(&b->registry->out, b, out);
        pool_submit(b->registry->pool, &b->job.job);
}

void reaping_open_directories(struct registry *g)
{
        twalk_r(g->tags_by_id, open_if_wanted, g);
}

/* Never put off: others may go on ending for ever. Sooner, when there are many to be kept. */
static void schedule_flush(struct registry *g)
{
        int how = g->n_unflushed < TOMBSTONES_MANY ? FLUSH_IN_TIME : FLUSH_SOON;

        if (!g->needs_flush || (int) g->flush_is_armed >= how)
                return;
        g->needs_flush = false;
        g->flush_is_armed = how;
        registry_arm(g, &g->flush_timer, CLOCK_MONOTONIC,
                     how == FLUSH_SOON ? FLUSH_SOON_USEC : FLUSH_USEC, on_flush);
}

void reaping_schedule(struct registry *g)
{
        uint64_t due = 0, now = now_boottime_usec(), pause;

        schedule_flush(g);
        if (!g->needs_schedule && !g->sweep_again)
                return;
        if (store_next_due(g->store, &due) < 0) {
                registry_arm_again(g); /* keeps needs_schedule */
                return;
        }
        pause = due > now ? due - now : 0;
        if (g->sweep_again)
                pause = due > 0 ? MIN(pause, SWEEP_AGAIN_USEC) : SWEEP_AGAIN_USEC;
        if (due > 0 || g->sweep_again)
                registry_arm(g, &g->retry_timer, CLOCK_BOOTTIME, pause, on_retry);
        g->needs_schedule = g->sweep_again = false;
}
