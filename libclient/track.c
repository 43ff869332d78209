/* SPDX-License-Identifier: MIT */

/*
 * Tracking what exists already. The place is the directory it lies in; what it is now, the daemon
 * finds out for itself. Here it is remembered too, so that closing the handle deletes just that.
 *
 * The subtle thing: systemd-tmpfiles leaves alone what is locked, but a lock lives in a descriptor.
 * The owner holds it; when that is another process, nobody here could.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "libclient/handle.h"
#include "libclient/target.h"
#include "libclient/util.h"
#include "libclient/wire.h"

static uint8_t kind_of_mode(unsigned int mode)
{
        if (S_ISREG(mode))
                return WIRE_KIND_FILE;
        return S_ISDIR(mode) ? WIRE_KIND_DIRECTORY : WIRE_KIND_OTHER;
}

/* What it is now, when it may be tracked at all. */
struct object {
        dev_t dev;
        ino_t ino;
        uint8_t kind;
};

static int identify(const struct target *g, struct object *ret)
{
        struct statx st;

        if (statx(g->dir.fd, g->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO,
                  &st) < 0)
                return -errno;
        if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return -EBUSY;
        if (g->has_slash && !S_ISDIR(st.stx_mode))
                return -ENOTDIR;
        *ret = (struct object) {
                .dev = makedev(st.stx_dev_major, st.stx_dev_minor),
                .ino = st.stx_ino,
                .kind = kind_of_mode(st.stx_mode),
        };
        return 0;
}

/* Best effort: what the lock keeps away is only what deletes by age. */
static void lock_directory(struct tempfile *t, const struct target *g)
{
        int fd;

        fd = ownfd_above_stdio(
                RETRY(openat(g->dir.fd, g->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
        if (fd < 0)
                return;
        (void) flock(fd, LOCK_SH | LOCK_NB);
        (void) ownfd_take(fd, &t->lock);
}

static int track_in(struct place *p, const struct target *g, const struct object *o,
                    const struct recipe *r, struct tempfile **ret)
{
        _cleanup_(handle_freep) struct tempfile *t = NULL;
        int q;

        if (p->dev != g->dir.dev || p->ino != g->dir.ino)
                return -ESTALE; /* replaced this moment */
        q = handle_new(p, r, &t);
        if (q < 0)
                return q;
        handle_set_name(t, g->name);
        t->is_tracked = true;
        t->dev = o->dev;
        t->ino = o->ino;
        t->entry.kind = o->kind;
        q = handle_register(t, p, WIRE_TRACK, g->name, r);
        if (q < 0)
                return q;

        if (r->is_own) {
                entry_hold(p, &t->entry, g->name);
                if (o->kind == WIRE_KIND_DIRECTORY)
                        lock_directory(t, g);
        }
        *ret = TAKE_PTR(t);
        return 0;
}

_public_ int tempfile_track(const char *path, const struct tempfile_options *options,
                            struct tempfile **ret)
{
        _cleanup_(target_done) struct target g = { .dir = OWNFD_NONE };
        struct recipe recipe;
        struct object object = { 0 };
        struct place *p;
        int r;

        if (!path || !ret)
                return -EINVAL;
        r = recipe_read(options, WIRE_KIND_OTHER, &recipe);
        if (r < 0)
                return r;
        r = target_read(path, &g);
        if (r < 0)
                return r;
        r = identify(&g, &object);
        if (r < 0)
                return r;
        r = place_get(g.dir_path, recipe.is_best_effort, recipe.deadline_usec, &p);
        if (r < 0)
                return r;
        r = track_in(p, &g, &object, &recipe, ret);
        place_put(p);
        return r;
}
