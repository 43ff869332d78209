/* SPDX-License-Identifier: MIT */

/*
 * Owns the requests about who holds an entry: give, share, retain, renew, tokens. All of them
 * postpone or cancel a deletion, so each is on disk before it is answered.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define OWNERS_MAX 256U /* of one entry: each further one is a row that no limit counts */

static int find_token(struct registry *g, const struct peer *p, uint64_t id, struct owner **ret)
{
        struct owner *o = registry_owner(g, id);

        if (!o || o->kind != WIRE_OWNER_TOKEN)
                return -ESRCH; /* as one that has ended; -ENOENT is about the tag */
        if (o->uid != p->cred.uid && p->cred.uid != 0)
                return -EPERM;
        if (o->state != OWNER_LIVING)
                return -ESRCH;
        *ret = o;
        return 0;
}

static int boot_owner(struct registry *g, struct owner **ret)
{
        struct owner *o = g->boot_owner;
        int r;

        if (!o) {
                o = registry_new_owner(g, g->next_owner++);
                if (!o)
                        return -ENOMEM;
                o->kind = WIRE_OWNER_BOOT;
                r = registry_add_other_owner(g, o, NULL);
                if (r < 0)
                        return r;
                g->boot_owner = o;
        }
        *ret = o;
        return registry_store_owner(g, o);
}

static int process_owner(struct registry *g, struct peer *p, struct inspect_job *i,
                         struct owner **ret)
{
        int r;

        if (i && i->is_other) {
                r = registry_may(g, p, USAGE_OWNERS);
                return r < 0 ? r : registry_add_owner(g, &i->process, &i->pidfd, ret);
        }
        if (!p->owner || p->owner->state != OWNER_LIVING)
                return -ESRCH;
        *ret = p->owner;
        return registry_store_owner(g, p->owner);
}

/* The owner that a request names; @i: what a worker has found out, NULL: none was needed. */
int claim_owner(struct registry *g, struct peer *p, const struct wire_owner *w,
                struct inspect_job *i, struct owner **ret)
{
        switch (w->kind) {
        case WIRE_OWNER_PROCESS:
                return process_owner(g, p, i, ret);
        case WIRE_OWNER_TOKEN:
                return find_token(g, p, w->token, ret);
        case WIRE_OWNER_UNIT:
                if (!i || !i->cgroup_path)
                        return -EOPNOTSUPP;
                return unit_find(g, p, i->cgroup_path, i->cgroup, i->process.unit, ret);
        case WIRE_OWNER_LEASE:
                return lease_new(g, p, w->lease_sec, ret);
        case WIRE_OWNER_BOOT:
                return boot_owner(g, ret);
        default:
                return -EOPNOTSUPP;
        }
}

/* ---- give and share ---- */

struct claiming {
        struct request *request;
        struct wire_claim claim;
};

static int count_claim(uint64_t owner, void *userdata)
{
        ++*(unsigned int *) userdata;
        return 0;
}

/* Who gives takes the place of his own. */
static int may_claim(struct registry *g, const struct wire_claim *m, const struct store_entry *e)
{
        unsigned int n = 1; /* the one in its row */
        int r;

        if (m->flags & WIRE_CLAIM_GIVE)
                return 0;
        r = store_each_claim(g->store, e->id, count_claim, &n);
        return r < 0 ? r : n >= OWNERS_MAX ? -EDQUOT : 0;
}

static void record_durable(struct registry *g, struct request *r, uint64_t id)
{
        r->id = id;
        r->is_durable = true;
        registry_record(g, r);
}

int claim_apply(struct registry *g, struct peer *p, const struct wire_claim *m, struct owner *other,
                struct request *r)
{
        struct store_entry e;
        bool gives = (m->flags & WIRE_CLAIM_GIVE) != 0;
        uint64_t left;
        int error;

        error = change_find_entry(g, p, &m->ref, &e);
        if (error >= 0)
                error = may_claim(g, m, &e);
        if (error < 0)
                return error;
        /* Who gives what another's row says is his own claim's to give up, or root's to change. */
        if (gives && p->owner && e.owner != p->owner->id) {
                error = store_add_claim(g->store, e.id, other->id);
                if (error >= 0)
                        error = store_release(g->store, e.id, p->owner->id, &left);
        } else {
                if (gives)
                        e.owner = other->id;
                error = store_set_owner(g->store, &e); /* no more its tag's alone */
                if (error >= 0 && !gives && e.owner != other->id)
                        error = store_add_claim(g->store, e.id, other->id);
        }
        if (error < 0)
                return error;
        if (g->is_watched)
                tell_stored(g, gives ? WIRE_EVENT_GIVEN : WIRE_EVENT_SHARED, e.id);
        record_durable(g, r, e.id);
        return error;
}

