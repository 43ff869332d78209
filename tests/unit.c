/* SPDX-License-Identifier: MIT */

/*
 * See the header. Check knows no skips: what was skipped is noted in a file that the forked tests
 * inherit, and Check's TAP is copied with the reason added.
 */

#include "tests/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/util.h"

static int skips_fd = -1; /* lines "test reason", from all processes */

/* ---- TAP ---- */

void unit_skip(const char *test, const char *why)
{
        const char *end = strstr(test, "_fn"); /* Check's name of the function */
        size_t len = end && !end[3] ? (size_t) (end - test) : strlen(test);

        (void) dprintf(skips_fd, "%.*s %s\n", (int) len, test, why);
}

/* Check's lines end in "FILE:CASE:TEST: Passed". */
static bool find_skip(const char *line, const char *skips, char why[256])
{
        char test[256];

        for (const char *at = skips; at && sscanf(at, "%255s %255[^\n]", test, why) == 2;
             at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
                char wanted[300];

                (void) snprintf(wanted, sizeof(wanted), ":%s: Passed", test);
                if (strstr(line, wanted))
                        return true;
        }
        return false;
}

static void copy_tap(const char *name, const char *skips)
{
        char *line = NULL, why[256];
        size_t size = 0;
        ssize_t n;
        FILE *f = fopen(name, "re");

        while (f && (n = getline(&line, &size, f)) > 0) {
                line[n - 1] = 0;
                if (find_skip(line, skips, why))
                        (void) printf("%s # SKIP %s\n", line, why);
                else
                        (void) puts(line);
        }
        if (f)
                (void) fclose(f);
        free(line);
}

int unit_main(Suite *suite)
{
        _cleanup_(closep) int tap_fd = memfd_create("tap", MFD_CLOEXEC);
        SRunner *runner = srunner_create(suite);
        char name[64], *skips;
        struct stat st;
        int failed;

        skips_fd = memfd_create("skips", MFD_CLOEXEC);
        (void) fcntl(skips_fd, F_SETFL, O_APPEND);
        (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", tap_fd);
        srunner_set_tap(runner, name);
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);

        (void) fstat(skips_fd, &st);
        skips = calloc(1, (size_t) st.st_size + 1);
        if (!skips || pread(skips_fd, skips, (size_t) st.st_size, 0) != st.st_size)
                return EXIT_FAILURE;
        copy_tap(name, skips);
        free(skips);
        skips_fd = close_fd(skips_fd);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- files ---- */

void unit_make_directory(char path[UNIT_PATH_SIZE])
{
        (void) snprintf(path, UNIT_PATH_SIZE, "/tmp/tempfiled-unit-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(path));
        ck_assert_int_eq(chmod(path, 0711), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        if (type == FTW_D || type == FTW_DNR)
                (void) chmod(path, 0700);
        return 0;
}

void unit_remove_directory(const char *path)
{
        (void) nftw(path, open_up, 16, FTW_PHYS);
        (void) nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *unit_path(const char *directory, const char *name)
{
        static char paths[8][PATH_MAX];
        static unsigned int n;
        char *path = paths[n++ % ARRAY_SIZE(paths)];

        (void) snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
        return path;
}

void unit_write(const char *path, const char *text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

bool unit_exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

unsigned int unit_count_names(const char *directory)
{
        unsigned int n = 0;
        struct dirent *e;
        DIR *d = opendir(directory);

        ck_assert_ptr_nonnull(d);
        while ((e = readdir(d)))
                n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
        (void) closedir(d);
        return n;
}

/* Nothing is at the address 0, which is what is read of it. */
bool unit_spoil(const char *path)
{
        return unshare(CLONE_NEWNS) == 0 &&
               mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("/proc/self/mem", path, NULL, MS_BIND, NULL) == 0;
}

/* ---- waiting ---- */

static uint64_t now_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

bool unit_run_until(sd_event *event, bool (*is_over)(void *userdata), void *userdata)
{
        uint64_t end = now_usec() + UNIT_WAIT_USEC, now;

        while (!is_over(userdata)) {
                now = now_usec();
                if (now >= end || sd_event_run(event, end - now) < 0)
                        return false;
        }
        return true;
}

int unit_in_child(int (*body)(void *userdata), void *userdata)
{
        int status;
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(body(userdata));
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
