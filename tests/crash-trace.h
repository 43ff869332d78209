/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_TRACE_H
#define TEMPFILED_CRASH_TRACE_H

/*
 * A process under ptrace whose system-call stops are counted, thread by thread, and which is
 * killed at a chosen one. Entry and exit stops both count; the first thread is number 1, further
 * ones are numbered in the order of their creation.
 *
 * Only the victim's own threads are waited for, so that other children stay the caller's. SIGCHLD
 * must be blocked (trace_setup() does): it is read as an event.
 */

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACE_THREADS_MAX 64U

/* The marker: a prctl() that no kernel knows. It costs nothing outside of a trace. */
#define TRACE_MARK 0x7e3f11edUL

enum trace_start { /* where counting starts */
                   TRACE_AT_ONCE,
                   TRACE_AT_MARK,   /* after the victim's marker */
                   TRACE_AT_LOADED, /* at the first system call that is not the dynamic loader's */
};

enum trace_event {
        TRACE_REACHED, /* the point: the victim has been killed there, and reaped */
        TRACE_ENDED,   /* the victim ended before it; reaped */
        TRACE_WAKE,    /* the caller's descriptor is readable */
        TRACE_QUIET,   /* nothing happened for as long as the caller said */
};

struct trace_thread {
        pid_t tid;
        uint64_t stops;
        uint64_t nr; /* of the system call that it entered last */
        bool is_gone;
        bool is_started; /* its first stop, an artefact of tracing, has passed */
};

struct trace {
        pid_t pid;
        int signal_fd;
        enum trace_start start;
        bool is_counting;
        bool is_verbose;
        bool is_over;           /* the leader was reaped */
        int status;             /* then: as waitpid() gave it */
        unsigned int at_thread; /* the point: thread and stop from 1; 0: none, only count */
        uint64_t at_stop;
        char where[96]; /* once reached: "entry of openat" */
        struct trace_thread threads[TRACE_THREADS_MAX];
        unsigned int n_threads;
};

/* Once in the tracing process, before its children: blocks SIGCHLD. Returns its signalfd. */
int trace_setup(void);

/* May a process trace its child here? Containers and Yama can forbid it. Negative errno: no. */
int trace_probe(void);

/* Leaves @t without a victim. */
void trace_init(struct trace *t, int signal_fd, enum trace_start start, unsigned int at_thread,
                uint64_t at_stop);

/* Seizes a process that runs, with all of its threads, and lets it run on. Negative errno. */
int trace_seize(struct trace *t, pid_t pid);

/* Takes over a child that asked for it (PTRACE_TRACEME) and stops at its exec. Negative errno. */
int trace_adopt(struct trace *t, pid_t pid);

/* Lets the victim run until something happens. @wake_fd: -1 or a descriptor to poll for input. */
enum trace_event trace_run(struct trace *t, int wake_fd, int quiet_msec);

/* SIGKILL, and reaps every thread. Nothing when it is over already. */
void trace_kill(struct trace *t);

/* Called by the victim. */
void trace_mark(void);

#endif
