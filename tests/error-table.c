/* SPDX-License-Identifier: MIT */

/* Running, and listing, tables of errors; see the header. */

#include "tests/error-table.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "libclient/util.h"

#define ORDINARY_UID 65534
#define PAIRS_MAX 512U

static struct pair {
        const struct error_call *call;
        const struct error_situation *situation;
} pairs[PAIRS_MAX];

const struct tempfile_options *asked = &options;
static struct rlimit descriptors;

/* ---- what lasts until the test ends ----------------------------------------------------------- */

static void be_root_again(void)
{
        if (getuid() == 0)
                ck_assert_int_eq(seteuid(0), 0);
}

void error_set_up(void)
{
        stage_set_up();
        asked = &options;
        (void) getrlimit(RLIMIT_NOFILE, &descriptors);
}

void error_tear_down(void)
{
        be_root_again();
        (void) setrlimit(RLIMIT_NOFILE, &descriptors);
        stage_tear_down();
}

void leave_no_descriptor(void)
{
        struct rlimit none = descriptors;
        int lowest = dup(STDERR_FILENO);

        ck_assert_int_ge(lowest, 0);
        (void) close(lowest);
        none.rlim_cur = (rlim_t) lowest;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* The daemon that is played is this process too, so that it is trusted. */
void become_ordinary(void)
{
        if (geteuid() != 0)
                return;
        ck_assert_int_eq(chmod(stage_top, 0711), 0);
        ck_assert_int_eq(chmod(stage_socket, 0777), 0);
        ck_assert_int_eq(lchown(stage_dir, ORDINARY_UID, ORDINARY_UID), 0);
        ck_assert_int_eq(seteuid(ORDINARY_UID), 0);
}

void mount_at(const char *path, const char *mount_options, unsigned long flags)
{
        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
        ck_assert_int_eq(mount("tempfiled-test", path, "tmpfs", flags, mount_options), 0);
}

const char *stage_path(const char *name)
{
        static char paths[4][2 * PATH_MAX];
        static unsigned int n;
        char *path = paths[n++ % ARRAY_SIZE(paths)];

        (void) snprintf(path, sizeof(paths[0]), "%s/%s", stage_dir, name);
        return path;
}

/* ---- pairs ------------------------------------------------------------------------------------ */

static const char *name_of(int error)
{
        return error < 0 ? strerrorname_np(-error) : "no error";
}

/* In the directory, and in the one below it that some situations make. */
static unsigned int count_all(void)
{
        return count_files(stage_dir) + count_files(stage_path("sub"));
}

START_TEST(pair)
{
        const struct pair *p = &pairs[_i];
        unsigned int before;
        int r;

        p->situation->arrange();
        before = count_all();
        r = p->call->call();
        be_root_again();
        (void) chmod(stage_dir, 0700);
        ck_assert_msg(r == p->situation->expected, "%s instead of %s", name_of(r),
                      name_of(p->situation->expected));
        ck_assert_uint_eq(count_all(), before);
}
END_TEST

START_TEST(pass_over)
{
}
END_TEST

/* What Check is given has to live as long as the suite does. */
static const TTest *case_of(unsigned int i)
{
        static char names[PAIRS_MAX][256];
        static TTest tests[PAIRS_MAX];
        const struct pair *p = &pairs[i];
        const char *reason = p->situation->unless ? p->situation->unless() : NULL;

        (void) snprintf(names[i], sizeof(names[i]), "%s: %s is %s%s%s", p->call->function,
                        p->situation->name, name_of(p->situation->expected),
                        reason ? " # SKIP " : "", reason ? reason : "");
        tests[i] = reason ? *pass_over : *pair;
        tests[i].name = names[i];
        return &tests[i];
}

static int list(unsigned int n)
{
        for (unsigned int i = 0; i < n; i++)
                if (pairs[i].situation->expected < 0)
                        printf("%s -%s\n", pairs[i].call->function,
                               name_of(pairs[i].situation->expected));
        return EXIT_SUCCESS;
}

static unsigned int combine(const struct error_call *calls, unsigned int n_calls,
                            const struct error_situation *situations, unsigned int n_situations)
{
        unsigned int n = 0;

        for (unsigned int i = 0; i < n_situations; i++) {
                for (unsigned int j = 0; j < n_calls; j++) {
                        if ((calls[j].traits & situations[i].of) != situations[i].of)
                                continue;
                        if (n == PAIRS_MAX)
                                abort();
                        pairs[n++] = (struct pair) { &calls[j], &situations[i] };
                }
        }
        return n;
}

int run_error_table(const char *suite, const struct error_call *calls, unsigned int n_calls,
                    const struct error_situation *situations, unsigned int n_situations, int argc,
                    char **argv)
{
        unsigned int n = combine(calls, n_calls, situations, n_situations);
        TCase *c;

        if (argc == 2 && streq(argv[1], "--list"))
                return list(n);
        c = tcase_create("errors");
        tcase_add_unchecked_fixture(c, stage_make_top, stage_remove_top);
        tcase_add_checked_fixture(c, error_set_up, error_tear_down);
        for (unsigned int i = 0; i < n; i++)
                tcase_add_loop_test(c, case_of(i), (int) i, (int) i + 1);
        return run_stage(suite_create(suite), c);
}
