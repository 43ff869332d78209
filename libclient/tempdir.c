/* SPDX-License-Identifier: MIT */

/*
 * Where temporaries are made by default: the first candidate that can really be written to, found
 * once a process. The subtle thing: the probe must not leave anything behind either when the
 * process is killed in the middle of it. So it is a file without a name; where the file system has
 * none, a temporary; and without a daemon permissions and free space are asked for instead.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/statvfs.h>

#include "libclient/ownfd.h"
#include "libclient/session.h"
#include "libclient/util.h"

/* What was once remembered stays allocated: another thread may be reading it. */
struct remembered {
        struct remembered *before;
        bool is_known; /* false: to be found again */
        char path[];
};

static _Atomic(struct remembered *) remembered;

static bool seems_writable(const char *dir)
{
        struct statvfs st;

        return faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0 && statvfs(dir, &st) == 0 &&
               !(st.f_flag & ST_RDONLY) && (st.f_blocks == 0 || st.f_bavail > 0);
}

static bool can_make(const char *dir)
{
        _cleanup_(tempfile_closep) struct tempfile *t = NULL;
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        int r;

        o.dir = dir;
        r = tempfile_named(&o, &t);
        if (session_is_away(r))
                return seems_writable(dir);
        return r == 0 && RETRY(write(tempfile_fd(t), "", 1)) == 1;
}

static bool is_writable(const char *dir)
{
        _cleanup_(closep) int fd = -1;

        fd = ownfd_above_stdio(RETRY(open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));
        if (fd < 0)
                return (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) && can_make(dir);
        return RETRY(write(fd, "", 1)) == 1;
}

/* As it was named, symbolic links included, but absolute. */
static int make_absolute(const char *dir, char **ret)
{
        _cleanup_(freep) char *cwd = NULL;
        char *path;

        if (*dir == '/') {
                path = strdup(dir);
        } else {
                cwd = getcwd(NULL, 0);
                if (!cwd)
                        return -errno;
                path = malloc(strlen(cwd) + 1 + strlen(dir) + 1);
                if (path)
                        (void) stpcpy(stpcpy(stpcpy(path, cwd), "/"), dir);
        }
        if (!path)
                return -ENOMEM;
        *ret = path;
        return 0;
}

static int find(char **ret)
{
        const char *const candidates[] = {
                secure_getenv("TMPDIR"),
                secure_getenv("TEMP"),
                secure_getenv("TMP"),
                "/tmp",
                "/var/tmp",
                "/usr/tmp",
                ".",
        };
        _cleanup_(freep) char *path = NULL;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
                if (!candidates[i] || !*candidates[i])
                        continue;
                freep(&path);
                path = NULL;
                r = make_absolute(candidates[i], &path);
                if (r == -ENOMEM)
                        return r;
                if (r == 0 && is_writable(path)) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

static int remember(const char *path, struct remembered *before, bool is_forced)
{
        const size_t size = path ? strlen(path) + 1 : 1;
        struct remembered *m;

        m = malloc(sizeof(*m) + size);
        if (!m)
                return -ENOMEM;
        m->before = before;
        m->is_known = path;
        memcpy(m->path, path ? path : "", size);
        while (!atomic_compare_exchange_strong(&remembered, &m->before, m)) {
                if (is_forced)
                        continue;
                free(m); /* another thread was faster; what it found is as good */
                break;
        }
        return 0;
}

_public_ int tempfile_settempdir(const char *dir)
{
        _cleanup_(freep) char *path = NULL;
        int r = 0;

        if (dir && !*dir)
                return -EINVAL;
        if (dir)
                r = make_absolute(dir, &path);
        if (r < 0)
                return r;
        return remember(path, atomic_load(&remembered), true);
}

_public_ int tempfile_gettempdir(char **ret)
{
        struct remembered *m = atomic_load(&remembered);
        char *path = NULL;
        int r;

        if (!ret)
                return -EINVAL;
        if (m && m->is_known) {
                path = strdup(m->path);
                if (!path)
                        return -ENOMEM;
        } else {
                r = find(&path);
                if (r < 0)
                        return r;
                (void) remember(path, m, false); /* else found again */
        }
        *ret = path;
        return 0;
}

_public_ const char *tempfile_gettempprefix(void)
{
        return "tmp";
}
