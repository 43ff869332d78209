/* SPDX-License-Identifier: MIT */

/*
 * Files as stdio streams. A stream on a handle's descriptor is the handle's, so that closing and
 * persisting know of what it has not written yet; the one on an unnamed file is the caller's.
 */

#include "libclient/libtempfile.h"

#include <stdio.h>

#include "libclient/handle.h"
#include "libclient/util.h"

#define MODE_DEFAULT "w+"

/* As Python's buffering: below 0 the default, 0 none, 1 a line, above that a size. */
static int set_buffering(FILE *f, int buffering)
{
        if (buffering < 0)
                return 0;
        if (buffering == 0)
                return setvbuf(f, NULL, _IONBF, 0) == 0 ? 0 : -EINVAL;
        if (buffering == 1)
                return setvbuf(f, NULL, _IOLBF, BUFSIZ) == 0 ? 0 : -EINVAL;
        return setvbuf(f, NULL, _IOFBF, (size_t) buffering) == 0 ? 0 : -EINVAL;
}

/* @fd is the stream's only on success. */
static int open_stream(int fd, const char *mode, int buffering, FILE **ret)
{
        FILE *f;
        int r;

        f = fdopen(fd, mode ? mode : MODE_DEFAULT);
        if (!f)
                return -errno;
        r = set_buffering(f, buffering);
        if (r < 0)
                return r; /* its arguments are our own: can't be */
        *ret = f;
        return 0;
}

_public_ int tempfile_stream(struct tempfile *t, const char *mode, int buffering, FILE **ret)
{
        int r;

        if (!t || !ret || t->fd < 0 || t->stream || t->entry.kind != WIRE_KIND_FILE)
                return -EINVAL;
        r = open_stream(t->fd, mode, buffering, &t->stream);
        if (r == 0)
                *ret = t->stream;
        return r;
}

_public_ int tempfile_fopen(const struct tempfile_options *options, const char *mode, int buffering,
                            FILE **ret)
{
        int r, fd;

        if (!ret)
                return -EINVAL;
        fd = tempfile_unnamed(options);
        if (fd < 0)
                return fd;
        r = open_stream(fd, mode, buffering, ret);
        if (r < 0)
                (void) close_fd(fd);
        return r;
}
