/* SPDX-License-Identifier: MIT */

/*
 * Owns the requests: what a client may have registered, and reports. What must be asked of the
 * file system or of /proc first is asked by a worker, and goes on in register_inspected(); by then
 * the connection, the tag or the process may be gone, and is looked for again.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

/* A request whose worker is out. */
struct registering {
        struct request *request;
        uint16_t opcode;
        struct wire_tag tag;
        struct wire_register reg;
        struct directory *directory; /* held by its count of jobs */
        char *name;
};

static void free_registering(struct registering *w)
{
        free(w->name);
        free(w);
}

/* ---- a tag ---- */

/* Said again after a reconnect: what is not said again after it is gone. */
static void resume_tag(struct registry *g, struct tag *t, struct request *r)
{
        uint64_t before;

        registry_flush(g);
        before = store_entries(g->store);
        (void) store_forget_live(g->store, t->id); /* the commit reports a failure */
        registry_count_entries(g, t->cred->user, before);
        t->has_unlisted = false; /* and is again if it still has too many */
        reaping_suspect(g, t);   /* it may end before it has said all again */
        r->id = t->id;
        registry_record(g, r);
}

static int prepare_inspection(struct registry *g, struct peer *p, struct inspect_job *i)
{
        i->job.done = register_inspected;
        i->pid = p->pid;
        i->pidfd = registry_dup_pidfd(p);
        if (i->pidfd < 0)
                return i->pidfd;
        i->wants_process = !p->owner;
        i->wants_caps = p->cred.uid == 0 && !p->cred.has_caps;
        return 0;
}

static int inspect_tag(struct registry *g, struct peer *p, const struct wire_tag *m,
                       const char *path, int fd, struct request *r)
{
        struct registering *w = calloc(1, sizeof(*w));
        struct inspect_job *i = inspect_new(&p->cred);
        int error = w && i ? prepare_inspection(g, p, i) : -ENOMEM;

        if (error >= 0) {
                i->path = strdup(path);
                error = i->path ? 0 : -ENOMEM;
        }
        if (error < 0) {
                inspect_free(i, g->pool);
                free(w);
                return error;
        }
        *w = (struct registering) { .request = r, .opcode = WIRE_TAG, .tag = *m };
        i->job.run = delegate_inspect;
        i->wants_directory = true;
        i->client_fd = fd;
        i->userdata = w;
        pool_submit(g->pool, &i->job);
        return 0;
}

/* The worker compares; see adopt_descriptor(). */
static void offer_descriptor(struct registry *g, struct peer *p, const struct wire_tag *m,
                             const struct tag *t, int fd)
{
        if (t->directory->is_foreign && t->directory->fd < 0 &&
            inspect_tag(g, p, m, t->directory->path, fd, NULL) >= 0)
                return;
        pool_close(g->pool, p->cred.uid, fd);
}

/* Its owner has ended, or is about to be found dead: what it made after the last report counts. */
static void sweep_late(struct registry *g, struct tag *t)
{
        reaping_suspect(g, t);
        if (t->owner->state == OWNER_REAPING || t->owner->state == OWNER_ENDED)
                sweep_owner(g, t->owner);
}

static void known_tag(struct registry *g, struct peer *p, struct tag *t, const struct wire_tag *m,
                      int fd, struct request *r)
{
        bool has_key = memcmp(t->key, m->key, NAME_KEY_SIZE) == 0;

        if (has_key && t->owner->pid == p->pid && t->owner->state != OWNER_LIVING)
                sweep_late(g, t);
        if (has_key && t->owner->is_lost)
                (void) registry_find_lost_owner(g, t->owner, p); /* else it stays lost */
        if (t->owner != p->owner || !has_key) {
                pool_close(g->pool, p->cred.uid, fd);
                return registry_fail(g, r, -EEXIST);
        }
        offer_descriptor(g, p, m, t, fd);
        resume_tag(g, t, r);
}

void registry_tag(struct registry *g, struct peer *p, const void *packet, int fd, struct request *r)
{
        struct wire_tag m;
        struct tag *t;
        int error;

        memcpy(&m, packet, sizeof(m));
        t = registry_tag_by_tag(g, m.tag);
        if (t)
                return known_tag(g, p, t, &m, fd, r);
        error = inspect_tag(g, p, &m, (const char *) packet + sizeof(m), fd, r);
        if (error < 0) {
                pool_close(g->pool, p->cred.uid, fd);
                registry_fail(g, r, error);
        }
}

