/* SPDX-License-Identifier: MIT */

/*
 * Owns what is asked about entries that exist: which is meant, who may change it and whether it is
 * still there to be changed; to keep it, and to reap it.
 */

#include <errno.h>
#include <string.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

/* The entry meant. -EDQUOT: it is in no list, since its user had too many in there. */
static int find_entry(struct registry *g, const struct wire_ref *ref, struct store_entry *ret)
{
        struct tag *t = ref->seq > 0 ? registry_tag_by_tag(g, ref->tag_or_id) : NULL;
        uint64_t id = t ? t->id << SEQ_BITS | ref->seq : ref->tag_or_id;
        int r;

        if (ref->seq > 0 && !t)
                return -ENOENT;
        registry_flush(g);
        r = store_get_entry(g->store, id, register_numbers, ret);
        return r == -ENOENT && t && t->has_unlisted ? -EDQUOT : r;
}

/* May this peer change that entry, and is it still there to be changed? */
static int check_change(struct registry *g, const struct peer *p, const struct store_entry *e)
{
        struct known_cred *k = registry_cred(g, e->cred);
        struct owner *o = registry_owner(g, e->owner);

        if (p->cred.uid != 0 && (!k || k->cred.uid != p->cred.uid))
                return -EPERM;
        if (e->state == WIRE_STATE_LIVE || e->state == WIRE_STATE_RETAINED)
                return o && o->state == OWNER_LIVING ? 0 : -ESTALE;
        if (e->state == WIRE_STATE_KEPT)
                return -ENOENT;
        if (e->state == WIRE_STATE_REAPING)
                return -ESTALE;
        return e->next_try_usec == 0 ? -ESTALE : 0; /* a worker has it now */
}

/* The owner in its row was seen dead, and is dealt with after this: who holds it too comes first. */
static int pass_on(struct registry *g, struct store_entry *e)
{
        struct owner *o = registry_owner(g, e->owner);
        uint64_t left = 0;
        int r = 0;

        if (e->state != WIRE_STATE_LIVE || !o || o->state != OWNER_DYING)
                return 0;
        while (r >= 0 && left == 0)
                r = store_release(g->store, e->id, o->id, &left);
        return r < 0 ? r : store_get_entry(g->store, e->id, register_numbers, e);
}

int change_find_entry(struct registry *g, const struct peer *p, const struct wire_ref *ref,
                      struct store_entry *ret)
{
        int r;

        r = find_entry(g, ref, ret);
        if (r >= 0)
                r = pass_on(g, ret);
        return r < 0 ? r : check_change(g, p, ret);
}

/* Its holder lets go of it with the answer: who names it once more has lost that. */
static bool was_kept(const struct wire_ref *ref, const struct store_entry *e)
{
        return ref->seq != 0 && e->state == WIRE_STATE_KEPT;
}

void registry_keep(struct registry *g, struct peer *p, const void *packet, struct request *r)
{
        struct store_entry e = { 0 };
        struct wire_change m;
        uint64_t id;
        int error;

        memcpy(&m, packet, sizeof(m));
        error = change_find_entry(g, p, &m.ref, &e);
        if (error < 0 && !(error == -ENOENT && was_kept(&m.ref, &e)))
                return registry_fail(g, r, error);

        id = e.id;
        if (g->is_watched)
                tell_stored(g, WIRE_EVENT_KEPT, id);
        if (id >> SEQ_BITS) /* a sweep must know that this name is not meant */
                error = store_change_entry(g->store, id, WIRE_STATE_KEPT, 0, 0, 0, NULL);
        else
                error = register_end_entry(g, &e, NULL);
        if (error < 0)
                return registry_fail(g, r, error);
        r->id = id;
        r->is_durable = true;
        registry_record(g, r);
}

void registry_reap(struct registry *g, struct peer *p, const void *packet, struct request *r)
{
        struct wire_reap m;
        struct store_entry e;
        struct known_cred *k;
        int error;

        memcpy(&m, packet, sizeof(m));
        registry_flush(g);
        if (m.id == 0) {
                if (p->cred.uid != 0 && !cred_is_own(p->cred.uid))
                        return registry_fail(g, r, -EPERM);
                (void) store_wake_all(g->store); /* else they come when they are due */
                return reaping_retry(g, r);
        }
        error = store_get_entry(g->store, m.id, register_numbers, &e);
        if (error < 0)
                return registry_fail(g, r, error);
        k = registry_cred(g, e.cred);
        if (p->cred.uid != 0 && (!k || k->cred.uid != p->cred.uid))
                return registry_fail(g, r, -EPERM);
        if (e.state == WIRE_STATE_KEPT)
                return registry_fail(g, r, -ENOENT);
        if (e.state == WIRE_STATE_LIVE && !(m.flags & WIRE_REAP_FORCE))
                return registry_fail(g, r, -EBUSY);
        error = reaping_one(g, m.id, r);
        if (error < 0)
                registry_fail(g, r, error);
}
