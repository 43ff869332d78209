/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DELEGATE_INTERNAL_H
#define TEMPFILED_DELEGATE_INTERNAL_H

/* What who asks and who does it agree on: delegate.c and delegate-main.c. */

#define DELEGATE_FD 3 /* the socket, in the delegate */

enum task {
        TASK_DELETE = 1,
        TASK_SWEEP = 2,
        TASK_FLUSH = 3,
        TASK_INSPECT = 4,
};

#endif
