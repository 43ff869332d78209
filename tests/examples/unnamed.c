/* SPDX-License-Identifier: MIT */

/*
 * A file that nobody else opens: without a name, it needs no daemon and no tidying up.
 *
 *     unnamed < DATA
 *
 * Prints DATA twice, which takes a place to remember it.
 */

#include <libtempfile.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int copy(int from, int to)
{
        char buf[65536];
        ssize_t n;

        while ((n = read(from, buf, sizeof(buf))) > 0)
                if (write(to, buf, (size_t) n) != n)
                        return 1;
        return n < 0;
}

int main(void)
{
        int fd = tempfile_unnamed(NULL);

        if (fd < 0) {
                fprintf(stderr, "No temporary file: %s\n", strerror(-fd));
                return 1;
        }
        if (copy(STDIN_FILENO, fd) != 0)
                return 1;
        for (int i = 0; i < 2; i++)
                if (lseek(fd, 0, SEEK_SET) != 0 || copy(fd, STDOUT_FILENO) != 0)
                        return 1;
        return close(fd);
}
