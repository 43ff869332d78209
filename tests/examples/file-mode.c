/* SPDX-License-Identifier: MIT */

/*
 * Permissions on a file: exactly those, whatever the umask, and never more open than that.
 *
 *     file-mode MODE        (octal)
 */

#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        struct stat st;
        int r;

        if (argc != 2)
                return 2;
        o.mode = (uint32_t) strtoul(argv[1], NULL, 8);
        r = tempfile_named(&o, &t);
        if (r < 0) {
                fprintf(stderr, "No file of mode %s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        if (fstat(tempfile_fd(t), &st) < 0)
                return 1;
        printf("%o\n", (unsigned int) st.st_mode & 07777);
        return 0;
}
