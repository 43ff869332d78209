/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FAMILY_H
#define TEMPFILED_FAMILY_H

/*
 * A cgroup for a command and all that it starts: below this process's own, where one may be made.
 */

#include <stdint.h>
#include <sys/types.h>

struct family {
        char *path; /* of its directory; NULL: there is none */
        int fd;     /* locked: it is in use, though it may be empty */
        uint64_t inode;
};

/* 0, or negative errno: none can be made here. */
int family_begin(struct family *f);

/* Puts a process into it, which is to start the others. 0, or negative errno. */
int family_add(const struct family *f, pid_t pid);

/* Removes it, unless somebody is still in it; one without a cgroup is left as it is. */
void family_end(struct family *f);

#endif
