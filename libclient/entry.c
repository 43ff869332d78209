/* SPDX-License-Identifier: MIT */

/*
 * What this process holds, and how it ends. Takes the session's lock around each step; leaves the
 * files to its callers.
 *
 * The subtle thing: an entry is held before its name is said, and said before it is made. Whoever
 * finds the daemon anew in between says it too, so that none is ever made that was not said.
 */

#include "libclient/entry.h"

#include <sys/stat.h>

#include "libclient/announce.h"
#include "libclient/place.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

struct place *entry_place(struct entry *e)
{
        struct place *p;

        session_lock(e->session);
        p = e->place;
        if (p)
                place_pin(p);
        session_unlock(e->session);
        return p;
}

static void hold(struct place *p, struct entry *e)
{
        if (e->link)
                return;
        e->session = p->session;
        e->place = p;
        e->next = p->entries;
        e->link = &p->entries;
        if (e->next)
                e->next->link = &e->next;
        p->entries = e;
}

static void let_go(struct entry *e)
{
        if (!e->link)
                return;
        *e->link = e->next;
        if (e->next)
                e->next->link = e->link;
        e->link = NULL;
        e->place = NULL;
        if (e->serial != 0)
                session_give_up(e->session, e->serial);
        e->serial = 0;
}

static int make(struct place *p, struct entry *e, const char *prefix, const char *suffix,
                uint64_t deadline_usec)
{
        struct wire_record record = {
                .what = WIRE_MADE,
                .kind = e->kind,
                .tag_or_id = p->tag,
        };
        uint64_t random;
        int r;

        if (e->seq == 0 && p->last_seq == UINT32_MAX) {
                p->is_dead = true;
                return -EAGAIN;
        }
        r = session_random(p->session, &random);
        if (r < 0)
                return r;
        r = name_make(p->tag, p->key, random, prefix, suffix, e->name);
        if (r < 0)
                return r;

        if (e->seq == 0)
                e->seq = ++p->last_seq;
        record.seq = e->seq;
        hold(p, e);
        r = session_made(p->session, &record, e->name, deadline_usec);
        if (r < 0)
                let_go(e);
        return r;
}

int entry_make(struct place *p, struct entry *e, const char *prefix, const char *suffix,
               uint64_t deadline_usec)
{
        int r;

        session_lock(p->session);
        r = make(p, e, prefix, suffix, deadline_usec);
        session_unlock(p->session);
        return r;
}

void entry_hold(struct place *p, struct entry *e, const char *name)
{
        session_lock(p->session);
        (void) strcpy(e->name, name);
        hold(p, e);
        session_unlock(p->session);
}

void entry_rename(struct place *p, struct entry *e, const char *name)
{
        session_lock(p->session);
        (void) strcpy(e->name, name);
        session_unlock(p->session);
}

bool entry_is_said(struct place *p, const struct entry *e)
{
        bool is_said;

        session_lock(p->session);
        session_listen(p->session);
        is_said = !e->is_unsaid;
        session_unlock(p->session);
        return is_said;
}

/* Lost with its connection, it is not looked at any more; or has been, when it was the right one. */
int entry_await(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        int r = 0;

        if (e->seq != 0)
                return 0; /* told by its name */
        session_lock(p->session);
        while (r == 0 && e->serial != 0)
                r = client_listen(&p->session->client, deadline_usec);
        session_unlock(p->session);
        return r == -ETIMEDOUT ? r : 0;
}

void entry_loosen(struct place *p, struct entry *e, void (*free)(struct entry *e))
{
        session_lock(p->session);
        e->free = free;
        session_unlock(p->session);
}

static struct entry *find_loose(struct session *s, const char *dir_path, const char *name)
{
        for (struct place *p = s->places; p; p = p->next)
                for (struct entry *e = p->entries; e; e = e->next)
                        if (e->free && streq(e->name, name) && streq(p->path, dir_path))
                                return e;
        return NULL;
}

struct entry *entry_find_loose(struct session *s, const char *dir_path, const char *name)
{
        struct entry *e;

        session_lock(s);
        e = find_loose(s, dir_path, name);
        if (e)
                e->free = NULL;
        session_unlock(s);
        return e;
}

static void say_gone(struct place *p, struct entry *e, const char *object)
{
        if (object)
                return session_unlinked(p->session, e->id, object);

        if (e->seq != 0)
                session_gone(p->session, p->tag, e->seq);
        else if (e->id != 0)
                session_gone(p->session, e->id, 0);
}

static void say_settled(struct place *p, struct entry *e, const char *object _unused_)
{
        session_settled(p->session, e->id);
}

/* Saying it may find the daemon anew, upon which idle places go: this one is pinned meanwhile. */
static void end_entry(struct place *p, struct entry *e,
                      void (*say)(struct place *, struct entry *, const char *), const char *object)
{
        struct session *s = p->session;

        session_lock(s);
        p->pins++;
        let_go(e);
        say(p, e, object);
        p->pins--;
        place_forget_if_idle(p);
        session_unlock(s);
}

void entry_gone(struct place *p, struct entry *e)
{
        end_entry(p, e, say_gone, NULL);
}

void entry_unlinked(struct place *p, struct entry *e, const char *object)
{
        end_entry(p, e, say_gone, object);
}

void entry_settled(struct place *p, struct entry *e)
{
        end_entry(p, e, say_settled, NULL);
}

static struct wire_ref ref_of(const struct entry *e)
{
        if (e->id != 0 || !e->place)
                return (struct wire_ref) { .tag_or_id = e->id };
        return (struct wire_ref) { .tag_or_id = e->place->tag, .seq = e->seq };
}

