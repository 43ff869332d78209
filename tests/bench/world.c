/* SPDX-License-Identifier: MIT */

/*
 * Directories and daemons; see the header. The daemons die with who started them, whatever ends that.
 */

#include "tests/bench/world.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/bench/machine.h"

static const char *const memory_places[] = { "/dev/shm", "/run/shm", "/tmp", NULL };
static const char *const disk_places[] = { ".", "/var/tmp", "/tmp", NULL };

/* The first that is in memory, or is not. */
static const char *look_for(const char *const *places, bool is_memory)
{
        for (; *places; places++)
                if (access(*places, W_OK | X_OK) == 0 &&
                    streq(machine_file_system(*places), "tmpfs") == is_memory)
                        return *places;
        return NULL;
}

static int make_directory(const char *base, char ret[PATH_MAX])
{
        _cleanup_(freep) char *real = NULL;

        if (!base)
                return -ENOENT;
        real = realpath(base, NULL);
        if (!real)
                return -errno;
        if (snprintf(ret, PATH_MAX, "%s/tempfiled-bench-XXXXXX", real) < PATH_MAX && mkdtemp(ret))
                return 0;
        *ret = '\0';
        return -errno;
}

char *world_directory(const char *base)
{
        char *path;

        if (asprintf(&path, "%s/XXXXXX", base) < 0)
                return NULL;
        if (!mkdtemp(path)) {
                free(path);
                return NULL;
        }
        return path;
}

int world_start_daemon(struct daemon_fixture *d, const char *dir, const char *durability)
{
        int r;

        r = daemon_fixture_init(d, dir);
        if (r < 0)
                return r;
        d->durability = durability;
        return daemon_fixture_start(d);
}

static int start_in(const struct world *w, struct daemon_fixture *d, const char *durability)
{
        _cleanup_(freep) char *dir = world_directory(w->disk);

        return dir ? world_start_daemon(d, dir, durability) : -errno;
}

int world_start_daemons(struct world *w)
{
        int r;

        r = start_in(w, &w->power, "power");
        return r == 0 ? start_in(w, &w->crash, "crash") : r;
}

void world_stop_daemons(struct world *w)
{
        daemon_fixture_kill(&w->power);
        daemon_fixture_kill(&w->crash);
}

int world_open(struct world *w, const char *memory, const char *disk)
{
        int r;

        *w = (struct world) { .power.notify_fd = -1, .crash.notify_fd = -1 };
        r = make_directory(memory ?: look_for(memory_places, true), w->memory);
        if (r == 0)
                r = make_directory(disk ?: look_for(disk_places, false), w->disk);
        if (r == 0)
                machine_set_directories(w->memory, w->disk);
        else
                world_close(w);
        return r;
}

void world_close(struct world *w)
{
        if (*w->memory)
                world_remove(w->memory);
        if (*w->disk)
                world_remove(w->disk);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void world_remove(const char *dir)
{
        (void) nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

uint64_t world_raise_descriptors(uint64_t n)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 0;
        if (limit.rlim_cur >= n)
                return limit.rlim_cur;
        if (limit.rlim_max < n) {
                const struct rlimit higher = { n, n };

                if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
                        return n;
        }
        limit.rlim_cur = MIN(limit.rlim_max, n);
        return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}
