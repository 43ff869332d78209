/* SPDX-License-Identifier: MIT */

/*
 * Owns the objects in memory and the turn. The trees are tsearch(3)'s.
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

#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define AGAIN_USEC USEC_PER_SEC
#define PENDING_MAX 100000U

uint64_t now_realtime_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

/* ---- trees ---- */

#define COMPARE_BY(name, type, member)                                                             \
        static int name(const void *a, const void *b)                                              \
        {                                                                                          \
                const type *x = a, *y = b;                                                         \
                                                                                                   \
                return (x->member > y->member) - (x->member < y->member);                          \
        }

COMPARE_BY(by_owner_id, struct owner, id)
COMPARE_BY(by_pid, struct owner, pid)
COMPARE_BY(by_tag_id, struct tag, id)
COMPARE_BY(by_tag, struct tag, tag)
COMPARE_BY(by_directory_id, struct directory, id)
COMPARE_BY(by_cred_id, struct known_cred, cred.id)
COMPARE_BY(by_pending_id, struct pending, id)

static int by_identity(const void *a, const void *b)
{
        const struct directory *x = a, *y = b;

        if (x->identity.ino != y->identity.ino)
                return x->identity.ino < y->identity.ino ? -1 : 1;
        if (x->identity.dev != y->identity.dev)
                return x->identity.dev < y->identity.dev ? -1 : 1;
        if (x->identity.btime_nsec != y->identity.btime_nsec)
                return x->identity.btime_nsec < y->identity.btime_nsec ? -1 : 1;
        return strcmp(x->path, y->path);
}

static int by_cred(const void *a, const void *b)
{
        const struct cred *x = &((const struct known_cred *) a)->cred;
        const struct cred *y = &((const struct known_cred *) b)->cred;

        if (x->uid != y->uid)
                return x->uid < y->uid ? -1 : 1;
        if (x->gid != y->gid)
                return x->gid < y->gid ? -1 : 1;
        if (x->caps != y->caps)
                return x->caps < y->caps ? -1 : 1;
        if (x->n_groups != y->n_groups)
                return x->n_groups < y->n_groups ? -1 : 1;
        return x->n_groups ? memcmp(x->groups, y->groups, x->n_groups * sizeof(gid_t)) : 0;
}

static void *find(const void *key, void *const *tree, int (*compare)(const void *, const void *))
{
        void *node = tfind(key, tree, compare);

        return node ? *(void **) node : NULL;
}

static int insert(void *object, void **tree, int (*compare)(const void *, const void *))
{
        return tsearch(object, tree, compare) ? 0 : -ENOMEM;
}

struct owner *registry_owner(struct registry *g, uint64_t id)
{
        return find(&(struct owner) { .id = id }, &g->owners_by_id, by_owner_id);
}

struct owner *registry_owner_of_pid(struct registry *g, pid_t pid)
{
        return find(&(struct owner) { .pid = pid }, &g->owners_by_pid, by_pid);
}

struct tag *registry_tag_by_id(struct registry *g, uint64_t id)
{
        return find(&(struct tag) { .id = id }, &g->tags_by_id, by_tag_id);
}

struct tag *registry_tag_by_tag(struct registry *g, uint64_t tag)
{
        return find(&(struct tag) { .tag = tag }, &g->tags_by_tag, by_tag);
}

struct directory *registry_directory(struct registry *g, uint64_t id)
{
        return find(&(struct directory) { .id = id }, &g->directories_by_id, by_directory_id);
}

struct known_cred *registry_cred(struct registry *g, uint64_t id)
{
        return find(&(struct known_cred) { .cred.id = id }, &g->creds_by_id, by_cred_id);
}

/* ---- credentials ---- */

static int hold_cred(struct registry *g, const struct cred *c, struct known_cred **ret)
{
        struct known_cred *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        if (cred_copy(c, &k->cred) < 0) {
                free(k);
                return -ENOMEM;
        }
        if (insert(k, &g->creds_by_id, by_cred_id) < 0 ||
            insert(k, &g->creds_by_value, by_cred) < 0)
                return -ENOMEM; /* stays: it may be in one of the trees */
        *ret = k;
        return 0;
}

