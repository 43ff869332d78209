/* SPDX-License-Identifier: MIT */

/*
 * Going into the background: the one that is left afterwards makes the temporaries. What its parent
 * had made would go with the parent.
 *
 *     daemonize
 *
 * Prints the pid and the directory of the process in the background, which ends with SIGTERM.
 */

#include <errno.h>
#include <libtempfile.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int serve(int ready)
{
        struct tempfile *scratch;
        int r;

        (void) setsid();
        r = tempfile_directory(NULL, &scratch);
        if (r < 0)
                return r;
        (void) dprintf(ready, "%ld %s\n", (long) getpid(), tempfile_path(scratch));
        (void) close(ready);
        for (;;)
                (void) pause(); /* its work; no handler has to tidy up at the end of it */
}

int main(void)
{
        char line[4096];
        int ends[2];
        ssize_t n;
        pid_t pid;

        if (pipe(ends) < 0)
                return 1;
        pid = fork();
        if (pid < 0)
                return 1;
        if (pid == 0) {
                (void) close(ends[0]);
                (void) close(STDOUT_FILENO);
                return serve(ends[1]) < 0;
        }

        (void) close(ends[1]);
        n = read(ends[0], line, sizeof(line)); /* nothing: it failed */
        return n > 0 && write(STDOUT_FILENO, line, (size_t) n) == n ? 0 : 1;
}
