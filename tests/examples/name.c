/* SPDX-License-Identifier: MIT */

/*
 * A name under the temporary directory at which nothing is yet, for something that this library
 * does not make: here a FIFO, by mkfifo(1). The name is registered before anything is there.
 *
 *     name
 */

#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int main(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        struct stat st;
        int r;

        o.suffix = ".fifo";
        r = tempfile_mktemp(&o, TEMPFILE_KIND_OTHER, &t);
        if (r < 0) {
                fprintf(stderr, "No name: %s\n", strerror(-r));
                return 1;
        }
        if (setenv("FIFO", tempfile_path(t), 1) < 0 || system("mkfifo \"$FIFO\"") != 0)
                return 1;
        if (lstat(tempfile_path(t), &st) < 0 || !S_ISFIFO(st.st_mode))
                return 1;
        puts(tempfile_path(t));
        return 0;
}
