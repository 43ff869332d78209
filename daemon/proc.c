/* SPDX-License-Identifier: MIT */

#include "daemon/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "libclient/util.h"

#define ROOM 4096U

static int read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
        _cleanup_(freep) char *buf = NULL;
        size_t room = 0, len = 0;
        char *more;
        ssize_t n;

        do {
                if (len == room) {
                        room = MIN(MAX(2 * room, (size_t) ROOM), max);
                        more = realloc(buf, room + 1);
                        if (!more)
                                return -ENOMEM;
                        buf = more;
                }
                n = RETRY(read(fd, buf + len, room - len));
                if (n < 0)
                        return -errno;
                len += (size_t) n;
        } while (n > 0 && len < max);
        buf[len] = 0;
        *ret = TAKE_PTR(buf);
        *ret_len = len;
        return 0;
}

int proc_read(pid_t pid, const char *what, size_t max, char **ret, size_t *ret_len)
{
        _cleanup_(closep) int fd = -1;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, what);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        return read_all(fd, max, ret, ret_len);
}

const char *proc_field(const char *text, const char *label)
{
        const size_t len = strlen(label);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, label, len) == 0)
                        return line + len;
        }
        return NULL;
}
