/* SPDX-License-Identifier: MIT */

/*
 * What this process holds, as the library knows it: no daemon is asked. It is copied first, since
 * the caller's function may call the library, and another thread may close what is on the list.
 */

#include "libclient/libtempfile.h"

#include "libclient/entry.h"
#include "libclient/place.h"
#include "libclient/session.h"
#include "libclient/util.h"

struct listing {
        struct tempfile_item *items; /* the paths are ours */
        size_t n, room;
};

static void listing_done(struct listing *l)
{
        for (size_t i = 0; i < l->n; i++)
                free((char *) l->items[i].path);
        free(l->items);
}

static char *join(const char *dir, const char *name)
{
        const size_t dir_len = streq(dir, "/") ? 0 : strlen(dir);
        char *path = malloc(dir_len + 1 + strlen(name) + 1);

        if (path) {
                memcpy(path, dir, dir_len);
                path[dir_len] = '/';
                (void) strcpy(path + dir_len + 1, name);
        }
        return path;
}

static uint32_t flags_of(const struct place *p, const struct entry *e)
{
        const bool is_said = e->seq != 0 ? !p->is_unknown : !e->is_unsaid;

        return (e->is_shared ? TEMPFILE_ITEM_SHARED : 0) |
               (is_said ? TEMPFILE_ITEM_GUARANTEED : 0) | (e->free ? TEMPFILE_ITEM_RELEASED : 0);
}

static int add(struct listing *l, const struct place *p, const struct entry *e)
{
        struct tempfile_item *grown;
        char *path;

        if (l->n == l->room) {
                grown = reallocarray(l->items, 2 * l->room + 16, sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                l->items = grown;
                l->room = 2 * l->room + 16;
        }
        path = join(p->path, e->name);
        if (!path)
                return -ENOMEM;
        l->items[l->n++] = (struct tempfile_item) {
                .path = path,
                .kind = e->kind,
                .flags = flags_of(p, e),
        };
        return 0;
}

static int collect(struct session *s, struct listing *l)
{
        int r = 0;

        session_lock(s);
        for (struct place *p = s->places; p && r == 0; p = p->next)
                for (struct entry *e = p->entries; e && r == 0; e = e->next)
                        r = add(l, p, e);
        session_unlock(s);
        return r;
}

_public_ int64_t tempfile_list(tempfile_list_fn fn, void *userdata)
{
        _cleanup_(listing_done) struct listing l = { 0 };
        struct session *s;
        int r;

        if (!fn)
                return -EINVAL;
        r = place_session(&s);
        if (r == 0)
                r = collect(s, &l);
        for (size_t i = 0; r >= 0 && i < l.n; i++)
                r = fn(&l.items[i], userdata);
        return r < 0 ? r : (int64_t) l.n;
}
