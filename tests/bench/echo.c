/* SPDX-License-Identifier: MIT */

/*
 * One process that sends back what many send it, and does nothing else: what no daemon can do
 * without that answers each of its clients.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/bench/works.h"

#define MESSAGE_SIZE 64
#define EVENTS 32

static struct sockaddr_un address_in(const char *dir)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/echo", dir);
        return a;
}

static void take_in(int epoll, int listener)
{
        struct epoll_event e = { .events = EPOLLIN };

        e.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (e.data.fd >= 0)
                (void) epoll_ctl(epoll, EPOLL_CTL_ADD, e.data.fd, &e);
}

static void send_back(int fd)
{
        char buf[MESSAGE_SIZE];
        ssize_t n = recv(fd, buf, sizeof(buf), 0);

        if (n <= 0 || send(fd, buf, (size_t) n, MSG_NOSIGNAL) != n)
                (void) close(fd);
}

static void answer_forever(int listener)
{
        struct epoll_event e[EVENTS] = { { .events = EPOLLIN, .data.fd = listener } };
        int epoll = epoll_create1(EPOLL_CLOEXEC), n;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, e) < 0)
                _exit(1);
        while ((n = epoll_wait(epoll, e, EVENTS, -1)) >= 0 || errno == EINTR)
                for (int i = 0; i < n; i++) {
                        if (e[i].data.fd == listener)
                                take_in(epoll, listener);
                        else
                                send_back(e[i].data.fd);
                }
        _exit(1);
}

int echo_start(const char *dir)
{
        const struct sockaddr_un a = address_in(dir);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        pid_t pid;

        (void) unlink(a.sun_path);
        if (fd < 0 || bind(fd, (const struct sockaddr *) &a, sizeof(a)) < 0 ||
            listen(fd, SOMAXCONN) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                answer_forever(fd);
        (void) close(fd);
        return pid < 0 ? -errno : 0;
}

/* ---- one who asks it -------------------------------------------------------------------------- */

static int open_question(struct contestant *c)
{
        const struct sockaddr_un a = address_in(c->dir);
        int *fd = malloc(sizeof(*fd));

        if (!fd)
                return -ENOMEM;
        c->state = fd;
        *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (*fd < 0 || connect(*fd, (const struct sockaddr *) &a, sizeof(a)) < 0)
                return -errno;
        return 0;
}

static int run_questions(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        const uint64_t start = clock_nsec();
        const int fd = *(int *) c->state;
        char buf[MESSAGE_SIZE] = { 0 };

        for (unsigned int i = 0; i < n; i++)
                if (send(fd, buf, sizeof(buf), MSG_NOSIGNAL) != (ssize_t) sizeof(buf) ||
                    recv(fd, buf, sizeof(buf), 0) != (ssize_t) sizeof(buf))
                        return -EIO;
        *ret_nsec = clock_nsec() - start;
        return 0;
}

const struct work bare_question = { .open = open_question, .run = run_questions };
