/* SPDX-License-Identifier: MIT */

/* See the header. On its way a parcel has its length in front, and the descriptor beside that. */

#include "daemon/parcel.h"

#include <errno.h>
#include <sys/socket.h>

#include "daemon/identity.h"
#include "libclient/util.h"

#define PARCEL_MAX (UINT64_C(1) << 30)

void parcel_done(struct parcel *p)
{
        free(p->data);
        close_fd(p->fd);
        *p = (struct parcel) PARCEL_INIT;
}

void parcel_put(struct parcel *p, const void *data, size_t size)
{
        uint8_t *more;

        if (p->room - p->len < size) {
                more = realloc(p->data, 2 * p->len + size);
                if (!more) {
                        p->is_bad = true;
                        return;
                }
                p->data = more;
                p->room = 2 * p->len + size;
        }
        if (size > 0)
                memcpy(p->data + p->len, data, size);
        p->len += size;
}

void parcel_put_number(struct parcel *p, uint64_t n)
{
        parcel_put(p, &n, sizeof(n));
}

/* Its length with the NUL, 0: NULL. */
void parcel_put_text(struct parcel *p, const char *text)
{
        size_t size = text ? strlen(text) + 1 : 0;

        parcel_put_number(p, size);
        parcel_put(p, text, size);
}

void parcel_put_identity(struct parcel *p, const struct identity *i)
{
        uint8_t buf[IDENTITY_PACKED_MAX];
        size_t len = identity_pack(i, buf);

        parcel_put_number(p, len);
        parcel_put(p, buf, len);
}

/* NULL: there is less. */
static const uint8_t *take(struct parcel *p, uint64_t size)
{
        const uint8_t *data = p->data + p->at;

        if (p->is_bad || p->len - p->at < size) {
                p->is_bad = true;
                return NULL;
        }
        p->at += size;
        return data;
}

void parcel_get(struct parcel *p, void *data, size_t size)
{
        const uint8_t *from = take(p, size);

        if (from)
                memcpy(data, from, size);
        else
                memset(data, 0, size);
}

uint64_t parcel_get_number(struct parcel *p)
{
        uint64_t n;

        parcel_get(p, &n, sizeof(n));
        return n;
}

char *parcel_get_text(struct parcel *p)
{
        uint64_t size = parcel_get_number(p);
        const uint8_t *from = size > 0 ? take(p, size) : NULL;
        char *text;

        if (!from)
                return NULL;
        text = malloc(size);
        if (!text || from[size - 1] != 0) {
                p->is_bad = true;
                free(text);
                return NULL;
        }
        memcpy(text, from, size);
        return text;
}

void parcel_get_identity(struct parcel *p, struct identity *ret)
{
        uint64_t len = parcel_get_number(p);
        const uint8_t *from = take(p, len);

        *ret = (struct identity) { 0 };
        if (from && identity_unpack(from, len, ret) < 0)
                p->is_bad = true;
}

/* ---- on its way ---- */

static int send_all(int fd, const uint8_t *data, size_t len)
{
        ssize_t n;

        while (len > 0) {
                n = send(fd, data, len, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EPIPE ? -ECONNRESET : -errno;
                data += n;
                len -= (size_t) n;
        }
        return 0;
}

static int receive_all(int fd, uint8_t *data, size_t len)
{
        ssize_t n;

        while (len > 0) {
                n = recv(fd, data, len, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                data += n;
                len -= (size_t) n;
        }
        return 0;
}

union control {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
};

int parcel_send(int fd, const struct parcel *p)
{
        union control u = { 0 };
        uint64_t len = p->len;
        struct iovec iov = { &len, sizeof(len) };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (p->is_bad || len > PARCEL_MAX)
                return -ENOMEM;
        if (p->fd >= 0) {
                m.msg_control = &u;
                m.msg_controllen = sizeof(u);
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &p->fd, sizeof(int));
        }
        do
                n = sendmsg(fd, &m, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n != sizeof(len))
                return n < 0 && errno != EPIPE ? -errno : -ECONNRESET;
        return send_all(fd, p->data, p->len);
}

int parcel_receive(int fd, struct parcel *ret)
{
        struct parcel p = PARCEL_INIT;
        uint64_t len = 0;
        struct iovec iov = { &len, sizeof(len) };
        union control u;
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
        };
        struct cmsghdr *h;
        ssize_t n;
        int r;

        do
                n = recvmsg(fd, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
        if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
                memcpy(&p.fd, CMSG_DATA(h), sizeof(int));
        r = n == sizeof(len) ? 0 : -ECONNRESET;
        if (r >= 0 && len > PARCEL_MAX)
                r = -EBADMSG;
        if (r >= 0) {
                p.data = malloc(len + 1);
                r = p.data ? receive_all(fd, p.data, len) : -ENOMEM;
        }
        if (r < 0) {
                parcel_done(&p);
                return r;
        }
        p.len = len;
        *ret = p;
        return 0;
}
