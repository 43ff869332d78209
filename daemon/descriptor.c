/* SPDX-License-Identifier: MIT */

/*
 * Owns descriptor owners: they end when the last copy of a client's open file description is
 * closed, wherever dup, fork, exec, mmap and sockets have carried it. The client holds a BSD lock
 * on that description; a close event says that some description of the object was closed, the
 * lock says whether it was the one.
 *
 * The event comes before the lock is dropped, so a lock still held is looked at again after 1, 5,
 * 25 and 125 ms, and after 1 and 10 seconds. If it is held then, it was another's close.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/probe.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

static const uint64_t pauses_usec[] = { 1000, 5000, 25000, 125000, 1000000, 10000000 };

struct probing {
        struct probe_job job;
        struct directory *directory; /* while it begins */
        uint64_t owner;              /* 0: to be made from the claim */
        struct request *request;
        struct wire_claim claim;
        uint64_t n_closings; /* when it began to watch */
};

static int on_inotify(sd_event_source *s, int fd, uint32_t revents, void *userdata);
static void probe_done(struct job *j, void *userdata);

static int start_inotify(struct registry *g)
{
        int r;

        if (g->inotify_fd >= 0)
                return 0;
        g->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (g->inotify_fd < 0)
                return -errno;
        r = sd_event_add_io(g->event, &g->inotify, g->inotify_fd, EPOLLIN, on_inotify, g);
        if (r < 0)
                g->inotify_fd = close_fd(g->inotify_fd);
        return r;
}

static void free_probing(struct registry *g, struct probing *p, uid_t uid)
{
        pool_close(g->pool, uid, p->job.client_fd);
        free(p->job.name);
        free(p);
}

/* ---- looking ---- */

static void probe(struct registry *g, struct owner *o)
{
        struct probing *p;

        if (o->is_probing || o->state != OWNER_LIVING || o->fd < 0)
                return;
        p = calloc(1, sizeof(*p));
        if (!p)
                return; /* with the next event */
        p->job = (struct probe_job) { .client_fd = -1, .fd = o->fd };
        p->job.job = (struct job) { probe_run, probe_done, o->uid, o->device, NULL };
        p->owner = o->id;
        o->is_probing = true;
        pool_submit(g->pool, &p->job.job);
}

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct owner *o = userdata;

        probe(o->registry, o);
        return 0;
}

static void probe_later(struct registry *g, struct owner *o)
{
        uint64_t pause;

        if (o->n_probes >= ARRAY_SIZE(pauses_usec))
                return; /* it was another description that was closed */
        pause = pauses_usec[o->n_probes++];
        if (o->source) {
                (void) sd_event_source_set_time_relative(o->source, pause);
                (void) sd_event_source_set_enabled(o->source, SD_EVENT_ONESHOT);
                return;
        }
        (void) sd_event_add_time_relative(g->event, &o->source, CLOCK_MONOTONIC, pause, 0,
                                          on_pause_over, o);
}

struct event_of {
        struct registry *registry;
        int wd; /* -1: all */
};

static void probe_if_meant(const void *node, VISIT visit, void *userdata)
{
        struct owner *o = *(struct owner *const *) node;
        struct event_of *e = userdata;

        if ((visit != leaf && visit != postorder) || o->kind != WIRE_OWNER_DESCRIPTOR ||
            o->state != OWNER_LIVING || (e->wd >= 0 && o->wd != e->wd))
                return;
        o->n_probes = 0;
        if (o->is_probing)
                o->probes_again = true;
        probe(e->registry, o);
}

static int on_inotify(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        char buf[16384] __attribute__((aligned(8)));
        struct event_of e = { .registry = userdata };
        ssize_t n = read(fd, buf, sizeof(buf));

        for (ssize_t at = 0; at < n;) {
                struct inotify_event event;

                memcpy(&event, buf + at, sizeof(event));
                at += (ssize_t) (sizeof(event) + event.len);
                if (event.len > 0 && !(event.mask & IN_Q_OVERFLOW))
                        continue; /* of something in a directory, not of the directory */
                e.wd = event.mask & IN_Q_OVERFLOW ? -1 : event.wd;
                twalk_r(e.registry->owners_by_id, probe_if_meant, &e);
                e.registry->n_closings++;
        }
        return 0;
}

