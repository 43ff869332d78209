/* SPDX-License-Identifier: MIT */

/*
 * Files and directories that belong to a plain descriptor, wherever it goes: made as this process's
 * own, locked, and given to the descriptor. Whoever dies in between leaves the process's file, which
 * goes with the process. Afterwards this library has no part in it any more.
 *
 * The subtle thing: the lock is what tells the daemon that the descriptor is still there. It is of
 * the open file description, so that every copy of the descriptor holds it, and nobody else.
 */

#include "libclient/libtempfile.h"

#include <sys/file.h>
#include <sys/stat.h>

#include "libclient/deadline.h"
#include "libclient/handle.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define PAUSE_USEC USEC_PER_MSEC

/* systemd-tmpfiles takes an exclusive lock on directories for the moment that it looks at them. */
static int lock(int fd, uint64_t deadline_usec)
{
        while (flock(fd, LOCK_SH | LOCK_NB) < 0) {
                if (errno == EINTR)
                        continue;
                if (errno != EWOULDBLOCK)
                        return -errno;
                if (deadline_left_msec(deadline_usec) == 0)
                        return -ETIMEDOUT;
                deadline_pause(PAUSE_USEC, deadline_usec);
        }
        return 0;
}

static int give_to_descriptor(struct tempfile *t, uint64_t deadline_usec)
{
        const struct wire_owner owner = { .kind = WIRE_OWNER_DESCRIPTOR };
        struct place *p;
        int r;

        r = lock(t->fd, deadline_usec);
        if (r < 0)
                return r;
        p = entry_place(&t->entry);
        if (!p)
                return -EINVAL; /* can't be: it has just been made */
        r = entry_claim(p, &t->entry, &owner, t->fd, true, deadline_usec);
        if (r < 0)
                t->entry.is_unsure = false; /* no copy of the descriptor is anywhere else */
        place_put(p);
        return r;
}

static int make(const struct tempfile_options *options, uint8_t kind, char **ret_path)
{
        struct recipe recipe;
        struct tempfile *t;
        int r, fd;

        r = recipe_read(options, kind, &recipe);
        if (r < 0)
                return r;
        if (!recipe.is_own || !(recipe.mode & S_IRUSR))
                return -EINVAL; /* the daemon must be able to open it, too */
        r = recipe_make(&recipe, &t);
        if (r < 0)
                return r;
        r = give_to_descriptor(t, recipe.deadline_usec);
        if (r < 0) {
                (void) tempfile_close(t); /* what can't be deleted now goes with the process */
                return r;
        }

        fd = TAKE_FD(t->fd);
        if (ret_path)
                *ret_path = TAKE_PTR(t->path);
        handle_free(t);
        return fd;
}

_public_ int tempfile_pseudo_file(const struct tempfile_options *options, char **ret_path)
{
        return make(options, WIRE_KIND_FILE, ret_path);
}

_public_ int tempfile_pseudo_directory(const struct tempfile_options *options, char **ret_path)
{
        return make(options, WIRE_KIND_DIRECTORY, ret_path);
}
