/* SPDX-License-Identifier: MIT */

/*
 * Starting, killing and stopping a private daemon; see the header. Readiness comes over
 * $NOTIFY_SOCKET as under systemd: a datagram socket with an address that the kernel chose in the
 * abstract namespace, so that nothing has to be cleaned up.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/daemon-fixture.h"

#define WAIT_MSEC 20000

int daemon_fixture_init(struct daemon_fixture *d, const char *dir)
{
        *d = (struct daemon_fixture) { .notify_fd = -1 };

        if (snprintf(d->socket, sizeof(d->socket), "%s/socket", dir) >= PATH_MAX ||
            snprintf(d->state_dir, sizeof(d->state_dir), "%s/state", dir) >= PATH_MAX ||
            snprintf(d->log, sizeof(d->log), "%s/log", dir) >= PATH_MAX)
                return -ENAMETOOLONG;
        return 0;
}

/* A datagram socket, and its address as $NOTIFY_SOCKET spells it. */
static int notify_open(char *ret_name, size_t size)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        socklen_t len = sizeof(sa.sun_family); /* no more: the kernel chooses */
        _cleanup_(closep) int fd = -1;

        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *) &sa, len) < 0)
                return -errno;

        len = sizeof(sa);
        if (getsockname(fd, (struct sockaddr *) &sa, &len) < 0)
                return -errno;
        len -= offsetof(struct sockaddr_un, sun_path) + 1;
        (void) snprintf(ret_name, size, "@%.*s", (int) len, sa.sun_path + 1);
        return TAKE_FD(fd);
}

/* As sd_listen_fds(3) has it: from 3 on. They are moved out of each other's way first. */
static bool hand_over(const struct daemon_fixture *d)
{
        char names[DAEMON_FIXTURE_KEPT_MAX * sizeof(d->kept[0].name)] = "", text[16];
        int fds[DAEMON_FIXTURE_KEPT_MAX];

        for (unsigned int i = 0; i < d->n_kept; i++) {
                fds[i] = fcntl(d->kept[i].fd, F_DUPFD_CLOEXEC, 3 + DAEMON_FIXTURE_KEPT_MAX);
                if (fds[i] < 0)
                        return false;
                (void) strcat(i > 0 ? strcat(names, ":") : names, d->kept[i].name);
        }
        for (unsigned int i = 0; i < d->n_kept; i++)
                if (dup2(fds[i], 3 + (int) i) < 0)
                        return false;
        (void) snprintf(text, sizeof(text), "%u", d->n_kept);
        if (setenv("LISTEN_FDS", text, 1) < 0 || setenv("LISTEN_FDNAMES", names, 1) < 0)
                return false;
        (void) snprintf(text, sizeof(text), "%d", (int) getpid());
        return setenv("LISTEN_PID", text, 1) == 0;
}

/* The child's half: never returns. */
static void daemon_exec(const struct daemon_fixture *d, const char *notify, int gate)
{
        const char *binary = getenv("TEMPFILED") ?: "tempfiled";
        const char *argv[] = { "tempfiled",  "--socket", d->socket,   "--state-dir",
                               d->state_dir, "--config", "/dev/null", NULL,
                               NULL,         NULL,       NULL };
        size_t argc = 7;
        sigset_t none;
        char byte;
        int fd;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);

        fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
                _exit(126);
        if (setenv("NOTIFY_SOCKET", notify, 1) < 0)
                _exit(126);
        if (gate >= 0 && read(gate, &byte, 1) < 0)
                _exit(126);
        if (d->n_kept > 0 && !hand_over(d))
                _exit(126);

        if (d->config)
                argv[6] = d->config;
        if (geteuid() != 0)
                argv[argc++] = "--user";
        if (d->durability) {
                argv[argc++] = "--durability";
                argv[argc++] = d->durability;
        }
        (void) execvp(binary, (char *const *) argv);
        (void) dprintf(STDERR_FILENO, "Cannot run %s: %s\n", binary, strerror(errno));
        _exit(127);
}

int daemon_fixture_spawn(struct daemon_fixture *d, int gate)
{
        char notify[128];
        pid_t pid;
        int fd;

        fd = notify_open(notify, sizeof(notify));
        if (fd < 0)
                return fd;
        d->notify_fd = close_fd(d->notify_fd);
        d->notify_fd = fd;

        (void) fflush(NULL);
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                daemon_exec(d, notify, gate);

        d->pid = pid;
        return 0;
}

