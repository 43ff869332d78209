/* SPDX-License-Identifier: MIT */

/*
 * Owns the socket of the service manager, and what must be told again. A service manager that does
 * not read (it is being executed anew, say) must not hold up the loop: what finds no room in its
 * queue is not sent. Of that only READY=1 is needed for sure, and said again until it was.
 */

#include "daemon/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "libclient/util.h"

#define AGAIN_USEC (100 * USEC_PER_MSEC)
#define WATCHDOG_SHARE 3U /* of the time after which the service manager takes us for dead */

struct notify {
        sd_event_source *again, *watchdog;
        uint64_t watchdog_usec;
};

static int address(const char *name, struct sockaddr_un *ret, socklen_t *ret_len)
{
        size_t len = strlen(name);

        if ((name[0] != '/' && name[0] != '@') || len >= sizeof(ret->sun_path))
                return -EAFNOSUPPORT;
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        memcpy(ret->sun_path, name, len);
        if (name[0] == '@')
                ret->sun_path[0] = 0;
        *ret_len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len);
        return 0;
}

int notify_send(const char *text, int fd)
{
        const char *name = getenv("NOTIFY_SOCKET");
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { 0 };
        struct iovec iov = { (void *) text, strlen(text) };
        struct sockaddr_un to;
        struct msghdr m = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1 };
        _cleanup_(closep) int socket_fd = -1;
        int r;

        if (!name)
                return 0;
        r = address(name, &to, &m.msg_namelen);
        if (r < 0)
                return r;
        if (fd >= 0) {
                m.msg_control = &u;
                m.msg_controllen = sizeof(u);
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
        }
        socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (socket_fd < 0)
                return -errno;
        return sendmsg(socket_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 1;
}

/* ---- what is said again ---- */

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        notify_ready(userdata);
        return 0;
}

/* Of what passes; where nobody listens, nobody is told. */
static bool may_pass(int r)
{
        switch (r) {
        case -EAGAIN:
        case -EINTR:
        case -ENOMEM:
        case -ENOBUFS:
        case -EMFILE:
        case -ENFILE:
                return true;
        default:
                return false;
        }
}

void notify_ready(struct notify *n)
{
        if (!may_pass(notify_send("READY=1", -1)))
                return;
        (void) sd_event_source_set_time_relative(n->again, AGAIN_USEC);
        (void) sd_event_source_set_enabled(n->again, SD_EVENT_ONESHOT);
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct notify *n = userdata;

        (void) notify_send("WATCHDOG=1", -1); /* who does not read does not look at it either */
        (void) sd_event_source_set_time_relative(n->watchdog, n->watchdog_usec / WATCHDOG_SHARE);
        (void) sd_event_source_set_enabled(n->watchdog, SD_EVENT_ONESHOT);
        return 0;
}

int notify_start_watchdog(struct notify *n)
{
        int r = sd_watchdog_enabled(0, &n->watchdog_usec);

        if (r <= 0)
                return r;
        return sd_event_source_set_enabled(n->watchdog, SD_EVENT_ONESHOT); /* at once */
}

/* ---- beginning and end ---- */

static int add_timer(sd_event *event, sd_event_source **ret, sd_event_time_handler_t handler,
                     struct notify *n)
{
        int r = sd_event_add_time(event, ret, CLOCK_MONOTONIC, 0, 1, handler, n);

        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static void notify_freep(struct notify **n)
{
        notify_free(*n);
}

int notify_new(sd_event *event, struct notify **ret)
{
        _cleanup_(notify_freep) struct notify *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        r = add_timer(event, &n->again, on_again, n);
        if (r >= 0)
                r = add_timer(event, &n->watchdog, on_watchdog, n);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}

void notify_free(struct notify *n)
{
        if (!n)
                return;
        sd_event_source_disable_unref(n->again);
        sd_event_source_disable_unref(n->watchdog);
        free(n);
}
