/* SPDX-License-Identifier: MIT */

/*
 * What a worker could not find out is not taken for found: a call that fails once, for want of memory,
 * leads to an error or to a second look.
 */

#include <check.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemon/identity.h"
#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)

static struct client here;
static unsigned int looks_that_fail;

/* In place of libc's: at the device of what a client has sent, which is all that is asked without a name
 * and without a mask. */
int statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *ret)
{
        if (mask == 0 && *path == 0 && looks_that_fail > 0) {
                looks_that_fail--;
                errno = ENOMEM;
                return -1;
        }
        return (int) syscall(SYS_statx, dirfd, path, flags, mask, ret);
}

static void set_up(void)
{
        server_setup();
        client_start(&here);
}

static void tear_down(void)
{
        client_close(&here);
        server_teardown();
}

static int check_owner(const struct store_owner *o, void *userdata)
{
        ck_assert_int_eq(o->pid, getpid());
        ck_assert_uint_gt(o->start, 0);
        ++*(unsigned int *) userdata;
        return 0;
}

static int check_directory(const struct store_directory *d, void *userdata)
{
        struct identity i;
        struct stat st;

        ck_assert_int_eq(identity_unpack(d->identity.data, d->identity.len, &i), 0);
        ck_assert_int_eq(stat(file_path(""), &st), 0);
        ck_assert_uint_eq(i.ino, st.st_ino);
        ++*(unsigned int *) userdata;
        return 0;
}

START_TEST(device_that_cannot_be_told_is_no_reason_to_look_no_further)
{
        unsigned int n = 0;

        looks_that_fail = (unsigned int) _i;
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        ck_assert_uint_eq(looks_that_fail, 0);
        ck_assert_int_ge(store_each_owner(served, check_owner, &n), 0);
        ck_assert_int_ge(store_each_directory(served, check_directory, &n), 0);
        ck_assert_uint_eq(n, 2);
}
END_TEST

static Suite *inspect_suite(void)
{
        Suite *s = suite_create("inspect");
        TCase *c = tcase_create("inspect");

        suite_add_tcase(s, c);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_loop_test(c, device_that_cannot_be_told_is_no_reason_to_look_no_further, 0, 2);
        return s;
}

int main(void)
{
        return unit_main(inspect_suite());
}
