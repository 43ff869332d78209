/* SPDX-License-Identifier: MIT */

/*
 * Many files that go together: only their directory is registered, so that each costs no more than
 * open(2).
 *
 *     arena COUNT
 *
 * Makes them, and prints how many are there.
 */

#include <dirent.h>
#include <libtempfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int count_names(const char *path)
{
        DIR *d = opendir(path);
        int n = 0;

        while (d && readdir(d))
                n++;
        if (d)
                closedir(d);
        return n - 2; /* "." and ".." */
}

int main(int argc, char **argv)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *arena = NULL;
        char name[TEMPFILE_NAME_SIZE];
        int r, fd = 0;

        if (argc != 2)
                return 2;
        r = tempfile_directory(NULL, &arena);
        for (int i = atoi(argv[1]); r == 0 && i > 0; i--) {
                fd = tempfile_arena_named(arena, NULL, name);
                r = fd < 0 ? fd : close(fd);
        }
        if (r < 0) {
                fprintf(stderr, "No arena: %s\n", strerror(-r));
                return 1;
        }
        printf("%d\n", count_names(tempfile_path(arena)));
        return 0;
}
