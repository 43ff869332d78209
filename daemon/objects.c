/* SPDX-License-Identifier: MIT */

/*
 * Owns the objects in memory: credentials, directories, owners, tags, and the tsearch(3) trees
 * that they are found in. Each knows in which attempt to commit it was stored; one whose attempt
 * failed is stored again with the next thing that refers to it.
 */

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/fdstore.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

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

int registry_hold_cred(struct registry *g, const struct cred *c, struct known_cred **ret)
{
        struct known_cred *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        if (cred_copy(c, &k->cred) < 0) {
                free(k);
                return -ENOMEM;
        }
        k->user = usage_user(g->usage, c->uid);
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
                r = registry_hold_cred(g, &numbered, &k);
                if (r < 0)
                        return r;
        }
        *ret = k;
        return store_known_cred(g, k);
}

/* ---- directories ---- */

static void close_directory(struct registry *g, struct directory *d)
{
        pool_close(g->pool, 0, d->fd);
        d->fd = -1;
        usage_give_back(TAKE_PTR(d->holder), USAGE_DESCRIPTORS, 1);
}

static void free_directory(struct registry *g, struct directory *d)
{
        close_directory(g, d);
        free(d->path);
        free(d);
}

int registry_hold_directory(struct registry *g, uint64_t id, const char *path,
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

/* Whether somebody may have one that only the descriptor leads to was asked before it came to be. The
 * service manager keeps such a one, too. */
void registry_keep_open(struct registry *g, struct directory *d, struct usage_user *user, int *fd)
{
        if (d->fd >= 0 || *fd < 0 || (!d->is_foreign && !usage_has_room(user, USAGE_DESCRIPTORS)))
                return;
        d->fd = TAKE_FD(*fd);
        d->holder = user;
        usage_take(user, USAGE_DESCRIPTORS, 1);
        if (d->is_foreign)
                d->is_kept = fdstore_keep(g->fdstore, d->id, d->identity.ino, d->fd);
}

/* *fd is taken when it is of use. */
int registry_add_directory(struct registry *g, const char *path, const struct identity *i,
                           bool is_foreign, struct usage_user *user, int *fd,
                           struct directory **ret)
{
        struct directory key = { .path = (char *) path, .identity = *i }, *d = NULL;
        int r;

        if (!is_foreign)
                d = find(&key, &g->directories_by_identity, by_identity);
        if (!d) {
                r = registry_hold_directory(g, g->next_directory++, path, i, is_foreign, &d);
                if (r < 0)
                        return r;
        }
        registry_keep_open(g, d, user, fd);
        *ret = d;
        return store_known_directory(g, d);
}

/* @n fewer entries or tags are in it. The last lets it go; and its file system, when there are but spares. */
void registry_leave_directory(struct registry *g, struct directory *d, uint64_t n)
{
        if (!d)
                return;
        d->n_users -= MIN(n, d->n_users);
        if (d->n_users > d->n_spares || d->n_jobs > 0 || d->n_changes != 0)
                return;
        close_directory(g, d);
        if (d->n_users > 0)
                return;
        (void) store_remove_directory(g->store,
                                      d->id); /* else a row too many until the next start */
        tdelete(d, &g->directories_by_id, by_directory_id);
        if (find(d, &g->directories_by_identity, by_identity) == d)
                tdelete(d, &g->directories_by_identity, by_identity);
        if (d->is_kept)
                fdstore_forget(g->fdstore, d->id, d->identity.ino);
        g->n_directories--;
        free_directory(g, d);
}

void registry_directory_changes(struct registry *g, struct directory *d, int n)
{
        if (!d)
                return;
        if (d->n_changes == 0)
                TAILQ_INSERT_TAIL(&g->changed, d, changed);
        d->n_changes += n;
        if (d->n_changes == 0)
                TAILQ_REMOVE(&g->changed, d, changed);
}

void registry_settle_directories(struct registry *g, bool is_committed)
{
        struct directory *d;
        int64_t n;

        while ((d = TAILQ_FIRST(&g->changed))) {
                TAILQ_REMOVE(&g->changed, d, changed);
                n = d->n_changes;
                d->n_changes = 0;
                if (!is_committed)
                        continue;
                if (n > 0)
                        d->n_users += (uint64_t) n;
                else
                        registry_leave_directory(g, d, (uint64_t) -n);
        }
}

/* ---- owners ---- */

static void on_owner_died(struct watch *w, uint32_t events)
{
        registry_owner_ended((struct owner *) ((char *) w - offsetof(struct owner, end)));
}

void registry_owner_ended(struct owner *o)
{
        struct registry *g = o->registry;
        struct tag *t;

        if (o->state != OWNER_LIVING)
                return;
        o->state = OWNER_DYING;
        usage_give_back(o->user, USAGE_OWNERS, 1);
        TAILQ_FOREACH(t, &o->tags, of_owner)
        usage_give_back(t->cred->user, USAGE_DIRECTORIES, 1);
        TAILQ_INSERT_TAIL(&g->dying, o, dying);
        g->callbacks.wake(g->callbacks.userdata);
}

void registry_free_owner(struct owner *o)
{
        if (o->process)
                process_done(o->process);
        free(o->process);
        sd_event_source_disable_unref(o->again);
        sd_event_source_disable_unref(o->source);
        poller_remove(o->registry->poller, &o->end);
        close_fd(o->pidfd);
        close_fd(o->fd);
        free(o->place);
        free(o->unit);
        free(o);
}

struct owner *registry_new_owner(struct registry *g, uint64_t id)
{
        struct owner *o = malloc(sizeof(*o));

        if (!o)
                return NULL;
        *o = (struct owner) {
                .registry = g,
                .id = id,
                .kind = WIRE_OWNER_PROCESS,
                .pidfd = -1,
                .end.fd = -1,
                .fd = -1,
                .wd = -1,
                .state = OWNER_LIVING,
                .epoch = g->epoch,
        };
        TAILQ_INIT(&o->peers);
        TAILQ_INIT(&o->tags);
        return o;
}

/* Has it watched, and found by its pid. *pidfd is taken. */
int registry_watch_owner(struct registry *g, struct owner *o, int *pidfd)
{
        int r;

        /* Told of once, for it stays readable. */
        r = poller_add(g->poller, &o->end, *pidfd, EPOLLIN | EPOLLONESHOT, on_owner_died);
        if (r < 0)
                return r;
        o->pidfd = TAKE_FD(*pidfd);
        /* A pid has one living owner; an older one of that number is dead, and dealt with by id. */
        tdelete(o, &g->owners_by_pid, by_pid);
        return insert(o, &g->owners_by_pid, by_pid);
}

void registry_unwatch_owner(struct owner *o)
{
        o->source = sd_event_source_disable_unref(o->source);
        o->fd = close_fd(o->fd);
        free(TAKE_PTR(o->place));
        free(TAKE_PTR(o->unit));
}

int registry_hold_owner(struct registry *g, struct owner *o)
{
        int r;

        r = insert(o, &g->owners_by_id, by_owner_id);
        if (r < 0)
                return r;
        g->n_owners++;
        o->user = usage_user(g->usage, o->uid);
        if (o->state == OWNER_LIVING)
                usage_take(o->user, USAGE_OWNERS, 1);
        return 0;
}

int registry_store_owner(struct registry *g, struct owner *o)
{
        struct store_owner row = {
                .id = o->id,
                .kind = o->kind,
                .is_dead = o->state == OWNER_ENDED,
                .boot = o->epoch.boot,
                .pid_ns = o->epoch.pid_ns,
                .init_start = o->epoch.init_start,
                .pid = o->pid,
                .start = o->start,
                .uid = o->uid,
                .command = o->command,
                .cgroup = o->cgroup,
                .place = o->place,
                .deadline_usec = o->deadline_usec,
        };

        if (o->stored_in > 0)
                return 0;
        if (o->kind == WIRE_OWNER_UNIT)
                row.unit = o->unit;
        if (o->process) {
                row.command = o->process->command;
                row.executable = o->process->executable;
                row.arguments = o->process->arguments;
                row.unit = o->process->unit;
        }
        o->stored_in = g->attempt;
        if (!o->is_fresh)
                TAILQ_INSERT_TAIL(&g->fresh, o, fresh);
        o->is_fresh = true;
        return store_add_owner(g->store, &row);
}

/* The store has what is known of them: memory need not, but for the unit, which messages name. */
void registry_forget_processes(struct registry *g)
{
        struct owner *o;

        while ((o = TAILQ_FIRST(&g->fresh))) {
                TAILQ_REMOVE(&g->fresh, o, fresh);
                o->is_fresh = false;
                if (o->process && !o->unit)
                        o->unit = TAKE_PTR(o->process->unit);
                if (o->process)
                        process_done(o->process);
                free(o->process);
                o->process = NULL;
        }
}

static void unlink_owner(struct registry *g, struct owner *o)
{
        if (registry_owner_of_pid(g, o->pid) == o)
                tdelete(o, &g->owners_by_pid, by_pid);
        if (tdelete(o, &g->owners_by_id, by_owner_id))
                g->n_owners--;
}

/* Its owner's pidfd tells of its end from now on: one does for all connections of a process. */
void registry_join_owner(struct peer *p, struct owner *o)
{
        p->owner = o;
        p->pidfd = close_fd(p->pidfd);
        TAILQ_INSERT_TAIL(&o->peers, p, of_owner);
}

/* An owner that was dealt with, or is forgotten, has none any more. */
int registry_dup_pidfd(const struct peer *p)
{
        int fd = p->owner ? p->owner->pidfd : p->pidfd;

        if (fd < 0)
                return -ESRCH;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
}

bool registry_peer_is_dead(const struct peer *p)
{
        int fd = p->owner ? p->owner->pidfd : p->pidfd;

        return fd < 0 || pidfd_is_dead(fd);
}

/* The contents of @p and the descriptor are taken. The same process again: the same owner. */
int registry_add_owner(struct registry *g, struct process *p, int *pidfd, struct owner **ret)
{
        struct owner *o = registry_owner_of_pid(g, p->pid);
        int r;

        if (o && o->state == OWNER_LIVING && o->start == p->start && !pidfd_is_dead(o->pidfd)) {
                *ret = o;
                return registry_store_owner(g, o);
        }
        o = registry_new_owner(g, g->next_owner++);
        if (!o)
                return -ENOMEM;
        o->pid = p->pid;
        o->start = p->start;
        o->uid = p->uid;
        (void) snprintf(o->command, sizeof(o->command), "%s", p->command ? p->command : "");
        o->process = malloc(sizeof(*p));
        if (o->process) {
                *o->process = *p;
                *p = (struct process) { 0 };
        }
        r = registry_watch_owner(g, o, pidfd);
        if (r >= 0)
                r = registry_hold_owner(g, o);
        if (r < 0) {
                unlink_owner(g, o);
                registry_free_owner(o);
                return r;
        }
        *ret = o;
        return registry_store_owner(g, o);
}

int registry_find_lost_owner(struct registry *g, struct owner *o, struct peer *p)
{
        struct store_owner row = { .id = o->id,
                                   .boot = g->epoch.boot,
                                   .pid_ns = g->epoch.pid_ns,
                                   .init_start = g->epoch.init_start,
                                   .pid = p->pid };
        _cleanup_(closep) int pidfd = -1;
        int r;

        if (p->owner || registry_peer_is_dead(p))
                return -EBUSY;
        r = process_read_start(p->pid, &row.start);
        if (r < 0)
                return r;
        pidfd = registry_dup_pidfd(p);
        if (pidfd < 0)
                return pidfd;
        o->pid = p->pid;
        r = registry_watch_owner(g, o, &pidfd);
        if (r < 0)
                return r;
        o->start = row.start;
        o->epoch = g->epoch;
        o->is_lost = false;
        registry_join_owner(p, o);
        return store_move_owner(g->store, &row);
}

/* Another kind than a process; taken, also on failure. @p, who asked for it, may be NULL. */
int registry_add_other_owner(struct registry *g, struct owner *o, const struct peer *p)
{
        int r;

        if (p) {
                o->uid = p->cred.uid;
                o->pid = p->pid;
                if (p->owner)
                        memcpy(o->command, p->owner->command, sizeof(o->command));
        }
        r = registry_hold_owner(g, o);
        if (r < 0) {
                registry_free_owner(o);
                return r;
        }
        return registry_store_owner(g, o);
}

/* Of an owner that has ended, with nothing left that refers to it. */
void registry_drop_owner(struct registry *g, struct owner *o)
{
        struct peer *p;

        while ((p = TAILQ_FIRST(&o->peers))) {
                TAILQ_REMOVE(&o->peers, p, of_owner);
                p->owner = NULL;
        }
        if (o->is_fresh)
                TAILQ_REMOVE(&g->fresh, o, fresh);
        if (o->is_ending)
                TAILQ_REMOVE(&g->ending, o, ending);
        (void) store_remove_owner(g->store, o->id); /* else a row too many until the next start */
        unlink_owner(g, o);
        registry_free_owner(o);
}

/* ---- tags ---- */

int registry_hold_tag(struct registry *g, const struct tag *like, struct tag **ret)
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
        if (t->owner->state == OWNER_LIVING)
                usage_take(t->cred->user, USAGE_DIRECTORIES, 1);
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
        r = registry_hold_tag(g, &numbered, ret);
        if (r < 0)
                return r;
        r = store_add_tag(g->store, &row);
        if (r < 0)
                registry_drop_tag(g, *ret); /* asked for again it must not be known */
        return r;
}

