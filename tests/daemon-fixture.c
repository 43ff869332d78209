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

bool daemon_fixture_is_ready(struct daemon_fixture *d)
{
        char buf[1024];
        ssize_t n;

        while ((n = recv(d->notify_fd, buf, sizeof(buf) - 1, MSG_DONTWAIT)) >= 0) {
                buf[n] = '\0';
                if (strstr(buf, "READY=1")) {
                        d->notify_fd = close_fd(d->notify_fd); /* nobody reads what comes later */
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
                if (daemon_fixture_is_ready(d)) {
                        /* What it says later is not read: a full queue would hold it up. */
                        d->notify_fd = close_fd(d->notify_fd);
                        return 0;
                }
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

void daemon_fixture_forget(struct daemon_fixture *d)
{
        d->pid = 0;
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
