/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/raw-client.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libclient/name.h"
#include "libclient/ring.h"
#include "libclient/util.h"

char client_socket[CLIENT_SOCKET_SIZE];
void (*client_wait)(int fd);

static const uint8_t tag_key[NAME_KEY_SIZE] = "the tag's key...";

static ssize_t receive(struct client *c, void *buf, size_t size, int *ret_fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u;
        struct iovec iov = { buf, size };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
        };
        struct cmsghdr *h;
        ssize_t n;

        if (client_wait)
                client_wait(c->fd);
        n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
        h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
        if (h && h->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
        return n;
}

void client_dial(struct client *c)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        struct wire_welcome m;

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", client_socket);
        *c = (struct client) { .doorbell = -1 };
        c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(c->fd, (struct sockaddr *) &a, sizeof(a)), 0);
        ck_assert_int_eq(receive(c, &m, sizeof(m), &c->doorbell), sizeof(m));
        ck_assert_int_eq(wire_check_reply(&m, sizeof(m)), 0);
        ck_assert_uint_eq(m.header.opcode, WIRE_WELCOME);
        ck_assert_int_ge(c->doorbell, 0);
        c->nonce = m.nonce;
}

void client_start(struct client *c)
{
        struct wire_hello m = { .header = { WIRE_VERSION, WIRE_HELLO, 0 } };

        client_dial(c);
        m.nonce = c->nonce;
        ck_assert_int_eq(client_say(c, &m, sizeof(m), NULL, 0), 0);
}

void client_close(struct client *c)
{
        c->fd = close_fd(c->fd);
        c->doorbell = close_fd(c->doorbell);
}

int client_say(struct client *c, const void *packet, size_t len, const int *fds, unsigned int n)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(16 * sizeof(int))];
        } u = { 0 };
        struct iovec iov = { (void *) packet, len };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        uint64_t one = 1;

        if (n > 0) {
                m.msg_control = &u;
                m.msg_controllen = CMSG_SPACE(n * sizeof(int));
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
        }
        if (sendmsg(c->fd, &m, MSG_NOSIGNAL | (client_wait ? MSG_DONTWAIT : 0)) < 0)
                return -errno;
        c->n_sent++;
        if (c->doorbell >= 0)
                (void) !write(c->doorbell, &one, sizeof(one));
        return 0;
}

size_t client_receive(struct client *c, void *buf, size_t size)
{
        int fd = -1;
        ssize_t n;

        do
                n = receive(c, buf, size, &fd);
        while (n < 0 && errno == ECONNRESET); /* said once, then what is there is read */
        close_fd(fd);
        ck_assert_int_ge(n, 0);
        if (n > 0)
                ck_assert_int_eq(wire_check_reply(buf, (size_t) n), 0);
        return (size_t) n;
}

bool client_is_cut(struct client *c)
{
        uint8_t buf[WIRE_PACKET_MAX];

        return client_receive(c, buf, sizeof(buf)) == 0;
}

void client_settle(struct client *c)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, ++c->serial } };
        uint8_t buf[WIRE_PACKET_MAX];

        ck_assert_int_eq(client_say(c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_gt(client_receive(c, buf, sizeof(buf)), 0);
        ck_assert_uint_eq(wire_header_of(buf).opcode, WIRE_STATUS_REPLY);
        ck_assert_uint_eq(wire_header_of(buf).serial, c->serial);
}

int client_ask(struct client *c, void *packet, size_t len, uint16_t opcode, int fd,
               uint64_t *ret_id)
{
        struct wire_header h = { WIRE_VERSION, opcode, ++c->serial };
        struct wire_result m;

        memcpy(packet, &h, sizeof(h));
        ck_assert_int_eq(wire_check_request(packet, len), 0);
        ck_assert_int_eq(client_say(c, packet, len, &fd, fd >= 0), 0);
        ck_assert_uint_eq(client_receive(c, &m, sizeof(m)), sizeof(m));
        ck_assert_uint_eq(m.header.opcode, WIRE_RESULT);
        ck_assert_uint_eq(m.header.serial, c->serial);
        if (ret_id)
                *ret_id = m.id;
        return m.result;
}

int client_tag_with(struct client *c, uint64_t tag, const char *path, int fd)
{
        struct wire_tag m = { .tag = tag, .path_len = (uint16_t) strlen(path) };
        uint8_t buf[sizeof(m) + 512];
        int r;

        memcpy(m.key, tag_key, sizeof(m.key));
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), path, m.path_len + 1U);
        r = client_ask(c, buf, sizeof(m) + m.path_len + 1U, WIRE_TAG, fd, NULL);
        if (r == 0)
                c->tag = tag;
        return r;
}

int client_tag(struct client *c, uint64_t tag, const char *directory)
{
        _cleanup_(closep) int fd = open(directory, O_PATH | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        return client_tag_with(c, tag, directory, fd);
}

const char *client_name(const struct client *c, unsigned int seq, const char *suffix)
{
        static char names[4][NAME_LEN_MAX + 1];
        static unsigned int n;
        char *name = names[n++ % ARRAY_SIZE(names)];

        ck_assert_int_gt(name_make(c->tag, tag_key, seq, "unit-", suffix, name), 0);
        return name;
}

void client_report(struct client *c, unsigned int what, uint64_t tag_or_id, unsigned int seq,
                   unsigned int kind, const char *name)
{
        struct wire_report m = { .header = { WIRE_VERSION, WIRE_REPORT, 0 } };
        struct wire_record record = {
                .what = (uint8_t) what,
                .kind = (uint8_t) kind,
                .name_len = (uint16_t) strlen(name),
                .seq = seq,
                .tag_or_id = tag_or_id,
        };
        uint8_t buf[1024];
        size_t len = sizeof(m);

        memcpy(buf, &m, sizeof(m));
        ck_assert_int_eq(wire_add_record(buf, sizeof(buf), &len, &record, name), 0);
        ck_assert_int_eq(wire_check_request(buf, len), 0);
        ck_assert_int_eq(client_say(c, buf, len, NULL, 0), 0);
}

int client_register(struct client *c, uint16_t opcode, const char *name, unsigned int kind,
                    unsigned int seq, uint64_t *ret_id)
{
        struct wire_register m = {
                .tag = c->tag,
                .seq = seq,
                .owner.kind = WIRE_OWNER_PROCESS,
                .kind = (uint8_t) kind,
                .name_len = (uint16_t) strlen(name),
        };
        uint8_t buf[sizeof(m) + 512];

        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), name, m.name_len + 1U);
        return client_ask(c, buf, sizeof(m) + m.name_len + 1U, opcode, -1, ret_id);
}

int client_keep(struct client *c, uint64_t tag_or_id, unsigned int seq)
{
        struct wire_change m = { .ref = { tag_or_id, seq, 0 } };

        return client_ask(c, &m, sizeof(m), WIRE_KEEP, -1, NULL);
}

struct ring *client_ring(struct client *c)
{
        struct wire_ring m = { { WIRE_VERSION, WIRE_RING, ++c->serial } };
        struct ring *ring;
        int fd = -1;

        ck_assert_int_eq(ring_new(&ring, &fd), 0);
        ck_assert_int_eq(client_say(c, &m, sizeof(m), &fd, 1), 0);
        close_fd(fd);
        return ring;
}

int client_reap(struct client *c, uint64_t id, unsigned int flags)
{
        struct wire_reap m = { .id = id, .flags = flags };

        return client_ask(c, &m, sizeof(m), WIRE_REAP, -1, NULL);
}