/* The asker as an owner: known before, or as the worker has just seen it. */
static int owner_of_request(struct registry *g, struct peer *p, struct inspect_job *i,
                            struct owner **ret)
{
        int r;

        if (p->owner) {
                *ret = p->owner;
                return p->owner->state == OWNER_LIVING ? registry_store_owner(g, p->owner) : -ESRCH;
        }
        r = registry_may(g, p, USAGE_OWNERS);
        if (r < 0)
                return r;
        r = registry_add_owner(g, &i->process, &i->pidfd, ret);
        if (r < 0)
                return r;
        registry_join_owner(p, *ret);
        return 0;
}

/* Of what a tag needs, and will lead to. */
static int may_have_tag(struct registry *g, const struct peer *p, const struct inspect_job *i)
{
        int r;

        r = registry_may(g, p, USAGE_DIRECTORIES);
        if (r >= 0)
                r = registry_may(g, p, USAGE_ENTRIES);
        if (r >= 0 && i->is_foreign)
                r = registry_may(g, p, USAGE_DESCRIPTORS);
        return r;
}

/* Where names may be made as soon as it is answered, if that is on disk already. */
static bool may_be_spare(const struct wire_tag *m, const struct inspect_job *i)
{
        return m->flags == WIRE_TAG_ANY && !i->is_foreign;
}

static int add_tag(struct registry *g, const struct tag *like, bool any_will_do, struct request *r,
                   struct tag **ret)
{
        int error;

        if (!any_will_do)
                return registry_add_tag(g, like, ret);
        error = spare_take(g, like, ret);
        if (error < 0)
                return error;
        if (error > 0) {
                r->is_durable = false;
                r->spare = (*ret)->tag;
                memcpy(r->spare_key, (*ret)->key, NAME_KEY_SIZE);
        } else {
                error = registry_add_tag(g, like, ret);
                if (error < 0)
                        return error;
        }
        spare_make(g, *ret, r->spare != 0);
        return 0;
}

static int take_tag(struct registry *g, struct inspect_job *i, struct registering *w,
                    struct request *r)
{
        struct tag like = { .tag = w->tag.tag }, *t;
        struct peer *p = r->peer;
        int error;

        if (registry_tag_by_tag(g, w->tag.tag))
                return -EEXIST;
        if (i->wants_caps) {
                p->cred.caps = i->cred.caps;
                p->cred.has_caps = true;
        }
        error = may_have_tag(g, p, i);
        if (error < 0)
                return error;
        error = owner_of_request(g, p, i, &like.owner);
        if (error < 0)
                return error;
        error = registry_add_cred(g, &p->cred, &like.cred);
        if (error < 0)
                return error;
        error = registry_add_directory(g, i->path, &i->identity, i->is_foreign, like.cred->user,
                                       &i->fd, &like.directory);
        if (error < 0)
                return error;
        memcpy(like.key, w->tag.key, NAME_KEY_SIZE);
        like.is_unreadable = (w->tag.flags & WIRE_TAG_UNREADABLE) != 0;
        /* Known to the client from before: this database has lost what was reported under it. */
        like.needs_sweep = (w->tag.flags & WIRE_TAG_AGAIN) != 0 && !like.is_unreadable;
        r->is_durable = g->config.is_power && identity_outlives_power(&i->identity);
        error = add_tag(g, &like, may_be_spare(&w->tag, i) && r->is_durable, r, &t);
        if (error < 0)
                return error;
        r->id = t->id;
        r->fresh_tag = t;
        registry_record(g, r);
        return 0;
}

/* ---- reports ---- */

/* A tag that is not this client's, or not known any more, is passed over: nothing depends on a
 * report but the list. */
static struct tag *reported_tag(struct registry *g, const struct peer *p, uint64_t tag)
{
        struct tag *t = registry_tag_by_tag(g, tag);

        return t && p->owner && t->owner == p->owner ? t : NULL;
}

int register_numbers(const struct store_entry *e, void *userdata)
{
        struct store_entry *copy = userdata;

        *copy = *e;
        copy->name = copy->target = copy->failed = NULL; /* borrowed, and gone after this */
        copy->identity = (struct store_bytes) { 0 };
        return 0;
}

/* @object: what its owner says has ended with it; NULL: nothing has. */
static int remove_or_remember(struct registry *g, const struct store_entry *e, const char *object)
{
        struct directory *d = registry_directory(g, e->directory);
        struct identity i;

        if (!object || !d || identity_of_ended(object, &d->identity, &i) < 0)
                return store_remove_entry(g->store, e->id);
        return tombstone_end_entry(g, e->id, &i, d, registry_cred(g, e->cred));
}

