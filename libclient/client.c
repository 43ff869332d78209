/* SPDX-License-Identifier: MIT */

/*
 * The connection as a small state machine: CLOSED until a socket answers, GREETING until WELCOME
 * has come, READY from HELLO on. Whoever may wait drives it to READY; whoever may not pushes it as
 * far as it goes now, so that a process creates on at full speed while the daemon is away. Leaves
 * what is to be said to its users, and tells them when all has to be said again.
 *
 * Who ended the last connection matters. When the daemon did, or was gone itself, it will sweep for
 * what is made until it has been greeted again. When we did (the program closed our descriptor) it
 * knows of nothing amiss: then nothing may be made before one has answered again, see must_greet.
 *
 * The subtle thing: a request whose connection is lost before the answer may have been heard. It is
 * asked again on the next one, in words that let the daemon recognise it (WIRE_REGISTER_RESUME).
 */

#include "libclient/client.h"

#include <poll.h>
#include <sys/socket.h>

#include "libclient/deadline.h"
#include "libclient/process.h"
#include "libclient/ring.h"
#include "libclient/util.h"

#define RETRY_USEC (100 * USEC_PER_MSEC) /* between attempts of those who do not wait */
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#define PAUSE_USEC (20 * USEC_PER_MSEC) /* between attempts of one who does */

/* Who says so many in that time offers a ring; and how long that is taken for read without a word by the
 * socket, which tells whether the daemon is still there. */
#define RING_REPORTS 64U
#define RING_REPORTS_USEC (100 * USEC_PER_MSEC)
#define RING_TRUST_USEC (20 * USEC_PER_MSEC)

/* In a child the parent's is left alone, as is all that another thread may have been changing. */
static void drop_ring(struct client *c)
{
        if (!c->ring || c->ring_pid != process_id())
                return;
        ring_free(c->ring);
        c->ring = NULL;
}

/* Every eventfd has the same inode: that one is ours only as long as the socket is too. */
void client_drop(struct client *c)
{
        if (ownfd_is_there(&c->socket))
                ownfd_close(&c->doorbell);
        ownfd_close(&c->socket);
        c->doorbell = OWNFD_NONE;
        drop_ring(c);
        c->must_greet = c->phase != CLIENT_CLOSED || c->must_greet;
        c->phase = CLIENT_CLOSED;
        c->retry_usec = deadline_in(RETRY_USEC);
}

/* The other end has gone, or ended it: that tells nothing of the connection before, unless this one has
 * come so far that the daemon knew who we are. */
static void drop_lost(struct client *c)
{
        const bool must_greet = c->must_greet;

        client_drop(c);
        c->must_greet = must_greet;
}

int client_init(struct client *c, const char *only, const struct client_hooks *hooks,
                void *userdata)
{
        *c = (struct client) {
                .socket = OWNFD_NONE,
                .doorbell = OWNFD_NONE,
                .euid = geteuid(),
                .egid = getegid(),
                .hooks = hooks,
                .userdata = userdata,
        };
        if (only) {
                c->only = strdup(only);
                if (!c->only)
                        return -ENOMEM;
        }
        return 0;
}

void client_done(struct client *c)
{
        client_drop(c);
        free(c->only);
        c->only = NULL;
}

/* ---- connecting ------------------------------------------------------------------------------- */

static int open_socket(struct client *c, uint64_t deadline_usec)
{
        int r, fd;

        if (geteuid() != c->euid || getegid() != c->egid)
                return -EPERM;
        if (deadline_usec == DEADLINE_PAST && deadline_now() < c->retry_usec)
                return -ETIMEDOUT;
        c->retry_usec = deadline_in(RETRY_USEC);

        r = dial(c->only, deadline_usec, c->path, &fd);
        if (r < 0)
                return r;
        r = ownfd_take(fd, &c->socket);
        if (r < 0)
                return r;
        c->phase = CLIENT_GREETING;
        c->may_be_quiet = false;
        c->n_sent = 0;
        c->n_reports = 0;
        return 0;
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* The last descriptor that came along; any other is closed. */
static int take_fd(struct msghdr *msg)
{
        int fd = -1;

        for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
                if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = 0; at + sizeof(int) <= m->cmsg_len - CMSG_LEN(0);
                     at += sizeof(int)) {
                        closep(&fd);
                        memcpy(&fd, CMSG_DATA(m) + at, sizeof(int));
                }
        }
        return ownfd_above_stdio(fd);
}

