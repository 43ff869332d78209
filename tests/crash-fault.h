/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_FAULT_H
#define TEMPFILED_CRASH_FAULT_H

/*
 * System calls that fail: which errors make sense for which call, how one is made to fail under
 * ptrace, and which errors of the library's calls are documented.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The errors that are injected, as bits; the last means: EIO from there on, wherever it fits. */
enum crash_error {
        CRASH_ENOSPC,
        CRASH_EIO,
        CRASH_ENOMEM,
        CRASH_EMFILE,
        CRASH_EINTR,
        CRASH_EIO_ON,
        CRASH_ERRORS,
};

const char *crash_error_name(enum crash_error e);
enum crash_error crash_error_find(const char *name); /* CRASH_ERRORS: none has this name */

/* As errno spells it. */
int crash_error_number(enum crash_error e);

/* Which of them that call of that thread may fail with: bits of 1U << enum crash_error. Where all
 * signals are blocked (@is_deaf) only what a stop and a continuation interrupt is interrupted. */
unsigned int crash_fault_mask(pid_t tid, uint64_t nr, const uint64_t args[6], bool is_deaf);

/* Can calls be made to fail on this machine's architecture? */
bool crash_fault_is_possible(void);

/* At a system call's entry: it is not executed. (close(2) is: the descriptor goes in any case.) */
int crash_fault_skip(pid_t tid, uint64_t nr);

/* At its exit: this is what it returns. */
int crash_fault_return(pid_t tid, int error);

/* May @call, a function of libtempfile.h, fail with @r while calls fail with @error, here or in the
 * daemon? */
bool crash_fault_is_documented(const char *call, int r, int error);

#endif