/* One that needs no deletion any more. */
int register_end_entry(struct registry *g, const struct store_entry *e, const char *object)
{
        const struct known_cred *k = registry_cred(g, e->cred);
        uint64_t before = store_entries(g->store);
        int r;

        r = remove_or_remember(g, e, object);
        if (r < 0)
                return r;
        registry_count_entries(g, k ? k->user : NULL, before);
        if (e->id >> SEQ_BITS == 0 && r == 0)
                registry_directory_changes(g, registry_directory(g, e->directory), -1);
        return 0;
}

/* By its number: gone, or (SETTLED) this process's claim ends and another's stays. */
void register_plain(struct registry *g, uint64_t by, const struct wire_record *m,
                    const char *object)
{
        struct store_entry e;
        uint64_t id = m->tag_or_id, owner;
        bool holds;

        registry_flush(g);
        if (store_get_entry(g->store, id, register_numbers, &e) < 0 || e.state != WIRE_STATE_LIVE ||
            store_holds(g->store, id, by, &holds) < 0 || !holds)
                return;
        if (m->what == WIRE_SETTLED) {
                /* Nobody to pass it on to: the other has ended before. */
                if (store_release(g->store, id, by, &owner) >= 0 && owner == by) {
                        (void) store_set_retain(g->store, id, 0); /* the end was no crash */
                        (void) reaping_one(g, id, NULL);          /* else with its maker */
                }
                return;
        }
        if (g->is_watched)
                tell_stored(g, WIRE_EVENT_GONE, id);
        (void) register_end_entry(g, &e, object); /* the commit reports a failure */
}

static void report_plain(struct registry *g, struct peer *p, const struct wire_record *m,
                         const char *object)
{
        if (!p->owner)
                return;
        registry_note_plain(g, p->owner->id, m);
        register_plain(g, p->owner->id, m, object);
}

void registry_report(struct registry *g, struct peer *p, const void *packet, size_t len)
{
        struct wire_record m;
        const char *name;
        size_t at = 0;
        struct tag *t;

        while (wire_next_record(packet, len, &at, &m, &name)) {
                if (m.seq == 0) {
                        report_plain(g, p, &m, m.what == WIRE_UNLINKED ? name : NULL);
                        continue;
                }
                t = reported_tag(g, p, m.tag_or_id);
                if (!t)
                        continue;
                if (m.what == WIRE_GONE)
                        (void) registry_report_gone(g, t, m.seq); /* else looked for once */
                else if (name_check(t->tag, t->key, name, m.name_len) &&
                         registry_report_made(g, t, m.seq, m.kind, name) < 0)
                        reaping_suspect(g, t);
        }
}

/* ---- reserve, track, target ---- */

/* Is there something to be asked about that owner that only a worker may ask? */
bool register_wants_worker(const struct wire_owner *w, int fd)
{
        return fd >= 0 || w->kind == WIRE_OWNER_UNIT;
}

/* What a worker finds out about the owner named. @fd is taken only on success. */
int register_prepare_owner(struct peer *p, const struct wire_owner *w, int fd,
                           struct inspect_job *i)
{
        switch (w->kind) {
        case WIRE_OWNER_PROCESS:
        case WIRE_OWNER_UNIT:
                i->wants_cgroup = w->kind == WIRE_OWNER_UNIT;
                i->wanted_cgroup = w->token;
                i->is_other = i->wants_process = fd >= 0;
                if (fd < 0 && w->kind == WIRE_OWNER_UNIT) {
                        fd = registry_dup_pidfd(p);
                        if (fd < 0)
                                return fd;
                        i->pid = p->pid;
                        i->wants_process = true;
                }
                i->pidfd = fd;
                return 0;
        case WIRE_OWNER_TOKEN:
        case WIRE_OWNER_LEASE:
        case WIRE_OWNER_BOOT:
                return fd >= 0 ? -EINVAL : 0;
        default:
                return -EOPNOTSUPP;
        }
}

/* An entry with an owner of its own. Under a tag it stays the tag's; else the directory has it. */
static int put_registered(struct registry *g, struct tag *t, struct owner *o, struct store_entry *e,
                          struct request *r)
{
        uint64_t before = store_entries(g->store);
        bool is_plain = e->id == 0;
        int error;

