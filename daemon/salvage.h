/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SALVAGE_H
#define TEMPFILED_SALVAGE_H

/*
 * The files of a damaged database, and of the one that takes its place. Whoever is killed at any
 * moment leaves either the damaged one where it was, to be salvaged by the next start, or the new
 * one complete, to be put in its place by the next start: never an empty one.
 */

#define STORE_DATABASE "tempfiled.db"
#define SALVAGE_WORKING STORE_DATABASE ".salvaging" /* being filled: worth nothing yet */

/* Removes what an attempt that was stopped has left of the working file. */
int salvage_clear(int dirfd);

/* The working file is filled and closed: from here on it counts. On disk when this returns. */
int salvage_complete(int dirfd);

/*
 * Sets the damaged database aside under a dated name and puts the complete one in its place; takes
 * away @mark, too. Returns 1, with the dated name (to be freed), or 0: there is no complete one.
 */
int salvage_exchange(int dirfd, const char *mark, char **ret_name);

#endif