/* ---- beginning ---- */

static int submit(struct registry *g, struct probing *p, struct directory *d,
                  const struct known_cred *k)
{
        int r;

        r = start_inotify(g);
        if (r < 0)
                return r;
        p->directory = d;
        p->n_closings = g->n_closings;
        p->job.begins = true;
        p->job.fd = -1;
        p->job.inotify_fd = g->inotify_fd;
        p->job.job = (struct job) { .run = probe_run, .done = probe_done };
        batch_set_lane(&p->job.job, d, k);
        p->job.place = batch_place(d, k);
        pool_submit(g->pool, &p->job.job);
        return 0;
}

static int take_name(const struct store_entry *e, void *userdata)
{
        struct probe_job *p = userdata;

        p->name = strdup(e->target ? e->target : e->name);
        return p->name ? 0 : -ENOMEM;
}

/* A claim by the descriptor @fd, which is taken on success. */
int descriptor_claim(struct registry *g, const struct wire_claim *m, const struct store_entry *e,
                     int fd, struct request *r)
{
        struct directory *d = registry_directory(g, e->directory);
        struct known_cred *k = registry_cred(g, e->cred);
        struct probing *p;
        int error;

        if (fd < 0 || !d || !k)
                return -EINVAL;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->request = r;
        p->claim = *m;
        p->job.client_fd = -1;
        error = store_get_entry(g->store, e->id, take_name, &p->job);
        if (error >= 0) {
                p->job.client_fd = fd;
                error = submit(g, p, d, k);
        }
        if (error < 0) {
                p->job.client_fd = -1; /* still the caller's */
                free_probing(g, p, k->cred.uid);
        }
        return error;
}

static void watch_owner(struct owner *o, const struct probing *p)
{
        o->fd = p->job.fd;
        o->wd = p->job.wd;
        o->device = p->job.job.device;
        o->cgroup = p->job.ino;
}

/* What was closed between the worker's look and now was nobody's to the loop: the
 * owner was not known by its watch yet. */
static void look_again(struct registry *g, struct owner *o, const struct probing *p)
{
        if (p->n_closings != g->n_closings)
                probe(g, o);
}

static int take_claim(struct registry *g, struct probing *p)
{
        struct request *r = p->request;
        struct owner *o;
        int error;

        if (p->job.error < 0)
                return p->job.error;
        if (!r->peer)
                return -ECONNRESET; /* nobody waits for it */
        error = registry_may(g, r->peer, USAGE_OWNERS);
        if (error < 0)
                return error;
        o = registry_new_owner(g, g->next_owner++);
        if (!o)
                return -ENOMEM;
        o->kind = WIRE_OWNER_DESCRIPTOR;
        watch_owner(o, p);
        p->job.fd = -1;
        error = registry_add_other_owner(g, o, r->peer);
        if (error < 0)
                return error;
        error = claim_apply(g, r->peer, &p->claim, o, r);
        look_again(g, o, p);
        return error;
}

/* After a start: what the owner holds is found by its entry. */
static void take_restored(struct registry *g, struct probing *p)
{
        struct owner *o = registry_owner(g, p->owner);

        if (!o || o->state != OWNER_LIVING)
                return;
        o->is_probing = false;
        if (p->job.error >= 0) {
                watch_owner(o, p);
                p->job.fd = -1;
        }
        if (p->job.is_free || p->job.error == -ENOENT)
                registry_owner_ended(o);
        else if (p->job.error < 0) {
                if (!o->is_lost)
                        log_warning("Cannot tell whether a descriptor owner lives, "
                                    "will look again: %s",
                                    strerror(-p->job.error));
                o->is_lost = true;
                registry_look_again(g);
        } else {
                o->is_lost = false;
                look_again(g, o, p);
        }
}

