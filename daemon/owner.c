/* SPDX-License-Identifier: MIT */

/*
 * Owns the question whether a process is the one it was. The pidfd alone decides over death: a
 * main thread that has ended shows as a zombie while others run, a connection closes at exec.
 * The order that closes the pid's reuse: open the pidfd first, read the start time then, and look
 * at the pidfd last. If it is not dead, what was read was that process's.
 */

#include "daemon/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <systemd/sd-login.h>

#include "libclient/util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* 6.5 */
#endif

#define ARGUMENTS_MAX 1024U
#define START_FIELD 22
#define NSEC_PER_SEC UINT64_C(1000000000)

int process_read_start(pid_t pid, uint64_t *ret)
{
        char path[64], buf[4096], *at;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, buf, sizeof(buf) - 1);
        if (n < 0)
                n = -errno;
        close_fd(fd);
        if (n <= 0)
                return n < 0 ? (int) n : -EIO;
        buf[n] = 0;

        at = strrchr(buf, ')'); /* the command may hold anything; fields are counted behind it */
        for (int field = 2; at && field < START_FIELD; field++)
                at = strchr(at + 1, ' ');
        if (!at || sscanf(at, " %" SCNu64, ret) != 1)
                return -EBADMSG;
        return 0;
}

/*
 * How far this time namespace's clock of start times is from the machine's, as a mark beside the inode
 * of the pid namespace; 0: not at all. The namespace's own inode would tell less: the next one gets it.
 */
static int read_clock_mark(uint64_t *ret)
{
        uint64_t shift = 0;
        char line[128];
        int64_t sec;
        long nsec;
        FILE *f;
        int r;

        *ret = 0;
        f = fopen("/proc/self/timens_offsets", "re");
        if (!f)
                return errno == ENOENT ? 0 : -errno; /* this kernel has none */
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "boottime %" SCNd64 " %ld", &sec, &nsec) == 2)
                        shift = (uint64_t) sec * NSEC_PER_SEC + (uint64_t) nsec;
        r = ferror(f) ? -errno : 0;
        (void) fclose(f);
        *ret = shift * UINT64_C(0x9e3779b97f4a7c15) & UINT64_C(0xffffffff00000000);
        return r;
}

/* What the service manager goes by comes first: a sandbox can hide the id of a container's boot
 * behind its host's. */
static int read_boot(sd_id128_t *ret)
{
        const char *given = getenv("TEMPFILED_BOOT_ID");

        return given ? sd_id128_from_string(given, ret) : sd_id128_get_boot(ret);
}

int epoch_now(struct epoch *ret)
{
        struct epoch e = { 0 };
        struct stat st;
        uint64_t mark;
        int r;

        r = read_boot(&e.boot);
        if (r < 0)
                return r;
        if (stat("/proc/self/ns/pid", &st) < 0)
                return -errno;
        /* Start times are told by the reader's clock: by another one they mean as little as pids do
         * in another pid namespace. */
        r = read_clock_mark(&mark);
        if (r < 0)
                return r;
        e.pid_ns = st.st_ino ^ mark;
        /* Hidden from an ordinary user (hidepid): then boot and namespace must do. */
        r = process_read_start(1, &e.init_start);
        if (r < 0 && r != -ESRCH && r != -EACCES && r != -EPERM)
                return r;
        *ret = e;
        return 0;
}

/* A start that could not be read, then or now, tells nothing. */
bool epoch_has_same_init(const struct epoch *a, const struct epoch *b)
{
        return a->init_start == b->init_start || a->init_start == 0 || b->init_start == 0;
}

bool pidfd_is_dead(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

int pidfd_get_pid(int pidfd, pid_t *ret)
{
        char path[64], line[256];
        int pid = 0;
        bool found = false;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? -EBADF : -errno;
        while (!found && fgets(line, sizeof(line), f))
                found = sscanf(line, "Pid: %d", &pid) == 1;
        fclose(f);
        if (!found)
                return -EBADF;
        if (pid <= 0)
                return pid == 0 ? -EREMOTE : -ESRCH;
        *ret = pid;
        return 0;
}

int pidfd_of_peer(int fd, pid_t pid, int *ret, bool *ret_is_exact)
{
        socklen_t len = sizeof(int);
        int pidfd = -1;

        if (!getenv("TEMPFILED_NO_PEERPIDFD") &&
            getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0) {
                *ret = pidfd;
                *ret_is_exact = true;
                return 0;
        }
        if (pid <= 0)
                return -EREMOTE;
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return -errno;
        *ret = pidfd;
        *ret_is_exact = false;
        return 0;
}

/* No process has the number, but perhaps a thread: which the kernel says in one way or the other. */
static bool is_no_process(pid_t pid, int error)
{
        return pid > 0 && (error == ESRCH || error == ENOENT || error == EINVAL);
}

enum owner_verdict owner_find(const struct epoch *now, const struct epoch *stored, pid_t pid,
                              uint64_t start, int *ret_pidfd)
{
        _cleanup_(closep) int pidfd = -1;
        uint64_t found;

        if (!sd_id128_equal(now->boot, stored->boot))
                return OWNER_DEAD;
        if (now->pid_ns != stored->pid_ns)
                return OWNER_UNKNOWN;
        if (!epoch_has_same_init(now, stored))
                return OWNER_DEAD;
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return is_no_process(pid, errno) ? OWNER_DEAD : OWNER_UNKNOWN;
        if (process_read_start(pid, &found) < 0)
                return pidfd_is_dead(pidfd) ? OWNER_DEAD : OWNER_UNKNOWN;
        if (found != start || pidfd_is_dead(pidfd))
                return OWNER_DEAD;
        *ret_pidfd = TAKE_FD(pidfd);
        return OWNER_ALIVE;
}

static char *read_text(pid_t pid, const char *what)
{
        char path[64], buf[ARGUMENTS_MAX];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, what);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        n = read(fd, buf, sizeof(buf) - 1);
        close_fd(fd);
        if (n <= 0)
                return NULL;
        for (ssize_t i = 0; i < n; i++)
                if (buf[i] == 0 || buf[i] == '\n')
                        buf[i] = ' ';
        while (n > 0 && buf[n - 1] == ' ')
                n--;
        buf[n] = 0;
        return strdup(buf);
}

