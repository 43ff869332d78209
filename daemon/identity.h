/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_IDENTITY_H
#define TEMPFILED_IDENTITY_H

/*
 * What tells one file or directory from every other, also after a remount or a reboot. The file
 * handle carries the generation of the inode: ext4 gives inode number and birth time again at
 * once, the handle never. Every function here touches the client's file system: for workers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IDENTITY_HANDLE_MAX 128U
#define IDENTITY_PACKED_MAX (56U + IDENTITY_HANDLE_MAX)

struct identity {
        uint64_t dev; /* counts only within one boot and mount */
        uint64_t ino;
        uint64_t btime_nsec; /* 0: the file system has none */
        uint64_t fs_id;      /* of the file system, kept over a remount; 0: none */
        uint32_t fs_type;    /* as statfs(2) */
        uint32_t mode;       /* the type bits only */
        uint32_t uid;        /* not compared */
        int32_t handle_type;
        uint32_t handle_len; /* 0: the file system gives none */
        uint8_t handle[IDENTITY_HANDLE_MAX];
};

/* Of an open directory or file (O_PATH will do). */
int identity_of_fd(int fd, struct identity *ret);

/* Of a name in a directory, not followed. -ENOENT: not there. */
int identity_at(int dirfd, const char *name, struct identity *ret);

/* The same, of what is to be recognised later: where only its birth tells it, that must be past. Waits
 * for 20 milliseconds at most. */
int identity_at_settled(int dirfd, const char *name, struct identity *ret);

enum identity_match {
        IDENTITY_SAME = 1,
        IDENTITY_OTHER = 2,
        IDENTITY_UNKNOWN = 3, /* can't be told: no handle */
};

/* Of what the client says has ended in a directory: the file system is that one's. */
int identity_of_ended(const char *text, const struct identity *directory, struct identity *ret);

/* Two sightings of a directory: without a handle, its inode and birth time must do. */
enum identity_match identity_compare_directory(const struct identity *a, const struct identity *b);

/* Two sightings of an object under one name. */
enum identity_match identity_compare_object(const struct identity *a, const struct identity *b);

/* Does what lies in this file system outlive a power cut? */
bool identity_outlives_power(const struct identity *i);

/* And is each object there told from every other after it, too? */
bool identity_is_lasting(const struct identity *i);

/* What is seen on FUSE counts for one run of the daemon. A process that acts for it belongs to that. */
uint64_t identity_run_id(void);
void identity_take_run_id(uint64_t id);

/* To and from the bytes that are stored. Unpacking checks them: -EBADMSG. */
size_t identity_pack(const struct identity *i, uint8_t buf[IDENTITY_PACKED_MAX]);
int identity_unpack(const uint8_t *data, size_t len, struct identity *ret);

/*
 * Opens the directory at a stored path (O_PATH): no component may be a symbolic link. -ENOENT it
 * is not there; -ESTALE something else is there.
 */
int identity_open_directory(const char *path, const struct identity *expected);

/* The same, as a process sees it: from its root, in its mounts. -EACCES: not ours to look at. */
int identity_open_directory_of(pid_t pid, const char *path, const struct identity *expected);

/* The deepest directory above @path that exists, if it is of that file system; else -1. */
int identity_open_above(const char *path, const struct identity *i);

/*
 * Is that directory, which is not at its path, deleted for sure, and not only unmounted or moved?
 * Its file system must be mounted where the path leads to, and say so of the handle, which only
 * a daemon with CAP_DAC_READ_SEARCH may ask. False: it is, or can't be told.
 */
bool identity_is_deleted(const char *path, const struct identity *i);

#endif