static void take_look(struct registry *g, struct probing *p)
{
        struct owner *o = registry_owner(g, p->owner);

        p->job.fd = -1; /* the owner's */
        if (!o || o->kind != WIRE_OWNER_DESCRIPTOR)
                return;
        o->is_probing = false;
        if (p->job.is_free)
                registry_owner_ended(o);
        else if (o->probes_again) {
                o->probes_again = false;
                probe(g, o);
        } else
                probe_later(g, o);
}

static void probe_done(struct job *j, void *userdata)
{
        struct probing *p = (struct probing *) j;
        struct registry *g = userdata;
        uid_t uid = j->uid;
        int error;

        if (p->request) {
                error = take_claim(g, p);
                if (error < 0)
                        registry_fail(g, p->request, error);
        } else if (p->job.begins)
                take_restored(g, p);
        else
                take_look(g, p);
        pool_close(g->pool, uid, p->job.fd);
        if (p->directory)
                batch_leave_place(g, p->directory, &p->job.place);
        free_probing(g, p, uid);
}

struct restoring {
        struct owner *owner;
        bool is_found; /* something that it holds */
};

static int restore_one(const struct store_entry *e, void *userdata)
{
        struct restoring *w = userdata;
        struct owner *o = w->owner;
        struct registry *g = o->registry;
        struct directory *d = registry_directory(g, e->directory);
        struct known_cred *k = registry_cred(g, e->cred);
        struct probing *p;
        int r;

        w->is_found = true;
        if (!d || !k)
                return 0;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->owner = o->id;
        p->job.ino = o->cgroup;
        p->job.client_fd = -1;
        p->job.name = strdup(e->target ? e->target : e->name);
        r = p->job.name ? submit(g, p, d, k) : -ENOMEM;
        if (r < 0)
                free_probing(g, p, k->cred.uid);
        else
                o->is_probing = true;
        return r;
}

/* What could not be tried is tried again: an owner that nobody watches would never end. */
static void restore(const void *node, VISIT visit, void *userdata)
{
        struct restoring w = { .owner = *(struct owner *const *) node };
        struct owner *o = w.owner;
        struct registry *g = userdata;
        int r;

        if ((visit != leaf && visit != postorder) || o->kind != WIRE_OWNER_DESCRIPTOR ||
            o->state != OWNER_LIVING || o->fd >= 0 || o->is_probing)
                return;
        r = store_live_of_owner(g->store, o->id, 0, 1, restore_one, &w);
        if (r >= 0 && !w.is_found)
                r = store_claimed_by(g->store, o->id, restore_one, &w);
        if (r < 0)
                registry_look_again(g);
        else if (!w.is_found) /* it holds nothing any more */
                registry_owner_ended(o);
}

void descriptor_restore_all(struct registry *g)
{
        twalk_r(g->owners_by_id, restore, g);
}

struct sharing {
        const struct owner *owner;
        bool is_shared;
};

static void note_shared(const void *node, VISIT visit, void *userdata)
{
        const struct owner *o = *(struct owner *const *) node;
        struct sharing *s = userdata;

        if ((visit == leaf || visit == postorder) && o != s->owner && o->wd == s->owner->wd)
                s->is_shared = true;
}

/* It has ended. Its descriptor is of the client's file system: closed where that may hang. */
void descriptor_forget(struct registry *g, struct owner *o)
{
        struct sharing s = { .owner = o };

        if (o->wd >= 0) /* two owners of one inode have one watch */
                twalk_r(g->owners_by_id, note_shared, &s);
        if (o->wd >= 0 && !s.is_shared)
                (void) inotify_rm_watch(g->inotify_fd, o->wd); /* gone with its inode: as well */
        o->wd = -1;
        pool_close(g->pool, o->uid, o->fd);
        o->fd = -1;
}
