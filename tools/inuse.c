/* SPDX-License-Identifier: MIT */

/*
 * What the living processes hold, gathered from /proc.
 *
 * Files are told by device and inode, which mean the same in every mount namespace; paths do not.
 * Owns a hash of them. Errs on the side of "in use", and counts what it could not look into. The
 * subtle thing: a process is not one set of descriptors. Threads may have their own, and a process
 * whose first thread has ended shows none in its own directory, so every thread is looked at that
 * does not share its table with the first.
 */

#include "tools/inuse.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <search.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "libclient/util.h"
#include "tools/quantity.h"

#define FIRST_PID_NAMESPACE                                                                        \
        "pid:[4026531836]" /* PROC_PID_INIT_INO: the machine's, not a container's */
#define PROGRESS_STEP 64U

struct inuse {
        struct inuse_holder *holders; /* open addressing; .ino 0: free */
        size_t n_holders;
        size_t n_slots;   /* a power of two */
        void *sockets;    /* tree of names */
        void *namespaces; /* tree of those whose sockets or mounts were read: "net:[1]" */
        char *mounts;     /* the text of all mountinfo, a line each */
        size_t mounts_len;
        size_t n_unseen;
        bool is_confined;
        bool is_unseen; /* the process that is being looked at */
        int error;      /* -ENOMEM */
};

const char *inuse_how_name(enum inuse_how how)
{
        static const char *const names[] = {
                [INUSE_OPEN] = "open in",
                [INUSE_MAPPED] = "mapped by",
                [INUSE_CWD] = "working directory of",
                [INUSE_ROOT] = "root directory of",
                [INUSE_EXE] = "executed by",
                [INUSE_LOCKED] = "locked",
                [INUSE_DEVICE] = "behind a loop device or swap area",
        };

        return names[how];
}

/* ---- the hash ---- */

