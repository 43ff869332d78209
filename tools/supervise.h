/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SUPERVISE_H
#define TEMPFILED_SUPERVISE_H

/*
 * Runs a command and does something when it has ended, without the command or its caller noticing:
 * signals, job control and the exit status go through.
 */

#include <stdbool.h>
#include <sys/types.h>

/* Called in the keeper, a process that outlives the command; all but @execute. */
struct supervise_hooks {
        int (*begin)(void *userdata); /* 0; else the exit status, and nothing is run */
        void (*started)(pid_t pid, void *userdata); /* the command's process; it waits meanwhile */
        /* In the command's process. Returns, with an exit status, only when it failed. */
        int (*execute)(void *userdata);
        void (*ended)(bool has_failed, void *userdata); /* the command */
        void (*over)(void *userdata);                   /* all that is waited for */
        bool has_family; /* @started is called, and it is not over before all that the command has started has ended */
};

/* Returns, when the command has ended, the status to exit with: 128 + n when it was signal n. */
int supervise(const struct supervise_hooks *hooks, void *userdata);

#endif
