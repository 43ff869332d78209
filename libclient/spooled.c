/* SPDX-License-Identifier: MIT */

/*
 * Files that live in memory until they are large. Rolling over copies what is there to an unnamed
 * file on disk and puts that under the same descriptor number, so that nobody who knows the number
 * has to be told. Both kinds vanish with the last descriptor, so no daemon has a part in this.
 *
 * The subtle thing: nobody is told of a plain write(2). It goes to memory however large, and is
 * noticed by the next call here. Copies of the descriptor made before rolling over stay in memory.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "libclient/handle.h"
#include "libclient/ownfd.h"
#include "libclient/util.h"

#define COPY_MAX ((size_t) 1 << 30) /* by one sendfile() */

struct tempfile_spooled {
        int fd;
        uint64_t max_size; /* 0: no bound */
        bool is_on_disk;
        struct tempfile_options options; /* dir is our copy */
        char *dir;
};

static void spooled_free(struct tempfile_spooled *s)
{
        if (!s)
                return;
        (void) close_fd(s->fd);
        free(s->dir);
        free(s);
}

static void spooled_freep(struct tempfile_spooled **s)
{
        spooled_free(*s);
}

static int open_memory(mode_t mode, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;

        fd = ownfd_above_stdio(memfd_create("tempfile", MFD_CLOEXEC));
        if (fd < 0 || fchmod(fd, mode) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The directory is found now: what the environment says later is another matter. */
static int find_dir(struct tempfile_spooled *s)
{
        if (!s->options.dir)
                return tempfile_gettempdir(&s->dir);
        s->dir = realpath(s->options.dir, NULL);
        return s->dir ? 0 : -errno;
}

_public_ int tempfile_spooled(const struct tempfile_options *options, uint64_t max_size,
                              struct tempfile_spooled **ret)
{
        _cleanup_(spooled_freep) struct tempfile_spooled *s = NULL;
        struct recipe recipe;
        int r;

        if (!ret)
                return -EINVAL;
        r = recipe_read(options, WIRE_KIND_FILE, &recipe);
        if (r < 0)
                return r;
        if (!recipe.is_own || recipe.retain_sec != 0)
                return -EINVAL;
        s = malloc(sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct tempfile_spooled) {
                .fd = -1,
                .max_size = max_size,
                .options = TEMPFILE_OPTIONS_INIT,
        };
        s->options.dir = recipe.dir;
        s->options.mode = recipe.mode;
        r = find_dir(s);
        if (r == 0)
                r = open_memory(recipe.mode, &s->fd);
        if (r < 0)
                return r;
        s->options.dir = s->dir;
        *ret = TAKE_PTR(s);
        return 0;
}

_public_ int tempfile_spooled_fd(const struct tempfile_spooled *s)
{
        return s ? s->fd : -EINVAL;
}

static int copy(int from, int to, uint64_t size)
{
        off_t at = 0;
        ssize_t n;

        while ((uint64_t) at < size) {
                n = sendfile(to, from, &at,
                             (size_t) MIN(size - (uint64_t) at, (uint64_t) COPY_MAX));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return -EIO; /* it became shorter under our hands */
        }
        return 0;
}

/* Position and flags are of the open file description, which is to be replaced. */
static int match_position(int from, int to)
{
        const int flags = fcntl(from, F_GETFL);
        const off_t at = lseek(from, 0, SEEK_CUR);

        if (flags < 0 || at < 0 || lseek(to, at, SEEK_SET) < 0)
                return -errno;
        return fcntl(to, F_SETFL, flags & (O_APPEND | O_NONBLOCK)) < 0 ? -errno : 0;
}

_public_ int tempfile_spooled_rollover(struct tempfile_spooled *s)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;
        int r, fd_flags;

        if (!s)
                return -EINVAL;
        if (s->is_on_disk)
                return 0;
        fd_flags = fcntl(s->fd, F_GETFD);
        if (fd_flags < 0 || fstat(s->fd, &st) < 0)
                return -errno;
        fd = tempfile_unnamed(&s->options);
        if (fd < 0)
                return fd;
        r = copy(s->fd, fd, (uint64_t) st.st_size);
        if (r == 0)
                r = match_position(s->fd, fd);
        if (r == 0 && dup3(fd, s->fd, fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
                r = -errno;
        if (r == 0)
                s->is_on_disk = true;
        return r;
}

static int roll_over_beyond(struct tempfile_spooled *s, uint64_t size)
{
        int r = 0;

        if (!s->is_on_disk && s->max_size != 0 && size > s->max_size)
                r = tempfile_spooled_rollover(s);
        return r < 0 ? r : s->is_on_disk;
}

_public_ int tempfile_spooled_check(struct tempfile_spooled *s)
{
        struct stat st;

        if (!s)
                return -EINVAL;
        if (fstat(s->fd, &st) < 0)
                return -errno;
        return roll_over_beyond(s, (uint64_t) st.st_size);
}

/* Where a write would end: at the position, or, appending, behind what is there. */
static int find_end(const struct tempfile_spooled *s, size_t size, uint64_t *ret)
{
        const int flags = fcntl(s->fd, F_GETFL);
        off_t at;
        struct stat st;

        if (flags < 0 || fstat(s->fd, &st) < 0)
                return -errno;
        at = flags & O_APPEND ? st.st_size : lseek(s->fd, 0, SEEK_CUR);
        if (at < 0)
                return -errno;
        *ret = MAX((uint64_t) st.st_size, (uint64_t) at + size);
        return 0;
}

_public_ int tempfile_spooled_write(struct tempfile_spooled *s, const void *data, size_t size)
{
        const uint8_t *bytes = data;
        uint64_t end = 0;
        ssize_t n;
        int r;

        if (!s || (!data && size > 0))
                return -EINVAL;
        r = find_end(s, size, &end);
        if (r == 0)
                r = roll_over_beyond(s, end);
        if (r < 0)
                return r;
        for (size_t at = 0; at < size; at += (size_t) n) {
                n = write(s->fd, bytes + at, size - at);
                if (n < 0 && errno != EINTR)
                        return -errno;
                n = MAX(n, 0);
        }
        return 0;
}

_public_ void tempfile_spooled_close(struct tempfile_spooled *s)
{
        spooled_free(s);
}

_public_ void tempfile_spooled_closep(struct tempfile_spooled **s)
{
        const int saved = errno;

        spooled_free(*s);
        *s = NULL;
        errno = saved;
}
