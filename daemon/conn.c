/* SPDX-License-Identifier: MIT */

/*
 * Owns one connection. Who is at the other end is asked of the socket alone. A packet whose sender
 * is not the process that connected (an inherited descriptor) is dropped, and nothing else: the
 * one that connected is not to suffer for its children. Descriptors that come with a packet are
 * never closed here: closing one can hang for ever.
 *
 * The socket is watched edge-triggered: the event only says that there is something to read, and
 * the turn reads it.
 */

#include "daemon/conn.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/listing.h"
#include "daemon/log.h"
#include "daemon/monitor.h"
#include "daemon/owner.h"
#include "daemon/rings.h"
#include "daemon/usage.h"
#include "libclient/ring.h"
#include "libclient/util.h"

#define OUT_MAX 64U       /* answers that wait for a client that does not read */
#define REQUESTS_MAX 256U /* questions of one client under way */
#define COST_REQUEST 16U
#define COST_LIST 128U
#define RECORDS_PER_COST 8U
#define DRAIN_BUDGET 1048576U /* of one whose process has died */

struct packet {
        TAILQ_ENTRY(packet) link;
        size_t len;
        uint8_t data[];
};

static void close_conn(struct conn *c, bool is_fault)
{
        if (c->is_closed)
                return;
        c->is_closed = true;
        rings_drop(server_rings(c->server), c);
        if (is_fault)
                registry_cut_off(server_registry(c->server), &c->peer);
        server_close_conn(c->server, c);
}

static void fault(struct conn *c, const char *what)
{
        log_write(LOG_NOTICE,
                  &(struct log_fields) {
                          .owner_pid = c->peer.pid, .has_uid = 1, .uid = c->peer.cred.uid },
                  "Process %d (uid %u) %s: disconnected", (int) c->peer.pid, c->peer.cred.uid,
                  what);
        close_conn(c, true);
}

/* ---- out ---- */

static void on_io(struct watch *w, uint32_t events);

/* A quiet one only until its answers are out. */
static int watch(struct conn *c)
{
        struct poller *p = registry_poller(server_registry(c->server));
        uint32_t events = (c->is_quiet ? 0 : EPOLLIN) | (c->n_out > 0 ? EPOLLOUT : 0);

        if (events == 0) {
                poller_remove(p, &c->io);
                return 0;
        }
        if (c->io.fd >= 0)
                return poller_change(p, &c->io, events | EPOLLET);
        return poller_add(p, &c->io, c->fd, events | EPOLLET, on_io);
}

