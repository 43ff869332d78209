/* SPDX-License-Identifier: MIT */

/*
 * One process that sends back what many send it: what no daemon can do without that answers each of
 * its clients. And one that commits a row for each before, and does nothing else.
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
#include "tests/bench/rows.h"
#include "tests/bench/works.h"

#define MESSAGE_SIZE 64
#define EVENTS 32

static struct sockaddr_un address; /* known to those that are forked when it was started */

static void take_in(int epoll, int listener)
{
        struct epoll_event e = { .events = EPOLLIN };

        e.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (e.data.fd >= 0)
                (void) epoll_ctl(epoll, EPOLL_CTL_ADD, e.data.fd, &e);
}

/* What is asked at a time is committed together, and then answered. */
struct asked {
        int fds[EVENTS];
        char messages[EVENTS][MESSAGE_SIZE];
        size_t n;
};

static void ask(struct asked *a, int fd)
{
        if (recv(fd, a->messages[a->n], MESSAGE_SIZE, 0) == MESSAGE_SIZE)
                a->fds[a->n++] = fd;
        else
                (void) close(fd);
}

static int answer(struct asked *a, struct rows *rows)
{
        if (a->n > 0 && rows && rows_insert(rows, a->n, a->fds) < 0)
                return -EIO;
        for (size_t i = 0; i < a->n; i++)
                if (send(a->fds[i], a->messages[i], MESSAGE_SIZE, MSG_NOSIGNAL) != MESSAGE_SIZE)
                        (void) close(a->fds[i]);
        a->n = 0;
        return 0;
}

static void answer_forever(int listener, struct rows *rows)
{
        struct epoll_event e[EVENTS] = { { .events = EPOLLIN, .data.fd = listener } };
        int epoll = epoll_create1(EPOLL_CLOEXEC), n;
        struct asked a = { .n = 0 };

        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, e) < 0)
                return;
        while ((n = epoll_wait(epoll, e, EVENTS, -1)) >= 0 || errno == EINTR) {
                for (int i = 0; i < n; i++) {
                        if (e[i].data.fd == listener)
                                take_in(epoll, listener);
                        else
                                ask(&a, e[i].data.fd);
                }
                if (answer(&a, rows) < 0)
                        return;
        }
}

static void serve(int listener, const char *dir, enum echo_store store)
{
        struct rows rows;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (store == ECHO_NOTHING)
                answer_forever(listener, NULL);
        else if (rows_open(&rows, dir, "NORMAL", store == ECHO_INDEXED_ROWS) == 0)
                answer_forever(listener, &rows);
        _exit(1);
}

int echo_start(const char *dir, enum echo_store store)
{
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        pid_t pid;

        address.sun_family = AF_UNIX;
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/echo-%d", dir, store);
        (void) unlink(address.sun_path);
        if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(fd, SOMAXCONN) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                serve(fd, dir, store);
        (void) close(fd);
        return pid < 0 ? -errno : 0;
}

/* ---- one who asks it -------------------------------------------------------------------------- */

static int open_question(struct contestant *c)
{
        int *fd = malloc(sizeof(*fd));

        if (!fd)
                return -ENOMEM;
        c->state = fd;
        *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (*fd < 0 || connect(*fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
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
