/* SPDX-License-Identifier: MIT */

/*
 * Descriptors of the library among those of the program: remembered by device and inode. Promises
 * to close nothing but what it was given. Not closed: the gap between comparing and using, in which
 * another thread of the program would have to close a number it does not own.
 */

#include "libclient/ownfd.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "libclient/util.h"

int ownfd_take(int fd, struct ownfd *ret)
{
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0) {
                r = -errno;
                (void) close_fd(fd);
                return r;
        }
        *ret = (struct ownfd) { .fd = fd, .dev = st.st_dev, .ino = st.st_ino };
        return 0;
}

bool ownfd_is_there(const struct ownfd *f)
{
        struct stat st;

        return f->fd >= 0 && fstat(f->fd, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

void ownfd_close(struct ownfd *f)
{
        if (ownfd_is_there(f))
                (void) close_fd(f->fd);
        *f = OWNFD_NONE;
}

int ownfd_above_stdio(int fd)
{
        int above;

        if (fd < 0 || fd > STDERR_FILENO)
                return fd;
        above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        (void) close_fd(fd);
        return above;
}
