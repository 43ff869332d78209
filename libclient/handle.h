/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_HANDLE_H
#define TEMPFILED_HANDLE_H

/*
 * What struct tempfile is inside, and what making and tracking have in common. Whether something
 * is left to delete is said by one thing alone: its place holds the entry.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "libclient/entry.h"
#include "libclient/libtempfile.h"
#include "libclient/ownfd.h"
#include "libclient/place.h"
#include "libclient/wire.h"

struct tempfile {
        struct entry entry; /* first. Outlives the handle when deletion failed */
        pid_t pid;          /* who made it: nobody else deletes it */
        int fd;             /* -1: none (any more) */
        FILE *stream;       /* on that descriptor, which is its from then on; NULL: none */
        uint32_t flags;     /* TEMPFILE_..., those about closing */
        bool is_left;       /* a part of it was made and could not be taken back */
        bool is_tracked;    /* recognised by what it is, not by its name */
        dev_t dev;          /* of what was tracked */
        ino_t ino;
        struct ownfd lock; /* tells systemd-tmpfiles that a tracked directory is in use */
        uint64_t timeout_usec;
        size_t name_at; /* where the last component begins in path */
        char *path;
};

/* Options, checked and with defaults. The strings are the caller's, or static. */
struct recipe {
        const char *dir;    /* NULL: tempfile_gettempdir() */
        const char *prefix; /* what stands before and behind the random characters */
        const char *suffix;
        size_t suffix_len;
        size_t prefix_len;
        size_t random_len; /* of a pattern: how many; 0: a name of the library's choosing */
        mode_t mode;
        uint8_t kind; /* enum wire_kind */
        struct wire_owner owner;
        bool is_own; /* the owner is this process */
        int pidfd;   /* that names the owner; -1: none, or none is needed */
        uint32_t retain_sec;
        uint32_t flags; /* TEMPFILE_... */
        bool is_best_effort;
        tempfile_make_fn make; /* NULL: a file or a directory */
        void *userdata;
        bool is_name_only; /* it is for the caller to make */
        uint64_t timeout_usec;
        uint64_t deadline_usec;
};

/* As libtempfile.h says of struct tempfile_options; @kind decides over the default mode. */
int recipe_read(const struct tempfile_options *options, uint8_t kind, struct recipe *ret);

/* Makes it. Returns 0 or a negative errno, and then nothing was made. */
int recipe_make(const struct recipe *r, struct tempfile **ret);

/*
 * Writes out what its stream has buffered. Returns 0; what that failed with; -EIO: something was
 * lost before (a stream that could not write forgets what it had, and only its error stays).
 */
int handle_flush(const struct tempfile *t);

/* Closes the descriptor, and the stream on it. */
void handle_close_fd(struct tempfile *t);

/* A handle for something in @p, with room for a path of any name there. */
int handle_new(const struct place *p, const struct recipe *r, struct tempfile **ret);
void handle_free(struct tempfile *t);
void handle_freep(struct tempfile **t);

/* Frees all but the entry, which is part of it, as long as that is held: something is still there. */
void handle_leave(struct tempfile *t);

/* The path's last component. @name has at most NAME_LEN_MAX bytes. */
const char *handle_name(const struct tempfile *t);
void handle_set_name(struct tempfile *t, const char *name);

/*
 * Asks the daemon for RESERVE, TRACK or TARGET of @name in the place, for the recipe's owner, and
 * keeps the id. Returns 0 or the failure; -EAGAIN: the place is to be found anew. With best effort
 * 0 also when no daemon answers: it is said later.
 */
int handle_register(struct tempfile *t, struct place *p, uint16_t opcode, const char *name,
                    const struct recipe *r);

#endif