static size_t slot_of(const struct inuse *u, dev_t dev, ino_t ino)
{
        uint64_t h = ((uint64_t) ino ^ (uint64_t) dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
        size_t i = (size_t) (h >> 20) & (u->n_slots - 1);

        while (u->holders[i].ino != 0 && (u->holders[i].ino != ino || u->holders[i].dev != dev))
                i = (i + 1) & (u->n_slots - 1);
        return i;
}

static int grow(struct inuse *u)
{
        struct inuse old = *u;

        u->n_slots = MAX(2 * old.n_slots, (size_t) 1024);
        u->holders = calloc(u->n_slots, sizeof(*u->holders));
        if (!u->holders) {
                *u = old;
                return -ENOMEM;
        }
        for (size_t i = 0; i < old.n_slots; i++)
                if (old.holders[i].ino != 0)
                        u->holders[slot_of(u, old.holders[i].dev, old.holders[i].ino)] =
                                old.holders[i];
        free(old.holders);
        return 0;
}

static void add(struct inuse *u, dev_t dev, ino_t ino, pid_t pid, enum inuse_how how)
{
        size_t i;

        if (ino == 0 || u->error < 0)
                return;
        if (2 * u->n_holders >= u->n_slots && grow(u) < 0) {
                u->error = -ENOMEM;
                return;
        }
        i = slot_of(u, dev, ino);
        if (u->holders[i].ino != 0)
                return; /* who comes first is told */
        u->holders[i] = (struct inuse_holder) { dev, ino, pid, how };
        u->n_holders++;
}

const struct inuse_holder *inuse_find(const struct inuse *u, dev_t dev, ino_t ino)
{
        const struct inuse_holder *h;

        if (u->n_slots == 0)
                return NULL;
        h = &u->holders[slot_of(u, dev, ino)];
        return h->ino != 0 ? h : NULL;
}

/* ---- sets of words ---- */

static int compare_words(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* Returns whether it is new. */
static bool add_word(struct inuse *u, void **tree, const char *word)
{
        char *copy = strdup(word), **found = copy ? tsearch(copy, tree, compare_words) : NULL;

        if (!found) {
                free(copy);
                u->error = -ENOMEM;
                return false;
        }
        if (*found == copy)
                return true;
        free(copy);
        return false;
}

bool inuse_has_socket(const struct inuse *u, const char *name)
{
        return tfind(name, &u->sockets, compare_words) != NULL;
}

/* ---- one process ---- */

/* Through a link of /proc, without asking a server about what is behind it. */
static void add_link(struct inuse *u, int dirfd, const char *name, pid_t pid, enum inuse_how how)
{
        const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
        struct statx sx;

        if (statx(dirfd, name, flags, STATX_INO, &sx) == 0)
                add(u, makedev(sx.stx_dev_major, sx.stx_dev_minor), sx.stx_ino, pid, how);
        else if (errno != ENOENT && errno != ESRCH)
                u->is_unseen = true; /* what has ended, and kernel threads, hold nothing */
}

static DIR *open_directory(struct inuse *u, int parent, const char *name)
{
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d;

        if (fd < 0) {
                u->is_unseen = u->is_unseen || (errno != ENOENT && errno != ESRCH);
                return NULL;
        }
        d = fdopendir(fd);
        if (!d)
                close_fd(fd);
        u->is_unseen = u->is_unseen || !d;
        return d;
}

static FILE *open_text(struct inuse *u, int parent, const char *name)
{
        int fd = openat(parent, name, O_RDONLY | O_CLOEXEC);
        FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

        if (!f) {
                u->is_unseen = u->is_unseen || (errno != ENOENT && errno != ESRCH);
                close_fd(fd);
        }
        return f;
}

static void add_descriptors(struct inuse *u, int taskfd, pid_t pid)
{
        const struct dirent *e;
        DIR *d;

        d = open_directory(u, taskfd, "fd");
        if (!d)
                return;
        while ((e = readdir(d)))
                if (e->d_name[0] != '.')
                        add_link(u, dirfd(d), e->d_name, pid, INUSE_OPEN);
        (void) closedir(d);
}

/*
 * The device in maps is not always the one that stat() has (btrfs, overlayfs); map_files has the
 * right one, but not for everybody. So both count.
 */
static void add_maps(struct inuse *u, int procfd, pid_t pid)
{
        unsigned long start, end, inode, last = 0;
        unsigned int major, minor;
        char *line = NULL, name[64];
        size_t size = 0;
        struct statx sx;
        FILE *f;

        f = open_text(u, procfd, "maps");
        if (!f)
                return;
        while (getline(&line, &size, f) > 0) {
                if (sscanf(line, "%lx-%lx %*s %*s %x:%x %lu", &start, &end, &major, &minor,
                           &inode) != 5 ||
                    inode == 0 || inode == last)
                        continue;
                last = inode;
                add(u, makedev(major, minor), inode, pid, INUSE_MAPPED);
                (void) snprintf(name, sizeof(name), "map_files/%lx-%lx", start, end);
                if (statx(procfd, name, AT_STATX_DONT_SYNC, STATX_INO, &sx) == 0)
                        add(u, makedev(sx.stx_dev_major, sx.stx_dev_minor), sx.stx_ino, pid,
                            INUSE_MAPPED);
        }
        free(line);
        (void) fclose(f);
}

static bool shares_descriptors(pid_t pid, pid_t tid)
{
        return syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) == 0;
}

static bool shares_directories(pid_t pid, pid_t tid)
{
        return syscall(SYS_kcmp, pid, tid, KCMP_FS, 0, 0) == 0;
}

static void add_thread(struct inuse *u, int tasksfd, pid_t pid, pid_t tid)
{
        _cleanup_(closep) int fd = -1;
        char name[16];

        (void) snprintf(name, sizeof(name), "%d", (int) tid);
        fd = openat(tasksfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return; /* it has ended */
        if (tid == pid || !shares_directories(pid, tid)) {
                add_link(u, fd, "cwd", pid, INUSE_CWD);
                add_link(u, fd, "root", pid, INUSE_ROOT);
        }
        if (tid == pid || !shares_descriptors(pid, tid))
                add_descriptors(u, fd, pid);
        if (tid == pid)
                return;
        add_link(u, fd, "exe", pid, INUSE_EXE); /* also when the first one has ended */
}

static void add_threads(struct inuse *u, int procfd, pid_t pid)
{
        const struct dirent *e;
        uint64_t tid;
        DIR *d;

        d = open_directory(u, procfd, "task");
        if (!d)
                return;
        while ((e = readdir(d)))
                if (quantity_parse_number(e->d_name, INT32_MAX, &tid) >= 0)
                        add_thread(u, dirfd(d), pid, (pid_t) tid);
        (void) closedir(d);
}

/* ---- namespaces ---- */

static bool is_new_namespace(struct inuse *u, int procfd, const char *name)
{
        char target[64];
        ssize_t n;

        n = readlinkat(procfd, name, target, sizeof(target) - 1);
        if (n < 0)
                return false; /* told by the descriptors, which need the same rights */
        target[n] = '\0';
        return add_word(u, &u->namespaces, target);
}

static void add_sockets(struct inuse *u, int procfd)
{
        char *line = NULL;
        size_t size = 0;
        FILE *f;

        f = open_text(u, procfd, "net/unix");
        if (!f)
                return;
        while (getline(&line, &size, f) > 0) {
                char *path = line;

                line[strcspn(line, "\n")] = '\0';
                for (int i = 0; i < 7 && path; i++) {
                        path = strchr(path + strspn(path, " "), ' ');
                        if (path)
                                path += strspn(path, " ");
                }
                if (path && *path && *path != '@')
                        (void) add_word(u, &u->sockets,
                                        strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
        }
        free(line);
        (void) fclose(f);
}

static void add_mounts(struct inuse *u, int procfd)
{
        char *line = NULL, *mounts;
        size_t size = 0;
        ssize_t n;
        FILE *f;

        f = open_text(u, procfd, "mountinfo");
        if (!f)
                return;
        while ((n = getline(&line, &size, f)) > 0) {
                mounts = realloc(u->mounts, u->mounts_len + (size_t) n + 1);
                if (!mounts) {
                        u->error = -ENOMEM;
                        break;
                }
                memcpy(mounts + u->mounts_len, line, (size_t) n + 1);
                u->mounts = mounts;
                u->mounts_len += (size_t) n;
        }
        free(line);
        (void) fclose(f);
}

/* As mountinfo writes it. */
static char *escape_for_mountinfo(const char *path)
{
        char *out = malloc(4 * strlen(path) + 1), *p = out;

        for (; out && *path; path++) {
                if (strchr(" \t\n\\#", *path))
                        p += sprintf(p, "\\%03o", (unsigned char) *path);
                else
                        *p++ = *path;
        }
        if (out)
                *p = '\0';
        return out;
}

/* A mount point, the source of a bind mount, or a layer of an overlay: there, or below. */
static bool has_mount(const struct inuse *u, const char *escaped)
{
        size_t len = strlen(escaped);

        for (const char *p = u->mounts; p && (p = strstr(p, escaped)); p++)
                if (strchr(" /:,\n", p[len]) && (p == u->mounts || strchr(" =:,", p[-1])))
                        return true;
        return false;
}

/* The source of a bind mount counts from its file system's root, so each end of the path is tried. */
bool inuse_has_mount(const struct inuse *u, const char *path)
{
        _cleanup_(freep) char *escaped = escape_for_mountinfo(path);

        if (!escaped)
                return true;
        for (const char *p = escaped; p; p = strchr(p + 1, '/'))
                if (has_mount(u, p))
                        return true;
        return false;
}

/* ---- what is not a process's ---- */

static void add_locks(struct inuse *u)
{
        unsigned int major, minor;
        unsigned long inode;
        char *line = NULL;
        size_t size = 0;
        int pid;
        FILE *f;

        f = fopen("/proc/locks", "re");
        if (!f) {
                u->is_confined = true;
                return;
        }
        while (getline(&line, &size, f) > 0)
                if (sscanf(line, "%*d: %*s %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &inode) ==
                    4)
                        add(u, makedev(major, minor), inode, MAX(pid, 0), INUSE_LOCKED);
        free(line);
        (void) fclose(f);
}

static void add_path(struct inuse *u, const char *path)
{
        struct stat st;

        if (stat(path, &st) == 0)
                add(u, st.st_dev, st.st_ino, 0, INUSE_DEVICE);
}

static void add_loop_device(struct inuse *u, int sysfd, const char *name)
{
        char path[512], *line = NULL;
        size_t size = 0;
        int fd;
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/loop/backing_file", name);
        fd = openat(sysfd, path, O_RDONLY | O_CLOEXEC);
        f = fd >= 0 ? fdopen(fd, "r") : NULL;
        if (!f) {
                close_fd(fd);
                return;
        }
        if (getline(&line, &size, f) > 0) {
                line[strcspn(line, "\n")] = '\0';
                add_path(u, line);
        }
        free(line);
        (void) fclose(f);
}

static void add_devices(struct inuse *u)
{
        const struct dirent *e;
        char *line = NULL;
        size_t size = 0;
        DIR *d = opendir("/sys/block");
        FILE *f = fopen("/proc/swaps", "re");

        while (d && (e = readdir(d)))
                if (strncmp(e->d_name, "loop", 4) == 0)
                        add_loop_device(u, dirfd(d), e->d_name);
        while (f && getline(&line, &size, f) > 0) {
                line[strcspn(line, " \t\n")] = '\0';
                if (*line == '/')
                        add_path(u, line);
        }
        free(line);
        if (d)
                (void) closedir(d);
        if (f)
                (void) fclose(f);
}

/* ---- all ---- */

static void add_namespaces(struct inuse *u, int procfd)
{
        if (is_new_namespace(u, procfd, "ns/net"))
                add_sockets(u, procfd);
        if (is_new_namespace(u, procfd, "ns/mnt"))
                add_mounts(u, procfd);
}

static void add_process(struct inuse *u, int proc, pid_t pid)
{
        _cleanup_(closep) int fd = -1;
        char name[16];

        (void) snprintf(name, sizeof(name), "%d", (int) pid);
        fd = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return; /* it has ended */
        u->is_unseen = false;
        add_threads(u, fd, pid);
        add_link(u, fd, "exe", pid, INUSE_EXE);
        add_maps(u, fd, pid);
        add_namespaces(u, fd);
        u->n_unseen += u->is_unseen;
}

/* This process holds nothing that counts, but where it is something may be mounted. */
static void add_own_namespaces(struct inuse *u, int proc)
{
        _cleanup_(closep) int fd = openat(proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
                add_namespaces(u, fd);
}

static bool is_confined(void)
{
        char target[64];
        ssize_t n;

        n = readlink("/proc/self/ns/pid", target, sizeof(target) - 1);
        if (n < 0)
                return true;
        target[n] = '\0';
        return !streq(target, FIRST_PID_NAMESPACE) || access("/proc/1", F_OK) < 0;
}

static void add_processes(struct inuse *u, DIR *proc, inuse_progress_fn progress)
{
        const struct dirent *e;
        size_t n = 0;
        uint64_t pid;

        while (u->error >= 0 && (e = readdir(proc))) {
                if (quantity_parse_number(e->d_name, INT32_MAX, &pid) < 0)
                        continue;
                if (progress && n++ % PROGRESS_STEP == 0)
                        progress(n);
                if ((pid_t) pid != getpid())
                        add_process(u, dirfd(proc), (pid_t) pid);
        }
}

int inuse_collect(inuse_progress_fn progress, struct inuse **ret)
{
        _cleanup_(inuse_freep) struct inuse *u = calloc(1, sizeof(*u));
        DIR *proc;

        if (!u)
                return -ENOMEM;
        proc = opendir("/proc");
        if (!proc || access("/proc/self/fd", F_OK) < 0) {
                if (proc)
                        (void) closedir(proc);
                return -ENOENT;
        }
        u->is_confined = is_confined();
        add_own_namespaces(u, dirfd(proc));
        add_processes(u, proc, progress);
        (void) closedir(proc);
        add_locks(u);
        add_devices(u);
        if (u->error < 0)
                return u->error;
        *ret = TAKE_PTR(u);
        return 0;
}

void inuse_free(struct inuse *u)
{
        if (!u)
                return;
        free(u->holders);
        free(u->mounts);
        tdestroy(u->sockets, free);
        tdestroy(u->namespaces, free);
        free(u);
}

size_t inuse_unseen(const struct inuse *u)
{
        return u->n_unseen;
}

bool inuse_is_confined(const struct inuse *u)
{
        return u->is_confined;
}
