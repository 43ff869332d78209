/* SPDX-License-Identifier: MIT */

/*
 * A directory with files in it: one for each line of the input. All of it goes with the directory.
 *
 *     directory COMMAND < LINES
 *
 * Runs COMMAND in the directory.
 */

#include <fcntl.h>
#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_lines(int dirfd)
{
        char line[1024], name[32];
        int fd;

        for (unsigned int i = 1; fgets(line, sizeof(line), stdin); i++) {
                snprintf(name, sizeof(name), "line-%03u", i);
                fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0 || write(fd, line, strlen(line)) < 0 || close(fd) < 0)
                        return -1;
        }
        return 0;
}

int main(int argc, char **argv)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        int r;

        if (argc != 2)
                return 2;
        r = tempfile_directory(NULL, &t);
        if (r < 0) {
                fprintf(stderr, "No temporary directory: %s\n", strerror(-r));
                return 1;
        }
        if (write_lines(tempfile_fd(t)) < 0 || chdir(tempfile_path(t)) < 0)
                return 1;
        return system(argv[1]) != 0;
}
