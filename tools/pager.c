/* SPDX-License-Identifier: MIT */

/*
 * Long output through a pager, as systemctl does it.
 *
 * Owns the pager's process: there is one at most. The subtle thing: less has commands that run a
 * shell. Who may run only this tool by way of sudo must not get one, so then nothing but less is
 * taken, and that in its secure mode.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tools/pager.h"

static pid_t pager_pid;

static bool has_borrowed_rights(void)
{
        return getenv("SUDO_UID") || getenv("PKEXEC_UID") || geteuid() != getuid();
}

/* NULL: none is wanted; "": none is named. */
static const char *command_of_environment(void)
{
        static const char *const names[] = { "SYSTEMD_PAGER", "PAGER" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *value = getenv(names[i]);

                if (!value)
                        continue;
                return *value == '\0' || streq(value, "cat") ? NULL : value;
        }
        return "";
}

static void set_environment(bool is_secure)
{
        const char *less = is_secure ? NULL : getenv("SYSTEMD_LESS");

        (void) setenv("LESS", less ? less : "FRSXMK", 1); /* else the pager looks a bit different */
        if (MB_CUR_MAX > 1)
                (void) setenv("LESSCHARSET", "utf-8", 1);
        if (is_secure)
                (void) setenv("LESSSECURE", "1", 1);
}

_Noreturn static void run_pager(const char *command, int fd, void (*sigpipe)(int))
{
        bool is_secure = has_borrowed_rights();
        char buf[4096];
        ssize_t n;

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void) signal(SIGPIPE, sigpipe);
        if (dup2(fd, STDIN_FILENO) < 0)
                _exit(1);
        set_environment(is_secure);
        if (*command && !is_secure)
                execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        execlp("less", "less", (char *) NULL);
        if (!is_secure)
                execlp("more", "more", (char *) NULL);
        while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) /* none is installed */
                if (write(STDOUT_FILENO, buf, (size_t) n) < 0)
                        break;
        _exit(0);
}

void pager_open(const struct ctl *c)
{
        const char *command = command_of_environment(), *term = getenv("TERM");
        int fds[2];

        if (c->has_no_pager || pager_pid != 0 || !command || !isatty(STDOUT_FILENO) || !term ||
            streq(term, "dumb"))
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        (void) fflush(stdout);
        pager_pid = fork();
        if (pager_pid == 0)
                run_pager(command, fds[0], c->old_sigpipe);
        if (pager_pid > 0 && dup2(fds[1], STDOUT_FILENO) < 0)
                pager_pid = 0;
        (void) close(fds[0]);
        (void) close(fds[1]);
}

void pager_close(void)
{
        if (pager_pid <= 0)
                return;
        (void) signal(SIGINT, SIG_IGN); /* the reader's key, meant for the pager */
        (void) fclose(stdout);
        while (waitpid(pager_pid, NULL, 0) < 0 && errno == EINTR)
                ;
        pager_pid = 0;
}
