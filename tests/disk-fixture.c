/* SPDX-License-Identifier: MIT */

/* File systems to test on; see the header. */

#include "tests/disk-fixture.h"

#include <check.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "libclient/util.h"

/* ---- the kinds -------------------------------------------------------------------------------- */

static const struct {
        const char *type;
        const char *mkfs; /* of an image */
        const char *quiet;
        off_t size;
} kinds[] = {
        [DISK_EXT4] = { "ext4", "mkfs.ext4", "-q", 32 << 20 },
        [DISK_XFS] = { "xfs", "mkfs.xfs", "-q", 320 << 20 }, /* the least it takes */
        [DISK_BTRFS] = { "btrfs", "mkfs.btrfs", "-q", 128 << 20 },
        [DISK_TMPFS] = { "tmpfs", NULL, NULL, 0 },
        [DISK_OVERLAY] = { "overlay", NULL, NULL, 0 },
        [DISK_FUSE] = { "fuse", NULL, NULL, 0 },
};

static bool is_program(const char *name)
{
        char path[64];

        (void) snprintf(path, sizeof(path), "/usr/sbin/%s", name);
        return access(path, X_OK) == 0;
}

const char *unless_disk(enum disk_kind kind)
{
        int fd;

        if (geteuid() != 0)
                return "needs root";
        fd = fsopen(kinds[kind].type, FSOPEN_CLOEXEC); /* loads its module, too */
        if (fd < 0)
                return errno == ENODEV ? "this kernel has no such file system" : "may not mount";
        (void) close(fd);
        if (kind == DISK_FUSE)
                return unless_fuse();
        if (!kinds[kind].mkfs)
                return NULL;
        if (access("/dev/loop-control", R_OK | W_OK) < 0)
                return "there are no loop devices";
        return is_program(kinds[kind].mkfs) ? NULL : "there is no mkfs for it";
}

bool disk_remembers(const struct disk *d)
{
        return d->kind != DISK_TMPFS;
}

/* ---- mounting --------------------------------------------------------------------------------- */

void disk_own_mounts(void)
{
        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

void disk_run(const char *program, ...)
{
        const char *argv[16] = { program };
        va_list ap;
        int status, n = 1;
        pid_t pid;

        va_start(ap, program);
        while (n < (int) ARRAY_SIZE(argv) - 1 && (argv[n] = va_arg(ap, const char *)))
                n++;
        va_end(ap);
        (void) fflush(NULL);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                (void) dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
                (void) setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
                (void) execvp(program, (char *const *) argv);
                _exit(127);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "%s ends with %d", program, status);
}

/* Others look for a free one, too. */
int disk_attach_loop(const char *image, char path[static 32])
{
        _cleanup_(closep) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        _cleanup_(closep) int fd = open(image, O_RDWR | O_CLOEXEC);
        struct loop_config config = { .fd = (uint32_t) fd };
        int number, loop = -1;

        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        ck_assert_int_ge(fd, 0);
        for (;;) {
                number = ioctl(control, LOOP_CTL_GET_FREE);
                ck_assert_int_ge(number, 0);
                (void) snprintf(path, 32, "/dev/loop%d", number);
                loop = open(path, O_RDWR | O_CLOEXEC);
                ck_assert_msg(loop >= 0, "%s: %s", path, strerror(errno));
                if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
                        return loop;
                ck_assert_msg(errno == EBUSY, "%s: %s", path, strerror(errno));
                (void) close(loop);
        }
}

/* The device used before stays taken until there is another: so the number differs. */
static void mount_image(struct disk *d)
{
        int before = d->loop;
        char path[32];

        d->loop = disk_attach_loop(d->work, path);
        (void) close_fd(before);
        ck_assert_msg(mount(path, d->at, kinds[d->kind].type, 0, NULL) == 0, "mount: %s",
                      strerror(errno));
}

/* What lies above an overlay is another one's upper directory: not on each file system. */
static void mount_overlay(const struct disk *d)
{
        char options[4 * PATH_MAX];

        (void) snprintf(options, sizeof(options),
                        "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", d->work, d->work,
                        d->work);
        ck_assert_msg(mount("overlay", d->at, "overlay", 0, options) == 0, "overlay: %s",
                      strerror(errno));
}

static void mount_fuse(struct disk *d)
{
        const struct fuse_server_options o = {
                .backing = d->work, .mount_point = d->at, .allows_others = true, .record_fd = -1
        };
        int r = fuse_server_start(&d->fuse, &o);

        ck_assert_msg(r == 0, "FUSE: %s", strerror(-r));
}

void disk_mount(struct disk *d)
{
        switch (d->kind) {
        case DISK_TMPFS:
                ck_assert_int_eq(mount("tmpfs", d->at, "tmpfs", 0, "mode=1777"), 0);
                break;
        case DISK_OVERLAY:
                mount_overlay(d);
                break;
        case DISK_FUSE:
                mount_fuse(d);
                break;
        default:
                mount_image(d);
        }
        ck_assert_int_eq(chmod(d->at, 01777), 0);
}

void disk_unmount(struct disk *d)
{
        ck_assert_msg(umount(d->at) == 0, "umount: %s", strerror(errno));
        if (d->kind == DISK_FUSE)
                fuse_server_stop(&d->fuse);
}

/* ---- making ----------------------------------------------------------------------------------- */

static void make_image(const struct disk *d)
{
        int fd = open(d->work, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, kinds[d->kind].size), 0);
        (void) close(fd);
        disk_run(kinds[d->kind].mkfs, kinds[d->kind].quiet, d->work, NULL);
}

static void make_layers(const struct disk *d)
{
        static const char *const names[] = { "lower", "upper", "work" };
        char path[PATH_MAX + 8];

        ck_assert_int_eq(mount("tmpfs", d->work, "tmpfs", 0, NULL), 0);
        for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", d->work, names[i]);
                ck_assert_int_eq(mkdir(path, 0755), 0);
        }
}

void disk_make(struct disk *d, enum disk_kind kind, const char *work, const char *at)
{
        *d = (struct disk) { .kind = kind, .loop = -1 };
        (void) snprintf(d->work, sizeof(d->work), "%s/disk", work);
        (void) snprintf(d->at, sizeof(d->at), "%s", at);
        if (kinds[kind].mkfs) {
                make_image(d);
                return;
        }
        ck_assert_int_eq(mkdir(d->work, 01777), 0);
        if (kind == DISK_OVERLAY)
                make_layers(d);
}

void disk_done(struct disk *d)
{
        while (umount2(d->at, MNT_DETACH) == 0)
                ;
        fuse_server_stop(&d->fuse);
        while (umount2(d->work, MNT_DETACH) == 0)
                ;
        d->loop = close_fd(d->loop);
}
