/* SPDX-License-Identifier: MIT */

/*
 * Owns the exchange of a damaged database for what could be read of it. The new one is filled
 * under a name that counts for nothing, written through, and renamed to one that says that it is
 * complete. Then the old one's files are set aside one by one, and last the new one takes its
 * name; a start that finds a complete one goes on from there. The subtle thing is the old one's
 * log: beside the new database SQLite would replay it, so that it must be out of the way, on disk
 * as well, before the new one comes. The dated name follows from the complete one's time of
 * change, so that a start that goes on sets the rest aside under the same name.
 */

#include "daemon/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "libclient/util.h"

#define COMPLETE STORE_DATABASE ".salvaged"

static const char *const parts[] = { "-wal", "-shm", "" }; /* the database itself last */

static int dated_name(time_t when, char **ret)
{
        char date[32];
        struct tm tm;

        if (!gmtime_r(&when, &tm))
                return -EOVERFLOW;
        (void) strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
        return asprintf(ret, STORE_DATABASE ".damaged-%s", date) < 0 ? -ENOMEM : 0;
}

int salvage_clear(int dirfd)
{
        static const char *const leftovers[] = { SALVAGE_WORKING, SALVAGE_WORKING "-journal" };

        for (size_t i = 0; i < ARRAY_SIZE(leftovers); i++)
                if (unlinkat(dirfd, leftovers[i], 0) < 0 && errno != ENOENT)
                        return -errno;
        return 0;
}

/* Dates the file with a second whose name is not taken by an earlier salvage. */
static int date(int dirfd, int fd)
{
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) } };

        for (;; times[1].tv_sec++) {
                _cleanup_(freep) char *name = NULL;
                int r = dated_name(times[1].tv_sec, &name);

                if (r < 0)
                        return r;
                if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                        break;
        }
        return futimens(fd, times) < 0 ? -errno : 0;
}

int salvage_complete(int dirfd)
{
        _cleanup_(closep) int fd = openat(dirfd, SALVAGE_WORKING, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        int r;

        if (fd < 0)
                return -errno;
        r = date(dirfd, fd);
        if (r < 0)
                return r;
        if (fsync(fd) < 0 || renameat(dirfd, SALVAGE_WORKING, dirfd, COMPLETE) < 0 ||
            fsync(dirfd) < 0)
                return -errno;
        return 0;
}

static int set_aside(int dirfd, const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                char from[64], to[128];

                (void) snprintf(from, sizeof(from), STORE_DATABASE "%s", parts[i]);
                (void) snprintf(to, sizeof(to), "%s%s", name, parts[i]);
                if (renameat(dirfd, from, dirfd, to) < 0 && errno != ENOENT)
                        return -errno; /* not there: done before */
        }
        return 0;
}

int salvage_exchange(int dirfd, const char *mark, char **ret_name)
{
        _cleanup_(freep) char *name = NULL;
        struct stat st;
        int r;

        if (fstatat(dirfd, COMPLETE, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        r = dated_name(st.st_mtim.tv_sec, &name);
        if (r < 0)
                return r;
        r = set_aside(dirfd, name);
        if (r < 0)
                return r;
        if (unlinkat(dirfd, mark, 0) < 0 && errno != ENOENT)
                return -errno;
        if (fsync(dirfd) < 0)
                return -errno;
        if (renameat(dirfd, COMPLETE, dirfd, STORE_DATABASE) < 0 || fsync(dirfd) < 0)
                return -errno;
        *ret_name = TAKE_PTR(name);
        return 1;
}
