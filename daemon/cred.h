/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRED_H
#define TEMPFILED_CRED_H

/*
 * A client's credentials: taken from its socket, stored with its entries, taken on by the worker
 * thread that acts for it. Only the calling thread changes.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cred {
        uint64_t id; /* the store's number; 0: not stored */
        uid_t uid;
        gid_t gid;
        uint32_t n_groups;
        bool has_caps; /* they were read */
        gid_t *groups;
        uint64_t caps; /* a uid-0 client's effective capabilities; else 0 */
};

/* Of the peer of a connected socket. caps is left 0: see cred_read_caps(). */
int cred_of_peer(int fd, struct cred *ret, pid_t *ret_pid);
void cred_done(struct cred *c);
int cred_copy(const struct cred *from, struct cred *to);
bool cred_equal(const struct cred *a, const struct cred *b);

/* A uid-0 process's effective capabilities, none if its user namespace is not the daemon's.
 * -ESRCH: no such process. Reads /proc: for workers. */
int cred_read_caps(pid_t pid, uint64_t *ret);
/* The same of those that its status showed before: a new user namespace shows a full mask, which counts
 * for nothing outside of it, and nobody gets back out of one. */
int cred_count_caps(pid_t pid, uint64_t seen, uint64_t *ret);

/* May this daemon act for that user at all? */
bool cred_can_serve(uid_t uid);

/* Is that the daemon's own user? */
bool cred_is_own(uid_t uid);

/*
 * The calling thread acts as @c from now on, NULL: as the daemon itself. Read back; on a negative
 * result the thread has no rights it should not have, and must not touch a path.
 */
int cred_enter(const struct cred *c);

/*
 * The process becomes @c, who is not root, for good: all its user and group ids, its groups, and
 * no capabilities. Read back; on a negative result it must do nothing. For a process with one
 * thread.
 */
int cred_become(const struct cred *c);

#endif
