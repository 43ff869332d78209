/* SPDX-License-Identifier: MIT */

/*
 * Moving a temporary to its final place. The move itself is the decision: before it the name is the
 * daemon's to delete, after it there is no such name any more, and nobody deletes another. So a
 * crash at any moment leaves one outcome, and saying "gone" afterwards only tidies up.
 *
 * But what was tracked is known by what it is: renamed back to its old name it would be the daemon's
 * again, had that not heard. So it is kept, acknowledged and on disk, before the move is reported.
 *
 * The subtle thing: what was made inside a directory that is to stay has entries of its own. They
 * are kept first; until the move the directory's own entry still covers them.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/deadline.h"
#include "libclient/handle.h"
#include "libclient/process.h"
#include "libclient/target.h"
#include "libclient/util.h"
#include "libclient/wire.h"

/* Where the file system can't refuse to replace; a directory can't be linked. */
static int link_and_unlink(int dirfd, const char *name, const struct target *g)
{
        int r;

        if (linkat(dirfd, name, g->dir.fd, g->name, 0) < 0)
                return -errno;
        if (unlinkat(dirfd, name, 0) < 0) {
                r = -errno;
                (void) unlinkat(g->dir.fd, g->name, 0);
                return r;
        }
        return 0;
}

static int move(const struct tempfile *t, int dirfd, const struct target *g, bool may_replace)
{
        const unsigned int flags = may_replace ? 0 : RENAME_NOREPLACE;

        if (renameat2(dirfd, handle_name(t), g->dir.fd, g->name, flags) == 0)
                return 0;
        if ((errno != EINVAL && errno != ENOSYS) || may_replace || t->entry.kind != WIRE_KIND_FILE)
                return -errno;
        return link_and_unlink(dirfd, handle_name(t), g);
}

/* Renaming onto another link of the same file does nothing, and says that all is well. A name that
 * can't be removed then is still the daemon's; one that is not there was moved. */
static int remove_second_link(const struct tempfile *t, int dirfd)
{
        struct stat st;
        int r;

        if (t->entry.kind != WIRE_KIND_FILE || t->is_tracked)
                return 0;
        if (unlinkat(dirfd, handle_name(t), 0) == 0 || errno == ENOENT)
                return 0;
        r = -errno;
        if (fstatat(dirfd, handle_name(t), &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
                return 0;
        return r;
}

static int join(const struct target *g, char **ret)
{
        const size_t dir_len = streq(g->dir_path, "/") ? 0 : strlen(g->dir_path);
        char *path;

        path = malloc(dir_len + 1 + strlen(g->name) + 1);
        if (!path)
                return -ENOMEM;
        memcpy(path, g->dir_path, dir_len);
        path[dir_len] = '/';
        (void) strcpy(path + dir_len + 1, g->name);
        *ret = path;
        return 0;
}

static int check_object(const struct tempfile *t, int dirfd, const struct target *g)
{
        struct stat st;

        if (t->entry.kind != WIRE_KIND_DIRECTORY && g->has_slash)
                return -ENOTDIR;
        if (!t->is_tracked)
                return 0;
        if (fstatat(dirfd, handle_name(t), &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return st.st_dev == t->dev && st.st_ino == t->ino ? 0 : -ESTALE;
}

/* What can fail, before it moves. */
static int prepare(struct tempfile *t, struct place *p, int dirfd, const struct target *g,
                   unsigned int flags)
{
        int r;

        r = entry_await(p, &t->entry, deadline_in(t->timeout_usec));
        if (r == 0)
                r = check_object(t, dirfd, g);
        if (r == 0)
                r = handle_flush(t);
        if (r < 0)
                return r;
        if ((flags & TEMPFILE_FSYNC) && t->fd >= 0 && RETRY(fsync(t->fd)) < 0)
                return -errno;
        if (t->entry.kind == WIRE_KIND_DIRECTORY)
                return entry_keep_below(p, t->path, deadline_in(t->timeout_usec));
        return 0;
}

static void end_entry(struct tempfile *t, struct place *p)
{
        if (t->is_tracked)
                entry_gone_elsewhere(p, &t->entry, deadline_in(t->timeout_usec));
        else
                entry_gone(p, &t->entry);
}

static int persist_to(struct tempfile *t, struct place *p, const struct target *g,
                      unsigned int flags)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int sync_fd = -1;
        int r, dirfd;

        r = join(g, &path);
        if (r < 0)
                return r;
        dirfd = place_dirfd(p);
        if (dirfd < 0)
                return dirfd;
        if (flags & TEMPFILE_FSYNC) {
                sync_fd = target_open(g); /* while there is a way back */
                if (sync_fd < 0)
                        return sync_fd;
        }
        r = prepare(t, p, dirfd, g, flags);
        if (r == 0)
                r = move(t, dirfd, g, !(flags & TEMPFILE_NOREPLACE));
        if (r == 0)
                r = remove_second_link(t, dirfd);
        if (r < 0)
                return r;

        if (sync_fd >= 0 && RETRY(fsync(sync_fd)) < 0)
                r = -errno;
        end_entry(t, p);
        ownfd_close(&t->lock);
        free(t->path);
        t->path = TAKE_PTR(path);
        return r;
}

_public_ int tempfile_persist(struct tempfile *t, const char *target, unsigned int flags)
{
        _cleanup_(target_done) struct target g = { .dir = OWNFD_NONE };
        struct place *p;
        int r;

        if (!t || !target || (flags & ~(TEMPFILE_NOREPLACE | TEMPFILE_FSYNC)))
                return -EINVAL;
        if (t->pid != process_id())
                return -EPERM;
        r = target_read(target, &g);
        if (r < 0)
                return r;
        p = entry_place(&t->entry);
        if (!p)
                return -EINVAL;
        r = persist_to(t, p, &g, flags);
        place_put(p);
        return r;
}
