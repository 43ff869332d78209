/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_TRACE_H
#define TEMPFILED_CRASH_TRACE_H

/*
 * A process under ptrace whose system-call stops are counted, thread by thread, and which is
 * killed at a chosen one, or whose call fails there. Entry and exit stops both count; the first
 * thread is number 1, further ones are numbered in the order of their creation.
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
#define TRACE_MARK_END 0x7e3f11eeUL /* from here on no call is made to fail */

enum trace_start { /* where counting starts */
                   TRACE_AT_ONCE,
                   TRACE_AT_MARK,   /* after the victim's marker */
                   TRACE_AT_LOADED, /* at the first system call that is not the dynamic loader's */
};

enum trace_event {
        TRACE_REACHED, /* the point: the victim has been killed there, and reaped; or its call has
                        * failed there, and it runs on untraced */
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
        bool is_stopped; /* at the point */
        bool is_due;     /* its next call that can fail is to do so */
        bool is_failing; /* the call that it is in */
};

/* A system call is entered: the thread's number, the stop's, and the errors that fit. */
typedef void (*trace_note_fn)(unsigned int thread, uint64_t stop, unsigned int mask,
                              void *userdata);

/* What a call fails with, instead of the kill. */
struct trace_fault {
        int error;          /* 0: none */
        unsigned int bit;   /* of crash_fault_mask(): calls that it does not fit are left alone */
        bool is_deaf;       /* the victim blocks its signals */
        bool is_lasting;    /* all that it fits from the point on, not only the one */
        trace_note_fn note; /* or: only tell which there are */
        void *userdata;
};

struct trace {
        pid_t pid;
        int signal_fd;
        enum trace_start start;
        bool is_counting;
        bool is_ended; /* the victim has said that what counts is over */
        bool is_verbose;
        bool is_over;           /* the leader was reaped */
        int status;             /* then: as waitpid() gave it */
        unsigned int at_thread; /* the point: thread and stop from 1; 0: none, only count */
        uint64_t at_stop;
        struct trace_fault fault;
        unsigned int n_failed; /* calls */
        bool has_execed;       /* it is the program that is meant */
        char where[96];        /* once reached: "entry of openat" */
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

/* Seizes a child that waits at a gate before its exec; counts from there. Negative errno. */
int trace_seize_early(struct trace *t, pid_t pid);

/* Lets the victim run until something happens. @wake_fd: -1 or a descriptor to poll for input. */
enum trace_event trace_run(struct trace *t, int wake_fd, int quiet_msec);

/* SIGKILL, and reaps every thread. Nothing when it is over already. */
void trace_kill(struct trace *t);

/* Lets go of it: it runs on, and is the caller's to wait for. Nothing when it is over already. */
void trace_release(struct trace *t);

/* Called by the victim: @mark is one of those above. */
void trace_mark(unsigned long mark);

#endif
