/* SPDX-License-Identifier: MIT */

/*
 * The server's process: one request after the other is read from /dev/fuse, looked up in a table,
 * carried out in fuse-tree.c, and answered. What hanging, muting and recording need is here, too.
 *
 * A mount is aborted when its last /dev/fuse descriptor is closed: killing the server lets go
 * whoever waits for it. It has a mount namespace of its own. Else it could be the last to leave the
 * test's, and would, at its end, unmount what lies on a loop device over its own files: waiting for
 * itself, with sync(2) of everybody behind it.
 */

#include "tests/fuse-server.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/fuse-tree.h"

struct fuse_control {
        _Atomic uint32_t muted;
        _Atomic uint32_t n_muted;
        _Atomic uint64_t n_records;
};

/* What the server's process works with. */
struct server {
        int device;
        int record_fd;
        struct fuse_control *control;
};

/* ---- recording -------------------------------------------------------------------------------- */

/* The log in the order in which things happened; a failure ends the server, and so the test. */
static void record(struct server *s, const struct fuse_request *q)
{
        struct fuse_record record = { .ino = fuse_tree_ino(q->header->nodeid) };
        const struct fuse_write_in *in = q->in;
        struct iovec iov[] = { { &record, sizeof(record) }, { NULL, 0 } };

        if (s->record_fd < 0)
                return;
        if (q->header->opcode == FUSE_WRITE) {
                record.offset = in->offset;
                record.size = in->size;
                iov[1] = (struct iovec) { (void *) (in + 1), in->size };
        } else if (q->header->opcode != FUSE_FSYNC)
                return;
        if (writev(s->record_fd, iov, 2) != (ssize_t) (sizeof(record) + record.size))
                _exit(1);
        (void) atomic_fetch_add(&s->control->n_records, 1);
}

/* ---- the server's process --------------------------------------------------------------------- */

static int answer_init(struct fuse_request *q)
{
        const struct fuse_init_in *in = q->in;
        struct fuse_init_out *out = q->out;

        *out = (struct fuse_init_out) {
                .major = FUSE_KERNEL_VERSION,
                .minor = MIN(in->minor, (uint32_t) FUSE_KERNEL_MINOR_VERSION),
                .max_readahead = in->max_readahead,
                .flags = FUSE_BIG_WRITES,
                .max_background = 16,
                .congestion_threshold = 12,
                .max_write = FUSE_DATA_MAX,
                .time_gran = 1,
        };
        return sizeof(*out);
}

static void answer(const struct server *s, const struct fuse_request *q, int r)
{
        struct fuse_out_header out = {
                .len = sizeof(out) + (uint32_t) MAX(r, 0),
                .error = MIN(r, 0),
                .unique = q->header->unique,
        };
        struct iovec iov[] = { { &out, sizeof(out) }, { q->out, (size_t) MAX(r, 0) } };

        (void) !writev(s->device, iov, 2); /* fails if the one who asked was interrupted */
}

static void serve(struct server *s, struct fuse_request *q)
{
        int r;

        if (q->header->opcode == atomic_load(&s->control->muted)) {
                (void) atomic_fetch_add(&s->control->n_muted, 1);
                return;
        }
        r = q->header->opcode == FUSE_INIT ? answer_init(q) : fuse_tree_serve(q);
        if (r >= 0)
                record(s, q);
        if (r != FUSE_NO_ANSWER)
                answer(s, q, r);
}

static void run(struct server *s)
{
        static _Alignas(8) char in[FUSE_DATA_MAX + 65536], out[FUSE_DATA_MAX];
        struct fuse_request q = {
                .header = (const struct fuse_in_header *) in,
                .in = in + sizeof(struct fuse_in_header),
                .out = out,
        };
        ssize_t n;

        for (;;) {
                n = read(s->device, in, sizeof(in) - 1);
                if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
                        continue;
                if (n < (ssize_t) sizeof(struct fuse_in_header))
                        _exit(0); /* unmounted */
                in[n] = '\0';
                serve(s, &q);
        }
}

static void start_server(struct server *s, int backing)
{
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int sig = 1; sig < SIGRTMIN; sig++)
                (void) signal(sig, SIG_DFL);
        (void) umask(0);
        if (unshare(CLONE_NEWNS) < 0 || fuse_tree_open(backing) < 0)
                _exit(1);
        run(s);
}

/* ---- for the test ----------------------------------------------------------------------------- */

const char *unless_fuse(void)
{
        if (geteuid() != 0)
                return "needs root";
        return access("/dev/fuse", R_OK | W_OK) == 0 ? NULL : "there is no FUSE here";
}

static int mount_it(const struct fuse_server_options *o, int device)
{
        char text[256];

        (void) snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s", device,
                        o->uid, o->gid, o->allows_others ? ",allow_other,default_permissions" : "");
        return mount("tempfiled-test", o->mount_point, "fuse", MS_NOSUID | MS_NODEV, text) < 0
                       ? -errno
                       : 0;
}

int fuse_server_start(struct fuse_server *s, const struct fuse_server_options *o)
{
        _cleanup_(closep) int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        _cleanup_(closep) int backing = open(o->backing, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r;

        *s = (struct fuse_server) { 0 };
        if (device < 0 || backing < 0)
                return -errno;
        (void) snprintf(s->mount_point, sizeof(s->mount_point), "%s", o->mount_point);
        s->control = mmap(NULL, sizeof(*s->control), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (s->control == MAP_FAILED)
                return -errno;
        r = mount_it(o, device);
        if (r < 0)
                return r;

        (void) fflush(NULL);
        s->pid = fork();
        if (s->pid < 0) {
                r = -errno;
                (void) umount2(s->mount_point, MNT_DETACH);
                return r;
        }
        if (s->pid == 0)
                start_server(&(struct server) { device, o->record_fd, s->control }, backing);
        return 0;
}

void fuse_server_hang(struct fuse_server *s)
{
        (void) kill(s->pid, SIGSTOP);
        (void) waitid(P_PID, (id_t) s->pid, &(siginfo_t) { 0 }, WSTOPPED | WNOWAIT);
}

void fuse_server_resume(struct fuse_server *s)
{
        (void) kill(s->pid, SIGCONT);
}

void fuse_server_mute(struct fuse_server *s, uint32_t opcode)
{
        atomic_store(&s->control->muted, opcode);
}

uint32_t fuse_server_count_muted(const struct fuse_server *s)
{
        return atomic_load(&s->control->n_muted);
}

uint64_t fuse_server_count_records(const struct fuse_server *s)
{
        return atomic_load(&s->control->n_records);
}

void fuse_server_stop(struct fuse_server *s)
{
        if (s->pid <= 0)
                return;
        (void) kill(s->pid, SIGKILL);
        (void) waitpid(s->pid, NULL, 0);
        (void) umount2(s->mount_point, MNT_DETACH);
        (void) munmap(s->control, sizeof(*s->control));
        *s = (struct fuse_server) { 0 };
}
