/* SPDX-License-Identifier: MIT */

/*
 * How long it takes from an end to its being gone: owners are killed, and what they made is watched.
 * Beside them those who do it without a daemon, and rm(1) and find(1), which only delete.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/bench/gone.h"
#include "tests/bench/trees.h"
#include "tests/bench/works.h"
#include "tests/bench/world.h"

#define PREFIX "tmp-"

/* ---- victims ---------------------------------------------------------------------------------- */

/* What a victim makes before it waits for its end. */
typedef int (*make_fn)(const char *dir, unsigned int count, unsigned int number);

static void be_victim(const char *dir, unsigned int count, unsigned int number, make_fn make,
                      int ready_fd)
{
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (make(dir, count, number) == 0 && write(ready_fd, "", 1) == 1)
                for (;;)
                        (void) pause();
        _exit(1);
}

/* Starts @n of them, and returns when each has made its own. */
static int start_victims(pid_t *pids, unsigned int n, const char *dir, unsigned int count,
                         make_fn make)
{
        char byte;
        int ends[2], r = 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        for (unsigned int i = 0; i < n && r == 0; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        be_victim(dir, count, i, make, ends[1]);
                if (pids[i] < 0)
                        r = -errno;
        }
        (void) close(ends[1]);
        for (unsigned int i = 0; i < n && r == 0; i++)
                if (read(ends[0], &byte, 1) != 1)
                        r = -ECHILD;
        (void) close(ends[0]);
        return r;
}

static void kill_victims(const pid_t *pids, unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                if (pids[i] > 0)
                        (void) kill(pids[i], SIGKILL);
}

static void reap_victims(const pid_t *pids, unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                if (pids[i] > 0)
                        (void) waitpid(pids[i], NULL, 0);
}

/* From the first kill until @names names have left @dir. */
static int time_end(const pid_t *pids, unsigned int n, const char *dir, unsigned int names,
                    uint64_t *ret_nsec)
{
        struct gone gone;
        uint64_t start;
        int r;

        r = gone_watch(&gone, dir, "", names);
        start = clock_nsec();
        kill_victims(pids, n);
        if (r == 0)
                r = gone_wait(&gone);
        *ret_nsec = clock_nsec() - start;
        reap_victims(pids, n);
        return r;
}

/* ---- ours ------------------------------------------------------------------------------------- */

static int make_ours(const char *dir, unsigned int count, unsigned int number)
{
        const struct tempfile_options o = our_options(dir);
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < count && r == 0; i++) {
                r = tempfile_named(&o, &t);
                if (r == 0)
                        r = tempfile_release(t); /* the descriptor goes, the file stays */
        }
        return r;
}

/* @owners processes that have made @count files each. */
static int end_ours(struct contestant *c, unsigned int owners, unsigned int count,
                    uint64_t *ret_nsec)
{
        _cleanup_(freep) char *dir = world_directory(c->dir);
        _cleanup_(freep) pid_t *pids = calloc(owners, sizeof(*pids));
        int r;

        if (!dir || !pids)
                return -errno;
        r = start_victims(pids, owners, dir, count, make_ours);
        if (r == 0)
                r = time_end(pids, owners, dir, owners * count, ret_nsec);
        if (r == 0 && rmdir(dir) < 0)
                r = -errno;
        return r;
}

/* Adds up @n ends, each by @once. */
static int add_up(struct contestant *c, unsigned int n,
                  int (*once)(struct contestant *, uint64_t *), uint64_t *ret_nsec)
{
        uint64_t nsec = 0;
        int r = 0;

        *ret_nsec = 0;
        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = once(c, &nsec);
                *ret_nsec += nsec;
        }
        return r;
}

static int end_owner_once(struct contestant *c, uint64_t *ret_nsec)
{
        return end_ours(c, 1, c->count, ret_nsec);
}

static int end_owner(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, end_owner_once, ret_nsec);
}

const struct work end_of_owner = { .run = end_owner };

static int end_owners_once(struct contestant *c, uint64_t *ret_nsec)
{
        return end_ours(c, c->count, 1, ret_nsec);
}

static int end_owners(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, end_owners_once, ret_nsec);
}

const struct work end_of_owners = { .run = end_owners };

static int end_tree_owner_once(struct contestant *c, uint64_t *ret_nsec)
{
        _cleanup_(freep) char *dir = world_directory(c->dir);
        pid_t owner;
        int r;

        if (!dir)
                return -errno;
        r = trees_start_owner(dir, c->count, NULL, &owner);
        if (r == 0)
                r = time_end(&owner, 1, dir, 1, ret_nsec);
        if (r == 0 && rmdir(dir) < 0)
                r = -errno;
        return r;
}

static int end_tree_owner(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, end_tree_owner_once, ret_nsec);
}

const struct work end_of_tree_owner = { .run = end_tree_owner };

/* ---- a bare watcher --------------------------------------------------------------------------- */

/* Each victim's names begin with its number, so that the watcher knows them. */
static const char *bare_name(unsigned int victim, unsigned int i)
{
        static char name[64];

        (void) snprintf(name, sizeof(name), PREFIX "%06u-%012u", victim, i);
        return name;
}