static int store_known_cred(struct registry *g, struct known_cred *k)
{
        if (k->stored_in > 0)
                return 0;
        k->stored_in = g->attempt;
        return store_add_cred(g->store, &k->cred);
}

int registry_add_cred(struct registry *g, const struct cred *c, struct known_cred **ret)
{
        struct known_cred *k;
        struct cred numbered = *c;
        int r;

        k = find(&(struct known_cred) { .cred = *c }, &g->creds_by_value, by_cred);
        if (!k) {
                numbered.id = g->next_cred++;
                r = hold_cred(g, &numbered, &k);
                if (r < 0)
                        return r;
        }
        *ret = k;
        return store_known_cred(g, k);
}

/* ---- directories ---- */

static void free_directory(struct registry *g, struct directory *d)
{
        pool_close(g->pool, 0, d->fd);
        free(d->path);
        free(d);
}

static int hold_directory(struct registry *g, uint64_t id, const char *path,
                          const struct identity *i, bool is_foreign, struct directory **ret)
{
        struct directory *d = malloc(sizeof(*d));

        if (!d)
                return -ENOMEM;
        *d = (struct directory) {
                .id = id,
                .path = strdup(path),
                .identity = *i,
                .is_foreign = is_foreign,
                .fd = -1,
        };
        TAILQ_INIT(&d->hungry);
        if (!d->path || insert(d, &g->directories_by_id, by_directory_id) < 0) {
                free_directory(g, d);
                return -ENOMEM;
        }
        if (!is_foreign) /* another view's is never taken for this one's */
                (void) insert(d, &g->directories_by_identity, by_identity); /* only saves a row */
        g->n_directories++;
        *ret = d;
        return 0;
}

static int store_known_directory(struct registry *g, struct directory *d)
{
        uint8_t packed[IDENTITY_PACKED_MAX];
        struct store_directory row = {
                .id = d->id,
                .path = d->path,
                .identity = { packed, identity_pack(&d->identity, packed) },
                .is_foreign = d->is_foreign,
        };

        if (d->stored_in > 0)
                return 0;
        d->stored_in = g->attempt;
        return store_add_directory(g->store, &row);
}

/* *fd is taken when it is of use. */
int registry_add_directory(struct registry *g, const char *path, const struct identity *i,
                           bool is_foreign, int *fd, struct directory **ret)
{
        struct directory key = { .path = (char *) path, .identity = *i }, *d = NULL;
        int r;

        if (!is_foreign)
                d = find(&key, &g->directories_by_identity, by_identity);
        if (!d) {
                r = hold_directory(g, g->next_directory++, path, i, is_foreign, &d);
                if (r < 0)
                        return r;
        }
        if (d->fd < 0)
                d->fd = TAKE_FD(*fd);
        *ret = d;
        return store_known_directory(g, d);
}

/* @n fewer entries or tags are in it. The last lets it go. */
void registry_leave_directory(struct registry *g, struct directory *d, uint64_t n)
{
        if (!d)
                return;
        d->n_users -= MIN(n, d->n_users);
        if (d->n_users > 0 || d->n_jobs > 0)
                return;
        (void) store_remove_directory(g->store,
                                      d->id); /* else a row too many until the next start */
        tdelete(d, &g->directories_by_id, by_directory_id);
        if (find(d, &g->directories_by_identity, by_identity) == d)
                tdelete(d, &g->directories_by_identity, by_identity);
        g->n_directories--;
        free_directory(g, d);
}

/* ---- owners ---- */

