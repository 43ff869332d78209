/* SPDX-License-Identifier: MIT */

/*
 * Going into the background with what was made before: the parent gives it to the one that is left
 * afterwards, and ends when that has been stored. Between fork and giving it is the parent's, and
 * goes with it if anything fails; so no crash leaves anything.
 *
 *     daemonize
 *
 * Prints the pid and the directory of the process in the background, which ends with SIGTERM.
 */

#include <errno.h>
#include <libtempfile.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Begins when the parent has given it the directory; without it there is nothing to do. */
static int serve(int go, const char *dir)
{
        char c;

        if (read(go, &c, 1) != 1 || setsid() < 0 || chdir(dir) < 0)
                return 1;
        for (;;)
                (void) pause(); /* its work; no handler has to tidy up at the end of it */
}

static int hand_over(struct tempfile *t, pid_t pid)
{
        int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

        return pidfd < 0 ? -errno : tempfile_give(t, pidfd);
}

int main(void)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        int r, ends[2];
        pid_t pid;

        r = tempfile_directory(NULL, &t);
        if (r < 0 || pipe(ends) < 0) {
                fprintf(stderr, "No directory: %s\n", strerror(r < 0 ? -r : errno));
                return 1;
        }
        pid = fork();
        if (pid < 0)
                return 1;
        if (pid == 0) {
                (void) close(ends[1]);
                (void) close(STDOUT_FILENO);
                _exit(serve(ends[0], tempfile_path(t)));
        }
        r = hand_over(t, pid);
        if (r < 0) {
                fprintf(stderr, "Can't hand over: %s\n", strerror(-r));
                return 1; /* closes the pipe, and with it ends the child */
        }
        printf("%ld %s\n", (long) pid, tempfile_path(t));
        return write(ends[1], "", 1) != 1;
}