static int receive_now(struct client *c, int *ret_fd, bool *ret_is_lost)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = c->packet, .iov_len = sizeof(c->packet) };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        _cleanup_(closep) int fd = -1;
        ssize_t n;

        do
                n = recvmsg(c->socket.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);

        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n <= 0) {
                *ret_is_lost = n == 0 || errno == ECONNRESET;
                return -ECONNRESET; /* whatever it is, what was asked may have been heard */
        }
        fd = take_fd(&msg);
        if (msg.msg_flags & MSG_TRUNC)
                return -EBADMSG;

        c->packet_len = (size_t) n;
        if (ret_fd)
                *ret_fd = TAKE_FD(fd);
        return wire_check_reply(c->packet, c->packet_len);
}

/*
 * The next packet. Anything but a timeout ends the connection. Who may wait begins with that: an
 * answer is never there at once.
 */
static int receive(struct client *c, uint64_t deadline_usec, int *ret_fd)
{
        bool is_lost = false;
        int r, waited;

        for (;;) {
                waited = deadline_poll(c->socket.fd, POLLIN, deadline_usec);
                r = receive_now(c, ret_fd, &is_lost);
                if (r != -EAGAIN)
                        break;
                if (waited < 0) {
                        r = waited;
                        break;
                }
        }
        if (is_lost)
                drop_lost(c);
        else if (r < 0 && r != -ETIMEDOUT)
                client_drop(c);
        else if (r == 0 && c->phase == CLIENT_READY)
                c->must_greet = false;
        return r;
}

static void hand_over_answer(struct client *c)
{
        struct wire_result result;

        if (!c->hooks || wire_header_of(c->packet).opcode != WIRE_RESULT)
                return;
        memcpy(&result, c->packet, sizeof(result));
        c->hooks->answer(c->userdata, &result);
}

void client_drain(struct client *c)
{
        while (c->phase == CLIENT_READY && receive(c, DEADLINE_PAST, NULL) == 0)
                hand_over_answer(c);
}

/* Needed only if the daemon lets reports gather: after something was said that asks for no answer. */
static void ring_doorbell(struct client *c)
{
        const uint64_t one = 1;

        /* A doorbell that is full has been rung already. */
        if (c->may_be_quiet && ownfd_is_there(&c->doorbell))
                (void) !write(c->doorbell.fd, &one, sizeof(one));
}

int client_hear(struct client *c, uint64_t deadline_usec)
{
        return c->phase == CLIENT_READY ? receive(c, deadline_usec, NULL) : -ECONNRESET;
}

int client_listen(struct client *c, uint64_t deadline_usec)
{
        int r;

        if (c->phase != CLIENT_READY)
                return -ECONNRESET;
        ring_doorbell(c);
        r = receive(c, deadline_usec, NULL);
        if (r == 0)
                hand_over_answer(c);
        return r;
}

/* ---- sending ---------------------------------------------------------------------------------- */

static int send_with_fd(struct client *c, const void *packet, size_t len, int fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (void *) packet, .iov_len = len };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };

        control.align = (struct cmsghdr) {
                .cmsg_len = CMSG_LEN(sizeof(int)),
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
        return sendmsg(c->socket.fd, &msg, SEND_FLAGS) < 0 ? -errno : 0;
}

static int send_now(struct client *c, const void *packet, size_t len, int fd)
{
        int r;

        do {
                if (fd >= 0)
                        r = send_with_fd(c, packet, len, fd);
                else
                        r = send(c->socket.fd, packet, len, SEND_FLAGS) < 0 ? -errno : 0;
        } while (r == -EINTR);
        return r;
}

