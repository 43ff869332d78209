/* SPDX-License-Identifier: MIT */

/*
 * A directory, shown through FUSE. Each node that the kernel knows has an O_PATH descriptor here,
 * so names may change as they like; it is opened through /proc when contents are asked for. A
 * node that was forgotten gets another number when it is looked up again, as with most servers.
 *
 * Nothing is cached by the kernel: what happens in the directory beneath shows at once.
 */

#include "tests/fuse-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "libclient/util.h"

#define NODES_MAX 4096

struct node {
        uint64_t id; /* 0: free */
        int fd;
        uint64_t n_lookups;
        dev_t dev;
        ino_t ino;
};

static struct node nodes[NODES_MAX];
static uint64_t last_id;

/* ---- nodes ------------------------------------------------------------------------------------ */

static struct node *node_get(uint64_t id)
{
        for (unsigned int i = 0; i < NODES_MAX; i++)
                if (nodes[i].id == id)
                        return &nodes[i];
        return NULL;
}

static int node_fd(uint64_t id)
{
        const struct node *n = node_get(id);

        return n ? n->fd : -1;
}

/* Takes the descriptor. */
static struct node *node_add(int fd, const struct stat *st)
{
        struct node *n = NULL;

        for (unsigned int i = 0; i < NODES_MAX; i++) {
                if (nodes[i].id && nodes[i].dev == st->st_dev && nodes[i].ino == st->st_ino) {
                        (void) close(fd);
                        return &nodes[i];
                }
                if (!n && !nodes[i].id)
                        n = &nodes[i];
        }
        if (n)
                *n = (struct node) { ++last_id, fd, 0, st->st_dev, st->st_ino };
        else
                (void) close(fd);
        return n;
}

static void node_forget(uint64_t id, uint64_t n_lookups)
{
        struct node *n = node_get(id);

        if (!n || id == FUSE_ROOT_ID)
                return;
        n->n_lookups -= MIN(n_lookups, n->n_lookups);
        if (n->n_lookups == 0) {
                (void) close(n->fd);
                *n = (struct node) { 0 };
        }
}

