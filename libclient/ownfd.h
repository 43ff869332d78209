/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_OWNFD_H
#define TEMPFILED_OWNFD_H

/*
 * A descriptor that lives in somebody else's program. Programs close numbers they do not know
 * (closefrom(), loops up to 1024) and are given them again for something else, and they run with
 * the standard ones closed. So: which file a number stood for is remembered and compared before
 * it is used, and no number of ours is below 3.
 */

#include <stdbool.h>
#include <sys/types.h>

struct ownfd {
        int fd; /* -1: none */
        dev_t dev;
        ino_t ino;
};

#define OWNFD_NONE ((struct ownfd) { .fd = -1 })

/* Takes @fd, also on failure. Returns 0 or a negative errno. */
int ownfd_take(int fd, struct ownfd *ret);

/* Is it still open, and still the same file? */
bool ownfd_is_there(const struct ownfd *f);

/* Closes it if it is still there; it is none afterwards. */
void ownfd_close(struct ownfd *f);

/* The same file at a number from 3 on. Takes @fd, also on failure; -1 stays -1, errno is kept. */
int ownfd_above_stdio(int fd);

#endif
