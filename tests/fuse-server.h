/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FUSE_SERVER_H
#define TEMPFILED_FUSE_SERVER_H

/*
 * A FUSE file system of a test's own: shows the directory .backing at .mount_point. It speaks the
 * kernel's protocol itself, so no libfuse is needed; root and /dev/fuse are. Its server is a
 * process of its own that dies with the one that started it.
 *
 *     struct fuse_server s;
 *     if (fuse_server_start(&s, &(struct fuse_server_options) {
 *             .backing = "/tmp/x/back", .mount_point = "/tmp/x/mnt", .uid = 65534, .gid = 65534,
 *             .record_fd = -1 }) < 0) ...
 *     fuse_server_stop(&s);
 *
 * Who may enter: with .allows_others everybody, by the modes of the files; without it processes of
 * .uid and .gid alone, as with a user's own mount of sshfs, and not even root.
 *
 * What hangs: between fuse_server_hang() and fuse_server_resume() nothing is answered. With
 * fuse_server_mute(&s, FUSE_UNLINK) requests of that one kind (<linux/fuse.h>) never are, and all
 * others go on; fuse_server_mute(&s, 0) lets later ones be answered. fuse_server_stop() makes
 * everything that still waits fail, with ECONNABORTED or ENOTCONN.
 *
 * As a disk that remembers: with .record_fd each write and fsync is appended to that file as a
 * struct fuse_record (then the bytes written), *before* it is answered. A loop device over a file
 * in here so records what a file system writes, and where it waits for the disk.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fuse_server_options {
        const char *backing;     /* a directory, anywhere but below .mount_point */
        const char *mount_point; /* a directory */
        uid_t uid;               /* the user whose mount it is */
        gid_t gid;
        bool allows_others;
        int record_fd; /* -1: records nothing */
};

struct fuse_record {
        uint64_t ino;    /* of the file in .backing */
        uint64_t offset; /* in that file */
        uint32_t size;   /* of what follows; 0: an fsync */
        uint32_t padding;
};

struct fuse_server {
        char mount_point[PATH_MAX];
        pid_t pid;
        struct fuse_control *control; /* shared with the server */
};

/* NULL, or why there can't be one here: for add_unless(). */
const char *unless_fuse(void);

/* Mounts it and starts its server. Returns 0 or a negative errno. */
int fuse_server_start(struct fuse_server *s, const struct fuse_server_options *o);

void fuse_server_hang(struct fuse_server *s);
void fuse_server_resume(struct fuse_server *s);
void fuse_server_mute(struct fuse_server *s, uint32_t opcode);

/* How many requests of the muted kind have come so far: to wait until something hangs. */
uint32_t fuse_server_count_muted(const struct fuse_server *s);

/* How many records there are: what was answered by now is among them. */
uint64_t fuse_server_count_records(const struct fuse_server *s);

/* Ends the server, hanging or not, and unmounts. May be called twice. */
void fuse_server_stop(struct fuse_server *s);

#endif
