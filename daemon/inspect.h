/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_INSPECT_H
#define TEMPFILED_INSPECT_H

/*
 * What workers find out before something is registered: which process asks, what directory that
 * is, what lies there under a name, which process a pidfd stands for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/cred.h"
#include "daemon/identity.h"
#include "daemon/owner.h"
#include "daemon/pool.h"

struct inspect_job {
        struct job job;

        /* Whose process: a pidfd (owned here), and its pid where known (0: the pidfd says). */
        bool wants_process;
        int pidfd;
        pid_t pid;
        bool is_other;          /* named by the client, which must be allowed to signal it */
        bool wants_cgroup;      /* and the cgroup of its unit */
        uint64_t wanted_cgroup; /* or the one of this inode, which becomes the unit; else 0 */
        struct process process; /* result */
        char *cgroup_path;      /* result */
        uint64_t cgroup;        /* result: inode of its directory */

        /* Which directory: the client's descriptor (owned here) and path. */
        bool wants_directory;
        bool is_unreadable; /* the client says so */
        int client_fd;
        char *path;
        struct identity identity; /* result */
        int fd;                   /* result: O_PATH, to be used from now on */
        bool is_foreign;          /* result: the path leads elsewhere in our view */

        /* Which object: a name in a directory, by its descriptor (borrowed). */
        bool wants_object;
        int dirfd;
        const char *dir_path; /* borrowed; used when dirfd is -1 */
        const struct identity *dir_identity;
        bool dir_is_foreign;
        int opened_fd; /* result: what was opened then */
        char *name;
        struct identity object; /* result */

        struct cred cred; /* the client's; caps are a result of wants_process */
        bool wants_caps;
        int error; /* result: the first that failed */
        void *userdata;
};

/* Its first step: which lane it belongs to. True: it has learnt that, and must go on there. */
bool inspect_learn_device(struct inspect_job *i);

/* The rest. The caller gives the job its run, which does both. */
void inspect_now(struct inspect_job *i);

struct inspect_job *inspect_new(const struct cred *cred);

/* Frees it; what it still owns that may hang is closed by the pool. */
void inspect_free(struct inspect_job *i, struct pool *pool);

#endif
