/* SPDX-License-Identifier: MIT */

/*
 * Disks that are put together from a record of what was written; see the header. They are small,
 * so both states of each are kept in memory.
 */

#include "tests/power-disk.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/disk-fixture.h"

#define DISK_SIZE (16U << 20)
#define SECTOR 4096U /* what a disk writes as a whole */

static const char *const names[POWER_DISKS] = { "state", "temp" };

/* ---- making and recording --------------------------------------------------------------------- */

static void read_image(const char *path, uint8_t *data)
{
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

        ck_assert_int_eq(read(fd, data, DISK_SIZE), DISK_SIZE);
}

static void make_disk(struct power_disk *d, const char *work, const char *name)
{
        struct stat st;
        int fd;

        *d = (struct power_disk) { .loop = -1 };
        (void) snprintf(d->at, sizeof(d->at), "%s/%s", work, name);
        (void) snprintf(d->image, sizeof(d->image), "%s/images/%s", work, name);
        (void) snprintf(d->recorded, sizeof(d->recorded), "%s/recorded/%s", work, name);
        d->flushed = malloc(DISK_SIZE);
        d->written = malloc(DISK_SIZE);
        ck_assert(d->flushed && d->written);
        ck_assert_int_eq(mkdir(d->at, 0755), 0);
        fd = open(d->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, DISK_SIZE), 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        (void) close(fd);
        d->ino = st.st_ino;
        disk_run("mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=1", d->image, NULL);
        read_image(d->image, d->flushed);
        memcpy(d->written, d->flushed, DISK_SIZE);
}

/* Short intervals between commits: there are more different moments so. */
static void mount_disk(struct power_disk *d, const char *image)
{
        char path[32];

        d->loop = disk_attach_loop(image, path);
        ck_assert_msg(mount(path, d->at, "ext4", 0, "commit=1") == 0, "mount: %s", strerror(errno));
}

static char *path_in(const char *work, const char *name, char path[static PATH_MAX])
{
        (void) snprintf(path, PATH_MAX, "%s/%s", work, name);
        return path;
}

void power_disks_record(struct power_disks *p, const char *work)
{
        char images[PATH_MAX], recorded[PATH_MAX], path[PATH_MAX];
        struct fuse_server_options o = { .backing = path_in(work, "images", images),
                                         .mount_point = path_in(work, "recorded", recorded) };
        int r;

        *p = (struct power_disks) { 0 };
        p->record_fd =
                open(path_in(work, "record", path), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        o.record_fd = p->record_fd;
        ck_assert_int_ge(p->record_fd, 0);
        ck_assert_int_eq(mkdir(images, 0700), 0);
        ck_assert_int_eq(mkdir(recorded, 0700), 0);
        for (unsigned int i = 0; i < POWER_DISKS; i++)
                make_disk(&p->disks[i], work, names[i]);
        r = fuse_server_start(&p->fuse, &o);
        ck_assert_msg(r == 0, "FUSE: %s", strerror(-r));
        for (unsigned int i = 0; i < POWER_DISKS; i++)
                mount_disk(&p->disks[i], p->disks[i].recorded);
}

uint64_t power_disks_now(const struct power_disks *p)
{
        return fuse_server_count_records(&p->fuse);
}

void power_disks_end_record(struct power_disks *p)
{
        p->n_records = power_disks_now(p);
        power_disks_unmount(p);
        fuse_server_stop(&p->fuse);
}

/* ---- putting together ------------------------------------------------------------------------- */

static struct power_disk *disk_of(struct power_disks *p, uint64_t ino)
{
        for (unsigned int i = 0; i < POWER_DISKS; i++)
                if (p->disks[i].ino == ino)
                        return &p->disks[i];
        return NULL;
}

static void replay_one(struct power_disks *p)
{
        struct fuse_record r;
        struct power_disk *d;

        ck_assert_int_eq(pread(p->record_fd, &r, sizeof(r), p->at_offset), sizeof(r));
        p->at_offset += sizeof(r);
        d = disk_of(p, r.ino);
        ck_assert_ptr_nonnull(d);
        ck_assert_uint_le(r.offset + r.size, DISK_SIZE);
        if (r.size > 0)
                ck_assert_int_eq(pread(p->record_fd, d->written + r.offset, r.size, p->at_offset),
                                 r.size);
        else
                memcpy(d->flushed, d->written, DISK_SIZE);
        p->n_flushes += r.size == 0;
        p->at_offset += r.size;
        p->at_record++;
}

/* SplitMix64's finalizer: each number gives another one. */
static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

/* Every third time nothing that was not flushed is there, every third time all of it. */
static bool is_written(uint64_t seed, uint64_t sector)
{
        if (seed % 3 < 2)
                return seed % 3;
        return mix(seed ^ sector << 8) & 1;
}

static bool is_zero(const uint8_t *data)
{
        return data[0] == 0 && memcmp(data, data + 1, SECTOR - 1) == 0;
}

static void write_image(const struct power_disk *d, uint64_t seed)
{
        _cleanup_(closep) int fd = -1;
        const uint8_t *from;

        (void) unlink(d->image);
        fd = open(d->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, DISK_SIZE), 0);
        for (uint64_t at = 0; at < DISK_SIZE; at += SECTOR) {
                from = is_written(seed, at / SECTOR) ? d->written + at : d->flushed + at;
                if (!is_zero(from))
                        ck_assert_int_eq(pwrite(fd, from, SECTOR, (off_t) at), SECTOR);
        }
}

void power_disks_cut(struct power_disks *p, uint64_t cut, uint64_t seed)
{
        while (p->at_record < cut)
                replay_one(p);
        for (unsigned int i = 0; i < POWER_DISKS; i++) {
                write_image(&p->disks[i], seed + i);
                mount_disk(&p->disks[i], p->disks[i].image);
        }
}

void power_disks_unmount(struct power_disks *p)
{
        for (unsigned int i = 0; i < POWER_DISKS; i++) {
                ck_assert_msg(umount(p->disks[i].at) == 0, "%s: %s", p->disks[i].at,
                              strerror(errno));
                p->disks[i].loop = close_fd(p->disks[i].loop);
        }
}

void power_disks_done(struct power_disks *p)
{
        for (unsigned int i = 0; i < POWER_DISKS; i++) {
                (void) umount2(p->disks[i].at, MNT_DETACH);
                free(p->disks[i].flushed);
                free(p->disks[i].written);
        }
        fuse_server_stop(&p->fuse);
        (void) close(p->record_fd);
}
