/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SYNC_H
#define TEMPFILED_SYNC_H

/*
 * The thread that waits for the disk, so that the loop never does: writes the log of the store
 * through to it, and runs checkpoints.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

struct sync;

struct sync_callbacks {
        /* In the thread. Step 1 may run beside the loop's commits; step 2 not. */
        int (*checkpoint)(unsigned int step, void *userdata);
        /* In the loop: synced up to @number; or, with @error, nothing more can be promised. */
        void (*synced)(uint64_t number, int error, void *userdata);
        /* In the loop: a step has ended. */
        void (*checkpointed)(unsigned int step, int result, void *userdata);
        void *userdata;
};

/* @fd: borrowed, what is to be synced. */
int sync_new(sd_event *event, int fd, const struct sync_callbacks *callbacks, struct sync **ret);

/* Waits for the call in progress, drops what was asked for beyond it. */
void sync_free(struct sync *s);

/* Writes through all that was written up to now; reports @number (growing from call to call). */
void sync_request(struct sync *s, uint64_t number);

void sync_checkpoint(struct sync *s, unsigned int step);

#endif
