/* SPDX-License-Identifier: MIT */

/*
 * Places: found again cheaply for every creation (one stat and one fstat), told to the daemon once,
 * and once more to each daemon that is started later. Keeps few descriptors; a place without one is
 * opened by its path again, and only if that leads to the same directory: inode numbers are reused,
 * so the file handle has to agree too, and where there is none a new place is made instead.
 *
 * The subtle thing: whatever speaks to the daemon may find another one, upon which all places are
 * told to it and idle ones go. A place that is needed afterwards is pinned before.
 */

#include "libclient/place.h"

#include <sys/random.h>
#include <sys/stat.h>

#include "libclient/directory.h"
#include "libclient/entry.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define DESCRIPTORS_MAX 16U /* directories kept open */
#define TAG_ATTEMPTS 3U /* two equal draws of 64 bits are an error of ours or of the generator's */
#define REPEAT_SIZE 4096U /* of packets that say again what is held */

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
static int reopen(struct place *p)
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

/* ---- telling the daemon ----------------------------------------------------------------------- */

struct tag_packet {
        struct wire_tag tag;
        char path[WIRE_PATH_MAX];
};

static size_t build_tag(const struct place *p, struct tag_packet *packet)
{
        const size_t path_len = strlen(p->path);

        packet->tag = (struct wire_tag) {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_TAG },
                .tag = p->tag,
                .path_len = (uint16_t) path_len,
                .flags = p->is_unreadable ? WIRE_TAG_UNREADABLE : 0,
        };
        memcpy(packet->tag.key, p->key, sizeof(p->key));
        memcpy(packet->path, p->path, path_len + 1);
        return sizeof(packet->tag) + path_len + 1;
}

static int draw(void *buf, size_t size)
{
        ssize_t n;

        do
                n = getrandom(buf, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

/* Draws tag and key, and waits until the daemon has stored them. */
static int introduce(struct place *p, uint64_t deadline_usec)
{
        struct tag_packet packet;
        int r;

        for (unsigned int i = 0; i < TAG_ATTEMPTS; i++) {
                r = draw(&p->tag, sizeof(p->tag));
                if (r == 0)
                        r = draw(p->key, sizeof(p->key));
                if (r < 0)
                        return r;
                if (p->tag == 0)
                        continue;
                r = session_request(p->session, &packet, build_tag(p, &packet), p->dir.fd,
                                    deadline_usec, NULL);
                if (r != -EEXIST)
                        return MIN(r, 0);
        }
        return -EIO;
}

static int say_tag_again(struct place *p, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;
        struct tag_packet packet;
        const size_t len = build_tag(p, &packet);

        packet.tag.flags |= WIRE_TAG_AGAIN;
        p->tag_serial = client_number(c, &packet);
        return client_send(c, &packet, len, p->dir.fd, deadline_usec);
}

static int say_entries_again(struct place *p, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;
        uint8_t buf[REPEAT_SIZE];
        size_t len = 0;
        int r;

        for (struct entry *e = p->entries; e; e = e->next) {
                const struct wire_record record = {
                        .what = WIRE_MADE,
                        .kind = e->kind,
                        .seq = e->seq,
                        .tag_or_id = p->tag,
                };

                if (e->seq == 0 || e->id != 0)
                        continue; /* acknowledged ones are not forgotten */
                if (wire_add_record(buf, sizeof(buf), &len, &record, e->name) == 0)
                        continue;
                (void) client_number(c, buf);
                r = client_send(c, buf, len, -1, deadline_usec);
                if (r < 0)
                        return r;
                len = 0;
                (void) wire_add_record(buf, sizeof(buf), &len, &record, e->name);
        }
        if (len == 0)
                return 0;
        (void) client_number(c, buf);
        return client_send(c, buf, len, -1, deadline_usec);
}

/* One that can't be opened any more is left out: the daemon has it stored and can do no less. */
static int say_place_again(struct place *p, uint64_t deadline_usec)
{
        int r;

        if (reopen(p) < 0 || p->is_doubtful)
                return 0;
        r = say_tag_again(p, deadline_usec);
        return r < 0 ? r : say_entries_again(p, deadline_usec);
}

/* Answers are taken as they come, lest they pile up. */
static int say_places_again(struct session *s, uint64_t deadline_usec)
{
        struct place *next;
        int r;

        for (struct place *p = s->places; p; p = next) {
                p->pins++;
                r = say_place_again(p, deadline_usec);
                client_drain(&s->client);
                p->pins--;
                next = p->next;
                place_forget_if_idle(p);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void on_tag_answered(struct session *s, uint32_t serial, int result)
{
        for (struct place *p = s->places; p; p = p->next) {
                if (p->tag_serial != serial)
                        continue;
                p->tag_serial = 0;
                if (result < 0)
                        p->is_dead = true;
                return;
        }
}

static const struct session_hooks place_hooks = {
        .say_again = say_places_again,
        .answered = on_tag_answered,
};

/* ---- finding ---------------------------------------------------------------------------------- */

/* Pinned meanwhile: a daemon found anew is told about all places, and idle ones go. */
static bool is_usable(struct place *p)
{
        p->pins++;
        if (p->tag_serial != 0)
                session_listen(p->session);
        if (reopen(p) < 0)
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

static int find_or_introduce(struct session *s, struct place **fresh, uint64_t deadline_usec,
                             struct place **ret)
{
        struct place *p;
        int r;

        p = find_same(s, *fresh);
        if (!p) {
                r = introduce(*fresh, deadline_usec);
                if (r < 0)
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
        return session_get(&place_hooks, ret);
}

void place_pin(struct place *p)
{
        p->pins++;
        p->used = ++p->session->place_clock;
}

int place_get(const char *dir, uint64_t deadline_usec, struct place **ret)
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
                r = find_or_introduce(s, &fresh, deadline_usec, &p);
                if (r == 0)
                        remember_asked(p, dir);
        }
        if (r == 0) {
                place_pin(p);
                close_oldest(s);
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
        r = reopen(p);
        if (r == 0)
                r = p->dir.fd;
        session_unlock(p->session);
        return r;
}

int place_request(struct place *p, void *packet, size_t len, int fd, uint64_t deadline_usec,
                  uint64_t *ret_id)
{
        int r;

        session_lock(p->session);
        r = session_request(p->session, packet, len, fd, deadline_usec, ret_id);
        session_unlock(p->session);
        return r;
}