/* A spare's, in memory: @o has it from now on. */
void registry_give_tag(struct tag *t, struct owner *o)
{
        TAILQ_REMOVE(&t->owner->tags, t, of_owner);
        t->owner = o;
        TAILQ_INSERT_TAIL(&o->tags, t, of_owner);
        usage_take(t->cred->user, USAGE_DIRECTORIES, 1);
}

/* Of a tag whose names are all gone for good, or whose row is not there. */
void registry_drop_tag(struct registry *g, struct tag *t)
{
        uint64_t before = store_entries(g->store);

        (void) store_remove_tag(g->store, t->id); /* else it is swept once more at the next start */
        registry_count_entries(g, t->cred->user, before);
        if (t->owner->state == OWNER_LIVING)
                usage_give_back(t->cred->user, USAGE_DIRECTORIES, 1);
        if (t->owner->at_tag == t) { /* its owner is being read: on with the next */
                t->owner->at_tag = TAILQ_NEXT(t, of_owner);
                t->owner->cursor = 0;
        }
        TAILQ_REMOVE(&t->owner->tags, t, of_owner);
        tdelete(t, &g->tags_by_id, by_tag_id);
        if (registry_tag_by_tag(g, t->tag) == t)
                tdelete(t, &g->tags_by_tag, by_tag);
        g->n_tags--;
        registry_leave_directory(g, t->directory, 1);
        free(t);
}

