/* SPDX-License-Identifier: MIT */

/*
 * Sums up allocated blocks.
 *
 * Goes down by descriptors and never through a symbolic link or onto another mount, so that whose
 * directory it is can't lead it elsewhere while it looks. The subtle thing: each level keeps a
 * descriptor open, so there is a depth at which it gives up and says so.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "libclient/beneath.h"
#include "libclient/util.h"
#include "tools/usage.h"

#define DEPTH_MAX 200U
#define BLOCK_SIZE 512U /* of st_blocks, whatever the file system's */

struct walk {
        struct beneath_id origin;
        dev_t dev; /* the origin's, as stat(2) has it */
        struct usage *usage;
        usage_fn fn;
        void *userdata;
        int result; /* not 0: enough */
};

static void add_directory(struct walk *w, int dirfd, const char *name, unsigned int depth);

static void closedirp(DIR **d)
{
        if (*d)
                (void) closedir(*d);
}

static bool is_dots(const char *name)
{
        return streq(name, ".") || streq(name, "..");
}

static uint64_t to_usec(const struct timespec *t)
{
        return t->tv_sec < 0 ? 0
                             : (uint64_t) t->tv_sec * USEC_PER_SEC +
                                       (uint64_t) t->tv_nsec / NSEC_PER_USEC;
}

/* To look for something reads directories, so when that was tells nothing. */
static uint64_t last_use(const struct stat *st)
{
        uint64_t used = MAX(to_usec(&st->st_mtim), to_usec(&st->st_ctim));

        return S_ISDIR(st->st_mode) ? used : MAX(used, to_usec(&st->st_atim));
}

static void add_one(struct walk *w, const char *name, const struct stat *st)
{
        w->usage->used_usec = MAX(w->usage->used_usec, last_use(st));
        if (w->fn)
                w->result = w->fn(name, st, w->userdata);
        w->usage->bytes += (uint64_t) st->st_blocks * BLOCK_SIZE;
        w->usage->names++;
}

static void add_name(struct walk *w, int dirfd, const char *name, unsigned int depth)
{
        struct stat st;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                w->usage->is_partial = w->usage->is_partial || errno != ENOENT;
                return;
        }
        if (st.st_dev != w->dev)
                return; /* another file system is mounted there */
        add_one(w, name, &st);
        if (S_ISDIR(st.st_mode) && w->result == 0)
                add_directory(w, dirfd, name, depth);
}

static void add_contents(struct walk *w, DIR *d, unsigned int depth)
{
        const struct dirent *e;

        for (errno = 0; w->result == 0 && (e = readdir(d)); errno = 0)
                if (!is_dots(e->d_name))
                        add_name(w, dirfd(d), e->d_name, depth + 1);
        if (errno != 0 && w->result == 0)
                w->usage->is_partial = true;
}

static void add_directory(struct walk *w, int parent, const char *name, unsigned int depth)
{
        _cleanup_(closedirp) DIR *d = NULL;
        struct beneath_id id;
        int fd;

        fd = depth < DEPTH_MAX ? beneath_open(parent, name, O_RDONLY, &w->origin, &id) : -EMFILE;
        if (fd == -ENOENT || fd == -EXDEV)
                return;
        if (fd >= 0)
                d = fdopendir(fd);
        if (d)
                return add_contents(w, d, depth);
        w->usage->is_partial = true;
        close_fd(fd);
}

int usage_walk(int parent, const char *name, usage_fn fn, void *userdata, struct usage *ret)
{
        _cleanup_(closep) int fd = -1;
        struct walk w = { .usage = ret, .fn = fn, .userdata = userdata };
        struct stat st;

        *ret = (struct usage) { 0 };
        fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                ret->error = -errno;
        else
                ret->error = beneath_identify(fd, &w.origin);
        if (ret->error < 0)
                return 0;
        w.dev = st.st_dev;
        add_one(&w, name, &st);
        if (S_ISDIR(st.st_mode) && w.result == 0)
                add_directory(&w, fd, ".", 0);
        return w.result;
}

void usage_of_path(const char *path, struct usage *ret)
{
        (void) usage_walk(AT_FDCWD, path, NULL, NULL, ret);
}