static int keep(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        struct wire_change change = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_KEEP },
                .ref = { .tag_or_id = e->seq != 0 ? p->tag : e->id, .seq = e->seq },
        };
        int r;

        if (e->is_unsaid) {
                r = announce_heard(p, e, deadline_usec);
                if (r < 0)
                        return r;
                change.ref = ref_of(e);
        }
        if (e->is_unsaid || announce_never(p, deadline_usec)) {
                let_go(e); /* no daemon knows */
                return 0;
        }
        p->pins++;
        r = announce_anew(p, deadline_usec); /* it may have heard of it, but not since */
        if (r == 0)
                r = session_request(p->session, &change, sizeof(change), -1, deadline_usec, NULL);
        if (r == -ENOENT) /* a name under a tag could still be swept; else nothing refers to it */
                r = e->seq != 0 ? -ESTALE : 0;
        if (r >= 0)
                let_go(e);
        p->pins--;
        return MIN(r, 0);
}

int entry_keep(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        int r;

        session_lock(p->session);
        r = keep(p, e, deadline_usec);
        session_unlock(p->session);
        return r;
}

/* A claim that is refused when it is asked again may have been stored at the first time, and a new
 * owner that has ended since be the reason. Only one that is not there is sure not to be. */
static int doubt_refusal(const struct session *s, int r)
{
        return r < 0 && r != -ENOENT && s->client.was_repeated ? -ETIMEDOUT : r;
}

static int claim(struct place *p, struct entry *e, struct wire_claim *packet, int fd,
                 uint64_t deadline_usec)
{
        int r;

        p->pins++;
        r = e->is_unsaid ? announce_entry(p, e, deadline_usec) : announce_anew(p, deadline_usec);
        if (r == 0) {
                packet->ref = ref_of(e);
                r = session_request(p->session, packet, sizeof(*packet), fd, deadline_usec, &e->id);
                r = doubt_refusal(p->session, r);
        }
        p->pins--;
        if (r == -ETIMEDOUT)
                e->is_unsure = true;
        if (r < 0)
                return r == -ENOENT ? -ESTALE : r;
        if (packet->flags & WIRE_CLAIM_GIVE)
                let_go(e);
        else
                e->is_shared = true;
        return 0;
}

int entry_claim(struct place *p, struct entry *e, const struct wire_owner *owner, int fd,
                bool gives, uint64_t deadline_usec)
{
        struct wire_claim packet = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_CLAIM },
                .owner = *owner,
                .flags = gives ? WIRE_CLAIM_GIVE : 0,
        };
        int r;

        session_lock(p->session);
        r = claim(p, e, &packet, fd, deadline_usec);
        session_unlock(p->session);
        return r;
}

int entry_change(struct entry *e, uint16_t opcode, uint32_t argument, uint64_t deadline_usec)
{
        struct wire_change packet = {
                .header = { .version = WIRE_VERSION, .opcode = opcode },
                .argument = argument,
        };
        int r = -EINVAL; /* the daemon does not have it */

        session_lock(e->session);
        packet.ref = ref_of(e);
        if (e->place && e->is_unsaid)
                r = announce_entry(e->place, e, deadline_usec);
        else if (e->place && packet.ref.seq != 0)
                r = announce_anew(e->place, deadline_usec);
        else if (packet.ref.tag_or_id != 0)
                r = 0;
        if (r == 0) {
                packet.ref = ref_of(e);
                r = session_request(e->session, &packet, sizeof(packet), -1, deadline_usec, NULL);
        }
        session_unlock(e->session);
        return MIN(r, 0);
}

static bool is_below(const char *path, const char *top)
{
        const size_t len = strlen(top);

        return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static struct place *find_below(struct session *s, const char *path)
{
        for (struct place *p = s->places; p; p = p->next)
                if (p->entries && is_below(p->path, path))
                        return p;
        return NULL;
}

/* Moved away, it has a link still; and is looked at only if it is open. */
static bool is_removed(const struct place *p)
{
        struct stat st;

        return ownfd_is_there(&p->dir) && fstat(p->dir.fd, &st) == 0 && st.st_nlink == 0;
}

static struct place *find_removed_below(struct session *s, const char *path)
{
        for (struct place *p = s->places; p; p = p->next)
                if (p->entries && is_below(p->path, path) && is_removed(p))
                        return p;
        return NULL;
}

/* Perhaps another's: left to the daemon. */
static void end_removed(struct place *p, struct entry *e)
{
        p->pins++;
        let_go(e);
        if (e->is_shared)
                say_settled(p, e, NULL);
        else if (!e->is_unsure)
                say_gone(p, e, NULL);
        p->pins--;
        if (e->free)
                e->free(e); /* there is nothing to be found any more */
}

void entry_gone_below(struct place *p, const char *path)
{
        struct session *s = p->session;
        struct place *below;

        session_lock(s);
        while ((below = find_removed_below(s, path)))
                end_removed(below, below->entries);
        place_forget_idle(s);
        session_unlock(s);
}

static int keep_and_free(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        int r;

        r = keep(p, e, deadline_usec);
        if (r == 0 && e->free)
                e->free(e); /* there is nothing to be found any more */
        return r;
}

void entry_gone_elsewhere(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        if (entry_keep(p, e, deadline_usec) < 0)
                entry_gone(p, e);
}

int entry_keep_below(struct place *p, const char *path, uint64_t deadline_usec)
{
        struct session *s = p->session;
        struct place *below;
        int r = 0;

        session_lock(s);
        while (r == 0 && (below = find_below(s, path)))
                r = keep_and_free(below, below->entries, deadline_usec);
        place_forget_idle(s);
        session_unlock(s);
        return r;
}
