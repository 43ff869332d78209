/* SPDX-License-Identifier: MIT */

/*
 * Owns the file "lock" of the state directory. It is locked by its descriptor, so the lock goes when
 * the last thread of the process has gone: which takes for ever where one waits for a file system
 * that does not answer, and SIGKILL does not help. The lock is no weaker for it: such a thread may
 * still end the call that it is in. The file has the number of the process, for the next to say who
 * is in its way.
 */

#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>

#include "libclient/util.h"

#define LOCK_NAME "lock"

int lock_take(int dirfd, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;

        fd = openat(dirfd, LOCK_NAME, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        /* On a full disk it stays empty: then the next can't say who it is. */
        if (ftruncate(fd, 0) == 0)
                (void) dprintf(fd, "%d\n", (int) getpid());
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static bool read_text(const char *path, char *buf, size_t size)
{
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;

        buf[MAX(n, 0)] = 0;
        return n > 0;
}

/* Its main thread, which never ends before the others else, has. */
static bool is_killed(pid_t pid)
{
        char path[64], buf[512], *at;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        if (!read_text(path, buf, sizeof(buf)))
                return false;
        at = strrchr(buf, ')'); /* the command may hold anything */
        return at && strncmp(at, ") Z", 3) == 0;
}

bool lock_find_holder(const char *directory, struct lock_holder *ret)
{
        _cleanup_(freep) char *path = NULL;
        char buf[32];
        int pid;

        if (asprintf(&path, "%s/" LOCK_NAME, directory) < 0)
                return false;
        if (!read_text(path, buf, sizeof(buf)) || sscanf(buf, "%d", &pid) != 1)
                return false;
        if (pid <= 0 || pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH))
                return false;
        *ret = (struct lock_holder) { pid, is_killed(pid) };
        return true;
}
