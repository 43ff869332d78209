/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PLACE_H
#define TEMPFILED_PLACE_H

/*
 * A directory that this process makes things in: a descriptor of it, its canonical path, and the
 * tag that the names made there carry. The daemon knows it before place_get() returns. A place
 * stays the same directory for as long as it lives: when its descriptor was closed, to save
 * descriptors or by the program, it is only taken up again if the path still leads to it.
 *
 * None of these is called with the session locked, but the last four.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libclient/name.h"
#include "libclient/ownfd.h"

struct entry;
struct session;

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
        bool is_unknown;     /* no daemon has answered to its TAG yet */
        bool is_heard;       /* but one may have it: that was said, and got no answer */
        bool is_hidden;      /* nor will one hear it: something was kept there without */
        bool is_unreadable;
        bool is_doubtful; /* opened again, and perhaps another directory */
        bool is_dead;     /* makes nothing any more; goes with its last entry */
        unsigned int pins;
        uint64_t used; /* when, on the session's clock: oldest descriptors are closed first */
        struct entry *entries;
};

/* The session of this process and its effective ids: session_get() with the places' hooks. */
int place_session(struct session **ret);

/*
 * The place for making things in @dir, pinned until place_put(). Waits for the daemon when the
 * directory is new to the session; @is_best_effort: when none is there, the place may be unknown.
 * Returns its descriptor, as place_dirfd() does; as open(2); -ENAMETOOLONG its canonical path does
 * not fit; or why the daemon does not know it, as session_request().
 */
int place_get(const char *dir, bool is_best_effort, uint64_t deadline_usec, struct place **ret);
void place_put(struct place *p);

/* Does a daemon know it? Asks one that is there, if need be. */
bool place_is_known(struct place *p, uint64_t deadline_usec);

/* Makes nothing more: the next place_get() finds another for the same directory. */
void place_retire(struct place *p);

/* The descriptor, opened again if need be: valid until place_put(). Or -ESTALE, or as open(2). */
int place_dirfd(struct place *p);

/* Asks in the place's session: session_request() with the lock taken. *ret_is_heard: a daemon may have
 * heard it, whatever that returns. */
int place_request(struct place *p, void *packet, size_t len, int fd, uint64_t deadline_usec,
                  uint64_t *ret_id, bool *ret_is_heard);

/* With the session locked: opens its descriptor again, if it is not there. 0, -ESTALE, as open(2). */
int place_reopen(struct place *p);

/* With the session locked: what is about to be used stays, what nothing needs goes. */
void place_pin(struct place *p);
void place_forget_if_idle(struct place *p);
void place_forget_idle(struct session *s);

#endif
