/* SPDX-License-Identifier: MIT */

/*
 * Counting system-call stops and killing at one; see the header.
 *
 * Each thread is waited for by its own number: waitpid(-1) would take the exit of children that
 * are not traced. The price is one call a thread and stop, and a new thread is only known from
 * its creator's clone event; its own first stop is then already waiting to be collected.
 *
 * The subtle thing is SIGKILL of a process with several traced threads: its leader is reported
 * only after every other thread has been collected, so reaping goes round all of them.
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-fault.h"
#include "tests/crash-syscalls.h"
#include "tests/crash-trace.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)
#define BUSY_MAX 100U /* looks at a victim that is busy and makes no system call: it hangs */
#define OPTIONS                                                                                    \
        (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

/* glibc's <sys/ptrace.h> gives it this name, and clashes with <linux/ptrace.h>. */
#define syscall_info __ptrace_syscall_info

int trace_setup(void)
{
        sigset_t set;
        int fd;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

int trace_probe(void)
{
        pid_t pid;
        int r;

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                for (;;)
                        (void) pause();
        r = ptrace(PTRACE_SEIZE, pid, NULL, (void *) (uintptr_t) OPTIONS) < 0 ? -errno : 0;
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, __WALL);
        return r;
}

void trace_mark(unsigned long mark)
{
        (void) prctl((int) mark, 0UL, 0UL, 0UL, 0UL); /* -EINVAL, by intent */
}

void trace_init(struct trace *t, int signal_fd, enum trace_start start, unsigned int at_thread,
                uint64_t at_stop)
{
        *t = (struct trace) {
                .signal_fd = signal_fd,
                .start = start,
                .is_counting = start == TRACE_AT_ONCE,
                .at_thread = at_thread,
                .at_stop = at_stop,
                .is_over = true,
                .has_execed = true,
        };
}

static struct trace_thread *thread_add(struct trace *t, pid_t tid)
{
        struct trace_thread *thread;

        for (unsigned int i = 0; i < t->n_threads; i++)
                if (t->threads[i].tid == tid)
                        return &t->threads[i];
        if (t->n_threads == TRACE_THREADS_MAX)
                return NULL;
        thread = &t->threads[t->n_threads++];
        *thread = (struct trace_thread) { .tid = tid };
        return thread;
}

static int compare_tid(const void *a, const void *b)
{
        pid_t x = *(const pid_t *) a, y = *(const pid_t *) b;

        return (x > y) - (x < y);
}

/* The threads that a process has now, in the order of their numbers (that is: of creation). */
static int threads_of(pid_t pid, pid_t *tids, unsigned int max)
{
        char path[64];
        struct dirent *de;
        unsigned int n = 0;
        DIR *dir;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", pid);
        dir = opendir(path);
        if (!dir)
                return -errno;
        while (n < max && (de = readdir(dir)))
                if (de->d_name[0] != '.')
                        tids[n++] = (pid_t) atoi(de->d_name);
        (void) closedir(dir);
        qsort(tids, n, sizeof(*tids), compare_tid);
        return (int) n;
}

/* Stops a seized thread once, so that its next system call is sure to be seen. */
static int thread_interrupt(pid_t tid)
{
        int status;

        if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
                return -errno;
        if (waitpid(tid, &status, __WALL) < 0)
                return -errno;
        if (!WIFSTOPPED(status))
                return -ESRCH;
        return 0;
}

int trace_seize(struct trace *t, pid_t pid)
{
        pid_t tids[TRACE_THREADS_MAX];
        int n, r;

        t->pid = pid;
        t->is_over = false;
        n = threads_of(pid, tids, ARRAY_SIZE(tids));
        if (n < 0)
                return n;

        for (int i = 0; i < n; i++) {
                if (ptrace(PTRACE_SEIZE, tids[i], NULL, (void *) (uintptr_t) OPTIONS) < 0)
                        return -errno;
                r = thread_interrupt(tids[i]);
                if (r < 0)
                        return r;
                thread_add(t, tids[i])->is_started = true;
        }
        for (int i = 0; i < n; i++)
                if (ptrace(PTRACE_SYSCALL, tids[i], NULL, NULL) < 0)
                        return -errno;
        return 0;
}

int trace_seize_early(struct trace *t, pid_t pid)
{
        t->has_execed = false;
        return trace_seize(t, pid);
}

/* Does the address lie in the dynamic loader's code? */
static bool is_loader(pid_t pid, uint64_t address)
{
        char line[512], path[64];
        bool found = false;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/maps", pid);
        f = fopen(path, "re");
        if (!f)
                return false;
        while (!found && fgets(line, sizeof(line), f)) {
                uint64_t from, to;

                if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2)
                        found = from <= address && address < to && strstr(line, "/ld");
        }
        (void) fclose(f);
        return found;
}

