/* SPDX-License-Identifier: MIT */

/*
 * Owns the questions to /proc and to the client's file system. In two steps: the device of what
 * the client sent is learned without asking its file system (AT_STATX_DONT_SYNC), then the job
 * goes on in that device's lane, where it holds up nobody else if that never answers.
 */

#include "daemon/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "libclient/util.h"

struct inspect_job *inspect_new(const struct cred *cred)
{
        struct inspect_job *i = malloc(sizeof(*i));

        if (!i)
                return NULL;
        *i = (struct inspect_job) {
                .job = { .uid = cred->uid, .device = POOL_DEVICE_UNKNOWN },
                .pidfd = -1,
                .client_fd = -1,
                .fd = -1,
                .dirfd = -1,
                .opened_fd = -1,
        };
        if (cred_copy(cred, &i->cred) < 0) {
                free(i);
                return NULL;
        }
        return i;
}

void inspect_free(struct inspect_job *i, struct pool *pool)
{
        if (!i)
                return;
        if (i->is_other)
                pool_close(pool, i->cred.uid, TAKE_FD(i->pidfd)); /* it may be no pidfd at all */
        close_fd(i->pidfd);
        pool_close(pool, i->cred.uid, i->client_fd);
        pool_close(pool, i->cred.uid, i->fd);
        pool_close(pool, i->cred.uid, i->opened_fd);
        process_done(&i->process);
        free(i->cgroup_path);
        cred_done(&i->cred);
        free(i->path);
        free(i->name);
        free(i);
}

/* Signalling needs the same user, or root: as kill(2), short of capabilities and sessions. */
static int check_may_signal(const struct inspect_job *i)
{
        if (i->cred.uid == 0 || i->process.uid == i->cred.uid ||
            i->process.saved_uid == i->cred.uid)
                return 0;
        return -EPERM;
}

/* The client's may stand for a thread alone (PIDFD_THREAD), which can end before its process: one
 * of our own is watched. Theirs is alive after ours was opened, so both are of one process. */
static int replace_pidfd(struct inspect_job *i, pid_t pid)
{
        int own = pidfd_open(pid, 0);

        if (own < 0)
                return -errno;
        i->client_fd = i->pidfd; /* closed where that may take its time */
        i->pidfd = own;
        return pidfd_is_dead(i->client_fd) ? -ESRCH : 0;
}

/* A cgroup below the unit's may be empty long before the unit ends: it does not do for want of an
 * answer. The unit of who lives is not to be seen where pid 1 is hidden. */
static int inspect_unit(struct inspect_job *i, pid_t pid)
{
        int r = i->process.unit_error;

        if (r == -ESRCH && !pidfd_is_dead(i->pidfd))
                return -EOPNOTSUPP;
        if (r < 0)
                return r;
        return process_read_cgroup(pid, i->process.unit, &i->cgroup_path, &i->cgroup);
}

static int inspect_cgroup(struct inspect_job *i, pid_t pid)
{
        int r;

        if (i->wanted_cgroup == 0)
                return inspect_unit(i, pid);
        r = process_find_cgroup(pid, i->wanted_cgroup, &i->cgroup_path);
        if (r < 0)
                return r;
        i->cgroup = i->wanted_cgroup;
        free(i->process.unit);
        i->process.unit = strdup(strrchr(i->cgroup_path, '/') + 1);
        return i->process.unit ? 0 : -ENOMEM;
}

static int inspect_process(struct inspect_job *i)
{
        pid_t pid = i->pid;
        int r;

        r = cred_enter(NULL);
        if (r < 0)
                return r;
        if (pid == 0) {
                r = pidfd_get_pid(i->pidfd, &pid);
                if (r >= 0)
                        r = replace_pidfd(i, pid);
                if (r < 0)
                        return r;
        }
        r = process_read(pid, &i->process);
        if (r >= 0 && i->wants_caps)
                r = cred_count_caps(pid, i->process.caps, &i->cred.caps);
        if (r >= 0 && i->is_other)
                r = check_may_signal(i);
        if (r < 0)
                return r;
        if (i->wants_cgroup) {
                r = inspect_cgroup(i, pid);
                if (r < 0)
                        return r;
        }
        if (pidfd_is_dead(i->pidfd))
                return -ESRCH; /* what was read may be another's */
        return 0;
}

static int inspect_caps(struct inspect_job *i)
{
        int r;

        r = cred_enter(NULL);
        if (r < 0)
                return r;
        r = cred_read_caps(i->pid, &i->cred.caps);
        if (r < 0)
                return r;
        return pidfd_is_dead(i->pidfd) ? -ESRCH : 0;
}

