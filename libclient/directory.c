/* SPDX-License-Identifier: MIT */

/*
 * Which directory is it? Its canonical path is what the kernel says about the descriptor, checked;
 * its identity is device, inode and file handle. The subtle thing: ext4 gives the inode number of a
 * directory that was removed to the next one, so that number and path can agree and it is another.
 */

#include "libclient/directory.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"

int directory_open(const char *path, struct ownfd *ret, bool *ret_is_unreadable)
{
        const int flags = O_DIRECTORY | O_CLOEXEC;
        bool is_unreadable = false;
        int r, fd;

        fd = ownfd_above_stdio(RETRY(open(path, O_RDONLY | flags)));
        if (fd < 0 && errno == EACCES) {
                is_unreadable = true;
                fd = ownfd_above_stdio(RETRY(open(path, O_PATH | flags)));
        }
        if (fd < 0)
                return -errno;
        r = ownfd_take(fd, ret);
        if (r < 0)
                return r;
        *ret_is_unreadable = is_unreadable;
        return 0;
}

/* Does @path lead to it? What may not be looked up counts as yes: the kernel named it. */
static int check_path(const char *path, const struct ownfd *dir)
{
        struct stat st;

        if (*path != '/')
                return -ESTALE;
        if (stat(path, &st) < 0)
                return errno == EACCES ? 0 : -errno;
        return st.st_dev == dir->dev && st.st_ino == dir->ino ? 0 : -ESTALE;
}

/* Without /proc, and where the kernel's answer leads elsewhere (a mount on top), -ESTALE. */
static int ask_kernel(const struct ownfd *dir, char **ret)
{
        char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        char buf[PATH_MAX];
        ssize_t n;
        int r;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", dir->fd);
        n = readlink(link, buf, sizeof(buf));
        if (n < 0)
                return errno == ENAMETOOLONG ? -ENAMETOOLONG : -ESTALE;
        if ((size_t) n >= sizeof(buf))
                return -ENAMETOOLONG;
        buf[n] = '\0';
        r = check_path(buf, dir);
        if (r < 0)
                return r == -ENAMETOOLONG ? r : -ESTALE;
        *ret = strdup(buf);
        return *ret ? 0 : -ENOMEM;
}

int directory_path(const struct ownfd *dir, const char *asked, char **ret)
{
        _cleanup_(freep) char *path = NULL;
        int r;

        r = ask_kernel(dir, &path);
        if (r == -ESTALE) {
                path = realpath(asked, NULL);
                if (!path)
                        return -errno;
                r = check_path(path, dir);
        }
        if (r < 0)
                return r;
        if (strlen(path) >= WIRE_PATH_MAX)
                return -ENAMETOOLONG;
        *ret = TAKE_PTR(path);
        return 0;
}

uint64_t directory_handle(const struct ownfd *dir)
{
        static const uint8_t key[NAME_KEY_SIZE];
        union {
                struct file_handle handle;
                uint8_t bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
        } u = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
        int mount_id;

        if (name_to_handle_at(dir->fd, "", &u.handle, &mount_id, AT_EMPTY_PATH) < 0)
                return 0;
        return name_hash(key, u.handle.f_handle, u.handle.handle_bytes) | 1;
}