/* Has the victim come to where counting starts? This stop does not count yet. */
static bool is_start(const struct trace *t, pid_t tid, const struct syscall_info *info)
{
        if (info->op != PTRACE_SYSCALL_INFO_ENTRY)
                return false;
        switch (t->start) {
        case TRACE_AT_MARK:
                return info->entry.nr == SYS_prctl && info->entry.args[0] == TRACE_MARK;
        case TRACE_AT_LOADED:
                return t->has_execed && !is_loader(tid, info->instruction_pointer);
        default:
                return true;
        }
}

/* What the thread is stopped at, for people. */
static void describe(struct trace *t, const struct trace_thread *thread,
                     const struct syscall_info *info)
{
        bool is_entry = info->op == PTRACE_SYSCALL_INFO_ENTRY;
        const char *name = crash_syscall_name(thread->nr);
        char number[32];

        if (!name) {
                (void) snprintf(number, sizeof(number), "system call %" PRIu64, thread->nr);
                name = number;
        }
        if (is_entry)
                (void) snprintf(t->where, sizeof(t->where), "entry of %s", name);
        else
                (void) snprintf(t->where, sizeof(t->where), "exit of %s, result %" PRId64, name,
                                (int64_t) info->exit.rval);
}

/* A call is entered that is to fail, if it can with that; else the thread's next that can. */
static void begin_to_fail(struct trace *t, struct trace_thread *thread,
                          const struct syscall_info *info, unsigned int mask)
{
        if (!(mask & t->fault.bit) || crash_fault_skip(thread->tid, thread->nr) < 0)
                return;
        describe(t, thread, info);
        thread->is_failing = true;
        thread->is_due = t->fault.is_lasting;
        t->n_failed++;
}

/* An entry. Only where calls are to fail there is more to do than to count. */
static void look_at_entry(struct trace *t, struct trace_thread *thread,
                          const struct syscall_info *info, unsigned int number)
{
        const struct trace_fault *f = &t->fault;
        uint64_t args[6];
        unsigned int mask;

        if (!f->note && !thread->is_due)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(args); i++)
                args[i] = info->entry.args[i];
        mask = crash_fault_mask(thread->tid, thread->nr, args, f->is_deaf);
        if (f->note)
                f->note(number, thread->stops, mask, f->userdata);
        else
                begin_to_fail(t, thread, info, mask);
}

/* Ends the failing call. True: that was all. */
static bool fail(struct trace *t, struct trace_thread *thread)
{
        if (!thread->is_failing)
                return false;
        thread->is_failing = false;
        (void) crash_fault_return(thread->tid, t->fault.error);
        return !t->fault.is_lasting;
}

static bool is_end(const struct syscall_info *info)
{
        return info->op == PTRACE_SYSCALL_INFO_ENTRY && info->entry.nr == SYS_prctl &&
               info->entry.args[0] == TRACE_MARK_END;
}

/* Counts a system-call stop. True: the victim is to stop here. */
static bool count_stop(struct trace *t, struct trace_thread *thread)
{
        unsigned int number = (unsigned int) (thread - t->threads) + 1;
        bool is_fault = t->fault.error != 0 || t->fault.note;
        struct syscall_info info = { 0 };
        bool is_point;

        (void) ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, (void *) sizeof(info), &info);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
                thread->nr = info.entry.nr;
        if (!t->is_counting) {
                t->is_counting = !t->is_ended && is_start(t, thread->tid, &info);
                return false;
        }
        if (is_fault && is_end(&info)) {
                t->is_counting = false;
                t->is_ended = true;
                return false;
        }

        thread->stops++;
        is_point = number == t->at_thread && thread->stops == t->at_stop;
        if ((is_point && !is_fault) || t->is_verbose)
                describe(t, thread, &info);
        if (t->is_verbose)
                printf("#   thread %u, stop %" PRIu64 ": %s\n", number, thread->stops, t->where);
        if (!is_fault)
                return is_point;
        thread->is_due |= is_point;
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
                return fail(t, thread);
        look_at_entry(t, thread, &info, number);
        return false;
}

/* What a stop asks for. Returns true at the point; else the thread runs on. */
static bool handle_stop(struct trace *t, struct trace_thread *thread, int status)
{
        int sig = WSTOPSIG(status), event = status >> 16;
        unsigned long tid;

        if (sig == SYSCALL_STOP) {
                if (count_stop(t, thread))
                        return thread->is_stopped = true;
                sig = 0;
        } else if (event == PTRACE_EVENT_CLONE) {
                if (ptrace(PTRACE_GETEVENTMSG, thread->tid, NULL, &tid) == 0)
                        (void) thread_add(t, (pid_t) tid);
                sig = 0;
        } else if (event == PTRACE_EVENT_EXEC) {
                t->has_execed = true;
                sig = 0;
        } else if (event != 0 || !thread->is_started) {
                sig = 0; /* the first stop of a new thread: no signal of the victim's */
        }
        thread->is_started = true;

        /* fails only when the thread was killed meanwhile, which is collected next */
        (void) ptrace(PTRACE_SYSCALL, thread->tid, NULL, (void *) (uintptr_t) sig);
        return false;
}

