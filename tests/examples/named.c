/* SPDX-License-Identifier: MIT */

/*
 * A file with a name, for another program to work on.
 *
 *     named COMMAND
 *
 * Writes a list into the file, runs COMMAND with the file's path as $LIST, and prints what the file
 * has become.
 */

#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST "pear\napple\n"

int main(int argc, char **argv)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        char buf[1024];
        FILE *f;
        int r;

        if (argc != 2)
                return 2;
        r = tempfile_named(NULL, &t);
        if (r < 0) {
                fprintf(stderr, "No temporary file: %s\n", strerror(-r));
                return 1;
        }
        if (write(tempfile_fd(t), LIST, strlen(LIST)) < 0)
                return 1;
        /* Others open it by its name; the path stays registered. */
        if (tempfile_close_fd(t) < 0 || setenv("LIST", tempfile_path(t), 1) < 0 ||
            system(argv[1]) != 0)
                return 1;

        f = fopen(tempfile_path(t), "r"); /* by name: the program may have replaced it */
        while (f && fgets(buf, sizeof(buf), f))
                fputs(buf, stdout);
        return !f || fclose(f) != 0;
}
