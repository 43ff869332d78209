/* SPDX-License-Identifier: MIT */

/*
 * A file that belongs to a descriptor: this program hands the descriptor on to another and is no
 * more; the file stays until that one has closed it.
 *
 *     pseudo-file COMMAND...
 *
 * The command inherits the descriptor, whose number is $PSEUDO_FD; the path is $PSEUDO_PATH.
 */

#include <fcntl.h>
#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        char number[16], *path;
        int fd;

        if (argc < 2)
                return 2;
        fd = tempfile_pseudo_file(NULL, &path);
        if (fd < 0) {
                fprintf(stderr, "No temporary file: %s\n", strerror(-fd));
                return 1;
        }
        snprintf(number, sizeof(number), "%d", fd);
        if (setenv("PSEUDO_FD", number, 1) < 0 || setenv("PSEUDO_PATH", path, 1) < 0 ||
            fcntl(fd, F_SETFD, 0) < 0)
                return 1;
        execvp(argv[1], argv + 1);
        return 127;
}
