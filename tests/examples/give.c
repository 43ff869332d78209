/* SPDX-License-Identifier: MIT */

/*
 * Giving away: makes a file and makes it another process's, which need not know of this library.
 *
 *     give PID < DATA
 *
 * Prints the path, which stays until that process ends.
 */

#include <errno.h>
#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fill(int fd)
{
        char buf[4096];
        ssize_t n;

        while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
                if (write(fd, buf, (size_t) n) != n)
                        return -EIO;
        return n < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL; /* deletes it unless it was given */
        int r, pidfd;

        if (argc != 2)
                return 2;
        pidfd = (int) syscall(SYS_pidfd_open, atoi(argv[1]), 0);
        r = pidfd < 0 ? -errno : tempfile_named(NULL, &t);
        if (r == 0)
                r = fill(tempfile_fd(t));
        if (r == 0)
                r = tempfile_give(t, pidfd);
        if (r < 0) {
                fprintf(stderr, "Can't give to process %s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        puts(tempfile_path(t));
        return 0;
}
