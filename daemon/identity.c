/* SPDX-License-Identifier: MIT */

/*
 * Owns the comparison of file system objects over time. A device number is not part of it: the
 * same file system comes back under another one. The file system is told by its type and f_fsid,
 * which for XFS is the device number again, so there its UUID is asked for. Whether a missing
 * handle is good enough is decided here and nowhere else: for a directory inode and birth time
 * do, for an object they do not.
 *
 * On FUSE the server numbers its files as it likes, mostly in the order in which they are looked
 * up: the same file gets another handle when it was forgotten meanwhile, and after a remount
 * another file the same one. So a handle says nothing of a directory there, and of an object only
 * while the same daemon runs; then nothing at all but the type tells it from another for sure.
 */

#include "daemon/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include "libclient/ending.h"
#include "libclient/util.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* 6.5: a handle to compare, not to open; overlayfs has only those */
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

#define BIRTH_TYPE 0x62697274 /* none of the kernel's */
#define BIRTH_SETTLED_NSEC                                                                         \
        (20 * 1000000U) /* two ticks of the slowest clock that files are stamped by */

/* 6.9; absent from Debian 12's headers. */
struct fs_uuid {
        uint8_t len;
        uint8_t uuid[16];
};
#define IOCTL_GET_FS_UUID _IOR(0x15, 0, struct fs_uuid)

/* struct xfs_fsop_geom, of which only the UUID is wanted; stable since XFS was merged. */
struct xfs_geometry {
        uint8_t before[64];
        uint8_t uuid[16];
        uint8_t after[176];
};
static_assert(sizeof(struct xfs_geometry) == 256, "as the ioctl has it");
#define IOCTL_XFS_GEOMETRY _IOR('X', 126, struct xfs_geometry)

static uint64_t fold(const uint8_t uuid[16])
{
        uint64_t a, b;

        memcpy(&a, uuid, 8);
        memcpy(&b, uuid + 8, 8);
        return a ^ b;
}

/* 0: it can't be asked for. Whoever may not read the directory never can; other errors pass, and would
 * make the same file system another one. */
static int read_xfs_id(int fd, uint64_t *ret)
{
        _cleanup_(closep) int real = -1;
        struct xfs_geometry g = { 0 };
        struct fs_uuid u = { 0 };

        *ret = 0;
        real = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (real < 0)
                return errno == EACCES || errno == EPERM || errno == ENOTDIR ? 0 : -errno;
        if (ioctl(real, IOCTL_GET_FS_UUID, &u) == 0 && u.len == 16)
                *ret = fold(u.uuid);
        else if (ioctl(real, IOCTL_XFS_GEOMETRY, &g) == 0)
                *ret = fold(g.uuid);
        else if (errno != EACCES && errno != EPERM && errno != ENOTTY)
                return -errno;
        return 0;
}

static bool is_numbered_by_a_server(const struct identity *i)
{
        return i->fs_type == FUSE_SUPER_MAGIC;
}

static _Atomic uint64_t run_id;

uint64_t identity_run_id(void)
{
        uint64_t id = run_id, none = 0;

        if (id == 0 && getrandom(&id, sizeof(id), 0) == sizeof(id) &&
            !atomic_compare_exchange_strong(&run_id, &none, id))
                id = none;
        return id;
}

void identity_take_run_id(uint64_t id)
{
        run_id = id;
}

static int read_file_system(int fd, struct identity *i)
{
        struct statfs s;

        if (fstatfs(fd, &s) < 0)
                return -errno;
        i->fs_type = (uint32_t) s.f_type;
        if (i->fs_type == XFS_SUPER_MAGIC)
                return read_xfs_id(fd, &i->fs_id);
        if (is_numbered_by_a_server(i))
                i->fs_id = identity_run_id(); /* f_fsid is 0 */
        else
                memcpy(&i->fs_id, &s.f_fsid, sizeof(i->fs_id));
        return 0;
}

/* It has none, or a sandbox hides them; what fails for another reason may have one. */
static bool has_no_handle(int error)
{
        return error == EOPNOTSUPP || error == EOVERFLOW || error == ENOSYS || error == EPERM;
}

