/* SPDX-License-Identifier: MIT */

/*
 * Owns the look at the lock. The object is opened once more, for reading, by the client's rights:
 * a mode that forbids that can't be watched. The daemon's own description never keeps the lock: it
 * takes it only when nobody else has it, and then the owner has ended. The watch is set before the
 * first look, so that no close falls between the two.
 */

#include "daemon/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "libclient/util.h"

static int reopen(int fd)
{
        char path[64];
        int again;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return again < 0 ? -errno : again;
}

/* What the client sent must be what its entry is about, and able to hold a lock. */
static int check_client_fd(struct probe_job *p, int dirfd)
{
        struct stat sent, named;
        int flags;

        flags = fcntl(p->client_fd, F_GETFL);
        if (flags < 0 || (flags & O_PATH))
                return -EBADF;
        if (fstat(p->client_fd, &sent) < 0 ||
            fstatat(dirfd, p->name, &named, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (sent.st_dev != named.st_dev || sent.st_ino != named.st_ino)
                return -ESTALE;
        p->ino = sent.st_ino;
        return S_ISREG(sent.st_mode) || S_ISDIR(sent.st_mode) ? 0 : -EBADF;
}

static int open_object(struct probe_job *p, int dirfd)
{
        _cleanup_(closep) int path_fd = -1;
        struct stat st;
        int r;

        if (p->client_fd >= 0) {
                r = check_client_fd(p, dirfd);
                return r < 0 ? r : reopen(p->client_fd);
        }
        path_fd = openat(dirfd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (path_fd < 0 || fstat(path_fd, &st) < 0)
                return -errno;
        return st.st_ino == p->ino ? reopen(path_fd) : -ESTALE;
}

static int watch(int inotify_fd, int fd)
{
        char path[64];
        int wd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        wd = inotify_add_watch(inotify_fd, path, IN_CLOSE);
        return wd < 0 ? -errno : wd;
}

static int begin(struct probe_job *p)
{
        int dirfd = reaper_open_place(&p->place);

        if (dirfd < 0) /* away is not deleted: -ENOENT is for an object missing in its directory */
                return p->place.is_deleted ? -ENOENT : dirfd == -ENOENT ? -ESTALE : dirfd;
        p->fd = open_object(p, dirfd);
        if (p->fd < 0)
                return p->fd;
        p->wd = watch(p->inotify_fd, p->fd);
        return p->wd < 0 ? p->wd : 0;
}

static int look(struct probe_job *p)
{
        if (flock(p->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 0 : -errno;
        (void) flock(p->fd, LOCK_UN); /* of no use to anybody, but nobody's to wait for either */
        p->is_free = true;
        return 0;
}

int probe_run(struct job *j)
{
        struct probe_job *p = (struct probe_job *) j;

        p->is_free = false;
        p->error = p->begins ? begin(p) : 0;
        if (p->error >= 0)
                p->error = look(p);
        if (p->error >= 0 && p->begins && p->client_fd >= 0 && p->is_free)
                p->error = -ENOLCK;
        return 0;
}
