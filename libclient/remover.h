/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REMOVER_H
#define TEMPFILED_REMOVER_H

/*
 * Deletion beneath a directory descriptor: the smallest interface of the most dangerous module.
 *
 * Never follows a symbolic link, never crosses a mount point, never leaves @dirfd. Any depth with
 * few descriptors, any width in bounded memory, names of any bytes, directories without
 * permission bits (the owner's are restored first), contents that others add or remove meanwhile.
 * Missing is success. Goes on after a failure and reports the first one with its path.
 * Acts with the calling thread's credentials; helper threads that it starts take them over.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define REMOVER_RECURSIVE (1U << 0) /* a directory with its contents; else only an empty one */
#define REMOVER_CONTENTS (1U << 1)  /* with RECURSIVE: empty the directory, but keep it */
#define REMOVER_SERIAL (1U << 2)    /* no helper thread */

struct remover_failure {
        int error;       /* negative errno, 0: none */
        char path[4096]; /* relative to the directory given; too long: the front elided ("...") */
};

/* Prepares a helper thread of the remover before it touches anything: takes over credentials.
 * Called in the helper; a negative result ends the helper, and the caller works alone. */
typedef int (*remover_thread_fn)(void *userdata);

struct remover_options {
        remover_thread_fn thread_start; /* NULL: helpers need nothing */
        void *userdata;
};

/*
 * Removes @name (a single component) in @dirfd. @options and @ret_failure may be NULL.
 * Returns the number of names removed (at least 0; bounded to INT64_MAX), or the first failure as
 * a negative errno after having removed all that could be: among others -EXDEV a mount point was
 * met and left, -EACCES, -EPERM, -EBUSY, -ENOTEMPTY contents kept coming, -ENOMEM, -EMFILE.
 */
int64_t remover_remove(int dirfd, const char *name, unsigned int flags,
                       const struct remover_options *options, struct remover_failure *ret_failure);

#endif