static int read_handle(int fd, const char *name, struct identity *i)
{
        union {
                struct file_handle h;
                char space[sizeof(struct file_handle) + IDENTITY_HANDLE_MAX];
        } u;
        int flags = *name ? 0 : AT_EMPTY_PATH, mount_id, r;

        if (getenv("TEMPFILED_NO_HANDLES"))
                return 0;
        u.h.handle_bytes = IDENTITY_HANDLE_MAX;
        r = name_to_handle_at(fd, name, &u.h, &mount_id, flags);
        if (r < 0 && has_no_handle(errno)) {
                u.h.handle_bytes = IDENTITY_HANDLE_MAX;
                r = name_to_handle_at(fd, name, &u.h, &mount_id, flags | AT_HANDLE_FID);
                if (r < 0 && (errno == EINVAL || has_no_handle(errno))) /* that flag is too new */
                        return 0; /* which the comparison knows how to take */
        }
        if (r < 0)
                return -errno;
        i->handle_type = u.h.handle_type;
        i->handle_len = u.h.handle_bytes;
        memcpy(i->handle, u.h.f_handle, u.h.handle_bytes);
        return 0;
}

/*
 * Where there are no handles (overlayfs before Linux 6.6): the number, and the time of birth of what
 * was born long enough ago that nothing can have been born since in the same tick of the clock.
 */
static void use_birth(struct identity *i)
{
        uint64_t now_nsec;
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return;
        now_nsec = (uint64_t) now.tv_sec * 1000000000U + (uint64_t) now.tv_nsec;
        if (i->handle_len > 0 || i->btime_nsec == 0 || is_numbered_by_a_server(i) ||
            i->btime_nsec + BIRTH_SETTLED_NSEC > now_nsec)
                return;
        i->handle_type = BIRTH_TYPE;
        i->handle_len = 2 * sizeof(uint64_t);
        memcpy(i->handle, &i->ino, sizeof(uint64_t));
        memcpy(i->handle + sizeof(uint64_t), &i->btime_nsec, sizeof(uint64_t));
}

static int read_stat(int fd, const char *name, struct identity *i)
{
        struct statx s;

        if (statx(fd, name, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH),
                  STATX_TYPE | STATX_INO | STATX_UID | STATX_BTIME, &s) < 0)
                return -errno;
        i->dev = (uint64_t) s.stx_dev_major << 32 | s.stx_dev_minor;
        i->ino = s.stx_ino;
        i->mode = s.stx_mode & S_IFMT;
        i->uid = s.stx_uid;
        if (s.stx_mask & STATX_BTIME)
                i->btime_nsec = (uint64_t) s.stx_btime.tv_sec * 1000000000U + s.stx_btime.tv_nsec;
        return 0;
}

int identity_of_fd(int fd, struct identity *ret)
{
        struct identity i = { 0 };
        int r;

        r = read_stat(fd, "", &i);
        if (r < 0)
                return r;
        r = read_file_system(fd, &i);
        if (r < 0)
                return r;
        r = read_handle(fd, "", &i);
        if (r < 0)
                return r;
        *ret = i;
        return 0;
}

int identity_at(int dirfd, const char *name, struct identity *ret)
{
        struct identity i = { 0 };
        int r;

        r = read_stat(dirfd, name, &i);
        if (r < 0)
                return r;
        r = read_file_system(dirfd, &i);
        if (r < 0)
                return r;
        r = read_handle(dirfd, name, &i);
        if (r < 0)
                return r;
        use_birth(&i);
        *ret = i;
        return 0;
}

int identity_at_settled(int dirfd, const char *name, struct identity *ret)
{
        const struct timespec pause = { .tv_nsec = BIRTH_SETTLED_NSEC };
        int r = identity_at(dirfd, name, ret);

        if (r < 0 || ret->handle_len > 0 || is_numbered_by_a_server(ret))
                return r;
        (void) nanosleep(&pause, NULL);
        return identity_at(dirfd, name, ret);
}

