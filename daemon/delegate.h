/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DELEGATE_H
#define TEMPFILED_DELEGATE_H

/*
 * The jobs of reaper.h and inspect.h, done where they have to be done. On most file systems that is
 * a worker thread, which takes on the client's credentials for the kernel's eyes. A FUSE mount
 * asks for more: unless its user has opened it to others (allow_other), it lets in only processes
 * that are that user through and through, and not even root. There a process that has become the
 * user does the job, and the worker waits for it.
 */

#include "daemon/pool.h"

/* As the reaper_...() and inspect_now() they stand for. */
int delegate_delete(struct job *j);
int delegate_sweep(struct job *j);
int delegate_flush(struct job *j);
int delegate_inspect(struct job *j);

/* Before that, all is done in this process. What is executed is this very program, which then calls
 * delegate_main() when its name is DELEGATE_NAME, and does nothing else. */
#define DELEGATE_NAME "tempfiled-delegate"
void delegate_enable(void);

/* Does the job that comes over its socket, as the user that it names. The exit status. */
int delegate_main(void);

#endif