/* Collects what one thread has to report. 1: something; 0: nothing. */
static int thread_collect(struct trace *t, struct trace_thread *thread, bool *is_point)
{
        int status;

        if (thread->is_gone || waitpid(thread->tid, &status, __WALL | WNOHANG) <= 0)
                return 0;
        if (WIFSTOPPED(status)) {
                *is_point = handle_stop(t, thread, status);
                return 1;
        }
        thread->is_gone = true;
        if (thread->tid == t->pid) {
                t->is_over = true;
                t->status = status;
        }
        return 1;
}

/* Goes round all threads until none has anything to report, or the point or the end is reached. */
static bool collect(struct trace *t)
{
        bool is_point = false;
        int found;

        do {
                found = 0;
                for (unsigned int i = 0; i < t->n_threads && !is_point && !t->is_over; i++)
                        found += thread_collect(t, &t->threads[i], &is_point);
        } while (found > 0 && !is_point && !t->is_over);
        return is_point;
}

static void signal_drain(const struct trace *t)
{
        struct signalfd_siginfo si;

        while (read(t->signal_fd, &si, sizeof(si)) > 0)
                ;
}

/* Does the thread sleep? One that only waits for a processor, or for the disk, is not done. */
static bool is_asleep(const struct trace *t, pid_t tid)
{
        char path[64], line[512];
        const char *state;
        bool ok = false;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", t->pid, tid);
        f = fopen(path, "re");
        if (!f)
                return true;
        if (fgets(line, sizeof(line), f) && (state = strrchr(line, ')')))
                ok = state[2] == 'S' || state[2] == 'Z';
        (void) fclose(f);
        return ok;
}

static bool is_idle(const struct trace *t)
{
        for (unsigned int i = 0; i < t->n_threads; i++)
                if (!t->threads[i].is_gone && !is_asleep(t, t->threads[i].tid))
                        return false;
        return true;
}

enum trace_event trace_run(struct trace *t, int wake_fd, int quiet_msec)
{
        struct pollfd p[2] = {
                { .fd = t->signal_fd, .events = POLLIN },
                { .fd = wake_fd, .events = POLLIN },
        };
        unsigned int n_busy = 0;

        for (;;) {
                int r;

                signal_drain(t); /* before collecting: what comes later signals anew */
                if (collect(t)) {
                        if (t->fault.error != 0)
                                trace_release(t);
                        else
                                trace_kill(t);
                        return TRACE_REACHED;
                }
                if (t->is_over)
                        return TRACE_ENDED;

                r = poll(p, ARRAY_SIZE(p), quiet_msec);
                if (r == 0 && (is_idle(t) || ++n_busy == BUSY_MAX))
                        return TRACE_QUIET;
                if (r > 0 && p[1].revents && !p[0].revents)
                        return TRACE_WAKE;
        }
}

/* A thread that was born while its creator died is ours to collect, and nobody told. */
static void add_unannounced(struct trace *t)
{
        pid_t tids[TRACE_THREADS_MAX];
        int n;

        n = threads_of(t->pid, tids, ARRAY_SIZE(tids));
        for (int i = 0; i < n; i++)
                (void) thread_add(t, tids[i]);
}

void trace_kill(struct trace *t)
{
        if (t->is_over)
                return;

        (void) kill(t->pid, SIGKILL);
        t->at_thread = 0; /* a stop that was already reported is no point any more */
        while (!t->is_over) {
                struct pollfd p = { .fd = t->signal_fd, .events = POLLIN };

                signal_drain(t);
                add_unannounced(t);
                (void) collect(t);
                if (!t->is_over)
                        (void) poll(&p, 1, 100);
        }
}

/* A thread born meanwhile is told of by its creator's stop. */
static void note_birth(struct trace *t, pid_t tid, int status)
{
        unsigned long born;

        if (status >> 16 == PTRACE_EVENT_CLONE && ptrace(PTRACE_GETEVENTMSG, tid, NULL, &born) == 0)
                (void) thread_add(t, (pid_t) born);
}

/* The signal that it was stopped for, which it is to get after all; 0: none. */
static int signal_of_stop(int status)
{
        return status >> 16 != 0 || WSTOPSIG(status) == SYSCALL_STOP ? 0 : WSTOPSIG(status);
}

void trace_release(struct trace *t)
{
        int status, sig;

        if (t->is_over)
                return;
        for (unsigned int i = 0; i < t->n_threads; i++) { /* grows on the way */
                struct trace_thread *thread = &t->threads[i];

                sig = 0;
                if (thread->is_gone)
                        continue;
                if (!thread->is_stopped) {
                        (void) ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
                        if (waitpid(thread->tid, &status, __WALL) < 0 || !WIFSTOPPED(status)) {
                                thread->is_gone = true;
                                continue;
                        }
                        note_birth(t, thread->tid, status);
                        if (thread->is_started)
                                sig = signal_of_stop(status);
                }
                (void) ptrace(PTRACE_DETACH, thread->tid, NULL, (void *) (uintptr_t) sig);
        }
        t->is_over = true;
}