static void on_claim_inspected(struct job *j, void *userdata)
{
        struct inspect_job *i = (struct inspect_job *) j;
        struct claiming *w = i->userdata;
        struct registry *g = userdata;
        struct request *r = w->request;
        struct owner *other;
        int error = i->error;

        if (error >= 0 && !r->peer)
                error = -ECONNRESET; /* nobody waits for it */
        if (error >= 0)
                error = claim_owner(g, r->peer, &w->claim.owner, i, &other);
        if (error >= 0)
                error = claim_apply(g, r->peer, &w->claim, other, r);
        inspect_free(i, g->pool);
        free(w);
        if (error < 0)
                registry_fail(g, r, error);
}

static int inspect_claim(struct registry *g, struct peer *p, const struct wire_claim *m, int fd,
                         struct request *r)
{
        struct claiming *w = calloc(1, sizeof(*w));
        struct inspect_job *i = inspect_new(&p->cred);
        int error = w && i ? register_prepare_owner(p, &m->owner, fd, i) : -ENOMEM;

        if (error < 0) {
                inspect_free(i, g->pool);
                free(w);
                return error;
        }
        *w = (struct claiming) { .request = r, .claim = *m };
        i->job.run = delegate_inspect;
        i->job.done = on_claim_inspected;
        i->userdata = w;
        pool_submit(g->pool, &i->job);
        return 0;
}

void registry_claim(struct registry *g, struct peer *p, const void *packet, int fd,
                    struct request *r)
{
        struct wire_claim m;
        struct store_entry e;
        struct owner *other;
        int error;

        memcpy(&m, packet, sizeof(m));
        error = change_find_entry(g, p, &m.ref, &e);
        if (error >= 0)
                error = may_claim(g, &m, &e); /* before an owner is made for it */
        if (error >= 0 && m.owner.kind == WIRE_OWNER_DESCRIPTOR) {
                error = descriptor_claim(g, &m, &e, fd, r);
                if (error >= 0)
                        return;
        } else if (error >= 0 && register_wants_worker(&m.owner, fd)) {
                error = inspect_claim(g, p, &m, fd, r);
                if (error >= 0)
                        return;
        } else if (error >= 0) {
                error = claim_owner(g, p, &m.owner, NULL, &other);
                if (error >= 0)
                        error = claim_apply(g, p, &m, other, r);
        }
        if (error < 0) {
                pool_close(g->pool, p->cred.uid, fd);
                registry_fail(g, r, error);
        }
}

/* ---- the others ---- */

void registry_retain(struct registry *g, struct peer *p, const void *packet, struct request *r)
{
        struct wire_change m;
        struct store_entry e;
        int error;

        memcpy(&m, packet, sizeof(m));
        error = change_find_entry(g, p, &m.ref, &e);
        if (error >= 0)
                error = store_set_retain(g->store, e.id, m.argument);
        if (error < 0)
                return registry_fail(g, r, error);
        record_durable(g, r, e.id);
}

struct renewing {
        struct registry *registry;
        uint64_t sec;
        int result; /* -EINVAL: no lease so far */
};

static int renew_one(uint64_t owner, void *userdata)
{
        struct renewing *w = userdata;
        struct owner *o = registry_owner(w->registry, owner);
        int r;

        if (!o || o->kind != WIRE_OWNER_LEASE)
                return 0;
        r = lease_renew(w->registry, o, w->sec);
        if (r >= 0 || w->result == -EINVAL)
                w->result = MIN(r, 0);
        return r == -ESTALE ? 0 : r;
}

/* Every lease that holds it: one that goes on alone would end it otherwise. */
void registry_renew(struct registry *g, struct peer *p, const void *packet, struct request *r)
{
        struct renewing w = { .registry = g, .result = -EINVAL };
        struct wire_change m;
        struct store_entry e;
        int error;

        memcpy(&m, packet, sizeof(m));
        w.sec = m.argument;
        error = change_find_entry(g, p, &m.ref, &e);
        if (error >= 0)
                error = renew_one(e.owner, &w);
        if (error >= 0)
                error = store_each_claim(g->store, e.id, renew_one, &w);
        if (error >= 0)
                error = w.result;
        if (error < 0)
                return registry_fail(g, r, error);
        if (g->is_watched)
                tell_stored(g, WIRE_EVENT_RENEWED, e.id);
        record_durable(g, r, e.id);
}

void registry_token(struct registry *g, struct peer *p, struct request *r)
{
        struct owner *o;
        int error;

        error = token_new(g, p, &o, &r->fd);
        if (error < 0)
                return registry_fail(g, r, error);
        record_durable(g, r, o->id);
}