static ssize_t send_now(struct conn *c, const void *data, size_t len, int fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { 0 };
        struct iovec iov = { (void *) data, len };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (fd >= 0) {
                m.msg_control = &u;
                m.msg_controllen = sizeof(u);
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
        }
        do
                n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static void queue_packet(struct conn *c, const void *data, size_t len)
{
        struct packet *p;

        if (c->n_out >= OUT_MAX)
                return fault(c, "does not read its answers");
        p = malloc(sizeof(*p) + len);
        if (!p)
                return fault(c, "could not be answered for lack of memory");
        p->len = len;
        memcpy(p->data, data, len);
        TAILQ_INSERT_TAIL(&c->out, p, link);
        c->n_out++;
        (void) watch(c); /* fails only to begin: then it is read, and sent, once a millisecond */
}

/* Who has gone may have sent something before: that is to be read. */
static void send_failed(struct conn *c, int error)
{
        if (error == -EPIPE || error == -ECONNRESET)
                return server_ready(c->server, c);
        fault(c, "could not be answered");
}

static void send_packet_with(struct conn *c, const void *data, size_t len, int fd)
{
        ssize_t n;

        if (c->is_closed)
                return;
        n = c->n_out > 0 ? -EAGAIN : send_now(c, data, len, fd);
        if (n == -EAGAIN && fd >= 0)
                fault(c, "does not read its answers");
        else if (n == -EAGAIN)
                queue_packet(c, data, len);
        else if (n < 0)
                send_failed(c, (int) n);
}

static void send_packet(struct conn *c, const void *data, size_t len)
{
        send_packet_with(c, data, len, -1);
}

void conn_send(struct conn *c, const void *data, size_t len)
{
        send_packet(c, data, len);
}

static void send_queued(struct conn *c)
{
        struct packet *p;
        ssize_t n;

        while (!c->is_closed && (p = TAILQ_FIRST(&c->out))) {
                n = send_now(c, p->data, p->len, -1);
                if (n == -EAGAIN)
                        return;
                TAILQ_REMOVE(&c->out, p, link);
                c->n_out--;
                free(p);
                if (n < 0)
                        send_failed(c, (int) n);
        }
        (void) watch(c);
}

static void send_result(struct conn *c, uint32_t serial, int result, uint64_t id, int fd)
{
        struct wire_result m = {
                .header = { WIRE_VERSION, WIRE_RESULT, serial },
                .result = result,
                .id = id,
        };

        send_packet_with(c, &m, sizeof(m), fd);
}

static void send_spare(struct conn *c, const struct request *r)
{
        struct wire_tagged m = {
                .header = { WIRE_VERSION, WIRE_TAGGED, r->serial },
                .id = r->id,
                .tag = r->spare,
        };

        memcpy(m.key, r->spare_key, sizeof(m.key));
        send_packet(c, &m, sizeof(m));
}

void conn_answer(struct request *r)
{
        struct conn *c = r->conn;

        if (c) {
                TAILQ_REMOVE(&c->requests, r, link);
                c->n_requests--;
                if (r->spare != 0 && r->result >= 0)
                        send_spare(c, r);
                else
                        send_result(c, r->serial, r->result, r->id, r->fd);
        }
        close_fd(r->fd);
        free(r);
}

/* ---- one handler an opcode ---- */

struct incoming {
        const uint8_t *data;
        size_t len;
        struct wire_header header;
        int fds[WIRE_FDS_MAX];
        unsigned int n_fds;
        bool has_lost_fds; /* there was no number free for them here */
};

static struct request *new_request(struct conn *c, const struct incoming *in)
{
        struct request *r;

        if (c->n_requests >= REQUESTS_MAX) {
                fault(c, "asks without waiting for answers");
                return NULL;
        }
        r = calloc(1, sizeof(*r));
        if (!r) {
                send_result(c, in->header.serial, -ENOMEM, 0, -1);
                return NULL;
        }
        r->conn = c;
        r->peer = &c->peer;
        r->fd = -1;
        r->serial = in->header.serial;
        TAILQ_INSERT_TAIL(&c->requests, r, link);
        c->n_requests++;
        return r;
}

static int take_fd(struct incoming *in)
{
        int fd = in->n_fds > 0 ? in->fds[0] : -1;

        in->fds[0] = -1;
        return fd;
}

static void on_hello(struct conn *c, struct incoming *in)
{
        struct wire_hello m;

        memcpy(&m, in->data, sizeof(m));
        /* Who echoes the nonce was alive after its pidfd was opened: the pid was its own. */
        if (m.nonce != c->nonce)
                return fault(c, "did not return the nonce");
        /* One that has died since is not met as an owner, but what it says of its tags is heard. */
        if (!c->is_greeted && !pidfd_is_dead(c->peer.pidfd))
                registry_meet(server_registry(c->server), &c->peer);
        c->is_greeted = true;
}

static void on_tag(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_tag(server_registry(c->server), &c->peer, in->data, take_fd(in), r);
}

static void on_report(struct conn *c, struct incoming *in)
{
        registry_report(server_registry(c->server), &c->peer, in->data, in->len);
}

static void on_register(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_register(server_registry(c->server), &c->peer, in->data, take_fd(in), r);
}

static void on_keep(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_keep(server_registry(c->server), &c->peer, in->data, r);
}

static void on_claim(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_claim(server_registry(c->server), &c->peer, in->data, take_fd(in), r);
}

static void on_retain(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_retain(server_registry(c->server), &c->peer, in->data, r);
}

static void on_renew(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_renew(server_registry(c->server), &c->peer, in->data, r);
}

static void on_token(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_token(server_registry(c->server), &c->peer, r);
}

static void on_ring(struct conn *c, struct incoming *in)
{
        if (rings_add(server_rings(c->server), c, in->fds[0]) == -EBADMSG)
                fault(c, "sent what is no ring");
}

static void on_reap(struct conn *c, struct incoming *in)
{
        struct request *r = new_request(c, in);

        if (r)
                registry_reap(server_registry(c->server), &c->peer, in->data, r);
}

static void on_list(struct conn *c, struct incoming *in)
{
        struct wire_list m;

        memcpy(&m, in->data, sizeof(m));
        listing_answer(c, &m);
}

static void on_status(struct conn *c, struct incoming *in)
{
        static const char version[] = PACKAGE_VERSION;
        struct wire_status_reply m = { .version_len = sizeof(version) - 1 };
        uint8_t buf[sizeof(m) + sizeof(version)];

        server_get_status(c->server, &m);
        server_get_nearest_limit(c->server, &c->peer.cred, &m);
        m.header = (struct wire_header) { WIRE_VERSION, WIRE_STATUS_REPLY, in->header.serial };
        m.version_len = sizeof(version) - 1;
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), version, sizeof(version));
        send_packet(c, buf, sizeof(buf));
}

