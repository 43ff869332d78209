/* SPDX-License-Identifier: MIT */

/*
 * Owns the start: rows become objects again, owners are looked for. Who lives on is watched; the
 * dead are reaped with the first turn; who can't be told (another pid namespace) is lost until
 * known. What a damaged row refers to in vain is shown, and never touched.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fdstore.h"
#include "daemon/log.h"
#include "daemon/registry-internal.h"
#include "libclient/util.h"

static int load_cred(const struct cred *c, void *userdata)
{
        struct registry *g = userdata;
        struct known_cred *k;
        int r;

        r = registry_hold_cred(g, c, &k);
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
        r = registry_hold_directory(g, row->id, row->path, &i, row->is_foreign, &d);
        if (r < 0)
                return r;
        d->stored_in = g->attempt;
        if (d->is_foreign)
                d->fd = fdstore_take(g->fdstore, d->id, i.ino);
        d->is_kept = d->fd >= 0;
        d->is_over = g->is_new_boot && d->is_foreign && d->fd < 0 && !identity_outlives_power(&i);
        return 0;
}

/* What the kinds need to go on is set up along with the answer. */
static enum owner_verdict find_owner(struct registry *g, struct owner *o,
                                     const struct store_owner *row, int *ret_pidfd)
{
        int r;

        switch (row->kind) {
        case WIRE_OWNER_PROCESS:
                if (g->is_container && o->epoch.pid_ns != g->epoch.pid_ns)
                        return OWNER_DEAD;
                return owner_find(&g->epoch, &o->epoch, row->pid, row->start, ret_pidfd);
        case WIRE_OWNER_LEASE:
                r = lease_restore(g, o, row);
                return r < 0 ? OWNER_UNKNOWN : OWNER_ALIVE;
        case WIRE_OWNER_TOKEN:
                r = token_restore(g, o);
                if (r == -ENOENT)
                        return OWNER_DEAD;
                return r < 0 ? OWNER_UNKNOWN : OWNER_ALIVE;
        case WIRE_OWNER_UNIT:
                r = unit_restore(g, o, row);
                if (r == 0)
                        return OWNER_DEAD;
                return r < 0 ? OWNER_UNKNOWN : OWNER_ALIVE;
        case WIRE_OWNER_BOOT:
                if (!sd_id128_equal(row->boot, g->epoch.boot) ||
                    !epoch_has_same_init(&o->epoch, &g->epoch))
                        return OWNER_DEAD;
                g->boot_owner = o;
                return OWNER_ALIVE;
        case WIRE_OWNER_DESCRIPTOR: /* looked at by a worker when all is loaded */
                return sd_id128_equal(row->boot, g->epoch.boot) ? OWNER_ALIVE : OWNER_DEAD;
        default:
                return OWNER_UNKNOWN;
        }
}

/* May another look tell? What can't be asked about (no descriptor left, no memory) may be later; a
 * pid of another namespace means nothing here for good. */
static bool may_tell_later(const struct registry *g, const struct owner *o)
{
        switch (o->kind) {
        case WIRE_OWNER_PROCESS:
                return o->epoch.pid_ns == g->epoch.pid_ns;
        case WIRE_OWNER_TOKEN:
        case WIRE_OWNER_UNIT:
                return true;
        default:
                return false;
        }
}

static int judge_owner(struct registry *g, struct owner *o, const struct store_owner *row)
{
        _cleanup_(closep) int pidfd = -1;

        o->is_lost = false;
        switch (find_owner(g, o, row, &pidfd)) {
        case OWNER_ALIVE:
                return o->kind == WIRE_OWNER_PROCESS ? registry_watch_owner(g, o, &pidfd) : 0;
        case OWNER_UNKNOWN:
                if (o->kind == WIRE_OWNER_LEASE)
                        return -EIO; /* the store could not be asked */
                o->is_lost = true;
                if (may_tell_later(g, o))
                        registry_look_again(g);
                else
                        g->n_lost++;
                break;
        case OWNER_DEAD:
                registry_owner_ended(o);
                break;
        }
        return 0;
}

static int look_again(const struct store_owner *row, void *userdata)
{
        struct registry *g = userdata;
        struct owner *o = registry_owner(g, row->id);

        if (!o || !o->is_lost || o->state != OWNER_LIVING || !may_tell_later(g, o))
                return 0;
        registry_unwatch_owner(o);
        if (judge_owner(g, o, row) < 0) {
                o->is_lost = true;
                registry_look_again(g);
        }
        return 0;
}

/* At those that could not be asked about, or watched. */
void load_look_again(struct registry *g)
{
        if (store_each_owner(g->store, look_again, g) < 0)
                registry_look_again(g);
        descriptor_restore_all(g);
}

