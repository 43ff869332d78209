/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/fuzz-replay.h"

#include <dirent.h>
#include <stdio.h>

#include "libclient/util.h"

void fuzz_require(bool holds)
{
        if (!holds)
                abort();
}

#ifndef FUZZING

static unsigned int tests, failures;

static void report(bool is_good, const char *path, const char *why)
{
        tests++;
        if (!is_good)
                failures++;
        printf("%s %u - %s%s\n", is_good ? "ok" : "not ok", tests, path, why);
        fflush(stdout); /* what crashes comes after all that did not */
}

/* The copy ends where its memory ends, so that a sanitizer sees every byte read beyond it. */
static void replay_file(const char *path)
{
        static uint8_t buf[1 << 20];
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) uint8_t *copy = NULL;
        FILE *f = fopen(path, "re");
        const char *why = "";
        size_t size;

        if (!f) {
                report(false, path, ": can't be opened");
                return;
        }
        size = fread(buf, 1, sizeof(buf), f);
        fclose(f);

        copy = malloc(MAX(size, 1U));
        fuzz_require(copy);
        memcpy(copy, buf, size);
        report(fuzz_judge(slash ? slash + 1 : path, copy, size, &why), path, why);
}

static int is_visible(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

/* In the order of names, so that two runs number alike. */
static void replay(const char *path)
{
        struct dirent **entries;
        int n = scandir(path, &entries, is_visible, alphasort);

        if (n < 0) {
                replay_file(path);
                return;
        }
        for (int i = 0; i < n; i++) {
                char file[4096];

                snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
                replay_file(file);
                free(entries[i]);
        }
        free(entries);
}

static void replay_default(void)
{
        const char *top = getenv("top_srcdir");
        char dir[4096];

        snprintf(dir, sizeof(dir), "%s/tests/corpus/%s", top ? top : ".", fuzz_corpus);
        replay(dir);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                replay(argv[i]);
        if (argc < 2)
                replay_default();

        printf("1..%u\n", tests);
        return failures == 0 && tests > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
