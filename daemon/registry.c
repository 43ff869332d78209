/* SPDX-License-Identifier: MIT */

/*
 * Owns the turn, and who is there to take part in it.
 *
 * A turn's changes are one transaction. When it can't be committed (a full disk), nothing of it
 * happened: requests are answered with the error, objects that were to be stored count as not
 * stored and are written with the next thing that refers to them, reports wait in memory, and
 * the results of finished jobs are recorded again a second later. Deletion goes on meanwhile.
 */

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#include "daemon/histogram.h"
#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "daemon/said.h"
#include "libclient/util.h"

#define AGAIN_USEC USEC_PER_SEC
#define LOOK_MAX_USEC (60 * USEC_PER_SEC)

static uint64_t now_usec(clockid_t clock)
{
        struct timespec t;

        (void) clock_gettime(clock, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

uint64_t now_realtime_usec(void)
{
        return now_usec(CLOCK_REALTIME);
}

uint64_t now_boottime_usec(void)
{
        return now_usec(CLOCK_BOOTTIME);
}

/* ---- peers ---- */

void registry_meet(struct registry *g, struct peer *p)
{
        struct owner *o = registry_owner_of_pid(g, p->pid);

        /* Both alive with one pid at one time: one process. */
        if (!o || o->state != OWNER_LIVING || pidfd_is_dead(o->pidfd) || registry_peer_is_dead(p))
                return;
        registry_join_owner(p, o);
}

void registry_leave(struct registry *g, struct peer *p)
{
        if (!p->owner)
                return;
        TAILQ_REMOVE(&p->owner->peers, p, of_owner);
        p->owner = NULL;
}

/* Only a sweep can find what it has made, or goes on to make. */
void registry_cut_off(struct registry *g, struct peer *p)
{
        struct owner *o = p->owner;
        struct tag *t;

        if (!o || (o->state != OWNER_LIVING && o->state != OWNER_DYING))
                return; /* all of it was read when its end was dealt with */
        TAILQ_FOREACH(t, &o->tags, of_owner)
        reaping_suspect(g, t);
}

/* ---- the turn ---- */

int registry_may(struct registry *g, const struct peer *p, enum usage_what what)
{
        return usage_may(usage_user(g->usage, p->cred.uid), what);
}

void registry_count_entries(struct registry *g, struct usage_user *user, uint64_t before)
{
        usage_entries_change(user, (int64_t) (store_entries(g->store) - before));
}

/* What is damaged, and what is too many, is not the client's. */
static int as_told(int error)
{
        switch (error) {
        case -EUCLEAN:
                return -EIO;
        case -EMFILE:
                return -ENFILE;
        default:
                return error;
        }
}

void registry_fail(struct registry *g, struct request *r, int error)
{
        if (!r)
                return;
        r->result = as_told(error);
        g->callbacks.answer(r, g->callbacks.userdata);
}

/* Answered when what was done for it is committed. */
void registry_record(struct registry *g, struct request *r)
{
        TAILQ_INSERT_TAIL(&g->uncommitted, r, waiting);
}

static void settle_requests(struct registry *g, int error)
{
        bool wants_sync = false;
        struct request *r;

        while ((r = TAILQ_FIRST(&g->uncommitted))) {
                TAILQ_REMOVE(&g->uncommitted, r, waiting);
                if (error < 0) {
                        if (r->fresh_tag)
                                registry_drop_tag(g, r->fresh_tag);
                        registry_fail(g, r, error);
                } else if (r->is_durable) {
                        r->commit = store_committed(g->store);
                        r->since_usec = now_boottime_usec();
                        wants_sync = true;
                        TAILQ_INSERT_TAIL(&g->unsynced, r, waiting);
                } else
                        g->callbacks.answer(r, g->callbacks.userdata);
        }
        if (spare_settle(g, error >= 0) || wants_sync)
                store_sync(g->store);
}

void registry_synced(struct registry *g, uint64_t number, int error)
{
        struct request *r;

        if (error >= 0)
                spare_synced(g, number);
        while ((r = TAILQ_FIRST(&g->unsynced)) && r->commit <= number) {
                TAILQ_REMOVE(&g->unsynced, r, waiting);
                if (error < 0) /* it is done, and perhaps not on disk; -ENOSPC would deny that */
                        r->result = -EIO;
                histogram_add(&g->sync_usec, now_boottime_usec() - r->since_usec, 1);
                g->callbacks.answer(r, g->callbacks.userdata);
        }
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

/* Counted from now: what sd-event calls relative counts from when the loop has last woken up, which
 * would be too early by as long as this turn has taken. */
void registry_arm(struct registry *g, sd_event_source **timer, clockid_t clock, uint64_t usec,
                  sd_event_time_handler_t handler)
{
        uint64_t at = now_usec(clock);

        at = usec < UINT64_MAX - at ? at + usec : UINT64_MAX;
        if (*timer) {
                (void) sd_event_source_set_time(*timer, at);
                (void) sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
                return;
        }
        (void) sd_event_add_time(g->event, timer, clock, at, 0, handler, g);
}

void registry_arm_again(struct registry *g)
{
        registry_arm(g, &g->again_timer, CLOCK_MONOTONIC, AGAIN_USEC, on_again);
}

static int on_look(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->look_is_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

void registry_look_again(struct registry *g)
{
        g->needs_look = true;
}

/* With growing pauses: they are short of something that only others can give back. */
static void schedule_look(struct registry *g)
{
        uint64_t pause = MIN(USEC_PER_SEC << MIN(g->n_looks, 10U), LOOK_MAX_USEC);

        if (!g->needs_look)
                return;
        g->needs_look = false;
        g->n_looks++;
        registry_arm(g, &g->look_timer, CLOCK_MONOTONIC, pause, on_look);
}

static void commit_failed(struct registry *g, int error)
{
        log_write(LOG_ERR,
                  &(struct log_fields) { .message_id = LOG_ID_STORE_FAILED, .error = error },
                  "Cannot write to the database, will try again: %s", strerror(-error));
        g->n_commit_failures++;
        registry_unstore_objects(g);
        reaping_read_all_again(g);
        registry_arm_again(g);
}

static void settle_jobs(struct registry *g, int error)
{
        struct job *j, *list = g->recorded;

        g->recorded = NULL;
        while ((j = list)) {
                list = j->next;
                if (error < 0) {
                        j->next = g->again;
                        g->again = j;
                } else
                        reaping_settle(g, j);
        }
}

/* How long it took, where there was something to write. */
static int commit_timed(struct registry *g)
{
        uint64_t begun = now_boottime_usec(), number = store_committed(g->store);
        int r;

        r = store_commit(g->store);
        if (r >= 0 && store_committed(g->store) != number)
                histogram_add(&g->commit_usec, now_boottime_usec() - begun, 1);
        return r;
}

static void commit(struct registry *g)
{
        int r;

        if (registry_reports_are_due(g))
                registry_flush(g);
        r = commit_timed(g);
        if (r < 0)
                commit_failed(g, r);
        usage_settle(g->usage, r >= 0);
        registry_settle_pending(g, r >= 0);
        registry_settle_directories(g, r >= 0);
        settle_requests(g, r);
        settle_jobs(g, r);
        if (r >= 0) {
                registry_forget_processes(g);
                reaping_end_all(g);
        }
        g->attempt++;
        /* What settling has changed: owners that go, and the next batches of those that stay. */
        if (r >= 0) {
                r = store_commit(g->store);
                if (r < 0)
                        commit_failed(g, r);
                usage_settle(g->usage, r >= 0);
                registry_settle_directories(g, r >= 0);
        }
        batch_start_submitted(g);
        if (r == -EUCLEAN) {
                log_error("The database is damaged; ending, to salvage it at the next start");
                (void) sd_event_exit(g->event, r);
        }
}

static void bury(struct registry *g)
{
        struct owner_list now = TAILQ_HEAD_INITIALIZER(now);
        struct tag_array swept = { 0 };
        struct owner *o;
        struct peer *p, *next;

        TAILQ_CONCAT(&now, &g->dying, dying);
        TAILQ_FOREACH(o, &now, dying)
        {
                for (p = TAILQ_FIRST(&o->peers); p; p = next) {
                        next = TAILQ_NEXT(p, of_owner);
                        g->callbacks.drain(p, g->callbacks.userdata);
                }
                reaping_begin(g, o, &swept);
        }
        sweep_array(g, &swept);
        while ((o = TAILQ_FIRST(&now))) {
                TAILQ_REMOVE(&now, o, dying);
                reaping_step(g, o);
        }
}

static void record(struct registry *g, struct job *j)
{
        (void) reaping_record(g, j); /* the commit reports a failure */
        j->next = g->recorded;
        g->recorded = j;
}

static void collect(struct registry *g)
{
        struct job *j, *list = g->again;

        g->again = NULL;
        while ((j = list)) {
                list = j->next;
                record(g, j);
        }
        while ((j = pool_take(g->pool))) {
                if (j->done)
                        j->done(j, g);
                else
                        record(g, j);
        }
}

void registry_turn(struct registry *g)
{
        if (g->lease_is_due) {
                g->lease_is_due = false;
                lease_expire(g);
        }
        if (g->look_is_due) {
                g->look_is_due = false;
                load_look_again(g);
        }
        if (g->spares_are_due) {
                g->spares_are_due = false;
                spare_expire(g, now_boottime_usec());
        }
        registry_repeat_plain(g);
        bury(g);
        collect(g);
        if (g->mounts_changed) {
                g->mounts_changed = false;
                (void) store_wake_waiting(g->store); /* else they come with the timer */
                sweep_all(g);
                g->retry_is_due = true;
        }
        if (g->retry_is_due) {
                g->retry_is_due = false;
                reaping_retry(g, NULL);
        }
        if (g->flush_is_due) {
                g->flush_is_due = false;
                tombstone_flush_all(g);
        }
        commit(g);
        reaping_schedule(g);
        lease_schedule(g);
        schedule_look(g);
}

/* ---- beginning and end ---- */

static void on_jobs_finished(void *userdata)
{
        struct registry *g = userdata;

        g->callbacks.wake(g->callbacks.userdata);
}

static int on_mounts(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct registry *g = userdata;
        char buf[4096];

        /* Reading on from where it stands clears the condition; the contents do not matter. */
        if (lseek(fd, 0, SEEK_SET) == 0)
                while (read(fd, buf, sizeof(buf)) > 0)
                        ;
        g->mounts_changed = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

static int watch_mounts(struct registry *g)
{
        g->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        if (g->mounts_fd < 0)
                return -errno;
        return sd_event_add_io(g->event, &g->mounts, g->mounts_fd, EPOLLPRI, on_mounts, g);
}

static void registry_freep(struct registry **g)
{
        registry_free(*g);
}

int registry_new(sd_event *event, struct store *store, int state_dirfd, bool is_power,
                 const struct registry_callbacks *callbacks, struct registry **ret)
{
        _cleanup_(registry_freep) struct registry *g = NULL;
        int r;

        g = malloc(sizeof(*g));
        if (!g)
                return -ENOMEM;
        *g = (struct registry) {
                .event = sd_event_ref(event),
                .store = store,
                .callbacks = *callbacks,
                .state_dirfd = state_dirfd,
                .attempt = 1,
                .mounts_fd = -1,
                .inotify_fd = -1,
        };
        config_init(&g->config);
        g->config.is_power = is_power;
        TAILQ_INIT(&g->dying);
        TAILQ_INIT(&g->ending);
        TAILQ_INIT(&g->fresh);
        TAILQ_INIT(&g->changed);
        TAILQ_INIT(&g->uncommitted);
        TAILQ_INIT(&g->unsynced);
        (void) cred_can_serve(0); /* reads what this process may do, before a thread starts */
        g->said = said_new(now_boottime_usec());
        r = g->said ? usage_new(&g->usage) : -ENOMEM;
        if (r < 0)
                return r;
        usage_set_limits(g->usage, &g->config.limits);
        r = epoch_now(&g->epoch);
        if (r < 0)
                return r;
        r = poller_new(event, &g->poller);
        if (r >= 0)
                r = pool_new(event, on_jobs_finished, g, &g->pool);
        if (r < 0)
                return r;
        r = watch_mounts(g);
        if (r >= 0)
                r = lease_prepare(g);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}

/* They are answered to nobody: the connections have gone before. */
static void drop_requests(struct registry *g, struct request_list *requests)
{
        struct request *r;

        while ((r = TAILQ_FIRST(requests))) {
                TAILQ_REMOVE(requests, r, waiting);
                g->callbacks.answer(r, g->callbacks.userdata);
        }
}

void registry_free(struct registry *g)
{
        if (!g)
                return;
        spare_free(g);
        sd_event_source_disable_unref(g->reports_timer);
        sd_event_source_disable_unref(g->mounts);
        sd_event_source_disable_unref(g->retry_timer);
        sd_event_source_disable_unref(g->flush_timer);
        sd_event_source_disable_unref(g->again_timer);
        sd_event_source_disable_unref(g->lease_timer);
        sd_event_source_disable_unref(g->look_timer);
        close_fd(g->mounts_fd);
        sd_event_source_disable_unref(g->inotify);
        close_fd(g->inotify_fd);
        if (!pool_free(g->pool))
                return; /* a thread that hangs still looks at paths and credentials in here */
        drop_requests(g, &g->uncommitted);
        drop_requests(g, &g->unsynced);
        batch_free_out(g);
        registry_free_pending(g);
        registry_free_objects(g);
        poller_free(g->poller);
        usage_free(g->usage);
        said_free(g->said);
        sd_event_unref(g->event);
        free(g);
}

void registry_configure(struct registry *g, const struct config *c)
{
        g->config = *c;
        usage_set_limits(g->usage, &c->limits);
}

void registry_be_container(struct registry *g)
{
        g->is_container = true;
}

void registry_keep_in(struct registry *g, struct fdstore *f)
{
        g->fdstore = f;
}

struct poller *registry_poller(struct registry *g)
{
        return g->poller;
}

struct usage *registry_usage(struct registry *g)
{
        return g->usage;
}

struct pool *registry_pool(struct registry *g)
{
        return g->pool;
}

int registry_list(struct registry *g, bool is_left, uint64_t *cursor, unsigned int scan,
                  store_row_fn fn, void *userdata)
{
        registry_flush(g);
        return (is_left ? store_list_left : store_list)(g->store, cursor, scan, fn, userdata);
}

int registry_get_status(struct registry *g, struct registry_status *ret)
{
        registry_flush(g);
        *ret = (struct registry_status) {
                .owners = g->n_owners,
                .tags = g->n_tags - spare_count(g),
                .directories = g->n_directories,
                .reaping = g->n_reaping,
                .reaped = g->n_reaped,
                .failed = g->n_failed,
                .commit_failures = g->n_commit_failures,
                .commit = g->commit_usec,
                .sync = g->sync_usec,
                .reap = g->reap_usec,
                .is_power = g->config.is_power,
        };
        return store_get_counts(g->store, &ret->counts);
}