static int make_bare(const char *dir, unsigned int count, unsigned int number)
{
        const int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd, r = dirfd < 0 ? -errno : 0;

        for (unsigned int i = 0; i < count && r == 0; i++) {
                fd = openat(dirfd, bare_name(number, i), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                            0600);
                r = fd < 0 ? -errno : 0;
                (void) close_fd(fd);
        }
        (void) close_fd(dirfd);
        return r;
}

/* Reported once: a process that has ended stays so. */
static int watch_victim(int epoll_fd, pid_t pid, unsigned int number)
{
        struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.u32 = number };
        const int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static void unlink_all_of(int dirfd, unsigned int victim, unsigned int count)
{
        for (unsigned int i = 0; i < count; i++)
                (void) unlinkat(dirfd, bare_name(victim, i), 0);
}

static void be_watcher(const pid_t *pids, unsigned int n, const char *dir, unsigned int count,
                       int ready_fd)
{
        const int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event events[64];
        int got;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned int i = 0; i < n; i++)
                if (watch_victim(epoll_fd, pids[i], i) < 0)
                        _exit(1);
        if (write(ready_fd, "", 1) != 1)
                _exit(1);
        for (unsigned int left = n; left > 0; left -= (unsigned int) got) {
                got = epoll_wait(epoll_fd, events, ARRAY_SIZE(events), -1);
                if (got < 0)
                        _exit(1);
                for (int i = 0; i < got; i++)
                        unlink_all_of(dirfd, events[i].data.u32, count);
        }
        _exit(0);
}

static int start_watcher(const pid_t *pids, unsigned int n, const char *dir, unsigned int count,
                         pid_t *ret)
{
        int ends[2], r = 0;
        char byte;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        *ret = fork();
        if (*ret == 0)
                be_watcher(pids, n, dir, count, ends[1]);
        (void) close(ends[1]);
        if (*ret < 0 || read(ends[0], &byte, 1) != 1)
                r = -ECHILD;
        (void) close(ends[0]);
        return r;
}

static int end_watched(struct contestant *c, unsigned int owners, unsigned int count,
                       uint64_t *ret_nsec)
{
        _cleanup_(freep) char *dir = world_directory(c->dir);
        _cleanup_(freep) pid_t *pids = calloc(owners, sizeof(*pids));
        pid_t watcher = 0;
        int r;

        if (!dir || !pids)
                return -errno;
        r = start_victims(pids, owners, dir, count, make_bare);
        if (r == 0)
                r = start_watcher(pids, owners, dir, count, &watcher);
        if (r == 0)
                r = time_end(pids, owners, dir, owners * count, ret_nsec);
        reap_victims(&watcher, 1);
        if (r == 0 && rmdir(dir) < 0)
                r = -errno;
        return r;
}

static int watch_owner_once(struct contestant *c, uint64_t *ret_nsec)
{
        return end_watched(c, 1, c->count, ret_nsec);
}

static int watch_owner(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, watch_owner_once, ret_nsec);
}

const struct work watcher_of_owner = { .run = watch_owner };

static int watch_owners_once(struct contestant *c, uint64_t *ret_nsec)
{
        return end_watched(c, c->count, 1, ret_nsec);
}

static int watch_owners(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, watch_owners_once, ret_nsec);
}

const struct work watcher_of_owners = { .run = watch_owners };

/* ---- rm and find ------------------------------------------------------------------------------ */

static int run_command(const char *const *argv)
{
        int status = 1;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) execvp(argv[0], (char *const *) argv);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return -errno;
        return status == 0 ? 0 : -EIO;
}

/* A fresh directory is filled, and deleted with all that is in it. */
static int time_command(struct contestant *c, bool is_tree, const char *command, uint64_t *ret_nsec)
{
        _cleanup_(freep) char *dir = world_directory(c->dir);
        const char *const rm[] = { "rm", "-rf", dir, NULL };
        const char *const find[] = { "find", dir, "-delete", NULL };
        uint64_t start;
        int r;

        if (!dir)
                return -errno;
        r = is_tree ? trees_fill(dir, c->count) : make_bare(dir, c->count, 0);
        if (r < 0)
                return r;
        start = clock_nsec();
        r = run_command(streq(command, "rm") ? rm : find);
        *ret_nsec = clock_nsec() - start;
        return r;
}

static int rm_files_once(struct contestant *c, uint64_t *ret_nsec)
{
        return time_command(c, false, "rm", ret_nsec);
}

static int rm_tree_once(struct contestant *c, uint64_t *ret_nsec)
{
        return time_command(c, true, "rm", ret_nsec);
}

static int find_tree_once(struct contestant *c, uint64_t *ret_nsec)
{
        return time_command(c, true, "find", ret_nsec);
}

static int rm_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, rm_files_once, ret_nsec);
}

static int rm_tree(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, rm_tree_once, ret_nsec);
}

static int find_tree(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        return add_up(c, n, find_tree_once, ret_nsec);
}

const struct work rm_of_files = { .run = rm_files };
const struct work rm_of_tree = { .run = rm_tree };
const struct work find_of_tree = { .run = find_tree };
