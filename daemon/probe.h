/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROBE_H
#define TEMPFILED_PROBE_H

/*
 * What workers do for descriptor owners: open the object that a client holds locked, have its
 * closing watched, and look whether the lock is still held. The last copy of the client's open
 * file description going is what drops the lock.
 */

#include <stdbool.h>

#include "daemon/reaper.h"

struct probe_job {
        struct job job;
        /* To begin with: the client's locked descriptor (owned), or -1: find the object by name. */
        bool begins;
        int client_fd;
        struct reap_place place;
        char *name; /* owned */
        int inotify_fd;
        /* Each time. */
        int fd;       /* of the object; a result of beginning, else borrowed */
        int wd;       /* result of beginning */
        uint64_t ino; /* the object's: a result of beginning with the client's descriptor; else
                       * what it must be: under its name may be another by now */
        bool is_free; /* result: nobody holds the lock any more */
        int error;    /* result: -ENOENT the object is not there; -ENOLCK the client's descriptor
                       * holds no lock; -ESTALE it is another object; -EBADF it can't be locked */
        void *userdata;
};

int probe_run(struct job *j);

#endif
