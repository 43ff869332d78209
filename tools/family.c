/* SPDX-License-Identifier: MIT */

/*
 * Owns the cgroups called tempfiled-run-XXXXXX: making, filling and removing them.
 *
 * One whose maker was killed stays behind, empty in the end; the next one who makes one beside it
 * removes it. The subtle thing: one that was just made is empty, too, so its maker holds a lock on
 * it, and looks once more whether it is still there when it has the lock.
 */

#include "tools/family.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tools/cgroup.h"

#define NAME "tempfiled-run-"

static int open_locked(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                (void) close(fd);
                return -EBUSY;
        }
        return fd;
}

/* The kernel removes none that somebody is in. */
static void remove_left_ones(const char *parent)
{
        const struct dirent *e;
        DIR *d = opendir(parent);

        while (d && (e = readdir(d))) {
                _cleanup_(freep) char *path = NULL;
                _cleanup_(closep) int fd = -1;

                if (strncmp(e->d_name, NAME, strlen(NAME)) != 0 ||
                    asprintf(&path, "%s/%s", parent, e->d_name) < 0)
                        continue;
                fd = open_locked(path);
                if (fd >= 0)
                        (void) rmdir(path);
        }
        if (d)
                (void) closedir(d);
}

static int make(const char *parent, struct family *f)
{
        struct stat st;

        if (asprintf(&f->path, "%s/" NAME "XXXXXX", parent) < 0) {
                f->path = NULL;
                return -ENOMEM;
        }
        if (!mkdtemp(f->path)) {
                int r = -errno;

                free(TAKE_PTR(f->path));
                return r;
        }
        f->fd = open_locked(f->path);
        if (f->fd < 0 || stat(f->path, &st) < 0) {
                family_end(f);
                return -ENOENT;
        }
        f->inode = st.st_ino;
        return 0;
}

int family_begin(struct family *f)
{
        _cleanup_(freep) char *parent = NULL;
        int r;

        *f = (struct family) { .fd = -1 };
        r = cgroup_path(0, &parent);
        if (r < 0)
                return r;
        remove_left_ones(parent);
        r = make(parent, f);
        return r == -ENOENT ? make(parent, f) : r; /* another took it for one that was left */
}

int family_add(const struct family *f, pid_t pid)
{
        _cleanup_(closep) int fd = openat(f->fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return dprintf(fd, "%d", (int) pid) < 0 ? -errno : 0;
}

void family_end(struct family *f)
{
        if (f->path)
                (void) rmdir(f->path); /* else the next one does */
        free(TAKE_PTR(f->path));
        f->fd = close_fd(f->fd);
}