static char *read_executable(pid_t pid)
{
        char path[64], buf[4096];
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, buf, sizeof(buf) - 1);
        if (n < 0)
                return NULL;
        buf[n] = 0;
        return strdup(buf);
}

/* Who may name it as an owner hangs on these: not to know them is no answer. */
static int read_uids(pid_t pid, struct process *p)
{
        unsigned int real, effective, saved;
        char path[64], line[256];
        bool found = false;
        FILE *f;
        int r;

        snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? -ESRCH : -errno;
        while (!found && fgets(line, sizeof(line), f))
                found = sscanf(line, "Uid: %u %u %u", &real, &effective, &saved) == 3;
        r = found ? 0 : ferror(f) ? -errno : -EBADMSG;
        fclose(f);
        if (r < 0)
                return r;
        p->uid = real;
        p->saved_uid = saved;
        return 0;
}

/* No unit is an answer: there is none where nobody makes them, or nobody sees cgroups. */
static int read_unit(pid_t pid, char **ret)
{
        int r = sd_pid_get_unit(pid, ret);

        if (r >= 0)
                return 0;
        *ret = NULL;
        return r == -ENODATA || r == -ENXIO || r == -ENOMEDIUM || r == -ENOENT ? 0 : r;
}

int process_read(pid_t pid, struct process *ret)
{
        struct process p = { .pid = pid };
        int r;

        r = process_read_start(pid, &p.start);
        if (r >= 0)
                r = read_uids(pid, &p);
        if (r < 0)
                return r;
        p.command = read_text(pid, "comm");
        p.arguments = read_text(pid, "cmdline");
        p.executable = read_executable(pid);
        p.unit_error = read_unit(pid, &p.unit);
        *ret = p;
        return 0;
}

const char *cgroup_root(void)
{
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return roots[i];
        return NULL;
}

/* The path behind "0::" in /proc/PID/cgroup. */
static int read_cgroup_name(pid_t pid, char *buf, size_t size)
{
        char path[64];
        bool found = false;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? -ESRCH : -errno;
        while (!found && fgets(buf, (int) size, f))
                found = strncmp(buf, "0::/", 4) == 0;
        fclose(f);
        if (!found)
                return -EOPNOTSUPP;
        memmove(buf, buf + 3, strlen(buf + 3) + 1);
        buf[strcspn(buf, "\n")] = 0;
        return streq(buf, "/") ? -EOPNOTSUPP : 0;
}

/* Cuts a path behind the component that is the unit's. */
static void cut_behind(char *path, const char *unit)
{
        size_t len = unit ? strlen(unit) : 0;

        for (char *end = path; len > 0 && (end = strstr(end, unit)); end += len)
                if (end[-1] == '/' && (end[len] == '/' || end[len] == 0)) {
                        end[len] = 0;
                        return;
                }
}

int process_read_cgroup(pid_t pid, const char *unit, char **ret_path, uint64_t *ret_inode)
{
        const char *root = cgroup_root();
        char name[4096];
        struct stat st;
        int r;

        if (!root)
                return -EOPNOTSUPP;
        r = read_cgroup_name(pid, name, sizeof(name));
        if (r < 0)
                return r;
        cut_behind(name, unit);
        if (asprintf(ret_path, "%s%s", root, name) < 0)
                return -ENOMEM;
        if (stat(*ret_path, &st) < 0)
                return -errno;
        *ret_inode = st.st_ino;
        return 0;
}

int process_find_cgroup(pid_t pid, uint64_t inode, char **ret_path)
{
        const char *root = cgroup_root();
        _cleanup_(freep) char *path = NULL;
        char name[4096];
        struct stat st;
        int r;

        if (!root)
                return -EOPNOTSUPP;
        r = read_cgroup_name(pid, name, sizeof(name));
        if (r < 0)
                return r;
        if (asprintf(&path, "%s%s", root, name) < 0)
                return -ENOMEM;
        for (; strlen(path) > strlen(root); *strrchr(path, '/') = 0)
                if (stat(path, &st) == 0 && st.st_ino == inode) {
                        *ret_path = TAKE_PTR(path);
                        return 0;
                }
        return -ESRCH;
}

void process_done(struct process *p)
{
        free(p->command);
        free(p->executable);
        free(p->arguments);
        free(p->unit);
        *p = (struct process) { 0 };
}
