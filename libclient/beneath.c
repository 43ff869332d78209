/* SPDX-License-Identifier: MIT */

/*
 * Opening directories beneath others, for code that works in trees which somebody else may change
 * at the same time. Promises that what is opened is a directory and on the mount it should be on;
 * whether it is the one that was seen before is for the caller to compare. The subtle thing: the
 * mount is compared even after the kernel was told to stay on it, because a sandbox may refuse
 * openat2().
 */

#include "libclient/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/util.h"

int beneath_identify(int fd, struct beneath_id *ret)
{
        const unsigned int mask = STATX_INO | STATX_MODE | STATX_MNT_ID;
        struct statx sx;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, &sx) < 0)
                return -errno;
        *ret = (struct beneath_id) {
                .device = (uint64_t) sx.stx_dev_major << 32 | sx.stx_dev_minor,
                .inode = sx.stx_ino,
                .mount = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : 0,
                .mode = sx.stx_mode & 07777,
        };
        return 0;
}

static bool is_same_mount(const struct beneath_id *a, const struct beneath_id *b)
{
        return a->mount == b->mount && (a->mount != 0 || a->device == b->device);
}

bool beneath_is_same(const struct beneath_id *a, const struct beneath_id *b)
{
        return is_same_mount(a, b) && a->device == b->device && a->inode == b->inode;
}

/* openat2() does not so much as touch what is mounted: a server that hangs can't hang us. */
static int open_directory(int dirfd, const char *name, int flags)
{
        struct open_how how = {
                .flags = (uint64_t) (flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
        };
        int fd;

        fd = (int) RETRY(syscall(SYS_openat2, dirfd, name, &how, sizeof(how)));
        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
                fd = RETRY(openat(dirfd, name, (int) how.flags));
        if (fd < 0)
                return errno == ELOOP ? -ENOTDIR : -errno;
        return fd;
}

int beneath_open(int dirfd, const char *name, int flags, const struct beneath_id *origin,
                 struct beneath_id *ret)
{
        _cleanup_(closep) int fd = -1;
        int r;

        fd = open_directory(dirfd, name, flags);
        if (fd < 0)
                return fd;
        r = beneath_identify(fd, ret);
        if (r < 0)
                return r;
        return is_same_mount(ret, origin) ? TAKE_FD(fd) : -EXDEV;
}

/* The path below /proc is of what the descriptor is of, even one that allows nothing (O_PATH).
 * fchmodat2(), which would do without /proc, came with Linux 6.6. */
int beneath_permit(int fd)
{
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct beneath_id id;
        int r;

        r = beneath_identify(fd, &id);
        if (r < 0)
                return r;
        if ((id.mode & S_IRWXU) == S_IRWXU)
                return 0;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return chmod(path, id.mode | S_IRWXU) < 0 ? -EACCES : 0;
}

int beneath_permit_at(int dirfd, const char *name, const struct beneath_id *origin)
{
        _cleanup_(closep) int fd = -1;
        struct beneath_id id;

        fd = beneath_open(dirfd, name, O_PATH, origin, &id);
        return fd < 0 ? fd : beneath_permit(fd);
}
