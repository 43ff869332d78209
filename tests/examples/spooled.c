/* SPDX-License-Identifier: MIT */

/*
 * A file that stays in memory while it is small.
 *
 *     spooled LIMIT < DATA
 *
 * Says where the data ended up, and prints it.
 */

#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int spool(struct tempfile_spooled *s)
{
        char buf[4096];
        ssize_t n;
        int r = 0;

        while (r == 0 && (n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
                r = tempfile_spooled_write(s, buf, (size_t) n);
        return r;
}

int main(int argc, char **argv)
{
        TEMPFILE_AUTO_CLOSE_SPOOLED struct tempfile_spooled *s = NULL;
        char buf[4096];
        ssize_t n;
        int r;

        if (argc != 2)
                return 2;
        r = tempfile_spooled(NULL, strtoull(argv[1], NULL, 10), &s);
        if (r == 0)
                r = spool(s);
        if (r < 0) {
                fprintf(stderr, "No room: %s\n", strerror(-r));
                return 1;
        }
        puts(tempfile_spooled_check(s) ? "on disk" : "in memory");
        fflush(stdout);
        if (lseek(tempfile_spooled_fd(s), 0, SEEK_SET) != 0)
                return 1;
        while ((n = read(tempfile_spooled_fd(s), buf, sizeof(buf))) > 0)
                if (write(STDOUT_FILENO, buf, (size_t) n) != n)
                        return 1;
        return n < 0;
}
