/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ANNOUNCE_H
#define TEMPFILED_ANNOUNCE_H

/*
 * What the daemon is told about places: their tags, and what is held there. The session is locked.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libclient/place.h"
#include "libclient/session.h"

struct entry;

/* What a session says when it has found another daemon, and who takes the answers. */
extern const struct session_hooks announce_hooks;

/* Draws tag and key, and waits until the daemon has stored them. Returns 0 or the failure; after one
 * that session_is_away() knows, the place has a tag all the same. */
int announce(struct place *p, uint64_t deadline_usec);

/* Has a daemon know what was made without one. Returns 0 or the failure. */
int announce_anew(struct place *p, uint64_t deadline_usec);

/* The same of one entry that is_unsaid: it has an id then. */
int announce_entry(struct place *p, struct entry *e, uint64_t deadline_usec);

/* The same if a daemon may have heard of it, though no answer has been read. Returns 0: it has an id now,
 * or no daemon knows; or the failure: that is not known. */
int announce_heard(struct place *p, struct entry *e, uint64_t deadline_usec);

/*
 * Something is to stay there under a name that carries the tag. A daemon that heard of the tag later
 * would look for such names; so either it knows already (false), or no daemon ever will (true).
 */
bool announce_never(struct place *p, uint64_t deadline_usec);

#endif