/* May the client make and delete names in there, through its own mount? */
static int check_writable(int fd)
{
        struct statvfs s;

        if (fstatvfs(fd, &s) == 0 && (s.f_flag & ST_RDONLY))
                return -EROFS;
        if (faccessat(fd, "", W_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
                return -errno;
        return 0;
}

/* What looks like files there is the kernel itself, which root could tell what to do by deleting
 * it; nobody's temporaries are in these. */
static bool is_no_place_for_files(const struct identity *i)
{
        return i->fs_type == PROC_SUPER_MAGIC || i->fs_type == SYSFS_MAGIC;
}

/* Its line in the process's list of mounts: number, parent, device, root, mount point, options. */
static bool is_line_of_mount(const char *line, uint64_t mount, bool *ret_is_mapped)
{
        char options[256] = "", *option, *at = options;
        uint64_t found;

        if (sscanf(line, "%" SCNu64 " %*s %*s %*s %*s %255s", &found, options) != 2 ||
            found != mount)
                return false;
        *ret_is_mapped = false;
        while ((option = strsep(&at, ",")))
                if (streq(option, "idmapped"))
                        *ret_is_mapped = true;
        return true;
}

/* That a process has ended, or hides itself, is no shortage. */
static bool can_never_be_read(int error)
{
        return error == ENOENT || error == ESRCH || error == EINVAL || error == EACCES ||
               error == EPERM;
}

/* 1: and *ret says whether that mount of the process's shows other users than there are on the disk;
 * 0: can't tell, it is not among them, say. */
static int read_is_mapped(pid_t pid, uint64_t mount, bool *ret)
{
        char path[64], *line = NULL;
        bool found = false;
        size_t size = 0;
        int r = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return can_never_be_read(errno) ? 0 : -errno;
        errno = 0;
        while (!found && getline(&line, &size, f) > 0)
                found = is_line_of_mount(line, mount, ret);
        if (!found && !can_never_be_read(errno))
                r = -errno; /* or it has no such line */
        free(line);
        fclose(f);
        return found ? 1 : r;
}

/* Is each of the two mounts mapped, or neither? 1, or 0: not, or it can't be told. */
static int is_mapped_alike(const struct inspect_job *i, uint64_t theirs, uint64_t ours)
{
        bool is_theirs_mapped, is_ours_mapped;
        int r;

        if (theirs == ours)
                return 1;
        r = read_is_mapped(i->pid, theirs, &is_theirs_mapped);
        if (r > 0)
                r = read_is_mapped(getpid(), ours, &is_ours_mapped);
        return r > 0 ? is_theirs_mapped == is_ours_mapped : r;
}

/* Has each file in there, through the client's mount, the user that it has through ours (1, 0)? Else
 * what the client has made is somebody else's by our path. One mapped mount on top of another there
 * can't be: both being mapped, they are told apart by the directory's own users. */
static int shows_same_users(const struct inspect_job *i)
{
        const unsigned int mask = STATX_UID | STATX_GID | STATX_MNT_ID;
        struct statx theirs, ours;

        if (statx(i->client_fd, "", AT_EMPTY_PATH, mask, &theirs) < 0 ||
            statx(i->fd, "", AT_EMPTY_PATH, mask, &ours) < 0)
                return -errno;
        if (!(theirs.stx_mask & ours.stx_mask & STATX_MNT_ID) || theirs.stx_uid != ours.stx_uid ||
            theirs.stx_gid != ours.stx_gid)
                return 0;
        return is_mapped_alike(i, theirs.stx_mnt_id, ours.stx_mnt_id);
}

/* Does the path lead there in our view (1, 0)? Only what can never work says that it does not: a
 * passing error would leave the directory with nothing but its descriptor, for good. */
static int open_by_path(struct inspect_job *i)
{
        i->fd = identity_open_directory(i->path, &i->identity);
        if (i->fd >= 0)
                return shows_same_users(i);
        switch (i->fd) {
        case -ENOENT:
        case -ESTALE:
        case -EACCES:
        case -ENAMETOOLONG:
        case -ENOTCONN: /* on the way there is a FUSE mount whose server has gone */
                return 0;
        default:
                return i->fd;
        }
}

static int inspect_directory(struct inspect_job *i)
{
        int r;

        r = cred_enter(&i->cred);
        if (r < 0)
                return r;
        r = identity_of_fd(i->client_fd, &i->identity);
        if (r < 0)
                return r;
        if (!S_ISDIR(i->identity.mode))
                return -ENOTDIR;
        if (is_no_place_for_files(&i->identity))
                return -EPERM;
        r = check_writable(i->client_fd);
        if (r < 0)
                return r;
        r = open_by_path(i);
        if (r != 0)
                return MIN(r, 0);
        /* Another view: a private mount, one that maps users, a chroot, a container. Only the
         * client's descriptor leads there. */
        i->is_foreign = true;
        close_fd(i->fd);
        i->fd = TAKE_FD(i->client_fd);
        return 0;
}

/* In a sticky directory only the owner of either may delete; root's rights are the kernel's to
 * judge when it comes to that. */
static int check_may_delete(const struct inspect_job *i, int dirfd)
{
        struct statx s;

        if (statx(dirfd, i->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &s) < 0)
                return -errno;
        if (s.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return -EBUSY;
        if (i->cred.uid == 0 || i->object.uid == i->cred.uid)
                return 0;
        if (statx(dirfd, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID, &s) < 0)
                return -errno;
        return (s.stx_mode & S_ISVTX) && s.stx_uid != i->cred.uid ? -EPERM : 0;
}

static int inspect_object(struct inspect_job *i)
{
        int dirfd = i->dirfd, r;

        r = cred_enter(&i->cred);
        if (r < 0)
                return r;
        if (dirfd < 0) {
                if (i->dir_is_foreign)
                        return -ENOLINK;
                dirfd = i->opened_fd = identity_open_directory(i->dir_path, i->dir_identity);
                if (dirfd < 0)
                        return dirfd;
        }
        r = identity_at_settled(dirfd, i->name, &i->object);
        if (r < 0)
                return r;
        return check_may_delete(i, dirfd);
}

bool inspect_learn_device(struct inspect_job *i)
{
        struct statx s;

        if (i->job.device != POOL_DEVICE_UNKNOWN || i->client_fd < 0)
                return false;
        if (statx(i->client_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &s) < 0)
                return false;
        i->job.device = (uint64_t) s.stx_dev_major << 32 | s.stx_dev_minor;
        return true;
}

void inspect_now(struct inspect_job *i)
{
        i->error = 0;
        if (i->wants_process)
                i->error = inspect_process(i);
        else if (i->wants_caps)
                i->error = inspect_caps(i);
        if (i->error >= 0 && i->wants_directory)
                i->error = inspect_directory(i);
        if (i->error >= 0 && i->wants_object)
                i->error = inspect_object(i);
}