int client_send(struct client *c, const void *packet, size_t len, int fd, uint64_t deadline_usec)
{
        int r;

        for (;;) {
                if (c->phase != CLIENT_READY)
                        return -ECONNRESET;
                r = send_now(c, packet, len, fd);
                if (r == 0) {
                        c->n_sent++;
                        c->may_be_quiet |= wire_header_of(packet).opcode == WIRE_REPORT;
                        return 0;
                }

                if (r == -EAGAIN) {
                        ring_doorbell(c);
                        r = deadline_poll(c->socket.fd, POLLOUT, deadline_usec);
                } else if (r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM) {
                        /* Passes as the daemon reads on, but poll() sees nothing of it. */
                        ring_doorbell(c);
                        deadline_pause(USEC_PER_MSEC, deadline_usec);
                        r = deadline_left_msec(deadline_usec) == 0 ? -ETIMEDOUT : 0;
                } else {
                        if (r == -EPIPE || r == -ECONNRESET)
                                drop_lost(c);
                        else
                                client_drop(c);
                        r = -ECONNRESET;
                }
                if (r < 0)
                        return r;
        }
}

/* Not read any more, or not for sure: then the socket is used, once more if need be. */
bool client_put(struct client *c, const void *packet, size_t len)
{
        if (!c->ring || deadline_now() - c->sent_usec >= RING_TRUST_USEC)
                return false;
        if (ring_state(c->ring) == RING_READ && ring_put(c->ring, packet, len, c->n_sent) &&
            ring_state(c->ring) == RING_READ) {
                c->may_be_quiet = true;
                return true;
        }
        if (ring_state(c->ring) == RING_OVER)
                drop_ring(c);
        return false;
}

/* Without one (no descriptor is free, say) all goes by the socket. */
static void offer_ring(struct client *c)
{
        struct wire_ring m = { .header = { .version = WIRE_VERSION, .opcode = WIRE_RING } };
        _cleanup_(closep) int fd = -1;

        if (ring_new(&c->ring, &fd) < 0)
                return;
        c->ring_pid = process_id();
        (void) client_number(c, &m);
        if (client_send(c, &m, sizeof(m), fd, DEADLINE_PAST) < 0)
                drop_ring(c);
}

static void count_report(struct client *c)
{
        c->sent_usec = deadline_now();
        if (c->ring || !(c->features & WIRE_FEATURE_RING))
                return;
        if (c->n_reports == 0 || c->sent_usec - c->reports_usec > RING_REPORTS_USEC) {
                c->n_reports = 0;
                c->reports_usec = c->sent_usec;
        }
        if (++c->n_reports < RING_REPORTS)
                return;
        c->n_reports = 0;
        offer_ring(c);
}

int client_send_report(struct client *c, const void *packet, size_t len, uint64_t deadline_usec)
{
        int r;

        r = client_send(c, packet, len, -1, deadline_usec);
        if (r == 0)
                count_report(c);
        return r;
}

uint32_t client_number(struct client *c, void *packet)
{
        struct wire_header header;

        if (++c->serial == 0)
                c->serial = 1;
        memcpy(&header, packet, sizeof(header));
        header.serial = c->serial;
        memcpy(packet, &header, sizeof(header));
        return c->serial;
}

/* ---- greeting --------------------------------------------------------------------------------- */

/* What came in place of a welcome: this user has too many connections. */
static int refusal(const struct client *c)
{
        struct wire_result m;

        if (wire_header_of(c->packet).opcode != WIRE_RESULT)
                return -EBADMSG;
        memcpy(&m, c->packet, sizeof(m));
        return m.result < 0 ? m.result : -EBADMSG;
}

static int read_welcome(struct client *c, uint64_t deadline_usec, uint64_t *ret_nonce)
{
        _cleanup_(closep) int fd = -1;
        struct wire_welcome welcome;
        bool must_greet;
        int r;

        r = receive(c, deadline_usec, &fd);
        if (r < 0)
                return r;
        if (wire_header_of(c->packet).opcode != WIRE_WELCOME) {
                must_greet = c->must_greet; /* nothing has changed */
                r = refusal(c);
                client_drop(c);
                c->must_greet = must_greet;
                return r;
        }

        /* Without a doorbell (no descriptor was free) all still works, a millisecond later. */
        if (fd >= 0)
                (void) ownfd_take(TAKE_FD(fd), &c->doorbell);
        memcpy(&welcome, c->packet, sizeof(welcome));
        *ret_nonce = welcome.nonce;
        c->features = welcome.features;
        return 0;
}