/* ---- all of them ---- */

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

/* Who asked for them is told of the failure, and asks for others. */
static void end_unstored_leases(struct registry *g)
{
        struct owner *o;

        TAILQ_FOREACH(o, &g->fresh, fresh)
        if (o->kind == WIRE_OWNER_LEASE && o->stored_in == 0)
                registry_owner_ended(o);
}

/* A commit has failed: what it was to store is not stored. */
void registry_unstore_objects(struct registry *g)
{
        twalk_r(g->owners_by_id, forget_owner, &g->attempt);
        twalk_r(g->directories_by_id, forget_directory, &g->attempt);
        twalk_r(g->creds_by_id, forget_cred, &g->attempt);
        end_unstored_leases(g);
}

static void free_owner_node(void *o)
{
        registry_free_owner(o);
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

void registry_free_objects(struct registry *g)
{
        tdestroy(g->tags_by_tag, keep_node);
        tdestroy(g->tags_by_id, free);
        tdestroy(g->owners_by_pid, keep_node);
        tdestroy(g->owners_by_id, free_owner_node);
        tdestroy(g->directories_by_identity, keep_node);
        tdestroy(g->directories_by_id, free_directory_node);
        tdestroy(g->creds_by_value, keep_node);
        tdestroy(g->creds_by_id, free_cred_node);
}