static void on_monitor(struct conn *c, struct incoming *in)
{
        send_result(c, in->header.serial, monitor_start(c), 0, -1);
}

static void on_unsupported(struct conn *c, struct incoming *in)
{
        send_result(c, in->header.serial, -EOPNOTSUPP, 0, -1);
}

static void (*const handlers[])(struct conn *c, struct incoming *in) = {
        [WIRE_HELLO] = on_hello,      [WIRE_TAG] = on_tag,        [WIRE_REPORT] = on_report,
        [WIRE_RESERVE] = on_register, [WIRE_TRACK] = on_register, [WIRE_TARGET] = on_register,
        [WIRE_KEEP] = on_keep,        [WIRE_LIST] = on_list,      [WIRE_STATUS] = on_status,
        [WIRE_REAP] = on_reap,        [WIRE_CLAIM] = on_claim,    [WIRE_RETAIN] = on_retain,
        [WIRE_RENEW] = on_renew,      [WIRE_TOKEN] = on_token,    [WIRE_MONITOR] = on_monitor,
        [WIRE_RING] = on_ring,
};

/* ---- in ---- */

static void dispatch(struct conn *c, struct incoming *in)
{
        unsigned int min, max;
        int r;

        r = wire_check_request(in->data, in->len);
        if (r == -EOPNOTSUPP || r == -EPROTONOSUPPORT) {
                in->header = wire_header_of(in->data);
                return send_result(c, in->header.serial, r, 0, -1);
        }
        if (r < 0)
                return fault(c, "sent a malformed message");
        in->header = wire_header_of(in->data);
        if (in->has_lost_fds && c->is_greeted)
                return send_result(c, in->header.serial, -ENFILE, 0, -1);
        wire_fds(in->header.opcode, &min, &max);
        if (in->n_fds < min || in->n_fds > max)
                return fault(c, "sent a wrong number of descriptors");
        if (!c->is_greeted && in->header.opcode != WIRE_HELLO)
                return fault(c, "did not greet");
        if (in->header.opcode >= ARRAY_SIZE(handlers) || !handlers[in->header.opcode])
                return on_unsupported(c, in);
        handlers[in->header.opcode](c, in);
}

/* Takes descriptors and the sender's pid out of the control messages. */
static pid_t take_control(struct conn *c, struct msghdr *m, struct incoming *in)
{
        struct ucred sender = { .pid = -1 };

        for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
                if (h->cmsg_level != SOL_SOCKET)
                        continue;
                if (h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(sender)))
                        memcpy(&sender, CMSG_DATA(h), sizeof(sender));
                if (h->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = 0; at + sizeof(int) <= h->cmsg_len - CMSG_LEN(0);
                     at += sizeof(int)) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(h) + at, sizeof(int));
                        if (in->n_fds < WIRE_FDS_MAX)
                                in->fds[in->n_fds++] = fd;
                        else
                                pool_close(registry_pool(server_registry(c->server)),
                                           c->peer.cred.uid, fd);
                }
        }
        return sender.pid;
}

/* In reports. A list is looked through row by row; what else wants an answer is written to the store. */
static unsigned int cost_of(const struct incoming *in)
{
        struct wire_report report;

        if (in->header.opcode == WIRE_LIST)
                return COST_LIST;
        if (in->header.opcode != WIRE_REPORT)
                return COST_REQUEST;
        memcpy(&report, in->data, sizeof(report));
        return 1 + report.count / RECORDS_PER_COST;
}

static void count_packet(const struct incoming *in, struct received *ret)
{
        ret->packets++;
        ret->cost += cost_of(in);
        ret->asked = ret->asked || in->header.opcode != WIRE_REPORT;
}