static int greet(struct client *c, uint64_t deadline_usec)
{
        struct wire_hello hello = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_HELLO },
        };
        int r;

        r = read_welcome(c, deadline_usec, &hello.nonce);
        if (r < 0)
                return r;

        c->phase = CLIENT_READY;
        (void) client_number(c, &hello);
        r = client_send(c, &hello, sizeof(hello), -1, deadline_usec);
        if (r == 0 && c->hooks)
                r = c->hooks->ready(c->userdata, deadline_usec);
        if (r < 0)
                client_drop(c);
        return r;
}

int client_connect(struct client *c, uint64_t deadline_usec)
{
        int r;

        if (c->phase != CLIENT_CLOSED && !ownfd_is_there(&c->socket))
                client_drop(c);
        if (c->phase == CLIENT_CLOSED) {
                r = open_socket(c, deadline_usec);
                if (r < 0)
                        return r;
        }
        return c->phase == CLIENT_GREETING ? greet(c, deadline_usec) : 0;
}

/* ---- asking ----------------------------------------------------------------------------------- */

/* Reads until the answer to @serial is there; late answers to others go to the hook. */
static int await(struct client *c, uint32_t serial, uint16_t expected, uint64_t deadline_usec)
{
        _cleanup_(closep) int fd = -1;
        struct wire_header header;
        int r;

        for (;;) {
                r = receive(c, deadline_usec, &fd);
                if (r < 0)
                        return r;
                header = wire_header_of(c->packet);
                if (header.serial == serial)
                        break;
                hand_over_answer(c);
                closep(&fd);
        }
        c->may_be_quiet = false; /* it has read all that was said before */
        if (header.opcode != expected &&
            !(header.opcode == WIRE_TAGGED && expected == WIRE_RESULT)) {
                client_drop(c);
                return -EBADMSG;
        }
        if (c->ret_fd)
                *c->ret_fd = TAKE_FD(fd);
        return 0;
}

static void mark_repeated(void *packet)
{
        struct wire_register r;
        struct wire_tag t;

        switch (wire_header_of(packet).opcode) {
        case WIRE_RESERVE:
                memcpy(&r, packet, sizeof(r));
                r.flags |= WIRE_REGISTER_RESUME;
                memcpy(packet, &r, sizeof(r));
                return;
        case WIRE_TAG:
                memcpy(&t, packet, sizeof(t));
                t.flags &= ~WIRE_TAG_ANY; /* the daemon may be an older one now */
                memcpy(packet, &t, sizeof(t));
                return;
        }
}

/* One attempt on one connection. */
static int ask_once(struct client *c, void *packet, size_t len, int fd, uint16_t expected,
                    uint64_t deadline_usec)
{
        uint32_t serial;
        int r;

        r = client_connect(c, deadline_usec);
        if (r < 0)
                return r;
        serial = client_number(c, packet);
        r = client_send(c, packet, len, fd, deadline_usec);
        if (r < 0)
                return r;

        c->was_sent = true;
        ring_doorbell(c);
        return await(c, serial, expected, deadline_usec);
}

int client_request(struct client *c, void *packet, size_t len, int fd, uint16_t expected,
                   bool is_repeatable, uint64_t deadline_usec)
{
        int r;

        c->was_repeated = c->was_sent = false;
        for (unsigned int i = 0;; i++) {
                r = ask_once(c, packet, len, fd, expected, deadline_usec);
                if (r != -ECONNRESET && !(c->was_sent && r == -ECONNREFUSED))
                        return r;
                if (c->was_sent && !is_repeatable)
                        return -ECONNRESET;

                /* Heard, perhaps: only the answer can tell, and the daemon comes back. */
                c->was_repeated = c->was_repeated || c->was_sent;
                if (c->was_sent)
                        mark_repeated(packet);
                if (i > 0) /* the first loss may be an old one, noticed only now */
                        deadline_pause(PAUSE_USEC, deadline_usec);
                if (deadline_left_msec(deadline_usec) == 0)
                        return -ETIMEDOUT;
        }
}
