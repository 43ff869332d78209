/* SPDX-License-Identifier: MIT */

/*
 * Takes paths of callers apart, so that all the rest works beneath a descriptor and a path of 4096
 * bytes is no longer a special case. The subtle thing: "link/" would be followed. The slash is
 * taken off and remembered, and whoever uses the name checks that it is a directory.
 */

#include "libclient/target.h"

#include <fcntl.h>

#include "libclient/directory.h"
#include "libclient/util.h"

/* "a/b//" -> length of "a/b", start of "b". */
static size_t find_last(const char *path, size_t *ret_end)
{
        size_t end = strlen(path), start;

        while (end > 0 && path[end - 1] == '/')
                end--;
        for (start = end; start > 0 && path[start - 1] != '/';)
                start--;
        *ret_end = end;
        return start;
}

static int open_parent(const char *path, size_t len, struct target *g)
{
        _cleanup_(freep) char *parent = NULL;
        int r, fd;

        parent = len == 0 ? strdup(".") : strndup(path, len);
        if (!parent)
                return -ENOMEM;
        fd = ownfd_above_stdio(RETRY(open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC)));
        if (fd < 0)
                return -errno;
        r = ownfd_take(fd, &g->dir);
        if (r < 0)
                return r;
        return directory_path(&g->dir, parent, &g->dir_path);
}

int target_read(const char *path, struct target *ret)
{
        struct target g = { .dir = OWNFD_NONE };
        size_t start, end;
        int r;

        start = find_last(path, &end);
        if (end - start > NAME_LEN_MAX)
                return -ENAMETOOLONG;
        if (!name_is_component(path + start, end - start))
                return -EINVAL;
        memcpy(g.name, path + start, end - start);
        g.name[end - start] = '\0';
        g.has_slash = path[end] == '/';

        r = open_parent(path, start, &g);
        if (r < 0) {
                target_done(&g);
                return r;
        }
        *ret = g;
        return 0;
}

void target_done(struct target *g)
{
        ownfd_close(&g->dir);
        free(g->dir_path);
        g->dir_path = NULL;
}

int target_open(const struct target *g)
{
        int fd;

        fd = ownfd_above_stdio(RETRY(openat(g->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
        return fd < 0 ? -errno : fd;
}
