/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_POWER_DISK_H
#define TEMPFILED_POWER_DISK_H

/*
 * Two disks, of which the power can be cut at any moment, and again at any other: a file system
 * for the daemon's state and one for temporaries, each an image inside a FUSE file system that
 * records every write and every flush of both, in one order. Later the disks are put together as
 * they may have been at any place of that record: all that was flushed before is there; of what
 * was written since, each sector may be or not, as a disk with a cache of its own has it.
 *
 * Failures are Check's. For root, in a mount namespace of the test's own.
 */

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/fuse-server.h"

#define POWER_DISKS 2

struct power_disk {
        char at[PATH_MAX];       /* where it is mounted */
        char image[PATH_MAX];    /* as it was when the power was cut */
        char recorded[PATH_MAX]; /* the same, shown by FUSE */
        uint64_t ino;
        uint8_t *flushed; /* its contents as far as they are certain */
        uint8_t *written; /* as they may be */
        int loop;
};

struct power_disks {
        struct power_disk disks[POWER_DISKS]; /* state, temp */
        struct fuse_server fuse;
        int record_fd;
        uint64_t n_records; /* when recording ended */
        uint64_t n_flushes;
        uint64_t at_record; /* replayed so far */
        off_t at_offset;
};

/* Makes both in @work, empty, mounts them at @work/state and @work/temp, and records. */
void power_disks_record(struct power_disks *p, const char *work);

/* The moment: all that was answered until now comes before it. */
uint64_t power_disks_now(const struct power_disks *p);

/* Ends the recording and unmounts. Nothing may be in use any more. */
void power_disks_end_record(struct power_disks *p);

/*
 * Mounts both as they were at the moment @cut, which is not earlier than that of the call before.
 * What becomes of each sector that was not flushed follows from @seed.
 */
void power_disks_cut(struct power_disks *p, uint64_t cut, uint64_t seed);
void power_disks_unmount(struct power_disks *p);

void power_disks_done(struct power_disks *p);

#endif