/* "FDSTORE=1\nFDNAME=..." comes with a descriptor, "FDSTOREREMOVE=1\nFDNAME=..." without. */
static void keep(struct daemon_fixture *d, const char *text, int fd)
{
        const char *name = strstr(text, "FDNAME=");
        size_t len;

        if (!name)
                return (void) close_fd(fd);
        name += strlen("FDNAME=");
        len = strcspn(name, "\n");
        for (unsigned int i = 0; fd < 0 && i < d->n_kept; i++) {
                if (strlen(d->kept[i].name) != len || strncmp(d->kept[i].name, name, len) != 0)
                        continue;
                (void) close_fd(d->kept[i].fd);
                d->kept[i--] = d->kept[--d->n_kept];
        }
        if (fd < 0 || len >= sizeof(d->kept[0].name) || d->n_kept == DAEMON_FIXTURE_KEPT_MAX)
                return (void) close_fd(fd);
        (void) snprintf(d->kept[d->n_kept].name, sizeof(d->kept[0].name), "%.*s", (int) len, name);
        d->kept[d->n_kept++].fd = fd;
}

/* The next message; false: none. */
static bool take_in(struct daemon_fixture *d, char *buf, size_t size)
{
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec io = { buf, size - 1 };
        struct msghdr m = {
                .msg_iov = &io,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
        };
        struct cmsghdr *c;
        ssize_t n;
        int fd = -1;

        n = recvmsg(d->notify_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return false;
        buf[n] = '\0';
        c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        if (d->is_keeping)
                keep(d, buf, fd);
        else
                (void) close_fd(fd);
        return true;
}

bool daemon_fixture_is_ready(struct daemon_fixture *d)
{
        char buf[1024];

        while (take_in(d, buf, sizeof(buf))) {
                if (strstr(buf, "READY=1")) {
                        if (!d->is_keeping) /* nobody reads what comes later */
                                d->notify_fd = close_fd(d->notify_fd);
                        return true;
                }
        }
        return false;
}

static int pidfd_of(pid_t pid)
{
        int fd;

        fd = (int) syscall(SYS_pidfd_open, pid, 0);
        return fd < 0 ? -errno : fd;
}

int daemon_fixture_wait_ready(struct daemon_fixture *d)
{
        _cleanup_(closep) int pidfd = -1;
        struct pollfd p[2];
        int r;

        pidfd = pidfd_of(d->pid);
        if (pidfd < 0)
                return pidfd;

        p[0] = (struct pollfd) { .fd = d->notify_fd, .events = POLLIN };
        p[1] = (struct pollfd) { .fd = pidfd, .events = POLLIN };
        for (;;) {
                r = poll(p, ARRAY_SIZE(p), WAIT_MSEC);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r == 0)
                        return -ETIMEDOUT;
                if (daemon_fixture_is_ready(d))
                        return 0;
                if (r > 0 && p[1].revents)
                        return -ECHILD;
        }
}

int daemon_fixture_start(struct daemon_fixture *d)
{
        int r;

        r = daemon_fixture_spawn(d, -1);
        if (r < 0)
                return r;
        r = daemon_fixture_wait_ready(d);
        if (r < 0)
                daemon_fixture_kill(d);
        return r;
}

void daemon_fixture_drop_kept(struct daemon_fixture *d)
{
        while (d->n_kept > 0)
                (void) close_fd(d->kept[--d->n_kept].fd);
}

unsigned int daemon_fixture_count_kept(struct daemon_fixture *d)
{
        char buf[1024];

        while (d->is_keeping && d->notify_fd >= 0 && take_in(d, buf, sizeof(buf)))
                ;
        return d->n_kept;
}

void daemon_fixture_forget(struct daemon_fixture *d)
{
        d->pid = 0;
        (void) daemon_fixture_count_kept(d);
        d->notify_fd = close_fd(d->notify_fd);
}

void daemon_fixture_kill(struct daemon_fixture *d)
{
        if (d->pid <= 0)
                return;
        (void) kill(d->pid, SIGKILL);
        while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        daemon_fixture_forget(d);
}

int daemon_fixture_stop(struct daemon_fixture *d)
{
        _cleanup_(closep) int pidfd = -1;
        struct pollfd p;
        int status;

        if (d->pid <= 0)
                return -ECHILD;
        pidfd = pidfd_of(d->pid);
        if (pidfd < 0)
                return pidfd;

        (void) kill(d->pid, SIGTERM);
        p = (struct pollfd) { .fd = pidfd, .events = POLLIN };
        if (poll(&p, 1, WAIT_MSEC) <= 0) {
                daemon_fixture_kill(d);
                return -ETIMEDOUT;
        }
        if (waitpid(d->pid, &status, 0) < 0)
                status = -errno;
        daemon_fixture_forget(d);
        return status;
}
