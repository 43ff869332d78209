/* SPDX-License-Identifier: MIT */

/*
 * Writes a file so that nobody ever sees half of it: made beside its target, moved into place when
 * it is complete, gone if anything goes wrong in between, a kill included.
 *
 *     report TARGET < DATA
 */

#include <errno.h>
#include <libgen.h>
#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int copy(int from, int to)
{
        char buf[65536];
        ssize_t n;

        while ((n = read(from, buf, sizeof(buf))) > 0)
                if (write(to, buf, (size_t) n) != n)
                        return errno ? -errno : -EIO;
        return n < 0 ? -errno : 0;
}

static int write_report(const char *target, char *copy_of_target)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int r;

        o.dir = dirname(copy_of_target); /* the same file system, or it could not be moved */
        o.mode = 0644;
        r = tempfile_named(&o, &t);
        if (r < 0)
                return r;
        r = copy(STDIN_FILENO, tempfile_fd(t));
        if (r == 0)
                r = tempfile_persist(t, target, TEMPFILE_FSYNC);
        (void) tempfile_close(t); /* deletes what was not moved */
        return r;
}

int main(int argc, char **argv)
{
        char *copy_of_target;
        int r;

        if (argc != 2)
                return 2;
        copy_of_target = strdup(argv[1]);
        r = copy_of_target ? write_report(argv[1], copy_of_target) : -ENOMEM;
        free(copy_of_target);
        if (r < 0)
                fprintf(stderr, "Cannot write %s: %s\n", argv[1], strerror(-r));
        return r < 0;
}