/* What was written into the ring before the socket's packet number @n_received + 1 was sent. */
static void receive_ring(struct conn *c, uint32_t n_received, struct received *ret)
{
        uint8_t buf[RING_PACKET_MAX];
        struct incoming in = { .data = buf, .fds = { -1, -1 } };
        const uint32_t end = c->ring ? ring_end(c->ring) : 0;
        int n;

        while (c->ring && (n = ring_take(c->ring, buf, end, n_received)) != 0) {
                if (n < 0 || wire_check_request(buf, (size_t) n) < 0 ||
                    wire_header_of(buf).opcode != WIRE_REPORT)
                        return fault(c, "wrote what is no report");
                in.len = (size_t) n;
                in.header = wire_header_of(buf);
                on_report(c, &in);
                count_packet(&in, ret);
        }
}

/* The end. What is still there to be taken then was written before something that never came. */
static void receive_rest(struct conn *c, struct received *ret)
{
        if (!c->ring)
                return close_conn(c, false);
        ring_tell(c->ring, RING_OVER);
        receive_ring(c, c->n_received, ret);
        close_conn(c, c->ring && ring_has_more(c->ring));
}

/* What it wrote before that was sent is older. */
static void on_packet(struct conn *c, struct incoming *in, bool is_too_large, struct received *ret)
{
        receive_ring(c, c->n_received++, ret);
        if (c->is_closed)
                return;
        if (is_too_large)
                fault(c, "sent too large a message");
        else
                dispatch(c, in);
}

/* 1: one packet; 0: none now, or closed. */
static int receive_one(struct conn *c, struct incoming *in, struct received *ret)
{
        static uint8_t buf[WIRE_PACKET_MAX] __attribute__((aligned(8))); /* there is one loop */
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(4 * sizeof(int))];
        } u;
        struct iovec iov = { buf, sizeof(buf) };
        struct msghdr m = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &u,
                .msg_controllen = sizeof(u),
        };
        bool is_too_large;
        pid_t sender;
        ssize_t n;

        *in = (struct incoming) { .data = buf, .fds = { -1, -1 } };
        do
                n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        /* Said once when the peer has died with answers unread; what it sent is still there. */
        if (n < 0 && errno == ECONNRESET)
                return receive_one(c, in, ret);
        if (n < 0 && errno == EAGAIN) {
                receive_ring(c, c->n_received, ret);
                return 0;
        }
        if (n < 0) { /* for lack of memory: what waits in there is lost, and to be swept for */
                fault(c, "could not be read");
                return 0;
        }
        sender = take_control(c, &m, in);
        if (n == 0 && sender < 0) { /* an empty packet has a sender, the end has none */
                receive_rest(c, ret);
                return 0;
        }
        in->len = (size_t) n;
        /* Cut off though there was room for more. */
        in->has_lost_fds = (m.msg_flags & MSG_CTRUNC) && in->n_fds < WIRE_FDS_MAX;
        is_too_large =
                (m.msg_flags & MSG_TRUNC) || ((m.msg_flags & MSG_CTRUNC) && !in->has_lost_fds);
        if (sender == c->peer.pid)
                on_packet(c, in, is_too_large, ret);
        for (unsigned int i = 0; i < in->n_fds; i++)
                pool_close(registry_pool(server_registry(c->server)), c->peer.cred.uid, in->fds[i]);
        return 1;
}

int conn_receive(struct conn *c, unsigned int budget, struct received *ret)
{
        struct incoming in;

        *ret = (struct received) { 0 };
        while (!c->is_closed && ret->cost < budget) {
                if (receive_one(c, &in, ret) == 0)
                        return 0;
                count_packet(&in, ret);
        }
        return !c->is_closed;
}

void conn_drain(struct conn *c)
{
        struct received received;

        (void) conn_receive(c, DRAIN_BUDGET, &received);
        receive_ring(c, c->n_received, &received);
        if (c->ring && ring_has_more(c->ring))
                fault(c, "has left what cannot be read");
}

static void on_io(struct watch *w, uint32_t events)
{
        struct conn *c = (struct conn *) ((char *) w - offsetof(struct conn, io));

        if (events & EPOLLOUT)
                send_queued(c);
        server_ready(c->server, c);
}