int identity_of_ended(const char *text, const struct identity *directory, struct identity *ret)
{
        struct ending_object o;

        static_assert(ENDING_HANDLE_MAX <= IDENTITY_HANDLE_MAX, "it fits");
        if (!ending_read(text, &o))
                return -EBADMSG;
        *ret = (struct identity) {
                .dev = directory->dev,
                .fs_id = directory->fs_id,
                .fs_type = directory->fs_type,
                .ino = o.ino,
                .mode = o.mode,
                .handle_type = o.handle_type,
                .handle_len = o.handle_len,
        };
        memcpy(ret->handle, o.handle, o.handle_len);
        return 0;
}

static bool is_told_by_birth(const struct identity *i)
{
        return i->handle_type == BIRTH_TYPE;
}

static bool handles_equal(const struct identity *a, const struct identity *b)
{
        return a->handle_type == b->handle_type && a->handle_len == b->handle_len &&
               memcmp(a->handle, b->handle, a->handle_len) == 0;
}

static bool same_file_system(const struct identity *a, const struct identity *b)
{
        return a->fs_type == b->fs_type && a->fs_id == b->fs_id;
}

/* For want of handles. Those say more where there are any: overlayfs over two file systems gives a
 * directory another inode number whenever it has forgotten it, and the same handle. */
static bool is_same_inode(const struct identity *a, const struct identity *b)
{
        return a->ino == b->ino && a->btime_nsec == b->btime_nsec;
}

enum identity_match identity_compare_directory(const struct identity *a, const struct identity *b)
{
        if (is_numbered_by_a_server(a) && is_numbered_by_a_server(b))
                return is_same_inode(a, b) && a->mode == b->mode ? IDENTITY_SAME : IDENTITY_OTHER;
        if (!same_file_system(a, b) || a->mode != b->mode)
                return IDENTITY_OTHER;
        if (a->handle_len > 0 && b->handle_len > 0)
                return handles_equal(a, b) ? IDENTITY_SAME : IDENTITY_OTHER;
        return is_same_inode(a, b) ? IDENTITY_SAME : IDENTITY_OTHER;
}

/* There, nothing is another for sure: but for the type. */
static enum identity_match compare_numbered(const struct identity *a, const struct identity *b)
{
        if (a->mode != b->mode)
                return IDENTITY_OTHER;
        if (same_file_system(a, b) && a->dev == b->dev && is_same_inode(a, b) &&
            a->handle_len > 0 && handles_equal(a, b))
                return IDENTITY_SAME;
        return IDENTITY_UNKNOWN;
}

enum identity_match identity_compare_object(const struct identity *a, const struct identity *b)
{
        if (is_numbered_by_a_server(a) && is_numbered_by_a_server(b))
                return compare_numbered(a, b);
        if (!same_file_system(a, b) || a->mode != b->mode)
                return IDENTITY_OTHER;
        if (a->handle_len > 0 && b->handle_len > 0 && is_told_by_birth(a) == is_told_by_birth(b))
                return handles_equal(a, b) ? IDENTITY_SAME : IDENTITY_OTHER;
        return is_same_inode(a, b) ? IDENTITY_UNKNOWN : IDENTITY_OTHER;
}

bool identity_outlives_power(const struct identity *i)
{
        return i->fs_type != TMPFS_MAGIC && i->fs_type != RAMFS_MAGIC;
}

bool identity_is_lasting(const struct identity *i)
{
        return identity_outlives_power(i) && i->handle_len > 0 && !is_numbered_by_a_server(i);
}

/* Layout: the fixed part in order, then the handle. The first byte is a version. */
struct packed {
        uint8_t version;
        uint8_t reserved[3];
        uint32_t fs_type;
        uint64_t dev, ino, btime_nsec, fs_id;
        uint32_t mode;
        uint32_t uid;
        int32_t handle_type;
        uint32_t handle_len;
};
static_assert(sizeof(struct packed) == 56, "this is stored");

