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

        fd = RETRY(openat(dirfd, name, O_RDONLY | flags));
        if (fd < 0 && errno == EACCES)
                fd = RETRY(openat(dirfd, name, O_PATH | flags));
        return ownfd_above_stdio(fd);
}

bool create_undo(int dirfd, const char *name, uint8_t kind)
{
        const int flags = kind == WIRE_KIND_DIRECTORY ? AT_REMOVEDIR : 0;

        return unlinkat(dirfd, name, flags) == 0 || errno == ENOENT;
}

int create_directory(int dirfd, const char *name, mode_t mode, int *ret_fd, bool *ret_is_left)
{
        _cleanup_(closep) int fd = -1;
        int r;

        if (mkdirat(dirfd, name, mode & 0700) < 0)
                return -errno;
        fd = open_made_directory(dirfd, name);
        r = fd < 0 ? -errno : set_mode(fd, mode);
        if (r < 0) {
                *ret_is_left = !create_undo(dirfd, name, WIRE_KIND_DIRECTORY);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Cut short by a signal it may have been made all the same, by a server: then it goes first. */
static int open_new(int dirfd, const char *name, mode_t mode)
{
        const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
        int fd;

        while ((fd = openat(dirfd, name, flags, mode)) < 0 && errno == EINTR)
                if (!create_undo(dirfd, name, WIRE_KIND_FILE))
                        return -errno;
        return fd < 0 ? -errno : fd;
}

int create_file(int dirfd, const char *name, mode_t mode, int *ret_fd, bool *ret_is_left)
{
        _cleanup_(closep) int fd = -1;
        int r;

        fd = open_new(dirfd, name, mode & 0600);
        if (fd < 0)
                return TAKE_FD(fd);
        fd = ownfd_above_stdio(TAKE_FD(fd));
        r = fd < 0 ? -errno : set_mode(fd, mode);
        if (r < 0) {
                *ret_is_left = !create_undo(dirfd, name, WIRE_KIND_FILE);
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

/* Has the caller made what was said? */
static int check_made(int dirfd, const char *name, uint8_t kind)
{
        struct stat st;
        bool is_other;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? -EINVAL : -errno;
        is_other = !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
        if (kind == WIRE_KIND_OTHER)
                return is_other ? 0 : -EINVAL;
        return is_other || !S_ISDIR(st.st_mode) != (kind != WIRE_KIND_DIRECTORY) ? -EINVAL : 0;
}

/* Nobody else can know the name: what is there after a failure is a part of what was to be made. */
static int create_by_callback(struct tempfile *t, int dirfd, const char *name,
                              const struct recipe *r)
{
        int q;

        handle_set_name(t, name);
        q = r->make(dirfd, handle_name(t), t->path, r->userdata);
        if (q >= 0)
                q = check_made(dirfd, name, r->kind);
        if (q == -EADDRINUSE) /* bind(2)'s way to say it */
                q = -EEXIST;
        if (q < 0 && q != -EEXIST)
                t->is_left = !create_undo(dirfd, name, WIRE_KIND_FILE) &&
                             !create_undo(dirfd, name, WIRE_KIND_DIRECTORY);
        return MIN(q, 0);
}

int create_by_recipe(struct tempfile *t, int dirfd, const char *name, const struct recipe *r)
{
        if (r->is_name_only)
                return check_free(dirfd, name);
        if (r->make)
                return create_by_callback(t, dirfd, name, r);
        if (r->kind == WIRE_KIND_DIRECTORY)
                return create_directory(dirfd, name, r->mode, &t->fd, &t->is_left);
        return create_file(dirfd, name, r->mode, &t->fd, &t->is_left);
}
