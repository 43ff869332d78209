/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROCESS_H
#define TEMPFILED_PROCESS_H

/*
 * What /proc tells about one process, as far as it says who is a forked copy of whom.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_LAYOUT_FIELDS 8

struct process {
        pid_t pid;
        pid_t parent; /* 0: outside this pid namespace, or none */
        pid_t session;
        uint64_t start; /* clock ticks after boot: with the pid it names one process */
        char name[32];  /* file name of what was executed, at most 15 bytes */
        uint64_t layout[PROCESS_LAYOUT_FIELDS]; /* addresses in its memory; all 0: not readable */
};

/* Reads one line of /proc/PID/stat. 0, or -EBADMSG. */
int process_parse(const char *line, struct process *ret);

/* Reads /proc/@pid/stat. 0; -ESRCH: no such process; -ENOENT: /proc does not show ours; others. */
int process_read(pid_t pid, struct process *ret);

/* Is it the same process, however much later it was looked at? */
bool process_is_same(const struct process *a, const struct process *b);

/*
 * Does @child look like a copy that @parent forked, without an exec since? Same executable, same
 * command line, same places in memory of stack, heap, arguments and environment: these are drawn
 * at random at each exec. Where memory may not be looked at: same command line and name.
 */
bool process_is_copy(const struct process *child, const struct process *parent);

/* Is it a shell, by the file that it runs? */
bool process_is_shell(const struct process *p);

/* Is it a shell that runs one plain command with -c, and so nothing after that? */
bool process_is_single_command(const struct process *p);

#endif