        e->state = WIRE_STATE_LIVE;
        e->created_usec = now_realtime_usec();
        e->owner = o->id;
        e->directory = t->directory->id;
        e->cred = t->cred->cred.id;
        error = store_put_entry(g->store, e);
        if (error >= 0 && store_entries(g->store) > before) {
                error = usage_may(t->cred->user, USAGE_ENTRIES);
                if (error < 0)
                        (void) store_remove_entry(g->store,
                                                  e->id); /* the commit reports a failure */
        }
        if (error < 0)
                return error;
        registry_count_entries(g, t->cred->user, before);
        if (is_plain)
                registry_directory_changes(g, t->directory, 1);
        if (g->is_watched)
                tell_stored(g, WIRE_EVENT_REGISTERED, e->id);
        r->id = e->id;
        r->is_durable = g->config.is_power && identity_outlives_power(&t->directory->identity);
        registry_record(g, r);
        return 0;
}

struct reserved {
        const struct tag *tag;
        const char *name;
        uint64_t id;
};

static int match_reserved(const struct store_entry *e, void *userdata)
{
        struct reserved *wanted = userdata;

        if (e->directory == wanted->tag->directory->id && e->name && streq(e->name, wanted->name))
                wanted->id = e->id;
        return 0;
}

/* The answer to the first asking was lost with the connection. *ret_id: 0, there is none. */
static int find_reserved(struct registry *g, const struct tag *t, const struct owner *o,
                         const char *name, uint64_t *ret_id)
{
        struct reserved wanted = { .tag = t, .name = name };
        int r;

        r = store_live_of_owner(g->store, o->id, 0, UINT32_MAX, match_reserved, &wanted);
        if (r >= 0)
                r = store_failed(g->store);
        *ret_id = wanted.id;
        return r;
}

static int reserve(struct registry *g, struct tag *t, struct owner *other,
                   const struct wire_register *m, const char *name, struct request *r)
{
        struct store_entry e = { .kind = m->kind, .name = name, .retain_sec = m->retain_sec };
        const struct owner *holder = other ? other : t->owner;
        int error;

        if (m->flags & WIRE_REGISTER_RESUME) {
                error = find_reserved(g, t, holder, name, &r->id);
                if (error < 0)
                        return error;
                if (r->id > 0) {
                        registry_record(g, r);
                        return 0;
                }
        }
        error = put_registered(g, t, other ? other : t->owner, &e, r);
        if (error < 0 || !other)
                return error;
        /* If the other ends before the thing exists, somebody is left to delete it: the asker, until
         * it says that it is made. */
        (void) store_add_maker(g->store, e.id, t->owner->id); /* a failure is the commit's */
        return 0;
}

static int reserve_now(struct registry *g, struct peer *p, struct tag *t,
                       const struct wire_register *m, const char *name, struct request *r)
{
        struct owner *other = NULL;
        int error = 0;

        if (m->owner.kind != WIRE_OWNER_PROCESS)
                error = claim_owner(g, p, &m->owner, NULL, &other);
        if (error < 0)
                return error;
        return reserve(g, t, other, m, name, r);
}

static int inspect_registration(struct registry *g, struct peer *p, struct tag *t,
                                const struct wire_register *m, const char *object, const char *name,
                                int fd, struct request *r)
{
        struct registering *w = calloc(1, sizeof(*w));
        struct inspect_job *i = inspect_new(&p->cred);
        int error = 0;

        if (!w || !i || !(w->name = strdup(name)) || !(i->name = strdup(object)))
                error = -ENOMEM;
        if (error >= 0)
                error = register_prepare_owner(p, &m->owner, fd, i);
        if (error < 0) {
                inspect_free(i, g->pool);
                if (w)
                        free_registering(w);
                return error;
        }
        w->request = r;
        w->opcode = m->header.opcode;
        w->reg = *m;
        w->directory = t->directory;
        i->job.run = delegate_inspect;
        i->job.done = register_inspected;
        i->job.device = t->directory->identity.dev;
        i->wants_object = m->header.opcode != WIRE_RESERVE;
        i->dirfd = t->directory->fd;
        i->dir_path = t->directory->path;
        i->dir_identity = &t->directory->identity;
        i->dir_is_foreign = t->directory->is_foreign;
        i->userdata = w;
        t->directory->n_jobs++;
        pool_submit(g->pool, &i->job);
        return 0;
}

static int made_name(const struct store_entry *e, void *userdata)
{
        char **name = userdata;

        *name = e->name ? strdup(e->name) : NULL;
        return *name ? 0 : -ENOENT;
}

