/* SPDX-License-Identifier: MIT */

/*
 * Owns tags in reserve. A tag must be on disk before the first name with it is made, and that wait is
 * most of what the first file of a process takes. So where somebody has asked for a tag, a few more for
 * the same directory and credentials are drawn, and written through meanwhile; who asks next gets one
 * of them, with its key, and need not wait for the disk.
 *
 * The subtle thing: nothing depends on the disk's knowing who got it. In the store a spare is a tag of
 * an owner that is dead, and that it has another now is committed before the answer. If the power goes
 * before that is on disk, the next start finds a dead owner's tag and looks for names with it, as with
 * any other. In memory that owner is in no tree, so that nothing happens to it.
 *
 * Spares keep no descriptor open, count as nobody's, and go after a while.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define SPARES_MAX 64U
#define SPARES_EACH 4U /* of a directory and credentials that are asked for again */
#define SPARE_USEC (600 * USEC_PER_SEC) /* without being taken */

struct spare {
        struct tag *tag;
        uint64_t commit; /* number of the one that it is in; 0: not committed yet */
        bool is_ready;   /* and that is on disk */
        uint64_t made_usec;
};

struct spares {
        struct owner *owner;
        unsigned int n;
        struct spare list[SPARES_MAX]; /* in the order in which they were made */
        sd_event_source *timer;
        bool is_armed;
};

static struct tag *take_out(struct spares *s, unsigned int at)
{
        struct tag *t = s->list[at].tag;

        t->directory->n_spares--;
        s->n--;
        memmove(&s->list[at], &s->list[at + 1], (s->n - at) * sizeof(s->list[0]));
        return t;
}

uint64_t spare_count(const struct registry *g)
{
        return g->spares ? g->spares->n : 0;
}

/* ---- given away ---- */

static bool is_like(const struct spare *s, const struct tag *like)
{
        return s->tag->directory == like->directory && s->tag->cred == like->cred;
}

int spare_take(struct registry *g, const struct tag *like, struct tag **ret)
{
        struct spares *s = g->spares;
        unsigned int at = 0;
        int r;

        while (s && at < s->n && !(s->list[at].is_ready && is_like(&s->list[at], like)))
                at++;
        if (!s || at == s->n)
                return 0;
        r = store_give_tag(g->store, s->list[at].tag->id, like->owner->id);
        if (r < 0)
                return r;
        *ret = take_out(s, at);
        registry_give_tag(*ret, like->owner);
        return 1;
}

/* ---- made, and ended ---- */

static int on_old(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct registry *g = userdata;

        g->spares_are_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}

static int spares_new(struct registry *g, struct spares **ret)
{
        struct spares *s = calloc(1, sizeof(*s));

        if (s)
                s->owner = registry_new_owner(g, g->next_owner++);
        if (!s || !s->owner) {
                free(s);
                return -ENOMEM;
        }
        s->owner->kind = WIRE_OWNER_BOOT;
        s->owner->state = OWNER_ENDED;
        *ret = s;
        return 0;
}

static int make_one(struct registry *g, struct spares *s, const struct tag *wanted)
{
        struct tag like = { .owner = s->owner,
                            .directory = wanted->directory,
                            .cred = wanted->cred };
        struct tag *t;
        int r;

        if (getrandom(&like.tag, sizeof(like.tag), 0) != sizeof(like.tag) ||
            getrandom(like.key, sizeof(like.key), 0) != sizeof(like.key))
                return -EIO;
        if (like.tag == 0 || registry_tag_by_tag(g, like.tag))
                return -EEXIST;
        r = registry_store_owner(g, s->owner);
        if (r >= 0)
                r = registry_add_tag(g, &like, &t);
        if (r < 0)
                return r;
        t->directory->n_spares++;
        s->list[s->n++] = (struct spare) { .tag = t, .made_usec = now_boottime_usec() };
        return 0;
}

static void arm(struct registry *g, struct spares *s)
{
        const uint64_t age = s->n > 0 ? now_boottime_usec() - s->list[0].made_usec : 0;

        if (s->n == 0 || s->is_armed)
                return;
        s->is_armed = true;
        registry_arm(g, &s->timer, CLOCK_BOOTTIME, SPARE_USEC - MIN(age, SPARE_USEC), on_old);
}

/* Those that have waited longest make room, whoever they are for. */
void spare_make(struct registry *g, const struct tag *wanted, bool is_again)
{
        unsigned int n = 0;

        if (!g->spares && spares_new(g, &g->spares) < 0)
                return;
        for (unsigned int i = 0; i < g->spares->n; i++)
                n += is_like(&g->spares->list[i], wanted);
        for (is_again |= n > 0; n < (is_again ? SPARES_EACH : 1); n++) {
                if (g->spares->n == SPARES_MAX)
                        registry_drop_tag(g, take_out(g->spares, 0));
                if (make_one(g, g->spares, wanted) < 0)
                        break; /* who asks next waits for the disk */
        }
        arm(g, g->spares);
}

void spare_expire(struct registry *g, uint64_t now_usec)
{
        struct spares *s = g->spares;

        while (s->n > 0 && s->list[0].made_usec + SPARE_USEC <= now_usec)
                registry_drop_tag(g, take_out(s, 0));
        s->is_armed = false;
        arm(g, s);
}

static void drop_all(struct registry *g, struct spares *s)
{
        while (s->n > 0)
                registry_drop_tag(g, take_out(s, s->n - 1));
        (void) store_remove_owner(g->store, s->owner->id);
        (void) store_commit(g->store);
}

void spare_free(struct registry *g)
{
        struct spares *s = g->spares;

        if (!s)
                return;
        sd_event_source_disable_unref(s->timer);
        if (store_may_write(g->store))
                drop_all(g, s); /* else they are swept for at the next start */
        if (s->owner->is_fresh)
                TAILQ_REMOVE(&g->fresh, s->owner, fresh);
        registry_free_owner(s->owner);
        free(s);
        g->spares = NULL;
}

/* ---- on their way to the disk ---- */

bool spare_settle(struct registry *g, bool is_committed)
{
        struct spares *s = g->spares;
        bool wants_sync = false;

        if (!s)
                return false;
        if (!is_committed && s->owner->stored_in == g->attempt)
                s->owner->stored_in = 0;
        for (unsigned int i = s->n; i-- > 0;) {
                if (s->list[i].commit > 0)
                        continue;
                if (!is_committed) {
                        registry_drop_tag(g, take_out(s, i));
                        continue;
                }
                s->list[i].commit = store_committed(g->store);
                wants_sync = true;
        }
        return wants_sync;
}

void spare_synced(struct registry *g, uint64_t number)
{
        for (unsigned int i = 0; i < spare_count(g); i++)
                if (g->spares->list[i].commit > 0 && g->spares->list[i].commit <= number)
                        g->spares->list[i].is_ready = true;
}
