/* SPDX-License-Identifier: MIT */

/* A place to act in, with a daemon that only plays one; see the header. */

#include "tests/stage.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "libclient/util.h"

char stage_top[] = "/tmp/test-client-XXXXXX";
char stage_socket[PATH_MAX];
char stage_dir[PATH_MAX];
struct tempfile_options options;
struct fake_packet packet;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void remove_tree(const char *path)
{
        (void) nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void stage_make_top(void)
{
        ck_assert_ptr_nonnull(mkdtemp(stage_top));
        (void) snprintf(stage_socket, sizeof(stage_socket), "%s/socket", stage_top);
        ck_assert_int_eq(setenv("TEMPFILED_SOCKET", stage_socket, 1), 0);
}

void stage_remove_top(void)
{
        remove_tree(stage_top);
}

void stage_set_up(void)
{
        (void) snprintf(stage_dir, sizeof(stage_dir), "%s/dir-XXXXXX", stage_top);
        ck_assert_ptr_nonnull(mkdtemp(stage_dir));
        options = (struct tempfile_options) TEMPFILE_OPTIONS_INIT;
        options.dir = stage_dir;
        fake_start(stage_socket);
}

void stage_tear_down(void)
{
        fake_stop();
        (void) chmod(stage_dir, 0700);
        remove_tree(stage_dir);
}

struct tempfile *make_file(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_named(&options, &t);

        ck_assert_msg(r == 0, "tempfile_named: %s", strerror(-r));
        return t;
}

struct wire_tag get_tag(unsigned int n)
{
        struct wire_tag tag = { 0 };

        for (unsigned int i = 1; n > 0; i++) {
                ck_assert(fake_wait(WIRE_TAG, i, &packet));
                if (streq((const char *) packet.bytes + sizeof(tag), stage_dir))
                        n--;
        }
        memcpy(&tag, packet.bytes, sizeof(tag));
        return tag;
}

int run_child(int (*body)(void *), void *userdata)
{
        pid_t pid;
        int status;

        fake_before_fork();
        pid = fork();
        fake_after_fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(body(userdata));
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int run_stage(Suite *s, TCase *c)
{
        SRunner *r;
        int failed;

        suite_add_tcase(s, c);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
