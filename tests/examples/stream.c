/* SPDX-License-Identifier: MIT */

/*
 * A temporary file as a stdio stream, with a mode and a buffering of one's choice.
 *
 *     stream WORD...
 *
 * Writes the words into a file, a line each, and reads them back in reverse.
 */

#include <libtempfile.h>
#include <stdio.h>
#include <string.h>

static int print_at(FILE *f, long at)
{
        char line[1024];

        if (fseek(f, at, SEEK_SET) != 0 || !fgets(line, sizeof(line), f))
                return 1;
        return fputs(line, stdout) < 0;
}

int main(int argc, char **argv)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        long at[64];
        FILE *f; /* the handle's: closed with it */
        int r;

        if (argc > 64)
                return 2;
        r = tempfile_named(NULL, &t);
        if (r == 0)
                r = tempfile_stream(t, "w+", -1, &f);
        if (r < 0) {
                fprintf(stderr, "No stream: %s\n", strerror(-r));
                return 1;
        }
        for (int i = 1; i < argc; i++) {
                at[i] = ftell(f);
                fprintf(f, "%s\n", argv[i]);
        }
        for (int i = argc - 1; i >= 1; i--)
                if (print_at(f, at[i]) != 0)
                        return 1;
        return 0;
}
