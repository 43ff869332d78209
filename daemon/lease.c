/* SPDX-License-Identifier: MIT */

/*
 * Owns leases: owners that end at a deadline unless it is renewed. CLOCK_BOOTTIME counts, so that
 * no step of the wall clock ends one early or keeps one for ever, and a suspended machine's time
 * passes. Over a reboot what was left counts, by the time last written down: with each change of
 * a lease, and at least once a minute while there are any. What is retained for a while after its owner's end has a lease
 * that nobody can forget to renew.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define SEEN_USEC (60 * USEC_PER_SEC)
#define LEASE_MAX_SEC (UINT64_C(100) * 365 * 86400)

static struct owner *new_lease(struct registry *g, uint64_t sec)
{
        struct owner *o = registry_new_owner(g, g->next_owner++);

        if (!o)
                return NULL;
        o->kind = WIRE_OWNER_LEASE;
        o->deadline_usec = now_boottime_usec() + MIN(sec, LEASE_MAX_SEC) * USEC_PER_SEC;
        return o;
}

/* A deadline means nothing in the next boot without the time that it was written down at. */
static int write_seen(struct registry *g)
{
        return store_set_seen(g->store, now_boottime_usec());
}

static int add(struct registry *g, struct owner *o, const struct peer *p, struct owner **ret)
{
        int r;

        r = registry_add_other_owner(g, o, p);
        if (r >= 0)
                r = write_seen(g);
        if (r < 0)
                return r;
        g->needs_lease_timer = true;
        *ret = o;
        return 0;
}

int lease_new(struct registry *g, const struct peer *p, uint64_t sec, struct owner **ret)
{
        struct owner *o;
        int r;

        r = registry_may(g, p, USAGE_OWNERS);
        if (r < 0)
                return r;
        o = new_lease(g, sec);
        return o ? add(g, o, p, ret) : -ENOMEM;
}

/* In place of the owner that has ended, and known by what that was known by. */
int lease_for_retained(struct registry *g, const struct store_entry *e, struct owner **ret)
{
        struct owner *dead = registry_owner(g, e->owner);
        struct owner *o =
                new_lease(g, MIN(e->retain_sec, g->config.retain_max_usec / USEC_PER_SEC));

        if (!o)
                return -ENOMEM;
        if (dead) {
                o->uid = dead->uid;
                o->pid = dead->pid;
                memcpy(o->command, dead->command, sizeof(dead->command));
        }
        return add(g, o, NULL, ret);
}

int lease_renew(struct registry *g, struct owner *o, uint64_t sec)
{
        int r;

        if (o->kind != WIRE_OWNER_LEASE)
                return -EINVAL;
        if (o->state != OWNER_LIVING)
                return -ESTALE;
        o->deadline_usec = now_boottime_usec() + MIN(sec, LEASE_MAX_SEC) * USEC_PER_SEC;
        g->needs_lease_timer = true;
        r = store_set_deadline(g->store, o->id, o->deadline_usec, g->epoch.boot);
        return r < 0 ? r : write_seen(g);
}

int lease_note_time(struct registry *g)
{
        uint64_t due;
        int r;

        r = store_next_deadline(g->store, &due);
        return r < 0 || due == 0 ? r : write_seen(g);
}

int lease_restore(struct registry *g, struct owner *o, const struct store_owner *row)
{
        uint64_t seen, left;
        int r;

        r = store_get_seen(g->store, &seen);
        if (r < 0)
                return r;
        o->deadline_usec = row->deadline_usec;
        g->needs_lease_timer = true;
        if (sd_id128_equal(row->boot, g->epoch.boot))
                return 0; /* if it has expired, the timer finds that at once */
        left = row->deadline_usec > seen ? row->deadline_usec - seen : 0;
        o->deadline_usec = now_boottime_usec() + left;
        o->epoch = g->epoch;
        return store_set_deadline(g->store, o->id, o->deadline_usec, g->epoch.boot);
}

static int end_one(uint64_t id, void *userdata)
{
        struct owner *o = registry_owner(userdata, id);

        if (o)
                registry_owner_ended(o);
        return 0;
}

void lease_expire(struct registry *g)
{
        uint64_t now = now_boottime_usec();

        (void) store_expired(g->store, now, end_one, g); /* else with the next tick */
        (void) lease_note_time(g);
        g->needs_lease_timer = true;
}

static int on_lease(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->lease_is_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

/* Its clock costs a descriptor, which may not be there when it is needed. */
int lease_prepare(struct registry *g)
{
        int r;

        r = sd_event_add_time_relative(g->event, &g->lease_timer, CLOCK_BOOTTIME, 0, 0, on_lease,
                                       g);
        return r < 0 ? r : sd_event_source_set_enabled(g->lease_timer, SD_EVENT_OFF);
}

void lease_schedule(struct registry *g)
{
        uint64_t due, now = now_boottime_usec();

        if (!g->needs_lease_timer)
                return;
        if (store_next_deadline(g->store, &due) < 0) {
                registry_arm_again(g);
                return;
        }
        g->needs_lease_timer = false;
        if (due > 0)
                registry_arm(g, &g->lease_timer, CLOCK_BOOTTIME,
                             due > now ? MIN(due - now, SEEN_USEC) : 0, on_lease);
}