static int on_owner_died(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct owner *o = userdata;
        struct registry *g = o->registry;

        (void) sd_event_source_set_enabled(s, SD_EVENT_OFF); /* it stays readable */
        if (o->state != OWNER_LIVING)
                return 0;
        o->state = OWNER_DYING;
        TAILQ_INSERT_TAIL(&g->dying, o, dying);
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

static void free_owner(struct owner *o)
{
        if (o->process)
                process_done(o->process);
        free(o->process);
        sd_event_source_disable_unref(o->source);
        close_fd(o->pidfd);
        free(o);
}

static struct owner *new_owner(struct registry *g, uint64_t id)
{
        struct owner *o = malloc(sizeof(*o));

        if (!o)
                return NULL;
        *o = (struct owner) {
                .registry = g,
                .id = id,
                .pidfd = -1,
                .state = OWNER_LIVING,
                .epoch = g->epoch,
        };
        TAILQ_INIT(&o->peers);
        TAILQ_INIT(&o->tags);
        return o;
}

/* Has it watched, and found by its pid. *pidfd is taken. */
static int watch_owner(struct registry *g, struct owner *o, int *pidfd)
{
        int r;

        r = sd_event_add_io(g->event, &o->source, *pidfd, EPOLLIN, on_owner_died, o);
        if (r < 0)
                return r;
        /* A pid has one living owner; an older one of that number is dead, and dealt with by id. */
        tdelete(o, &g->owners_by_pid, by_pid);
        r = insert(o, &g->owners_by_pid, by_pid);
        if (r < 0)
                return r;
        o->pidfd = TAKE_FD(*pidfd);
        return 0;
}

static int hold_owner(struct registry *g, struct owner *o)
{
        int r;

        r = insert(o, &g->owners_by_id, by_owner_id);
        if (r < 0)
                return r;
        g->n_owners++;
        return 0;
}

static int store_known_owner(struct registry *g, struct owner *o)
{
        struct store_owner row = {
                .id = o->id,
                .kind = WIRE_OWNER_PROCESS,
                .boot = o->epoch.boot,
                .pid_ns = o->epoch.pid_ns,
                .init_start = o->epoch.init_start,
                .pid = o->pid,
                .start = o->start,
                .uid = o->uid,
        };

        if (o->stored_in > 0)
                return 0;
        if (o->process) {
                row.command = o->process->command;
                row.executable = o->process->executable;
                row.arguments = o->process->arguments;
                row.unit = o->process->unit;
        }
        o->stored_in = g->attempt;
        return store_add_owner(g->store, &row);
}

static void unlink_owner(struct registry *g, struct owner *o)
{
        if (registry_owner_of_pid(g, o->pid) == o)
                tdelete(o, &g->owners_by_pid, by_pid);
        if (tdelete(o, &g->owners_by_id, by_owner_id))
                g->n_owners--;
}

/* The contents of @p and the descriptor are taken. The same process again: the same owner. */
int registry_add_owner(struct registry *g, struct process *p, int *pidfd, struct owner **ret)
{
        struct owner *o = registry_owner_of_pid(g, p->pid);
        int r;

        if (o && o->state == OWNER_LIVING && o->start == p->start && !pidfd_is_dead(o->pidfd)) {
                *ret = o;
                return store_known_owner(g, o);
        }
        o = new_owner(g, g->next_owner++);
        if (!o)
                return -ENOMEM;
        o->pid = p->pid;
        o->start = p->start;
        o->uid = p->uid;
        o->process = malloc(sizeof(*p));
        if (o->process) {
                *o->process = *p;
                *p = (struct process) { 0 };
        }
        r = watch_owner(g, o, pidfd);
        if (r >= 0)
                r = hold_owner(g, o);
        if (r < 0) {
                unlink_owner(g, o);
                free_owner(o);
                return r;
        }
        *ret = o;
        return store_known_owner(g, o);
}

/* Of an owner that has ended, with nothing left that refers to it. */
void registry_drop_owner(struct registry *g, struct owner *o)
{
        struct peer *p;

        while ((p = TAILQ_FIRST(&o->peers))) {
                TAILQ_REMOVE(&o->peers, p, of_owner);
                p->owner = NULL;
        }
        (void) store_remove_owner(g->store, o->id); /* else a row too many until the next start */
        unlink_owner(g, o);
        free_owner(o);
}

/* ---- tags ---- */

static int hold_tag(struct registry *g, const struct tag *like, struct tag **ret)
{
        struct tag *t = malloc(sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = *like;
        if (insert(t, &g->tags_by_id, by_tag_id) < 0) {
                free(t);
                return -ENOMEM;
        }
        if (insert(t, &g->tags_by_tag, by_tag) < 0) {
                tdelete(t, &g->tags_by_id, by_tag_id);
                free(t);
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&t->owner->tags, t, of_owner);
        t->directory->n_users++;
        g->n_tags++;
        *ret = t;
        return 0;
}

int registry_add_tag(struct registry *g, const struct tag *like, struct tag **ret)
{
        struct tag numbered = *like;
        struct store_tag row = {
                .tag = like->tag,
                .key = like->key,
                .owner = like->owner->id,
                .directory = like->directory->id,
                .cred = like->cred->cred.id,
                .needs_sweep = like->needs_sweep,
                .is_unreadable = like->is_unreadable,
                .boot = g->epoch.boot,
        };
        int r;

        numbered.id = row.id = g->next_tag++;
        numbered.boot = g->epoch.boot;
        numbered.stored_in = g->attempt;
        r = hold_tag(g, &numbered, ret);
        if (r < 0)
                return r;
        return store_add_tag(g->store, &row);
}

/* Of a tag whose names are all gone for good. */
void registry_drop_tag(struct registry *g, struct tag *t)
{
        (void) store_remove_tag(g->store, t->id); /* else it is swept once more at the next start */
        TAILQ_REMOVE(&t->owner->tags, t, of_owner);
        tdelete(t, &g->tags_by_id, by_tag_id);
        if (registry_tag_by_tag(g, t->tag) == t)
                tdelete(t, &g->tags_by_tag, by_tag);
        g->n_tags--;
        registry_leave_directory(g, t->directory, 1);
        free(t);
}

/* ---- reports that have not reached the store ---- */

static void free_pending(void *p)
{
        free(((struct pending *) p)->name);
        free(p);
}

static struct pending *find_pending(struct registry *g, uint64_t id)
{
        return find(&(struct pending) { .id = id }, &g->pending, by_pending_id);
}

static int add_pending(struct registry *g, uint64_t id, struct pending **ret)
{
        struct pending *p = find_pending(g, id);

        if (!p) {
                p = calloc(1, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                p->id = id;
                if (insert(p, &g->pending, by_pending_id) < 0) {
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

int registry_report_made(struct registry *g, struct tag *t, uint32_t seq, unsigned int kind,
                         const char *name)
{
        struct pending *p;
        int r;

        r = add_pending(g, t->id << SEQ_BITS | seq, &p);
        if (r < 0)
                return r;
        p->is_gone = false;
        p->kind = kind;
        p->created_usec = now_realtime_usec();
        p->name = strdup(name);
        return p->name ? 0 : -ENOMEM;
}

/* What comes and goes between two commits never reaches the store. */
int registry_report_gone(struct registry *g, struct tag *t, uint32_t seq)
{
        struct pending *p = find_pending(g, t->id << SEQ_BITS | seq);
        int r;

        if (p && !p->is_written && seq > t->flushed) {
                tdelete(p, &g->pending, by_pending_id);
                free_pending(p);
                return 0;
        }
        r = add_pending(g, t->id << SEQ_BITS | seq, &p);
        if (r < 0)
                return r;
        p->is_gone = true;
        return 0;
}

static void write_pending(const void *node, VISIT visit, void *userdata)
{
        struct pending *p = *(struct pending *const *) node;
        struct registry *g = userdata;
        struct store_entry e = { .id = p->id,
                                 .kind = p->kind,
                                 .state = WIRE_STATE_LIVE,
                                 .name = p->name,
                                 .created_usec = p->created_usec };

        if ((visit != leaf && visit != postorder) || p->is_written)
                return;
        if (p->is_gone)
                (void) store_remove_entry(g->store, p->id); /* the commit reports a failure */
        else if (p->name)
                (void) store_put_entry(g->store, &e);
        p->is_written = true;
}

/* Into the open transaction, so that the store can be asked about all that was reported. */
int registry_flush(struct registry *g)
{
        twalk_r(g->pending, write_pending, g);
        return 0;
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

/* ---- peers ---- */

void registry_meet(struct registry *g, struct peer *p)
{
        struct owner *o = registry_owner_of_pid(g, p->pid);

        /* Both alive with one pid at one time: one process. */
        if (!o || o->state != OWNER_LIVING || pidfd_is_dead(o->pidfd) || pidfd_is_dead(p->pidfd))
                return;
        p->owner = o;
        TAILQ_INSERT_TAIL(&o->peers, p, of_owner);
}

void registry_leave(struct registry *g, struct peer *p, bool is_fault)
{
        struct owner *o = p->owner;
        struct tag *t;

        if (!o)
                return;
        TAILQ_REMOVE(&o->peers, p, of_owner);
        p->owner = NULL;
        if (!is_fault || o->state != OWNER_LIVING)
                return;
        /* What it had sent is lost: only a sweep can find what it goes on to make. */
        TAILQ_FOREACH(t, &o->tags, of_owner)
        {
                t->needs_sweep = true;
                (void) store_change_tag(g->store, t->id, true, false, t->boot);
        }
}

/* ---- the turn ---- */

void registry_fail(struct registry *g, struct request *r, int error)
{
        if (!r)
                return;
        r->result = error;
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
                        wants_sync = true;
                        TAILQ_INSERT_TAIL(&g->unsynced, r, waiting);
                } else
                        g->callbacks.answer(r, g->callbacks.userdata);
        }
        if (wants_sync)
                store_sync(g->store);
}

void registry_synced(struct registry *g, uint64_t number, int error)
{
        struct request *r;

        while ((r = TAILQ_FIRST(&g->unsynced)) && r->commit <= number) {
                TAILQ_REMOVE(&g->unsynced, r, waiting);
                if (error < 0)
                        r->result = error;
                g->callbacks.answer(r, g->callbacks.userdata);
        }
}

#define FORGET_STORED(name, type)                                                                  \
        static void name(const void *node, VISIT visit, void *userdata)                            \
        {                                                                                          \
                type *o = *(type *const *) node;                                                   \
                                                                                                   \
                if ((visit == leaf || visit == postorder) &&                                       \
                    o->stored_in == *(const uint64_t *) userdata)                                  \
                        o->stored_in = 0;                                                          \
        }

FORGET_STORED(forget_owner, struct owner)
FORGET_STORED(forget_directory, struct directory)
FORGET_STORED(forget_cred, struct known_cred)

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

void registry_arm(struct registry *g, sd_event_source **timer, uint64_t usec,
                  sd_event_time_handler_t handler)
{
        if (*timer) {
                (void) sd_event_source_set_time_relative(*timer, usec);
                (void) sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
                return;
        }
        (void) sd_event_add_time_relative(g->event, timer, CLOCK_MONOTONIC, usec, 0, handler, g);
}

static void commit_failed(struct registry *g, int error)
{
        log_write(LOG_ERR,
                  &(struct log_fields) { .message_id = LOG_ID_STORE_FAILED, .error = error },
                  "Cannot write to the database, will try again: %s", strerror(-error));
        twalk_r(g->owners_by_id, forget_owner, &g->attempt);
        twalk_r(g->directories_by_id, forget_directory, &g->attempt);
        twalk_r(g->creds_by_id, forget_cred, &g->attempt);
        twalk_r(g->pending, unwrite_pending, NULL);
        registry_arm(g, &g->again_timer, AGAIN_USEC, on_again);
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

static void commit(struct registry *g)
{
        int r;

        (void) registry_flush(g);
        r = store_commit(g->store);
        if (r < 0)
                commit_failed(g, r);
        else {
                twalk_r(g->pending, note_flushed, g);
                tdestroy(g->pending, free_pending);
                g->pending = NULL;
        }
        settle_requests(g, r);
        settle_jobs(g, r);
        g->attempt++;
        /* What settling has tidied away. Left undone it is tidied at the next start. */
        (void) store_commit(g->store);
        if (r == -EUCLEAN) {
                log_error("The database is damaged; ending, to salvage it at the next start");
                (void) sd_event_exit(g->event, r);
        }
}

static void bury(struct registry *g)
{
        struct owner *o;
        struct peer *p, *next;

        while ((o = TAILQ_FIRST(&g->dying))) {
                TAILQ_REMOVE(&g->dying, o, dying);
                for (p = TAILQ_FIRST(&o->peers); p; p = next) {
                        next = TAILQ_NEXT(p, of_owner);
                        g->callbacks.drain(p, g->callbacks.userdata);
                }
                reaping_begin(g, o);
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
        bury(g);
        collect(g);
        if (g->mounts_changed) {
                g->mounts_changed = false;
                (void) store_wake_waiting(g->store); /* else they come with the timer */
                reaping_sweep_all(g);
                g->retry_is_due = true;
        }
        if (g->retry_is_due) {
                g->retry_is_due = false;
                reaping_retry(g, NULL);
        }
        if (g->flush_is_due) {
                g->flush_is_due = false;
                reaping_flush_tombstones(g);
        }
        commit(g);
        reaping_schedule(g);
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

int registry_new(sd_event *event, struct store *store, bool is_power,
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
                .is_power = is_power,
                .attempt = 1,
                .mounts_fd = -1,
        };
        TAILQ_INIT(&g->dying);
        TAILQ_INIT(&g->uncommitted);
        TAILQ_INIT(&g->unsynced);
        (void) cred_can_serve(0); /* reads what this process may do, before a thread starts */
        r = epoch_now(&g->epoch);
        if (r < 0)
                return r;
        r = pool_new(event, on_jobs_finished, g, &g->pool);
        if (r < 0)
                return r;
        r = watch_mounts(g);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}

static void free_owner_node(void *o)
{
        free_owner(o);
}

static void free_directory_node(void *p)
{
        struct directory *d = p;

        close_fd(d->fd); /* the process is ending: nothing is held up that could be */
        free(d->path);
        free(d);
}

static void free_cred_node(void *p)
{
        struct known_cred *k = p;

        cred_done(&k->cred);
        free(k);
}

static void keep_node(void *p)
{
}

void registry_free(struct registry *g)
{
        if (!g)
                return;
        sd_event_source_disable_unref(g->mounts);
        sd_event_source_disable_unref(g->retry_timer);
        sd_event_source_disable_unref(g->flush_timer);
        sd_event_source_disable_unref(g->again_timer);
        close_fd(g->mounts_fd);
        pool_free(g->pool);
        tdestroy(g->pending, free_pending);
        tdestroy(g->tags_by_tag, keep_node);
        tdestroy(g->tags_by_id, free);
        tdestroy(g->owners_by_pid, keep_node);
        tdestroy(g->owners_by_id, free_owner_node);
        tdestroy(g->directories_by_identity, keep_node);
        tdestroy(g->directories_by_id, free_directory_node);
        tdestroy(g->creds_by_value, keep_node);
        tdestroy(g->creds_by_id, free_cred_node);
        sd_event_unref(g->event);
        free(g);
}

struct pool *registry_pool(struct registry *g)
{
        return g->pool;
}

static int load_cred(const struct cred *c, void *userdata)
{
        struct registry *g = userdata;
        struct known_cred *k;
        int r;

        r = hold_cred(g, c, &k);
        if (r < 0)
                return r;
        k->stored_in = g->attempt;
        g->next_cred = MAX(g->next_cred, c->id + 1);
        return 0;
}

static int load_directory(const struct store_directory *row, void *userdata)
{
        struct registry *g = userdata;
        struct identity i;
        struct directory *d;
        int r;

        g->next_directory = MAX(g->next_directory, row->id + 1);
        if (identity_unpack(row->identity.data, row->identity.len, &i) < 0)
                return 0; /* damaged: what is in it is shown, and not touched */
        r = hold_directory(g, row->id, row->path, &i, row->is_foreign, &d);
        if (r < 0)
                return r;
        d->stored_in = g->attempt;
        return 0;
}

static int load_owner(const struct store_owner *row, void *userdata)
{
        struct registry *g = userdata;
        struct epoch then = { row->boot, row->pid_ns, row->init_start };
        _cleanup_(closep) int pidfd = -1;
        struct owner *o = new_owner(g, row->id);
        int r = 0;

        if (!o)
                return -ENOMEM;
        o->epoch = then;
        o->pid = row->pid;
        o->start = row->start;
        o->uid = row->uid;
        o->stored_in = g->attempt;
        g->next_owner = MAX(g->next_owner, row->id + 1);
        switch (row->is_dead ? OWNER_DEAD
                             : owner_find(&g->epoch, &then, row->pid, row->start, &pidfd)) {
        case OWNER_ALIVE:
                r = watch_owner(g, o, &pidfd);
                break;
        case OWNER_UNKNOWN:
                o->is_lost = true;
                break;
        case OWNER_DEAD:
                o->state = OWNER_DYING;
                TAILQ_INSERT_TAIL(&g->dying, o, dying);
                break;
        }
        if (r >= 0)
                r = hold_owner(g, o);
        return r;
}

static int load_tag(const struct store_tag *row, void *userdata)
{
        struct registry *g = userdata;
        struct tag like = {
                .id = row->id,
                .tag = row->tag,
                .owner = registry_owner(g, row->owner),
                .directory = registry_directory(g, row->directory),
                .cred = registry_cred(g, row->cred),
                .boot = row->boot,
                .flushed = UINT32_MAX, /* what is in the store is not known here */
                .stored_in = g->attempt,
                /* A tombstone's files may be back after a power cut; a living one's reports lost. */
                .needs_sweep = !row->is_dead || row->needs_sweep ||
                               !sd_id128_equal(row->boot, g->epoch.boot),
                .is_dead = row->is_dead,
                .is_unreadable = row->is_unreadable,
        };
        struct tag *t;

        g->next_tag = MAX(g->next_tag, row->id + 1);
        if (!like.owner || !like.directory || !like.cred)
                return 0; /* damaged, see load_directory() */
        memcpy(like.key, row->key, NAME_KEY_SIZE);
        if (like.is_unreadable)
                like.needs_sweep = false;
        return hold_tag(g, &like, &t);
}

static int load_count(uint64_t directory, uint64_t count, void *userdata)
{
        struct directory *d = registry_directory(userdata, directory);

        if (d)
                d->n_users += count;
        return 0;
}

int registry_start(struct registry *g)
{
        int r;

        g->next_owner = g->next_tag = g->next_directory = g->next_cred = 1;
        r = store_each_cred(g->store, load_cred, g);
        if (r >= 0)
                r = store_each_directory(g->store, load_directory, g);
        if (r >= 0)
                r = store_each_owner(g->store, load_owner, g);
        if (r >= 0)
                r = store_each_tag(g->store, load_tag, g);
        if (r >= 0)
                r = store_count_by_directory(g->store, load_count, g);
        if (r >= 0)
                r = store_suspect_tags(g->store);
        if (r >= 0)
                r = store_wake_all(g->store);
        if (r < 0) {
                (void) store_commit(g->store); /* says the same again */
                return r;
        }
        reaping_open_directories(g);
        g->retry_is_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

int registry_list(struct registry *g, uint64_t *cursor, unsigned int scan, store_row_fn fn,
                  void *userdata)
{
        (void) registry_flush(g);
        return store_list(g->store, cursor, scan, fn, userdata);
}

int registry_get_status(struct registry *g, struct registry_status *ret)
{
        (void) registry_flush(g);
        *ret = (struct registry_status) {
                .owners = g->n_owners,
                .tags = g->n_tags,
                .directories = g->n_directories,
                .reaping = g->n_reaping,
                .reaped = g->n_reaped,
                .failed = g->n_failed,
                .is_power = g->is_power,
        };
        return store_get_counts(g->store, &ret->counts);
}
