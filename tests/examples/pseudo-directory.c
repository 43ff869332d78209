/* SPDX-License-Identifier: MIT */

/*
 * A directory that belongs to a descriptor: what lies in it goes when the last copy is closed. Here
 * a child has one, and outlives its parent.
 *
 *     pseudo-directory
 *
 * Prints the child's pid and the path. The child is there until it is killed.
 */

#include <fcntl.h>
#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int work_in(int dirfd)
{
        int fd;

        (void) close(STDOUT_FILENO);
        fd = openat(dirfd, "work", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return 1;
        for (;;)
                (void) pause(); /* the descriptor is closed with the process, however it ends */
}

int main(void)
{
        char *path;
        pid_t pid;
        int fd;

        fd = tempfile_pseudo_directory(NULL, &path);
        if (fd < 0) {
                fprintf(stderr, "No temporary directory: %s\n", strerror(-fd));
                return 1;
        }
        pid = fork();
        if (pid == 0)
                _exit(work_in(fd));
        printf("%ld %s\n", (long) pid, path);
        free(path);
        return pid < 0;
}
