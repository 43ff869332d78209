/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_OWNER_H
#define TEMPFILED_OWNER_H

/*
 * Is that still the same process? A process is told by the epoch that its pid counts in, its pid
 * and its start time, and held by a pidfd.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-id128.h>

/* What a pid and a start time count in: a boot, a pid namespace (and a clock that is not the
 * machine's), and the start of its pid 1 (a restarted container has the same boot id). */
struct epoch {
        sd_id128_t boot;
        uint64_t pid_ns; /* inode, mixed with how the time namespace's clock differs */
        uint64_t init_start;
};

/* What is written down about a process while it can still be asked. */
struct process {
        pid_t pid;
        uint64_t start; /* clock ticks since boot */
        uid_t uid, saved_uid;
        uint64_t caps;                                 /* effective, by its own user namespace */
        char *command, *executable, *arguments, *unit; /* bounded; NULL where not readable */
        int unit_error; /* why it can't be told whether it is in a unit; 0: it is, or is in none */
};

enum owner_verdict {
        OWNER_ALIVE = 1,
        OWNER_DEAD = 2,
        OWNER_UNKNOWN = 3, /* another pid namespace: its pid means nothing here; or it can't be
                            * asked about now */
};

/* -EINVAL: $TEMPFILED_BOOT_ID is no boot id. */
int epoch_now(struct epoch *ret);
bool epoch_has_same_init(const struct epoch *a, const struct epoch *b);

/* Reads /proc, which can block on another process's memory lock: for workers (start time alone
 * is safe). The caller holds a pidfd and looks at it again afterwards. */
int process_read(pid_t pid, struct process *ret);
void process_done(struct process *p);

/* Where cgroups of version 2 are mounted; NULL: nowhere. */
const char *cgroup_root(void);

/* The directory of the cgroup that the process's unit (NULL or "": the process itself) is in, and
 * its inode. -EOPNOTSUPP: no cgroup, or only the root's. */
int process_read_cgroup(pid_t pid, const char *unit, char **ret_path, uint64_t *ret_inode);
/* The directory, of that inode, of a cgroup that the process is in or below. -ESRCH: of none. */
int process_find_cgroup(pid_t pid, uint64_t inode, char **ret_path);

int process_read_start(pid_t pid, uint64_t *ret);

/* Has the process behind a pidfd ended? */
bool pidfd_is_dead(int pidfd);

/* The pid that a pidfd stands for in this pid namespace: -ESRCH it has been reaped; -EBADF not a
 * pidfd; -EREMOTE another pid namespace. */
int pidfd_get_pid(int pidfd, pid_t *ret);

/* The peer of a connection. Its pidfd is exact where the kernel gives it (SO_PEERPIDFD) and
 * *ret_is_exact says so; else it is opened by number, and holds only once the peer has proved
 * to be alive after that, by echoing a nonce. */
int pidfd_of_peer(int fd, pid_t pid, int *ret, bool *ret_is_exact);

/* Finds a stored process again. *ret_pidfd only when alive. */
enum owner_verdict owner_find(const struct epoch *now, const struct epoch *stored, pid_t pid,
                              uint64_t start, int *ret_pidfd);

#endif
