/* SPDX-License-Identifier: MIT */

/*
 * Creating files and directories, and what callers create themselves under a name that is given to
 * them. The subtle thing: permission bits. Nothing is ever more open than asked for, and in the end
 * exactly as open, whatever the umask: made with the owner's bits alone, then changed if need be.
 */

#include "libclient/create.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "libclient/wire.h"

/* An O_PATH descriptor, of a directory that its owner may not read, can't be changed directly. */
static int set_mode(int fd, mode_t mode)
{
        char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if ((st.st_mode & 07777) == mode)
                return 0;
        if (fchmod(fd, mode) == 0)
                return 0;
        if (errno != EBADF)
                return -errno;
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        return chmod(link, mode) < 0 ? -errno : 0;
}

static int open_made_directory(int dirfd, const char *name)
{
        const int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int fd;

        fd = openat(dirfd, name, O_RDONLY | flags);
        if (fd < 0 && errno == EACCES)
                fd = openat(dirfd, name, O_PATH | flags);
        return ownfd_above_stdio(fd);
}

int create_directory(int dirfd, const char *name, mode_t mode, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        int r;

        if (mkdirat(dirfd, name, mode & 0700) < 0)
                return -errno;
        fd = open_made_directory(dirfd, name);
        r = fd < 0 ? -errno : set_mode(fd, mode);
        if (r < 0) {
                (void) unlinkat(dirfd, name, AT_REMOVEDIR); /* left to the daemon if that fails */
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int create_file(int dirfd, const char *name, mode_t mode, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        int r;

        fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
                    mode & 0600);
        if (fd < 0)
                return -errno;
        fd = ownfd_above_stdio(TAKE_FD(fd));
        r = fd < 0 ? -errno : set_mode(fd, mode);
        if (r < 0) {
                (void) unlinkat(dirfd, name, 0);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Is there nothing, for the caller to make something? */
static int check_free(int dirfd, const char *name)
{
        struct stat st;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return -EEXIST;
        return errno == ENOENT ? 0 : -errno;
}

static bool is_kind(int dirfd, const char *name, uint8_t kind)
{
        struct stat st;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        if (kind == WIRE_KIND_OTHER)
                return !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
        return kind == WIRE_KIND_DIRECTORY ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode);
}

/* Nobody else can know the name: what is there after a failure is a part of what was to be made. */
static int create_by_callback(struct tempfile *t, int dirfd, const char *name,
                              const struct recipe *r)
{
        int q;

        handle_set_name(t, name);
        q = r->make(dirfd, handle_name(t), t->path, r->userdata);
        if (q >= 0 && !is_kind(dirfd, name, r->kind))
                q = -EINVAL;
        if (q == -EADDRINUSE) /* bind(2)'s way to say it */
                q = -EEXIST;
        if (q < 0 && q != -EEXIST && unlinkat(dirfd, name, 0) < 0 && errno == EISDIR)
                (void) unlinkat(dirfd, name, AT_REMOVEDIR);
        return MIN(q, 0);
}

int create_by_recipe(struct tempfile *t, int dirfd, const char *name, const struct recipe *r)
{
        if (r->is_name_only)
                return check_free(dirfd, name);
        if (r->make)
                return create_by_callback(t, dirfd, name, r);
        if (r->kind == WIRE_KIND_DIRECTORY)
                return create_directory(dirfd, name, r->mode, &t->fd);
        return create_file(dirfd, name, r->mode, &t->fd);
}