size_t identity_pack(const struct identity *i, uint8_t buf[IDENTITY_PACKED_MAX])
{
        struct packed p = {
                .version = 1,
                .fs_type = i->fs_type,
                .dev = i->dev,
                .ino = i->ino,
                .btime_nsec = i->btime_nsec,
                .fs_id = i->fs_id,
                .mode = i->mode,
                .uid = i->uid,
                .handle_type = i->handle_type,
                .handle_len = i->handle_len,
        };

        memcpy(buf, &p, sizeof(p));
        memcpy(buf + sizeof(p), i->handle, i->handle_len);
        return sizeof(p) + i->handle_len;
}

int identity_unpack(const uint8_t *data, size_t len, struct identity *ret)
{
        struct packed p;

        if (!data || len < sizeof(p))
                return -EBADMSG;
        memcpy(&p, data, sizeof(p));
        if (p.version != 1 || p.handle_len > IDENTITY_HANDLE_MAX || len != sizeof(p) + p.handle_len)
                return -EBADMSG;
        *ret = (struct identity) {
                .dev = p.dev,
                .ino = p.ino,
                .btime_nsec = p.btime_nsec,
                .fs_id = p.fs_id,
                .fs_type = p.fs_type,
                .mode = p.mode,
                .uid = p.uid,
                .handle_type = p.handle_type,
                .handle_len = p.handle_len,
        };
        memcpy(ret->handle, data + sizeof(p), p.handle_len);
        return 0;
}

static int open_same(int dirfd, const char *path, unsigned int resolve,
                     const struct identity *expected)
{
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
                .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve,
        };
        _cleanup_(closep) int fd = -1;
        struct identity found;
        int r;

        fd = (int) syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd < 0)
                return errno == ELOOP || errno == ENOTDIR ? -ESTALE : -errno;
        r = identity_of_fd(fd, &found);
        if (r < 0)
                return r;
        if (identity_compare_directory(expected, &found) != IDENTITY_SAME)
                return -ESTALE;
        return TAKE_FD(fd);
}

int identity_open_directory(const char *path, const struct identity *expected)
{
        return open_same(AT_FDCWD, path, 0, expected);
}

int identity_open_directory_of(pid_t pid, const char *path, const struct identity *expected)
{
        _cleanup_(closep) int root = -1;
        char name[64];

        (void) snprintf(name, sizeof(name), "/proc/%d/root", (int) pid);
        root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        return open_same(root, path, RESOLVE_IN_ROOT, expected);
}

int identity_open_above(const char *path, const struct identity *i)
{
        _cleanup_(freep) char *copy = strdup(path);
        struct identity above = { 0 };
        char *slash;
        int fd = -1;

        while (copy && fd < 0 && (slash = strrchr(copy, '/'))) {
                *slash = 0;
                fd = open(*copy ? copy : "/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd >= 0 && read_file_system(fd, &above) >= 0 && same_file_system(&above, i))
                return fd;
        close_fd(fd);
        return -1;
}

/* Some give handles that can only be compared (overlayfs), and call each of them stale. */
static bool opens_handles(int fd)
{
        union {
                struct file_handle h;
                char space[sizeof(struct file_handle) + IDENTITY_HANDLE_MAX];
        } u;
        _cleanup_(closep) int again = -1;
        int mount_id;

        u.h.handle_bytes = IDENTITY_HANDLE_MAX;
        if (name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH) < 0)
                return false;
        again = open_by_handle_at(fd, &u.h, O_PATH | O_CLOEXEC);
        return again >= 0;
}

bool identity_is_deleted(const char *path, const struct identity *i)
{
        _cleanup_(closep) int above = -1, found = -1;
        union {
                struct file_handle h;
                char space[sizeof(struct file_handle) + IDENTITY_HANDLE_MAX];
        } u;
        struct stat st;

        if (i->handle_len == 0 || is_numbered_by_a_server(i))
                return false;
        above = identity_open_above(path, i);
        if (above < 0 || !opens_handles(above))
                return false;
        u.h.handle_type = i->handle_type;
        u.h.handle_bytes = i->handle_len;
        memcpy(u.h.f_handle, i->handle, i->handle_len);
        found = open_by_handle_at(above, &u.h, O_PATH | O_CLOEXEC);
        if (found < 0)
                return errno == ESTALE;
        return fstat(found, &st) == 0 && st.st_nlink == 0; /* somebody has it open still */
}