/* The thing that a TARGET is about is found under the name that it was made with. */
static int start_registration(struct registry *g, struct peer *p, struct tag *t,
                              const struct wire_register *m, const char *name, int fd,
                              struct request *r)
{
        _cleanup_(freep) char *made = NULL;
        int error;

        if (m->header.opcode == WIRE_TARGET) {
                registry_flush(g);
                error = store_get_entry(g->store, t->id << SEQ_BITS | m->seq, made_name, &made);
                if (error == -ENOENT && t->has_unlisted)
                        return -EDQUOT;
                if (error < 0)
                        return error;
                return inspect_registration(g, p, t, m, made, name, fd, r);
        }
        return inspect_registration(g, p, t, m, name, name, fd, r);
}

void registry_register(struct registry *g, struct peer *p, const void *packet, int fd,
                       struct request *r)
{
        const char *name = (const char *) packet + sizeof(struct wire_register);
        struct wire_register m;
        struct tag *t;
        int error;

        memcpy(&m, packet, sizeof(m));
        t = reported_tag(g, p, m.tag);
        if (!t)
                error = -ENOENT;
        else if (register_wants_worker(&m.owner, fd) || m.header.opcode != WIRE_RESERVE)
                error = start_registration(g, p, t, &m, name, fd, r);
        else
                error = reserve_now(g, p, t, &m, name, r);
        if (error < 0) {
                pool_close(g->pool, p->cred.uid, fd);
                registry_fail(g, r, error);
        }
}

static unsigned int kind_of(const struct identity *i)
{
        if (S_ISREG(i->mode))
                return WIRE_KIND_FILE;
        return S_ISDIR(i->mode) ? WIRE_KIND_DIRECTORY : WIRE_KIND_OTHER;
}

static int take_object(struct registry *g, struct tag *t, struct owner *owner,
                       struct inspect_job *i, struct registering *w, struct request *r)
{
        uint8_t packed[IDENTITY_PACKED_MAX];
        struct store_entry e = {
                .kind = kind_of(&i->object),
                .name = i->name,
                .retain_sec = w->reg.retain_sec,
                .identity = { packed, identity_pack(&i->object, packed) },
        };
        int error;

        if (w->opcode == WIRE_TRACK) { /* asked again, the first answer lost: the same entry */
                error = find_reserved(g, t, owner, w->name, &e.id);
                if (error < 0)
                        return error;
        }
        if (w->opcode == WIRE_TARGET) {
                if (i->object.handle_len == 0)
                        return -ESTALE; /* renamed, it could not be told from another */
                e.id = t->id << SEQ_BITS | w->reg.seq;
                e.target = w->name;
        }
        return put_registered(g, t, owner, &e, r);
}

static int take_registration(struct registry *g, struct inspect_job *i, struct registering *w,
                             struct request *r)
{
        struct tag *t = reported_tag(g, r->peer, w->reg.tag);
        struct owner *other;
        int error;

        if (!t)
                return -ENOENT;
        error = claim_owner(g, r->peer, &w->reg.owner, i, &other);
        if (error < 0)
                return error;
        if (w->opcode == WIRE_RESERVE)
                return reserve(g, t, other, &w->reg, w->name, r);
        return take_object(g, t, other, i, w, r);
}

/* A directory that can't be reached by its path, known again by what a client holds of it. */
static void adopt_descriptor(struct registry *g, struct inspect_job *i, struct registering *w)
{
        struct tag *t = registry_tag_by_tag(g, w->tag.tag);

        if (t && i->error >= 0 && t->directory->fd < 0 &&
            identity_compare_directory(&t->directory->identity, &i->identity) == IDENTITY_SAME)
                registry_keep_open(g, t->directory, t->cred->user, &i->fd);
        inspect_free(i, g->pool);
        free_registering(w);
}

void register_inspected(struct job *j, void *userdata)
{
        struct inspect_job *i = (struct inspect_job *) j;
        struct registering *w = i->userdata;
        struct registry *g = userdata;
        struct request *r = w->request;
        int error = i->error;

        if (!r)
                return adopt_descriptor(g, i, w);
        if (error >= 0 && !r->peer)
                error = -ECONNRESET; /* nobody waits for it */
        if (error >= 0 && registry_peer_is_dead(r->peer))
                error = -ESRCH;
        if (error >= 0)
                error = w->opcode == WIRE_TAG ? take_tag(g, i, w, r)
                                              : take_registration(g, i, w, r);
        if (w->directory)
                batch_leave_directory(g, w->directory);
        inspect_free(i, g->pool);
        free_registering(w);
        if (error < 0)
                registry_fail(g, r, error);
}
