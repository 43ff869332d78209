/* SPDX-License-Identifier: MIT */

/*
 * A name with a prefix and a suffix, for programs that go by a file's extension.
 *
 *     affixes PREFIX SUFFIX
 *
 * Prints the name that was made up.
 */

#include <libtempfile.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        int r;

        if (argc != 3)
                return 2;
        o.prefix = argv[1];
        o.suffix = argv[2];
        r = tempfile_named(&o, &t);
        if (r < 0) {
                fprintf(stderr, "No file %s...%s: %s\n", argv[1], argv[2], strerror(-r));
                return 1;
        }
        puts(strrchr(tempfile_path(t), '/') + 1);
        return 0;
}
