/* SPDX-License-Identifier: MIT */

/*
 * Files without a name: the kernel deletes them with their last descriptor, so nobody need know of
 * them. Where the file system has none, a named one loses its name before anyone is told of it.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/handle.h"
#include "libclient/target.h"
#include "libclient/util.h"
#include "libclient/wire.h"

static int open_unnamed(const char *dir, mode_t mode)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;

        fd = ownfd_above_stdio(RETRY(open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, mode & 0600)));
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* How it is called for that moment is nobody's business. */
static int make_and_unlink(const struct recipe *recipe)
{
        struct recipe nameless = *recipe;
        struct tempfile *t;
        int r, fd;

        nameless.prefix = nameless.suffix = "";
        nameless.prefix_len = nameless.suffix_len = nameless.random_len = 0;
        r = recipe_make(&nameless, &t);
        if (r < 0)
                return r;
        fd = TAKE_FD(t->fd);
        r = tempfile_close(t);
        if (r < 0) {
                (void) close_fd(fd);
                return r;
        }
        return fd;
}

_public_ int tempfile_unnamed(const struct tempfile_options *options)
{
        _cleanup_(freep) char *found = NULL;
        struct recipe recipe;
        int r;

        r = recipe_read(options, WIRE_KIND_FILE, &recipe);
        if (r < 0)
                return r;
        if (!recipe.is_own || recipe.retain_sec != 0)
                return -EINVAL; /* the kernel deletes it with its last descriptor */
        if (!recipe.dir) {
                r = tempfile_gettempdir(&found);
                if (r < 0)
                        return r;
                recipe.dir = found;
        }

        r = open_unnamed(recipe.dir, recipe.mode);
        if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL)
                r = make_and_unlink(&recipe);
        return r;
}

/* ---- a name after all ------------------------------------------------------------------------- */

static int link_to(int fd, int dirfd, const char *name)
{
        char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        return linkat(AT_FDCWD, link, dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int link_as(int dirfd, const char *name, const char *path, void *userdata)
{
        return link_to(*(int *) userdata, dirfd, name);
}

/* A link can't replace: it gets a temporary name first, which is then renamed. */
static int replace(int fd, const struct target *g, unsigned int flags)
{
        _cleanup_(tempfile_closep) struct tempfile *t = NULL;
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        _cleanup_(freep) char *path = NULL;
        int r;

        o.dir = g->dir_path;
        o.prefix = ".tmp-";
        r = tempfile_make(&o, TEMPFILE_KIND_FILE, link_as, &fd, &t);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s/%s", g->dir_path, g->name) < 0)
                return -ENOMEM;
        return tempfile_persist(t, path, flags);
}

_public_ int tempfile_unnamed_persist(int fd, const char *target, unsigned int flags)
{
        _cleanup_(target_done) struct target g = { .dir = OWNFD_NONE };
        _cleanup_(closep) int sync_fd = -1;
        struct stat st;
        int r;

        if (!target || (flags & ~(TEMPFILE_NOREPLACE | TEMPFILE_FSYNC)))
                return -EINVAL;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        r = target_read(target, &g);
        if (r < 0)
                return r;
        if (g.has_slash)
                return -ENOTDIR;
        if (flags & TEMPFILE_FSYNC) {
                if (RETRY(fsync(fd)) < 0)
                        return -errno;
                sync_fd = target_open(&g);
                if (sync_fd < 0)
                        return sync_fd;
        }
        r = link_to(fd, g.dir.fd, g.name);
        if (r == 0 && sync_fd >= 0 && RETRY(fsync(sync_fd)) < 0)
                return -errno;
        if (r == -EEXIST && !(flags & TEMPFILE_NOREPLACE))
                r = replace(fd, &g, flags);
        return r;
}
