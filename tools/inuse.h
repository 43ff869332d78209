/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_INUSE_H
#define TEMPFILED_INUSE_H

/*
 * What the living processes hold: open, mapped, as working or root directory, executed, locked,
 * bound as a socket, mounted, or behind a loop device or swap area.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum inuse_how {
        INUSE_OPEN,
        INUSE_MAPPED,
        INUSE_CWD,
        INUSE_ROOT,
        INUSE_EXE,
        INUSE_LOCKED,
        INUSE_DEVICE, /* a loop device's or a swap area's */
};

struct inuse_holder {
        dev_t dev;
        ino_t ino;
        pid_t pid; /* 0: none in particular */
        enum inuse_how how;
};

struct inuse;

/* Called now and then with how many processes were looked at. */
typedef void (*inuse_progress_fn)(size_t n);

/* Looks at all processes. 0; -ENOMEM; -ENOENT no usable /proc. */
int inuse_collect(inuse_progress_fn progress, struct inuse **ret);

void inuse_free(struct inuse *u);
static inline void inuse_freep(struct inuse **u)
{
        inuse_free(*u);
}

/* Who has it; NULL: nobody that was seen. Borrowed. */
const struct inuse_holder *inuse_find(const struct inuse *u, dev_t dev, ino_t ino);

/* Has a socket of this name, the last component, been bound? Where, does not matter: paths mean
 * something else in other namespaces. */
bool inuse_has_socket(const struct inuse *u, const char *name);

/* Is something mounted there or below, or something from there mounted elsewhere? */
bool inuse_has_mount(const struct inuse *u, const char *path);

/* Processes that could not be looked into. */
size_t inuse_unseen(const struct inuse *u);

/* May there be processes that are not even shown: outside this container, or hidden? */
bool inuse_is_confined(const struct inuse *u);

const char *inuse_how_name(enum inuse_how how);

#endif
