/* SPDX-License-Identifier: MIT */

/*
 * Three processes: the front, which the caller knows and waits for; the keeper; the command. They
 * share a process group, so what the terminal sends reaches the command by itself. The front passes
 * on what was sent to it alone, stops when the command has stopped, and ends when it has ended; the
 * keeper may go on, as the new parent of what the command has left running. A front that is killed
 * outright takes nobody along.
 *
 * The subtle thing: both block all signals and read them from descriptors, so that none is lost
 * between two looks; the command gets the old mask back.
 */

#include "tools/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tools/ctl.h"

/* Between front and keeper. */
enum what {
        WHAT_SIGNAL = 1, /* to the keeper: for the command */
        WHAT_STOPPED,    /* to the front */
        WHAT_ENDED,      /* to the front: the status to exit with */
};

struct message {
        enum what what;
        int value;
};

struct keeper {
        const struct supervise_hooks *hooks;
        void *userdata;
        int front; /* -1: it has gone */
        int signals;
        pid_t command; /* 0: it has ended */
        sigset_t old_mask;
        void (*old_sigchld)(int);
};

static void say(int fd, enum what what, int value)
{
        struct message m = { what, value };

        if (fd >= 0)
                (void) send(fd, &m, sizeof(m), MSG_NOSIGNAL); /* who has gone need not know */
}

static bool hear(int fd, struct message *ret)
{
        return recv(fd, ret, sizeof(*ret), MSG_DONTWAIT) == sizeof(*ret);
}

/* What a fault of this program raises stays deadly. */
static void block_signals(sigset_t *ret_old)
{
        static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
        sigset_t all;

        (void) sigfillset(&all);
        for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
                (void) sigdelset(&all, faults[i]);
        (void) sigprocmask(SIG_SETMASK, &all, ret_old);
}

static int open_signals(void)
{
        sigset_t mask;

        (void) sigprocmask(SIG_SETMASK, NULL, &mask);
        return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the keeper ---- */

static int status_of(int status)
{
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What the caller reads to its end must not stay open for this process's sake. */
static void leave_stdio(int first, int last)
{
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int i = first; fd >= 0 && i <= last; i++)
                (void) dup2(fd, i);
        (void) close_fd(fd);
}

/* In the command's process; tells by @fd that it could not be executed. It starts when the keeper
 * says so by @go, and not at all when that has gone. */
_Noreturn static void run_command(const struct keeper *k, int fd, int go)
{
        int status;
        char byte;

        if (k->hooks->has_family && read(go, &byte, 1) != 1)
                _exit(128 + SIGKILL);
        (void) signal(SIGCHLD, k->old_sigchld);
        (void) sigprocmask(SIG_SETMASK, &k->old_mask, NULL);
        status = k->hooks->execute(k->userdata);
        (void) !write(fd, &status, sizeof(status));
        _exit(status);
}

/* 0, or the status to exit with. */
static int start_command(struct keeper *k)
{
        _cleanup_(closep) int go = -1, hears = -1;
        int fds[2], gos[2], status = 0;

        if (pipe2(gos, O_CLOEXEC) < 0)
                return ctl_error("cannot start a process: %s", strerror(errno));
        hears = gos[0];
        go = gos[1];
        if (pipe2(fds, O_CLOEXEC) < 0)
                return ctl_error("cannot start a process: %s", strerror(errno));
        (void) fflush(NULL);
        k->command = fork();
        if (k->command == 0) {
                closep(&go);
                run_command(k, fds[1], hears);
        }
        if (k->command > 0 && k->hooks->has_family) {
                k->hooks->started(k->command, k->userdata);
                (void) !write(go, "", 1);
        }
        (void) close(fds[1]);
        if (k->command < 0)
                status = ctl_error("cannot start a process: %s", strerror(errno));
        else if (read(fds[0], &status, sizeof(status)) == sizeof(status))
                (void) waitpid(k->command, NULL, 0);
        (void) close(fds[0]);
        return status;
}

/* Is there something left to wait for? */
static bool take_children(struct keeper *k)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
                if (pid != k->command)
                        continue;
                if (WIFSTOPPED(status)) {
                        say(k->front, WHAT_STOPPED, 0);
                        continue;
                }
                k->command = 0;
                k->hooks->ended(status != 0, k->userdata);
                if (!k->hooks->has_family)
                        k->hooks->over(k->userdata);
                say(k->front, WHAT_ENDED, status_of(status));
                leave_stdio(STDERR_FILENO, STDERR_FILENO);
                if (!k->hooks->has_family)
                        return false;
        }
        return pid == 0;
}