/* Opens what a node stands for, as its contents need it. */
static int node_reopen(uint64_t id, int flags)
{
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", node_fd(id));
        fd = open(path, (flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static struct fuse_attr get_attr(const struct stat *st)
{
        return (struct fuse_attr) {
                .ino = st->st_ino,
                .size = (uint64_t) st->st_size,
                .blocks = (uint64_t) st->st_blocks,
                .atime = (uint64_t) st->st_atim.tv_sec,
                .atimensec = (uint32_t) st->st_atim.tv_nsec,
                .mtime = (uint64_t) st->st_mtim.tv_sec,
                .mtimensec = (uint32_t) st->st_mtim.tv_nsec,
                .ctime = (uint64_t) st->st_ctim.tv_sec,
                .ctimensec = (uint32_t) st->st_ctim.tv_nsec,
                .mode = st->st_mode,
                .nlink = (uint32_t) st->st_nlink,
                .uid = st->st_uid,
                .gid = st->st_gid,
                .rdev = (uint32_t) st->st_rdev,
                .blksize = 4096,
        };
}

static int answer_attr(struct fuse_request *q)
{
        struct fuse_attr_out *out = q->out;
        struct stat st;

        if (fstatat(node_fd(q->header->nodeid), "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        *out = (struct fuse_attr_out) { .attr = get_attr(&st) };
        return sizeof(*out);
}

static int answer_entry(struct fuse_request *q, const char *name)
{
        struct fuse_entry_out *out = q->out;
        struct node *n;
        struct stat st;
        int fd;

        fd = openat(node_fd(q->header->nodeid), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0) {
                (void) close(fd);
                return -EIO;
        }
        n = node_add(fd, &st);
        if (!n)
                return -ENFILE;
        n->n_lookups++;
        *out = (struct fuse_entry_out) { .nodeid = n->id, .attr = get_attr(&st) };
        return sizeof(*out);
}

/* What was just made belongs to the one who asked. */
static int answer_new(struct fuse_request *q, int r, const char *name)
{
        if (r < 0)
                return -errno;
        if (fchownat(node_fd(q->header->nodeid), name, q->header->uid, q->header->gid,
                     AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return answer_entry(q, name);
}

/* ---- requests --------------------------------------------------------------------------------- */

static int do_lookup(struct fuse_request *q)
{
        return answer_entry(q, q->in);
}

static int do_forget(struct fuse_request *q)
{
        node_forget(q->header->nodeid, ((const struct fuse_forget_in *) q->in)->nlookup);
        return FUSE_NO_ANSWER;
}

static int do_batch_forget(struct fuse_request *q)
{
        const struct fuse_batch_forget_in *in = q->in;
        const struct fuse_forget_one *one = (const struct fuse_forget_one *) (in + 1);

        for (uint32_t i = 0; i < in->count; i++)
                node_forget(one[i].nodeid, one[i].nlookup);
        return FUSE_NO_ANSWER;
}

static int do_interrupt(struct fuse_request *q)
{
        return FUSE_NO_ANSWER; /* nothing takes long here */
}

static int set_times(const char *path, const struct fuse_setattr_in *in)
{
        const struct timespec times[] = {
                { (time_t) in->atime, in->valid & FATTR_ATIME_NOW ? UTIME_NOW
                                      : in->valid & FATTR_ATIME   ? (long) in->atimensec
                                                                  : UTIME_OMIT },
                { (time_t) in->mtime, in->valid & FATTR_MTIME_NOW ? UTIME_NOW
                                      : in->valid & FATTR_MTIME   ? (long) in->mtimensec
                                                                  : UTIME_OMIT },
        };

        return utimensat(AT_FDCWD, path, times, 0);
}

static int do_setattr(struct fuse_request *q)
{
        const struct fuse_setattr_in *in = q->in;
        const int fd = node_fd(q->header->nodeid);
        const bool changes_owner = in->valid & (FATTR_UID | FATTR_GID);
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (changes_owner &&
            fchownat(fd, "", in->valid & FATTR_UID ? in->uid : (uid_t) -1,
                     in->valid & FATTR_GID ? in->gid : (gid_t) -1, AT_EMPTY_PATH) < 0)
                return -errno;
        if (in->valid & FATTR_MODE && chmod(path, in->mode) < 0)
                return -errno;
        if (in->valid & FATTR_SIZE && truncate(path, (off_t) in->size) < 0)
                return -errno;
        if (in->valid & (FATTR_ATIME | FATTR_MTIME) && set_times(path, in) < 0)
                return -errno;
        return answer_attr(q);
}

static int do_readlink(struct fuse_request *q)
{
        ssize_t n = readlinkat(node_fd(q->header->nodeid), "", q->out, FUSE_DATA_MAX);

        return n < 0 ? -errno : (int) n;
}

static int do_symlink(struct fuse_request *q)
{
        const char *name = q->in, *target = name + strlen(name) + 1;

        return answer_new(q, symlinkat(target, node_fd(q->header->nodeid), name), name);
}

static int do_mknod(struct fuse_request *q)
{
        const struct fuse_mknod_in *in = q->in;
        const char *name = (const char *) (in + 1);

        return answer_new(q, mknodat(node_fd(q->header->nodeid), name, in->mode, in->rdev), name);
}

static int do_mkdir(struct fuse_request *q)
{
        const struct fuse_mkdir_in *in = q->in;
        const char *name = (const char *) (in + 1);

        return answer_new(q, mkdirat(node_fd(q->header->nodeid), name, in->mode), name);
}

static int do_unlink(struct fuse_request *q)
{
        const int flags = q->header->opcode == FUSE_RMDIR ? AT_REMOVEDIR : 0;

        return unlinkat(node_fd(q->header->nodeid), q->in, flags) < 0 ? -errno : 0;
}

static int rename_to(struct fuse_request *q, uint64_t directory, const char *name, uint32_t flags)
{
        const char *target = name + strlen(name) + 1;

        return renameat2(node_fd(q->header->nodeid), name, node_fd(directory), target, flags) < 0
                       ? -errno
                       : 0;
}

static int do_rename(struct fuse_request *q)
{
        const struct fuse_rename_in *in = q->in;

        return rename_to(q, in->newdir, (const char *) (in + 1), 0);
}

static int do_rename2(struct fuse_request *q)
{
        const struct fuse_rename2_in *in = q->in;

        return rename_to(q, in->newdir, (const char *) (in + 1), in->flags);
}

static int do_link(struct fuse_request *q)
{
        const struct fuse_link_in *in = q->in;
        const char *name = (const char *) (in + 1);

        if (linkat(node_fd(in->oldnodeid), "", node_fd(q->header->nodeid), name, AT_EMPTY_PATH) < 0)
                return -errno;
        return answer_entry(q, name);
}

static int answer_open(struct fuse_open_out *out, int fd)
{
        if (fd < 0)
                return fd;
        *out = (struct fuse_open_out) { .fh = (uint64_t) fd };
        return sizeof(*out);
}

static int do_open(struct fuse_request *q)
{
        const struct fuse_open_in *in = q->in;

        return answer_open(q->out, node_reopen(q->header->nodeid, (int) in->flags));
}

static int do_create(struct fuse_request *q)
{
        const struct fuse_create_in *in = q->in;
        const char *name = (const char *) (in + 1);
        const int flags = (int) in->flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
        int fd, r;

        fd = openat(node_fd(q->header->nodeid), name, flags, in->mode);
        r = answer_new(q, fd, name);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        return r + answer_open((struct fuse_open_out *) ((char *) q->out + r), fd);
}

static int do_read(struct fuse_request *q)
{
        const struct fuse_read_in *in = q->in;
        const size_t size = MIN(in->size, (uint32_t) FUSE_DATA_MAX);
        ssize_t n = pread((int) in->fh, q->out, size, (off_t) in->offset);

        return n < 0 ? -errno : (int) n;
}

static int do_write(struct fuse_request *q)
{
        const struct fuse_write_in *in = q->in;
        struct fuse_write_out *out = q->out;
        ssize_t n = pwrite((int) in->fh, in + 1, in->size, (off_t) in->offset);

        if (n < 0)
                return -errno;
        *out = (struct fuse_write_out) { .size = (uint32_t) n };
        return sizeof(*out);
}

/* Nothing has to outlive this machine. */
static int do_nothing(struct fuse_request *q)
{
        return 0;
}

static int do_release(struct fuse_request *q)
{
        (void) close((int) ((const struct fuse_release_in *) q->in)->fh);
        return 0;
}

static int do_readdir(struct fuse_request *q)
{
        const struct fuse_read_in *in = q->in;
        const size_t size = MIN(in->size, (uint32_t) FUSE_DATA_MAX);
        _Alignas(8) char entries[4096];
        size_t used = 0;
        ssize_t n;

        if (lseek((int) in->fh, (off_t) in->offset, SEEK_SET) < 0)
                return -errno;
        n = syscall(SYS_getdents64, (int) in->fh, entries, sizeof(entries));
        if (n < 0)
                return -errno;
        for (ssize_t at = 0; at < n;) {
                const struct dirent64 *e = (const struct dirent64 *) (entries + at);
                const size_t len = strlen(e->d_name);
                struct fuse_dirent *d = (struct fuse_dirent *) ((char *) q->out + used);

                if (used + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len) > size)
                        break;
                *d = (struct fuse_dirent) { e->d_ino, (uint64_t) e->d_off, (uint32_t) len,
                                            e->d_type };
                memcpy(d->name, e->d_name, len);
                used += FUSE_DIRENT_SIZE(d);
                at += e->d_reclen;
        }
        return (int) used;
}

static int do_statfs(struct fuse_request *q)
{
        struct fuse_statfs_out *out = q->out;
        struct statvfs s;

        if (fstatvfs(node_fd(FUSE_ROOT_ID), &s) < 0)
                return -errno;
        *out = (struct fuse_statfs_out) { .st = {
                                                  .blocks = s.f_blocks,
                                                  .bfree = s.f_bfree,
                                                  .bavail = s.f_bavail,
                                                  .files = s.f_files,
                                                  .ffree = s.f_ffree,
                                                  .bsize = (uint32_t) s.f_bsize,
                                                  .namelen = (uint32_t) s.f_namemax,
                                                  .frsize = (uint32_t) s.f_frsize,
                                          } };
        return sizeof(*out);
}

static int (*const handlers[])(struct fuse_request *q) = {
        [FUSE_LOOKUP] = do_lookup,
        [FUSE_FORGET] = do_forget,
        [FUSE_BATCH_FORGET] = do_batch_forget,
        [FUSE_INTERRUPT] = do_interrupt,
        [FUSE_GETATTR] = answer_attr,
        [FUSE_SETATTR] = do_setattr,
        [FUSE_READLINK] = do_readlink,
        [FUSE_SYMLINK] = do_symlink,
        [FUSE_MKNOD] = do_mknod,
        [FUSE_MKDIR] = do_mkdir,
        [FUSE_UNLINK] = do_unlink,
        [FUSE_RMDIR] = do_unlink,
        [FUSE_RENAME] = do_rename,
        [FUSE_RENAME2] = do_rename2,
        [FUSE_LINK] = do_link,
        [FUSE_OPEN] = do_open,
        [FUSE_OPENDIR] = do_open,
        [FUSE_CREATE] = do_create,
        [FUSE_READ] = do_read,
        [FUSE_WRITE] = do_write,
        [FUSE_FLUSH] = do_nothing,
        [FUSE_FSYNC] = do_nothing,
        [FUSE_FSYNCDIR] = do_nothing,
        [FUSE_RELEASE] = do_release,
        [FUSE_RELEASEDIR] = do_release,
        [FUSE_READDIR] = do_readdir,
        [FUSE_STATFS] = do_statfs,
};

int fuse_tree_open(int backing)
{
        struct rlimit many = { NODES_MAX + 1024, NODES_MAX + 1024 };
        struct stat st;
        int fd = fcntl(backing, F_DUPFD_CLOEXEC, 3);

        if (fd < 0 || fstat(fd, &st) < 0 || setrlimit(RLIMIT_NOFILE, &many) < 0)
                return -errno;
        last_id = FUSE_ROOT_ID - 1;
        (void) node_add(fd, &st); /* the first is the root */
        return 0;
}

int fuse_tree_serve(struct fuse_request *q)
{
        if (q->header->opcode >= ARRAY_SIZE(handlers) || !handlers[q->header->opcode])
                return -ENOSYS;
        return handlers[q->header->opcode](q);
}

uint64_t fuse_tree_ino(uint64_t nodeid)
{
        const struct node *n = node_get(nodeid);

        return n ? n->ino : 0;
}
