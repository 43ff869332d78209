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
#include <pthread.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <systemd/sd-login.h>

#include "daemon/proc.h"
#include "libclient/util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* 6.5 */
#endif

#define ARGUMENTS_MAX 1023U
#define UNITS_KNOWN 8U
#define START_FIELD 22
#define NSEC_PER_SEC UINT64_C(1000000000)

/* A line of /proc/PID/stat: the command in parentheses may hold anything; fields are counted behind it. */
static int parse_start(const char *line, uint64_t *ret)
{
        const char *at = strrchr(line, ')');

        for (int field = 2; at && field < START_FIELD; field++)
                at = strchr(at + 1, ' ');
        return at && sscanf(at, " %" SCNu64, ret) == 1 ? 0 : -EBADMSG;
}

int process_read_start(pid_t pid, uint64_t *ret)
{
        _cleanup_(freep) char *line = NULL;
        size_t len;
        int r;

        r = proc_read(pid, "stat", PROC_MAX, &line, &len);
        if (r < 0)
                return r;
        return len > 0 ? parse_start(line, ret) : -EIO;
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
        _cleanup_(freep) char *text = NULL;
        const char *field;
        char what[32];
        size_t len;
        int pid, r;

        (void) snprintf(what, sizeof(what), "fdinfo/%d", pidfd);
        r = proc_read(getpid(), what, PROC_MAX, &text, &len);
        if (r < 0)
                return r == -ESRCH ? -EBADF : r;
        field = proc_field(text, "Pid:");
        if (!field || sscanf(field, "%d", &pid) != 1)
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

/* On one line. */
static void flatten(char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (text[i] == 0 || text[i] == '\n')
                        text[i] = ' ';
        while (len > 0 && text[len - 1] == ' ')
                text[--len] = 0;
}

static char *read_arguments(pid_t pid)
{
        char *text = NULL;
        size_t len;

        if (proc_read(pid, "cmdline", ARGUMENTS_MAX, &text, &len) < 0)
                return NULL;
        flatten(text, len);
        if (*text)
                return text;
        free(text);
        return NULL; /* a thread of the kernel's */
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

static int read_stat(pid_t pid, struct process *p)
{
        _cleanup_(freep) char *line = NULL;
        char *name, *end;
        size_t len;
        int r;

        r = proc_read(pid, "stat", PROC_MAX, &line, &len);
        if (r < 0)
                return r;
        r = parse_start(line, &p->start);
        if (r < 0)
                return r;
        name = strchr(line, '(') + 1;
        end = strrchr(name, ')');
        p->command = strndup(name, (size_t) (end - name));
        if (p->command)
                flatten(p->command, strlen(p->command));
        return 0;
}

/* Who may name it as an owner hangs on these: not to know them is no answer. */
static int read_status(pid_t pid, struct process *p)
{
        unsigned int real, effective, saved;
        _cleanup_(freep) char *text = NULL;
        const char *uids, *caps;
        size_t len;
        int r;

        r = proc_read(pid, "status", PROC_MAX, &text, &len);
        if (r < 0)
                return r;
        uids = proc_field(text, "Uid:");
        caps = proc_field(text, "CapEff:");
        if (!uids || sscanf(uids, "%u %u %u", &real, &effective, &saved) != 3 || !caps ||
            sscanf(caps, "%" SCNx64, &p->caps) != 1)
                return -EBADMSG;
        p->uid = real;
        p->saved_uid = saved;
        return 0;
}

/* No unit is an answer: there is none where nobody makes them, or nobody sees cgroups. */
static int ask_unit(pid_t pid, char **ret)
{
        int r = sd_pid_get_unit(pid, ret);

        if (r >= 0)
                return 0;
        *ret = NULL;
        return r == -ENODATA || r == -ENXIO || r == -ENOMEDIUM || r == -ENOENT ? 0 : r;
}

/* The last few answers: the unit follows from the cgroup, and is asked for by thirty system calls. */
static struct {
        pthread_mutex_t lock;
        struct known_unit {
                char *cgroup, *unit;
        } list[UNITS_KNOWN];
        unsigned int next;
} units = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool find_unit(const char *cgroup, char **ret)
{
        bool found = false;

        (void) pthread_mutex_lock(&units.lock);
        for (size_t i = 0; i < UNITS_KNOWN && !found; i++) {
                if (!units.list[i].cgroup || !streq(units.list[i].cgroup, cgroup))
                        continue;
                *ret = units.list[i].unit ? strdup(units.list[i].unit) : NULL;
                found = *ret || !units.list[i].unit;
        }
        (void) pthread_mutex_unlock(&units.lock);
        return found;
}

static void note_unit(const char *cgroup, const char *unit)
{
        struct known_unit known = { strdup(cgroup), unit ? strdup(unit) : NULL }, old = known;

        if (known.cgroup && (known.unit || !unit)) {
                (void) pthread_mutex_lock(&units.lock);
                old = units.list[units.next];
                units.list[units.next] = known;
                units.next = (units.next + 1) % UNITS_KNOWN;
                (void) pthread_mutex_unlock(&units.lock);
        }
        free(old.cgroup);
        free(old.unit);
}

static int read_unit(pid_t pid, char **ret)
{
        _cleanup_(freep) char *before = NULL, *after = NULL;
        size_t len;
        int r;

        if (proc_read(pid, "cgroup", PROC_MAX, &before, &len) < 0)
                return ask_unit(pid, ret);
        if (find_unit(before, ret))
                return 0;
        r = ask_unit(pid, ret);
        /* Unless it is another one by now. */
        if (r >= 0 && proc_read(pid, "cgroup", PROC_MAX, &after, &len) >= 0 && streq(before, after))
                note_unit(before, *ret);
        return r;
}

int process_read(pid_t pid, struct process *ret)
{
        struct process p = { .pid = pid };
        int r;

        r = read_stat(pid, &p);
        if (r >= 0)
                r = read_status(pid, &p);
        if (r < 0) {
                process_done(&p);
                return r;
        }
        p.arguments = read_arguments(pid);
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
        _cleanup_(freep) char *text = NULL;
        const char *name;
        size_t len;
        int r;

        r = proc_read(pid, "cgroup", PROC_MAX, &text, &len);
        if (r < 0)
                return r;
        name = proc_field(text, "0::");
        if (!name || *name != '/')
                return -EOPNOTSUPP;
        len = strcspn(name, "\n");
        if (len >= size)
                return -ENAMETOOLONG;
        memcpy(buf, name, len);
        buf[len] = 0;
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
