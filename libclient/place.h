/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PLACE_H
#define TEMPFILED_PLACE_H

/*
 * A directory that this process makes things in: a descriptor of it, its canonical path, and the
 * tag that the names made there carry. The daemon knows it before place_get() returns. A place
 * stays the same directory for as long as it lives: when its descriptor was closed, to save
 * descriptors or by the program, it is only taken up again if the path still leads to it.
 *
 * None of these is called with the session locked.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libclient/name.h"
#include "libclient/ownfd.h"

struct session;
struct place;

/* What a process holds there: said again to a daemon that was started anew. */
struct entry {
        struct entry *next;  /* among those of its place */
        struct entry **link; /* what points here; NULL: not held */
        struct session *session;
        struct place *place;         /* NULL: not held */
        uint32_t seq;                /* its number under the tag; 0: registered by id */
        uint8_t kind;                /* enum wire_kind */
        uint64_t id;                 /* of its acknowledged registration; 0: none */
        char name[NAME_LEN_MAX + 1]; /* what it was made as; a further name is its owner's affair */
};

struct place {
        struct place *next;
        struct session *session;
        char *path;  /* canonical; never changes */
        char *asked; /* absolute path that last led here; NULL: none */
        struct ownfd dir;
        dev_t dev;
        ino_t ino;
        uint64_t handle; /* hash of its file handle; 0: the file system has none */
        uint64_t tag;
        uint8_t key[NAME_KEY_SIZE];
        uint32_t last_seq;
        uint32_t tag_serial; /* of a TAG said again whose answer has not been read; 0: none */
        bool is_unreadable;
        bool is_doubtful; /* opened again, and perhaps another directory */
        bool is_dead;     /* makes nothing any more; goes with its last entry */
        unsigned int pins;
        uint64_t used; /* when, on the session's clock: oldest descriptors are closed first */
        struct entry *entries;
};

/*
 * The place for making things in @dir, pinned until place_put(). Waits for the daemon when the
 * directory is new to the session. Returns its descriptor, as place_dirfd() does; as open(2); -ENAMETOOLONG its canonical path does
 * not fit; or why the daemon does not know it, as session_request().
 */
int place_get(const char *dir, uint64_t deadline_usec, struct place **ret);

void place_put(struct place *p);

/* The place where the entry is held, pinned; NULL: it is not held (any more). */
struct place *place_of(struct entry *e);

/* Makes nothing more: the next place_get() finds another for the same directory. */
void place_retire(struct place *p);

/* The descriptor, opened again if need be: valid until place_put(). Or -ESTALE, or as open(2). */
int place_dirfd(struct place *p);

/*
 * Draws a name for @e, with a number when it has none yet, holds it, and says that it is about to
 * be made. Returns 0; -ENAMETOOLONG; -ETIMEDOUT; -EAGAIN: the tag is used up, get the place anew.
 */
int place_make(struct place *p, struct entry *e, const char *prefix, const char *suffix,
               uint64_t deadline_usec);

/* Registered otherwise: only held. */
void place_hold(struct place *p, struct entry *e);

/* The entry is not there any more, or not ours: it is held no longer, and the daemon will hear it. */
void place_gone(struct place *p, struct entry *e);

/* It exists, and is another owner's: held no longer, which the daemon hears at once. */
void place_settled(struct place *p, struct entry *e);

/* Asks in the place's session: session_request() with the lock taken. */
int place_request(struct place *p, void *packet, size_t len, int fd, uint64_t deadline_usec,
                  uint64_t *ret_id);

/* Has the daemon let the entry stay, durably, and holds it no longer. Returns 0 or the failure. */
int place_keep(struct place *p, struct entry *e, uint64_t deadline_usec);

/*
 * The same for all that is held in the directory @path and below, because the directory as a whole
 * is about to stay: it covers them until then. Stops at the first failure.
 */
int place_keep_below(struct place *p, const char *path, uint64_t deadline_usec);

#endif
