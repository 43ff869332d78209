/* SPDX-License-Identifier: MIT */

/*
 * Files without a name: the kernel deletes them with their last descriptor, so nobody need know of
 * them. Where the file system has none, a named one loses its name before anyone is told of it.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "libclient/handle.h"
#include "libclient/util.h"
#include "libclient/wire.h"

static int open_unnamed(const char *dir, mode_t mode)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;

        fd = ownfd_above_stdio(open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, mode & 0600));
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* How it is called for that moment is nobody's business. */
static int make_and_unlink(const struct recipe *recipe)
{
        struct recipe nameless = *recipe;
        struct tempfile *t;
        int r, fd;

        nameless.prefix = nameless.suffix = "";
        nameless.prefix_len = nameless.suffix_len = nameless.random_len = 0;
        r = recipe_make(&nameless, &t);
        if (r < 0)
                return r;
        fd = TAKE_FD(t->fd);
        r = tempfile_close(t);
        if (r < 0) {
                (void) close_fd(fd);
                return r;
        }
        return fd;
}

_public_ int tempfile_unnamed(const struct tempfile_options *options)
{
        _cleanup_(freep) char *found = NULL;
        struct recipe recipe;
        int r;

        r = recipe_read(options, WIRE_KIND_FILE, &recipe);
        if (r < 0)
                return r;
        if (!recipe.is_own || recipe.retain_sec != 0)
                return -EINVAL; /* the kernel deletes it with its last descriptor */
        if (!recipe.dir) {
                r = tempfile_gettempdir(&found);
                if (r < 0)
                        return r;
                recipe.dir = found;
        }

        r = open_unnamed(recipe.dir, recipe.mode);
        if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL)
                r = make_and_unlink(&recipe);
        return r;
}
