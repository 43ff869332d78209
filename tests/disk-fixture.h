/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DISK_FIXTURE_H
#define TEMPFILED_DISK_FIXTURE_H

/*
 * File systems of a test's own, each kind in the way that needs least: an image on a loop device,
 * or a mount of memory. For root, in a mount namespace of the test's (disk_own_mounts()), so that
 * none outlives it. Failures are Check's.
 */

#include <limits.h>
#include <stdbool.h>

#include "tests/fuse-server.h"

enum disk_kind { DISK_EXT4, DISK_XFS, DISK_BTRFS, DISK_TMPFS, DISK_OVERLAY, DISK_FUSE };

struct disk {
        enum disk_kind kind;
        char work[PATH_MAX]; /* the image, or what it is made of */
        char at[PATH_MAX];   /* where it is mounted */
        int loop;            /* of an image: the device last used; else -1 */
        struct fuse_server fuse;
};

/* NULL, or why there can't be one here: for add_unless(). */
const char *unless_disk(enum disk_kind kind);

/* What this process and its children mount and unmount from now on is theirs alone. */
void disk_own_mounts(void);

/* An empty file system, not mounted. @work: a directory that exists; it gets .../disk. */
void disk_make(struct disk *d, enum disk_kind kind, const char *work, const char *at);

/* Mounts what disk_make() made: an image always on another loop device than the time before. */
void disk_mount(struct disk *d);

/* Not busy any more: it works. With memory alone the contents are lost. */
void disk_unmount(struct disk *d);

/* Gone with all that is in it, mounted or not. */
void disk_done(struct disk *d);

/* Does the file system come back with its contents after it was unmounted? */
bool disk_remembers(const struct disk *d);

/* A loop device over @image. Returns its descriptor; its path is written to @path. */
int disk_attach_loop(const char *image, char path[static 32]);

/* Runs a program, which succeeds. */
void disk_run(const char *program, ...) __attribute__((sentinel));

#endif
