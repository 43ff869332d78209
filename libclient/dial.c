/* SPDX-License-Identifier: MIT */

/*
 * From nothing to a connected socket. "Nobody is there" is one answer, -ECONNREFUSED, whichever
 * piece is missing (directory, socket, listener); all else is reported as what it is, but only when
 * no later place answers. The subtle thing: a listener that systemd made names root in SO_PEERCRED,
 * whoever runs behind it later; that is what is wanted, for root made it.
 */

#include "libclient/dial.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "libclient/deadline.h"
#include "libclient/ownfd.h"
#include "libclient/util.h"

int dial_candidate(const char *only, unsigned int i, char *buf, size_t size)
{
        const char *named = only ? only : secure_getenv("TEMPFILED_SOCKET");
        const char *runtime;

        if (named && *named)
                return i == 0 ? snprintf(buf, size, "%s", named) : -ENOENT;
        if (i == 0)
                return snprintf(buf, size, "/run/tempfiled/socket");

        runtime = secure_getenv("XDG_RUNTIME_DIR");
        if (i > 1 || !runtime || *runtime != '/')
                return -ENOENT;
        return snprintf(buf, size, "%s/tempfiled/socket", runtime);
}

/* Waits in connect() for as long as is left; a signal is no reason to stop. */
static int connect_until(int fd, const struct sockaddr_un *address, uint64_t deadline_usec)
{
        struct timeval limit;
        int msec;

        while ((msec = deadline_left_msec(deadline_usec)) > 0) {
                limit = (struct timeval) { msec / 1000, msec % 1000 * 1000 };
                if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                        return -errno;
                if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0)
                        return 0;
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
        }
        return -ETIMEDOUT;
}

/*
 * A full backlog answers EAGAIN to who does not wait, and poll() does not tell when there is room:
 * only a blocking connect() does.
 */
static int connect_waiting(int fd, const struct sockaddr_un *address, uint64_t deadline_usec)
{
        const int flags = fcntl(fd, F_GETFL);
        int r;

        if (deadline_left_msec(deadline_usec) == 0)
                return -ETIMEDOUT;
        if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
                return -errno;
        r = connect_until(fd, address, deadline_usec);
        if (r == 0 && fcntl(fd, F_SETFL, flags) < 0)
                r = -errno;
        return r;
}

static int translate_error(int r)
{
        switch (r) {
        case -ENOENT:
        case -ENOTDIR:
        case -ENOTSOCK:
        case -EPROTOTYPE:
        case -ELOOP:
                return -ECONNREFUSED;
        case -EPERM:
                return -EACCES;
        default:
                return r;
        }
}

static int check_trust(int fd)
{
        socklen_t len = sizeof(struct ucred);
        struct ucred peer;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return -errno;
        return peer.uid == 0 || peer.uid == geteuid() ? 0 : -EACCES;
}

static int connect_to(const char *path, uint64_t deadline_usec, int *ret_fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = -1;
        int r = 0;

        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = ownfd_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (fd < 0)
                return -errno;

        if (RETRY(connect(fd, (const struct sockaddr *) &address, sizeof(address))) < 0)
                r = errno == EAGAIN ? connect_waiting(fd, &address, deadline_usec) : -errno;
        if (r < 0)
                return translate_error(r);
        r = check_trust(fd);
        if (r < 0)
                return r;

        *ret_fd = TAKE_FD(fd);
        return 0;
}

int dial(const char *only, uint64_t deadline_usec, char ret_path[DIAL_PATH_SIZE], int *ret_fd)
{
        char path[DIAL_PATH_SIZE];
        int error = -ECONNREFUSED;
        int r, len;

        for (unsigned int i = 0;; i++) {
                len = dial_candidate(only, i, path, sizeof(path));
                if (len < 0)
                        return error;
                if ((size_t) len >= sizeof(path))
                        continue; /* nobody can listen there */
                r = connect_to(path, deadline_usec, ret_fd);
                if (r == 0)
                        break;
                if (r != -ECONNREFUSED)
                        error = r;
        }

        memcpy(ret_path, path, sizeof(path));
        return 0;
}