static int load_owner(const struct store_owner *row, void *userdata)
{
        struct registry *g = userdata;
        struct epoch then = { row->boot, row->pid_ns, row->init_start };
        struct owner *o = registry_new_owner(g, row->id);
        int r = 0;

        if (!o)
                return -ENOMEM;
        o->kind = row->kind;
        o->epoch = then;
        o->pid = row->pid;
        o->start = row->start;
        o->uid = row->uid;
        o->stored_in = g->attempt;
        o->cgroup = row->cgroup;
        g->next_owner = MAX(g->next_owner, row->id + 1);
        (void) snprintf(o->command, sizeof(o->command), "%s", row->command);
        if (row->is_dead)
                registry_owner_ended(o);
        else
                r = judge_owner(g, o, row);
        if (r >= 0)
                r = registry_hold_owner(g, o);
        return r;
}

/* A spare of this boot, which nobody got: who did would stand there. The boot is that of its owner; a
 * tag's may be later, when it was swept after a power cut. */
static bool is_unused(const struct registry *g, const struct owner *o)
{
        return o->kind == WIRE_OWNER_BOOT && sd_id128_equal(o->epoch.boot, g->epoch.boot);
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
        uint64_t n_entries;
        struct tag *t;
        int r;

        g->next_tag = MAX(g->next_tag, row->id + 1);
        if (!like.owner || !like.directory || !like.cred)
                return 0; /* damaged, see load_directory() */
        memcpy(like.key, row->key, NAME_KEY_SIZE);
        like.is_unused = is_unused(g, like.owner);
        if (like.is_unreadable || like.is_unused)
                like.needs_sweep = false;
        if (like.directory->fd >= 0 && !like.directory->holder) {
                like.directory->holder = like.cred->user; /* it was kept over a restart */
                usage_take(like.cred->user, USAGE_DESCRIPTORS, 1);
        }
        r = store_count_of_tag(g->store, row->id, &n_entries);
        if (r < 0)
                return r;
        usage_take(like.cred->user, USAGE_ENTRIES, n_entries);
        return registry_hold_tag(g, &like, &t);
}

static int load_count_of_cred(uint64_t cred, uint64_t count, void *userdata)
{
        struct known_cred *k = registry_cred(userdata, cred);

        if (k)
                usage_take(k->user, USAGE_ENTRIES, count);
        return 0;
}

static int load_count(uint64_t directory, uint64_t count, void *userdata)
{
        struct directory *d = registry_directory(userdata, directory);

        if (d)
                d->n_users += count;
        return 0;
}

/* Else what is theirs would stay in silence. */
static void tell_lost(struct registry *g)
{
        if (g->n_lost == 0)
                return;
        log_write(LOG_NOTICE, &(struct log_fields) { .message_id = LOG_ID_UNKNOWN },
                  "Cannot tell whether owners of another process namespace have ended, %" PRIu64
                  " in all: what is theirs stays until they are heard of",
                  g->n_lost);
}

static int compare_boot(struct registry *g)
{
        sd_id128_t last;
        int r;

        r = store_set_boot(g->store, g->epoch.boot, &last);
        g->is_new_boot = r >= 0 && !sd_id128_is_null(last) && !sd_id128_equal(last, g->epoch.boot);
        return r;
}

int registry_start(struct registry *g)
{
        int fd, r;

        g->next_owner = g->next_tag = g->next_directory = g->next_cred = 1;
        r = compare_boot(g);
        if (r >= 0)
                r = tombstone_revive(g);
        if (r >= 0)
                r = store_each_cred(g->store, load_cred, g);
        if (r >= 0)
                r = store_each_directory(g->store, load_directory, g);
        if (r >= 0)
                r = store_each_owner(g->store, load_owner, g);
        if (r >= 0)
                r = lease_note_time(g); /* all deadlines are this boot's from now on */
        if (r >= 0)
                r = store_each_tag(g->store, load_tag, g);
        if (r >= 0)
                r = store_count_by_directory(g->store, load_count, g);
        g->attempt++; /* what was loaded is stored, whatever becomes of what is to be written now */
        if (r >= 0)
                r = store_count_by_cred(g->store, load_count_of_cred, g);
        if (r >= 0)
                r = tombstone_load(g);
        if (r >= 0)
                r = store_suspect_tags(g->store);
        if (r >= 0)
                r = store_wake_all(g->store);
        if (r < 0) {
                (void) store_commit(g->store); /* says the same again */
                return r;
        }
        /* Deadlines by another boot's clock, tags that nobody suspects: not without all of this. */
        r = store_commit(g->store);
        if (r < 0)
                return r;
        while ((fd = fdstore_drop_one(g->fdstore)) >= 0)
                pool_close(g->pool, 0, fd);
        reaping_open_directories(g);
        descriptor_restore_all(g);
        tell_lost(g);
        g->retry_is_due = true;
        g->callbacks.wake(g->callbacks.userdata);
        return 0;
}