void conn_set_quiet(struct conn *c, bool is_quiet)
{
        c->is_quiet = is_quiet;
        if (watch(c) < 0)
                return fault(c, "could not be listened to for lack of memory");
        if (!c->ring)
                return;
        ring_tell(c->ring, is_quiet ? RING_READ : RING_ASLEEP);
        if (!is_quiet && ring_has_more(c->ring))
                server_ready(c->server, c);
}

struct conn *conn_of_peer(struct peer *p)
{
        return (struct conn *) ((char *) p - offsetof(struct conn, peer));
}

/* ---- beginning and end ---- */

static int greet(struct conn *c)
{
        struct wire_welcome m = { .header = { WIRE_VERSION, WIRE_WELCOME, 0 },
                                  .features = WIRE_FEATURE_UNLINKED | WIRE_FEATURE_RING |
                                              WIRE_FEATURE_TAGGED };
        ssize_t n;

        if (getrandom(&c->nonce, sizeof(c->nonce), 0) != sizeof(c->nonce))
                return -EIO;
        m.nonce = c->nonce;
        n = send_now(c, &m, sizeof(m), server_doorbell(c->server));
        return n < 0 ? (int) n : 0;
}

/* In place of the welcome, so that the client learns why. */
static int refuse(struct conn *c, int error)
{
        struct wire_result m = {
                .header = { WIRE_VERSION, WIRE_RESULT, 0 },
                .result = error,
        };

        (void) send_now(c, &m, sizeof(m), -1);
        return error;
}

static void conn_freep(struct conn **c)
{
        conn_free(*c);
}

/* Before the welcome nobody can have said anything that counts: it takes the nonce. */
static bool has_gone(int fd)
{
        struct pollfd p = { .fd = fd };

        return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

int conn_new(struct server *s, int fd, struct conn **ret)
{
        _cleanup_(conn_freep) struct conn *c = NULL;
        struct usage_user *user;
        int r;

        if (has_gone(fd)) {
                close_fd(fd);
                return -ECONNABORTED;
        }
        c = malloc(sizeof(*c));
        if (!c) {
                close_fd(fd);
                return -ENOMEM;
        }
        *c = (struct conn) { .server = s, .fd = fd, .io.fd = -1, .peer.pidfd = -1 };
        TAILQ_INIT(&c->requests);
        TAILQ_INIT(&c->out);
        r = cred_of_peer(fd, &c->peer.cred, &c->peer.pid);
        if (r < 0)
                return r;
        if (!cred_can_serve(c->peer.cred.uid))
                return -EPERM;
        user = usage_user(registry_usage(server_registry(s)), c->peer.cred.uid);
        if (usage_may(user, USAGE_CONNECTIONS) < 0)
                return refuse(c, -EDQUOT);
        c->user = user;
        usage_take(user, USAGE_CONNECTIONS, 1);
        *ret = TAKE_PTR(c);
        return 0;
}

int conn_welcome(struct conn *c)
{
        bool is_exact;
        int r;

        c->is_welcome = true;
        if (has_gone(c->fd))
                r = -ECONNABORTED;
        else
                r = pidfd_of_peer(c->fd, c->peer.pid, &c->peer.pidfd, &is_exact);
        if (r == -EREMOTE)
                (void) refuse(c, r);
        if (r >= 0)
                r = watch(c);
        if (r >= 0)
                r = greet(c);
        if (r < 0)
                close_conn(c, false);
        return r;
}

void conn_free(struct conn *c)
{
        struct request *r;
        struct packet *p;

        if (!c)
                return;
        monitor_stop(c);
        rings_drop(server_rings(c->server), c);
        registry_leave(server_registry(c->server), &c->peer);
        usage_give_back(c->user, USAGE_CONNECTIONS, 1);
        while ((r = TAILQ_FIRST(&c->requests))) { /* they go on, and are answered to nobody */
                TAILQ_REMOVE(&c->requests, r, link);
                r->conn = NULL;
                r->peer = NULL;
        }
        while ((p = TAILQ_FIRST(&c->out))) {
                TAILQ_REMOVE(&c->out, p, link);
                free(p);
        }
        poller_remove(registry_poller(server_registry(c->server)), &c->io);
        close_fd(c->fd);
        close_fd(c->peer.pidfd);
        cred_done(&c->peer.cred);
        free(c);
}
