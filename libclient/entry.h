/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ENTRY_H
#define TEMPFILED_ENTRY_H

/*
 * What this process holds in a place: said again to a daemon that was started anew, until it ends.
 * None of these is called with the session locked.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libclient/name.h"

struct place;
struct session;
struct wire_owner;

struct entry {
        struct entry *next;  /* among those of its place */
        struct entry **link; /* what points here; NULL: not held */
        struct session *session;
        struct place *place;           /* NULL: not held */
        uint32_t seq;                  /* its number under the tag; 0: registered by id */
        uint8_t kind;                  /* enum wire_kind */
        uint64_t id;                   /* of its acknowledged registration; 0: none */
        bool is_shared;                /* others hold it, too: not ours alone to delete */
        bool is_unsure;                /* perhaps another's: that was not answered */
        void (*free)(struct entry *e); /* nobody has its handle, it is to be found; else NULL */
        bool is_unsaid;                /* no daemon was there to register it: TRACKed when one is */
        uint32_t retain_sec;           /* then */
        uint32_t serial;               /* of that request, while it is under way; else 0 */
        bool is_heard;                 /* one has got no answer: a daemon may have it */
        uint32_t given_up;             /* its number: to be taken back, unless it is wanted */
        char name[NAME_LEN_MAX + 1];   /* the last component of its path */
};

/* The place where the entry is held, pinned; NULL: it is not held (any more). */
struct place *entry_place(struct entry *e);

/*
 * Draws a name for @e, with a number when it has none yet, holds it, and says that it is about to
 * be made. Returns 0; -ENAMETOOLONG; -ETIMEDOUT; -EAGAIN: the tag is used up, get the place anew.
 */
int entry_make(struct place *p, struct entry *e, const char *prefix, const char *suffix,
               uint64_t deadline_usec);

/* Registered otherwise: only held, as @name. */
void entry_hold(struct place *p, struct entry *e, const char *name);

/* It has been moved to @name, which the daemon knows. */
void entry_rename(struct place *p, struct entry *e, const char *name);

/* Registered by itself: has a daemon answered to that? */
bool entry_is_said(struct place *p, const struct entry *e);

/* A daemon looks at it, or is about to: waits until it has. Returns 0, at once if none does, or
 * -ETIMEDOUT: what comes under its name now would be taken for it. */
int entry_await(struct place *p, struct entry *e, uint64_t deadline_usec);

/* Its handle is given up; the thing stays held, and is then freed by @free. And taken up again: NULL,
 * there is no such. */
void entry_loosen(struct place *p, struct entry *e, void (*free)(struct entry *e));
struct entry *entry_find_loose(struct session *s, const char *dir_path, const char *name);

/* It is not there any more, or not ours: it is held no longer, and the daemon will hear it. */
void entry_gone(struct place *p, struct entry *e);

/* The same, acknowledged and on disk: it is still somewhere, and back under its name it would be taken
 * for what it was. A daemon that is away hears it when it is back. */
void entry_gone_elsewhere(struct place *p, struct entry *e, uint64_t deadline_usec);

/* The same of what has an id, and @object has ended with its name: ending.h. */
void entry_unlinked(struct place *p, struct entry *e, const char *object);

/* It exists, and others have it: held no longer, which the daemon hears at once. If there is none
 * (any more), it deletes the thing. */
void entry_settled(struct place *p, struct entry *e);

/* Has the daemon let it stay, durably, and holds it no longer. Returns 0 or the failure. */
int entry_keep(struct place *p, struct entry *e, uint64_t deadline_usec);

/*
 * Has another owner hold it too, or (@gives) instead. @fd is what the owner's kind wants. Returns 0;
 * -ETIMEDOUT: it is not known whether that was done; or why it was not.
 */
int entry_claim(struct place *p, struct entry *e, const struct wire_owner *owner, int fd,
                bool gives, uint64_t deadline_usec);

/* RETAIN or RENEW, for which it need not be held. Returns 0 or the failure. */
int entry_change(struct entry *e, uint16_t opcode, uint32_t argument, uint64_t deadline_usec);

/*
 * As entry_keep(), for all that is held in the directory @path and below, because the directory as a whole
 * is about to stay: it covers them until then. Stops at the first failure.
 */
int entry_keep_below(struct place *p, const char *path, uint64_t deadline_usec);

/* What is held in the directory @path and below, and has gone with it: there, the daemon could not tell
 * later whether that is away or gone. Handles to it can only be closed then. */
void entry_gone_below(struct place *p, const char *path);

#endif
