/* SPDX-License-Identifier: MIT */

/*
 * The current temporary directory, and how to say which it is to be.
 *
 *     tempdir [DIRECTORY]
 */

#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
        char *dir = NULL;
        int r = 0;

        if (argc > 1)
                r = tempfile_settempdir(argv[1]);
        if (r == 0)
                r = tempfile_gettempdir(&dir);
        if (r < 0) {
                fprintf(stderr, "No temporary directory: %s\n", strerror(-r));
                return 1;
        }
        puts(dir);
        free(dir);
        return 0;
}
