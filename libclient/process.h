/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROCESS_H
#define TEMPFILED_PROCESS_H

/*
 * Which process this is, for calls that ask at every file.
 */

#include <sys/types.h>

/* getpid(), mostly without a system call. */
pid_t process_id(void);

#endif
