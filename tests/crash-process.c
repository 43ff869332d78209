/* SPDX-License-Identifier: MIT */

/*
 * Starting and ending the processes of a run; see the header. The client is this program executed
 * again, so that nothing is inherited that a program would not have.
 */

#include "tests/crash-process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-client.h"
#include "tests/crash-run.h"

bool crash_problem(struct crash_run *run, const char *what, int r)
{
        struct crash_world *w = run->world;

        if (r < 0)
                (void) snprintf(w->problem, sizeof(w->problem), "%s: %s", what, strerror(-r));
        else
                (void) snprintf(w->problem, sizeof(w->problem), "%s", what);
        return false;
}

static void reap(pid_t *pid)
{
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
                ;
        *pid = 0;
}

/* ---- the client ---- */

int crash_process_main(int argc, char *argv[])
{
        const struct crash_scenario *s;
        struct crash_client c = { .helper = -1 };

        if (argc != 8 || !(s = crash_scenario_find(argv[2])))
                return EXIT_FAILURE;
        c.tmp_dir = argv[3];
        c.target_dir = argv[4];
        c.control = atoi(argv[6]);
        c.owner_pidfd = atoi(argv[7]);
        c.report =
                mmap(NULL, sizeof(*c.report), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[5]), 0);
        if (c.report == MAP_FAILED)
                return EXIT_FAILURE;
        return crash_client_main(s, &c);
}

/* The child's half: never returns. */
static void client_exec(const struct crash_run *run, int control)
{
        const struct crash_world *w = run->world;
        char report[16], socket[16], owner[16];
        sigset_t none;

        if (crash_world_become_user(w) < 0)
                _exit(126);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* after it: a change of user clears that */
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) fcntl(run->report_fd, F_SETFD, 0);
        (void) fcntl(control, F_SETFD, 0);
        if (run->owner_pidfd >= 0)
                (void) fcntl(run->owner_pidfd, F_SETFD, 0);

        (void) snprintf(report, sizeof(report), "%d", run->report_fd);
        (void) snprintf(socket, sizeof(socket), "%d", control);
        (void) snprintf(owner, sizeof(owner), "%d", run->owner_pidfd);
        (void) execl("/proc/self/exe", "crashpoint", CRASH_PROCESS_CLIENT, run->scenario->name,
                     w->tmp_dir, w->target_dir, report, socket, owner, (char *) NULL);
        _exit(127);
}

/* A byte of the client's; a descriptor that comes with it is held. 0: it has ended, or is silent. */
static char client_hear(struct crash_run *run)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        char byte;
        struct iovec iov = { &byte, 1 };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        struct cmsghdr *m;

        if (recvmsg(run->control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
                return 0;
        m = CMSG_FIRSTHDR(&msg);
        if (m && m->cmsg_type == SCM_RIGHTS)
                memcpy(&run->passed_fd, CMSG_DATA(m), sizeof(int));
        return byte;
}

bool process_client_says(struct crash_run *run, char expected)
{
        struct pollfd p = { .fd = run->control, .events = POLLIN };
        char byte;

        do {
                while (poll(&p, 1, CRASH_HANG_MSEC) < 0 && errno == EINTR)
                        ;
                byte = client_hear(run);
        } while (byte == 'p');
        return byte == expected;
}

bool process_client_start(struct crash_run *run)
{
        int pair[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return crash_problem(run, "socketpair", -errno);

        (void) fflush(NULL);
        pid = fork();
        if (pid == 0)
                client_exec(run, pair[1]);
        run->control = pair[0];
        (void) close_fd(pair[1]);
        if (pid < 0)
                return crash_problem(run, "fork", -errno);

        run->client = pid;
        if (!process_client_says(run, 'r'))
                return crash_problem(run,
                                     run->report->wrong_result < 0 ? "the preparation failed"
                                                                   : "the client does not start",
                                     run->report->wrong_result);
        return true;
}

void process_client_go(struct crash_run *run, char how)
{
        (void) send(run->control, &how, 1, MSG_NOSIGNAL);
}

void process_client_end(struct crash_run *run, bool is_killed)
{
        if (run->client <= 0)
                return;
        if (is_killed)
                (void) kill(run->client, SIGKILL);
        else
                (void) shutdown(run->control, SHUT_WR);
        reap(&run->client);
}

/* ---- the others ---- */

/* Where a cgroup of version 2 may be made; NULL: nowhere. */
static const char *cgroup_root(void)
{
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return roots[i];
        return NULL;
}

static void cgroup_name(char path[PATH_MAX])
{
        const char *root = cgroup_root();

        (void) snprintf(path, PATH_MAX, "%s/crashpoint-%d", root ? root : "", getpid());
}

const char *crash_process_obstacle(const struct crash_scenario *s)
{
        char path[PATH_MAX];

        if (!(s->flags & CRASH_FLAG_CGROUP))
                return NULL;
        if (geteuid() != 0)
                return "needs root, for a cgroup";
        if (!cgroup_root())
                return "there is no cgroup2 here";
        cgroup_name(path);
        if (mkdir(path, 0755) < 0)
                return "no cgroup can be made here";
        (void) rmdir(path);
        return NULL;
}

static int cgroup_enter(const char *path, pid_t pid)
{
        char file[PATH_MAX + 16], number[16];
        _cleanup_(closep) int fd = -1;
        int n;

        (void) snprintf(file, sizeof(file), "%s/cgroup.procs", path);
        n = snprintf(number, sizeof(number), "%d", pid);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, number, (size_t) n) == n ? 0 : -errno;
}

/* Never returns. */
static void owner_live(const struct crash_run *run, int ready)
{
        if (crash_world_become_user(run->world) < 0)
                _exit(126);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) !write(ready, "r", 1);
        for (;;)
                (void) pause();
}

bool process_owner_start(struct crash_run *run)
{
        int ready[2];
        ssize_t n;
        char byte;

        if (!(run->scenario->flags & CRASH_FLAG_OWNER))
                return true;

        if (pipe2(ready, O_CLOEXEC) < 0)
                return crash_problem(run, "pipe2", -errno);
        (void) fflush(NULL);
        run->owner = fork();
        if (run->owner == 0)
                owner_live(run, ready[1]);
        (void) close(ready[1]);
        /* As long as it is another user's, the client may not name it. */
        n = run->owner > 0 ? read(ready[0], &byte, 1) : -1;
        (void) close(ready[0]);
        if (n != 1)
                return crash_problem(run, "the owner does not start",
                                     run->owner < 0 ? -errno : -ESRCH);
        run->owner_pidfd = (int) syscall(SYS_pidfd_open, run->owner, 0);
        if (run->owner_pidfd < 0)
                return crash_problem(run, "pidfd_open", -errno);
        if (run->scenario->flags & CRASH_FLAG_CGROUP) {
                cgroup_name(run->cgroup);
                if (mkdir(run->cgroup, 0755) < 0 || cgroup_enter(run->cgroup, run->owner) < 0)
                        return crash_problem(run, run->cgroup, -errno);
        }
        return true;
}

void process_others_end(struct crash_run *run)
{
        if (run->owner > 0) {
                (void) kill(run->owner, SIGKILL);
                reap(&run->owner);
        }
        if (run->cgroup[0] != '\0')
                (void) rmdir(run->cgroup); /* empty since its only process was waited for */
        run->cgroup[0] = '\0';
        run->passed_fd = close_fd(run->passed_fd);
        /* What the client had passed on and nobody has looked at yet. */
        if (run->client <= 0 && run->control >= 0)
                while (client_hear(run) != 0)
                        run->passed_fd = close_fd(run->passed_fd);
}