static void take_message(struct keeper *k)
{
        struct message m;

        if (hear(k->front, &m)) {
                if (k->command > 0)
                        (void) kill(k->command, m.value);
                return;
        }
        k->front = close_fd(k->front);
}

static void wait_for_children(struct keeper *k)
{
        struct signalfd_siginfo info;

        while (take_children(k)) {
                struct pollfd fds[] = {
                        { .fd = k->signals, .events = POLLIN },
                        { .fd = k->front, .events = POLLIN },
                };

                (void) poll(fds, ARRAY_SIZE(fds), -1);
                while (read(k->signals, &info, sizeof(info)) > 0)
                        ; /* whatever it was: children are looked at */
                if (fds[1].revents)
                        take_message(k);
        }
        if (k->hooks->has_family)
                k->hooks->over(k->userdata);
}

_Noreturn static void keep(struct keeper *k)
{
        int status;

        if (k->hooks->has_family)
                (void) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        k->signals = open_signals();
        status = k->signals < 0 ? ctl_error("%s", strerror(errno)) : k->hooks->begin(k->userdata);
        if (status == 0) {
                status = start_command(k);
                if (status != 0)
                        k->hooks->over(k->userdata);
        }
        if (status != 0) {
                say(k->front, WHAT_ENDED, status);
                _exit(status);
        }
        leave_stdio(STDIN_FILENO, STDOUT_FILENO);
        wait_for_children(k);
        _exit(0);
}

/* ---- the front ---- */

/* The terminal has sent it to the command, too. */
static bool is_from_terminal(const struct signalfd_siginfo *info)
{
        return info->ssi_code == SI_KERNEL;
}

static void pass_on(int keeper, int signals)
{
        struct signalfd_siginfo info;

        while (read(signals, &info, sizeof(info)) == sizeof(info))
                if (info.ssi_signo != SIGCHLD && !is_from_terminal(&info))
                        say(keeper, WHAT_SIGNAL, (int) info.ssi_signo);
}

/* Until the command has ended. Continued, it finds SIGCONT among its signals, and passes it on. */
static int stand_in(int keeper, int signals)
{
        struct pollfd fds[] = {
                { .fd = keeper, .events = POLLIN },
                { .fd = signals, .events = POLLIN },
        };
        struct message m;

        for (;;) {
                (void) poll(fds, ARRAY_SIZE(fds), -1);
                if (fds[1].revents)
                        pass_on(keeper, signals);
                if (!fds[0].revents)
                        continue;
                if (!hear(keeper, &m))
                        return ctl_error("the process that waits for the command was killed");
                if (m.what == WHAT_ENDED)
                        return m.value;
                (void) raise(SIGSTOP);
        }
}

int supervise(const struct supervise_hooks *hooks, void *userdata)
{
        _cleanup_(closep) int keeper = -1, signals = -1;
        struct keeper k = { .hooks = hooks, .userdata = userdata };
        int fds[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return ctl_error("%s", strerror(errno));
        block_signals(&k.old_mask);
        k.old_sigchld = signal(SIGCHLD, SIG_DFL); /* ignored, nothing would be left to wait for */
        (void) fflush(NULL);
        pid = fork();
        keeper = fds[0];
        k.front = fds[1];
        if (pid == 0) {
                closep(&keeper);
                keep(&k);
        }
        closep(&k.front);
        signals = open_signals();
        if (pid < 0 || signals < 0)
                return ctl_error("cannot start a process: %s", strerror(errno));
        return stand_in(keeper, signals);
}
