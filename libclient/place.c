/* SPDX-License-Identifier: MIT */

/*
 * Places: found again cheaply for every creation (one stat and one fstat). That the daemon is told of
 * them is announce.c's business. Keeps few descriptors; a place without one is
 * opened by its path again, and only if that leads to the same directory: inode numbers are reused,
 * so the file handle has to agree too, and where there is none a new place is made instead.
 *
 * The subtle thing: whatever speaks to the daemon may find another one, upon which all places are
 * told to it and idle ones go. A place that is needed afterwards is pinned before.
 */

#include "libclient/place.h"

#include <sys/stat.h>

#include "libclient/announce.h"
#include "libclient/deadline.h"
#include "libclient/directory.h"
#include "libclient/entry.h"
#include "libclient/session.h"
#include "libclient/util.h"

#define DESCRIPTORS_MAX 16U /* directories kept open */

/* ---- life ------------------------------------------------------------------------------------- */

static void place_free(struct place *p)
{
        if (!p)
                return;
        ownfd_close(&p->dir);
        free(p->asked);
        free(p->path);
        free(p);
}

static void place_freep(struct place **p)
{
        place_free(*p);
}

static int place_new(struct session *s, const char *dir, struct place **ret)
{
        _cleanup_(place_freep) struct place *p = NULL;
        int r;

        p = malloc(sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (struct place) { .session = s, .dir = OWNFD_NONE };

        r = directory_open(dir, &p->dir, &p->is_unreadable);
        if (r < 0)
                return r;
        r = directory_path(&p->dir, dir, &p->path);
        if (r < 0)
                return r;
        p->dev = p->dir.dev;
        p->ino = p->dir.ino;
        p->handle = directory_handle(&p->dir);

        *ret = TAKE_PTR(p);
        return 0;
}

void place_forget_if_idle(struct place *p)
{
        if (p->pins > 0 || p->entries || (!p->is_dead && p->dir.fd >= 0))
                return;
        for (struct place **at = &p->session->places; *at; at = &(*at)->next) {
                if (*at == p) {
                        *at = p->next;
                        break;
                }
        }
        place_free(p);
}

void place_forget_idle(struct session *s)
{
        struct place *next;

        for (struct place *p = s->places; p; p = next) {
                next = p->next;
                place_forget_if_idle(p);
        }
}

static void close_oldest(struct session *s)
{
        struct place *oldest = NULL;
        unsigned int n = 0;

        for (struct place *p = s->places; p; p = p->next) {
                if (p->dir.fd < 0)
                        continue;
                n++;
                if (p->pins == 0 && (!oldest || p->used < oldest->used))
                        oldest = p;
        }
        if (n <= DESCRIPTORS_MAX || !oldest)
                return;
        ownfd_close(&oldest->dir);
        place_forget_if_idle(oldest);
}

static bool has_descriptor(struct place *p)
{
        if (ownfd_is_there(&p->dir))
                return true;
        p->dir = OWNFD_NONE;
        return false;
}

/*
 * Opens it again. Without a handle it can't be told for sure that it is the same: good enough for
 * deleting a name that only we can have drawn, but nothing more is made under its tag.
 */
int place_reopen(struct place *p)
{
        struct ownfd dir = OWNFD_NONE;
        bool is_unreadable;
        int r;

        if (has_descriptor(p))
                return 0;
        r = directory_open(p->path, &dir, &is_unreadable);
        if (r < 0)
                return r;
        if (dir.dev != p->dev || dir.ino != p->ino || directory_handle(&dir) != p->handle) {
                ownfd_close(&dir);
                p->is_dead = true;
                return -ESTALE;
        }
        if (p->handle == 0)
                p->is_dead = p->is_doubtful = true;
        p->dir = dir;
        close_oldest(p->session);
        return 0;
}

/* ---- finding ---------------------------------------------------------------------------------- */

/* Pinned meanwhile: a daemon found anew is told about all places, and idle ones go. */
static bool is_usable(struct place *p)
{
        p->pins++;
        if (p->tag_serial != 0)
                session_listen(p->session);
        if (place_reopen(p) < 0)
                p->is_dead = true;
        p->pins--;
        return !p->is_dead;
}

static struct place *find_asked(struct session *s, const char *dir, const struct stat *st)
{
        for (struct place *p = s->places; p; p = p->next)
                if (!p->is_dead && p->dev == st->st_dev && p->ino == st->st_ino && p->asked &&
                    streq(p->asked, dir))
                        return is_usable(p) ? p : NULL;
        return NULL;
}

static struct place *find_same(struct session *s, const struct place *fresh)
{
        for (struct place *p = s->places; p; p = p->next)
                if (!p->is_dead && p->dev == fresh->dev && p->ino == fresh->ino &&
                    streq(p->path, fresh->path))
                        return is_usable(p) ? p : NULL;
        return NULL;
}

/* A relative path is never remembered: it leads elsewhere tomorrow. */
static void remember_asked(struct place *p, const char *dir)
{
        if (*dir != '/')
                return;
        free(p->asked);
        p->asked = strdup(dir); /* none remembered: found the longer way */
}

static int find_or_introduce(struct session *s, struct place **fresh, bool is_best_effort,
                             uint64_t deadline_usec, struct place **ret)
{
        struct place *p;
        int r;

        p = find_same(s, *fresh);
        if (!p) {
                r = announce(*fresh, deadline_usec);
                (*fresh)->is_unknown = is_best_effort && session_is_away(r);
                (*fresh)->is_heard = s->client.was_sent;
                if (r < 0 && !(*fresh)->is_unknown)
                        return r;
                p = TAKE_PTR(*fresh);
                p->next = s->places;
                s->places = p;
        }
        *ret = p;
        return 0;
}

int place_session(struct session **ret)
{
        return session_get(&announce_hooks, ret);
}

void place_pin(struct place *p)
{
        p->pins++;
        p->used = ++p->session->place_clock;
}

bool place_is_known(struct place *p, uint64_t deadline_usec)
{
        bool is_known;

        session_lock(p->session);
        if (p->is_unknown && client_connect(&p->session->client, DEADLINE_PAST) == 0)
                (void) announce_anew(p, deadline_usec);
        is_known = !p->is_unknown;
        session_unlock(p->session);
        return is_known;
}

int place_get(const char *dir, bool is_best_effort, uint64_t deadline_usec, struct place **ret)
{
        _cleanup_(place_freep) struct place *fresh = NULL;
        struct session *s;
        struct place *p;
        struct stat st;
        int r;

        if (stat(dir, &st) < 0)
                return -errno;
        r = place_session(&s);
        if (r < 0)
                return r;

        session_lock(s);
        p = find_asked(s, dir, &st);
        if (!p) {
                place_forget_idle(s);
                /* The file system may be slow: others need not wait for it. */
                session_unlock(s);
                r = place_new(s, dir, &fresh);
                if (r < 0)
                        return r;
                session_lock(s);
                r = find_or_introduce(s, &fresh, is_best_effort, deadline_usec, &p);
                if (r == 0)
                        remember_asked(p, dir);
        }
        if (r == 0) {
                place_pin(p);
                close_oldest(s);
                if (!is_best_effort)
                        r = announce_anew(p, deadline_usec);
                if (r < 0)
                        p->pins--;
        }
        if (r == 0) {
                *ret = p;
                r = p->dir.fd;
        }
        session_unlock(s);
        return r;
}

void place_put(struct place *p)
{
        struct session *s = p->session;

        session_lock(s);
        p->pins--;
        place_forget_if_idle(p);
        session_unlock(s);
}

void place_retire(struct place *p)
{
        session_lock(p->session);
        p->is_dead = true;
        session_unlock(p->session);
}

int place_dirfd(struct place *p)
{
        int r;

        session_lock(p->session);
        r = place_reopen(p);
        if (r == 0)
                r = p->dir.fd;
        session_unlock(p->session);
        return r;
}

int place_request(struct place *p, void *packet, size_t len, int fd, uint64_t deadline_usec,
                  uint64_t *ret_id, bool *ret_is_heard)
{
        int r;

        session_lock(p->session);
        r = session_request(p->session, packet, len, fd, deadline_usec, ret_id);
        *ret_is_heard = p->session->client.was_sent;
        session_unlock(p->session);
        return r;
}
