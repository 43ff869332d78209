/* SPDX-License-Identifier: MIT */

/*
 * What files say, and what is wrong with them: nothing that is not understood changes anything, and
 * each mistake is told with its line. What was told is read from stderr.
 */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "libclient/util.h"
#include "tests/unit.h"

#define HOUR (3600 * USEC_PER_SEC)

static char dir[UNIT_PATH_SIZE];
static char said[4096];
static struct config config;

static void setup(void)
{
        unit_make_directory(dir);
        config_init(&config);
}

static void teardown(void)
{
        unit_remove_directory(dir);
}

/* @read with stderr in a file, then in said[]. */
static unsigned int listen_to(unsigned int (*read_it)(const void *what), const void *what)
{
        int before = dup(STDERR_FILENO), fd;
        unsigned int n;
        ssize_t len;

        fd = open(unit_path(dir, "said"), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
        n = read_it(what);
        ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
        len = pread(fd, said, sizeof(said) - 1, 0);
        ck_assert_int_ge(len, 0);
        said[len] = 0;
        (void) close(fd);
        (void) close(before);
        return n;
}

struct text {
        const char *text;
        size_t len;
};

static unsigned int read_text(const void *what)
{
        const struct text *t = what;
        FILE *f = fmemopen((void *) t->text, t->len, "r");
        unsigned int n;

        ck_assert_ptr_nonnull(f);
        n = config_read(&config, f, "a.conf");
        (void) fclose(f);
        return n;
}

static unsigned int read_bytes(const char *text, size_t len)
{
        return listen_to(read_text, &(struct text) { text, len });
}

static unsigned int read_string(const char *text)
{
        return read_bytes(text, strlen(text));
}

static unsigned int load(const void *directories)
{
        return config_load(&config, (char *const *) directories);
}

static void assert_unchanged(void)
{
        struct config standard;

        config_init(&standard);
        ck_assert_int_eq(memcmp(&config, &standard, sizeof(config)), 0);
}

/* ---- one file ---- */

START_TEST(defaults_are_what_the_manual_says)
{
        ck_assert(config.is_power);
        ck_assert_uint_eq(config.retry_max_usec, HOUR);
        ck_assert_uint_eq(config.retain_max_usec, UINT64_MAX);
}
END_TEST

START_TEST(what_is_printed_is_read_as_the_same)
{
        struct config before;
        char *text = NULL;
        size_t len = 0;
        FILE *f;

        ck_assert_uint_eq(read_string("[Daemon]\nDurability=crash\nRetryMaxSec=90\n"
                                      "RetainMaxSec=1d 1ms\n"),
                          0);
        before = config;
        f = open_memstream(&text, &len);
        config_print(&config, f);
        (void) fclose(f);
        config_init(&config);
        ck_assert_uint_eq(read_bytes(text, len), 0);
        ck_assert_int_eq(memcmp(&config, &before, sizeof(config)), 0);
        ck_assert_ptr_nonnull(strstr(text, "[Daemon]\n"));
        ck_assert_ptr_nonnull(strstr(text, "Durability=crash\n"));
        ck_assert_ptr_nonnull(strstr(text, "RetryMaxSec=90s\n"));
        free(text);
}
END_TEST

START_TEST(syntax_is_that_of_the_service_managers_files)
{
        ck_assert_uint_eq(read_string("# a comment\n; another\n\n"
                                      "  [Daemon]  \r\n"
                                      "\tRetryMaxSec = 5min \n"
                                      "RetainMaxSec=2h"),
                          0);
        ck_assert_uint_eq(config.retry_max_usec, HOUR / 12);
        ck_assert_uint_eq(config.retain_max_usec, 2 * HOUR);
        ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(empty_value_takes_back_what_was_said)
{
        ck_assert_uint_eq(read_string("[Daemon]\nRetryMaxSec=1s\nDurability=crash\n"), 0);
        ck_assert_uint_eq(read_string("[Daemon]\nRetryMaxSec=\nDurability =\n"), 0);
        assert_unchanged();
}
END_TEST

static const struct {
        const char *text;
        uint64_t usec;
} spans[] = {
        { "0", 0 },
        { "1", USEC_PER_SEC },
        { "250ms", 250 * USEC_PER_MSEC },
        { "1h 30min", HOUR + HOUR / 2 },
        { "1h30min", HOUR + HOUR / 2 },
        { "2 d", 48 * HOUR },
        { "1w", 168 * HOUR },
        { "infinity", UINT64_MAX },
};

START_TEST(time_spans)
{
        char text[128];

        (void) snprintf(text, sizeof(text), "[Daemon]\nRetryMaxSec=%s\n", spans[_i].text);
        ck_assert_uint_eq(read_string(text), 0);
        ck_assert_uint_eq(config.retry_max_usec, spans[_i].usec);
}
END_TEST

/* What is wrong, and what the message says of it. */
static const struct {
        const char *text, *message;
} mistakes[] = {
        { "[Daemon]\n\nRetryMaxSecs=1\n",
          "a.conf:3: unknown key 'RetryMaxSecs' in section [Daemon]" },
        { "[Daemon]\nretrymaxsec=1\n", "a.conf:2: unknown key 'retrymaxsec'" },
        { "[Demon]\nRetryMaxSec=1\nDurability=crash\n", "a.conf:1: unknown section [Demon]" },
        { "[Daemon\nRetryMaxSec=1\n", "a.conf:1: '[Daemon' is no section" },
        { "[]\n", "a.conf:1: unknown section []" },
        { "[\n", "a.conf:1: '[' is no section" },
        { "RetryMaxSec=1\n", "a.conf:1: 'RetryMaxSec=1' is in no section" },
        { "[Daemon]\nRetryMaxSec\n", "a.conf:2: 'RetryMaxSec' is neither a section nor" },
        { "[Daemon]\n=1\n", "a.conf:2: unknown key ''" },
        { "[Daemon]\nRetryMaxSec=soon\n",
          "a.conf:2: 'soon' is no value for RetryMaxSec= (a time span" },
        { "[Daemon]\nRetryMaxSec=-1\n", "a.conf:2: '-1' is no value" },
        { "[Daemon]\nRetryMaxSec=1 fortnight\n", "a.conf:2: '1 fortnight' is no value" },
        { "[Daemon]\nRetryMaxSec=18446744073709551616\n", "is no value" },
        { "[Daemon]\nRetryMaxSec=18446744073709551615\n", "is no value" },
        { "[Daemon]\nRetryMaxSec=18446744073709s 1s\n", "is no value" },
        { "[Daemon]\nDurability=yes\n", "a.conf:2: 'yes' is no value for Durability= ('power' or" },
};

START_TEST(mistakes_are_told_with_their_line_and_change_nothing)
{
        ck_assert_uint_eq(read_string(mistakes[_i].text), 1);
        ck_assert_msg(strstr(said, mistakes[_i].message), "said: %s", said);
        ck_assert_ptr_nonnull(strstr(said, ", ignored\n"));
        assert_unchanged();
}
END_TEST

START_TEST(lines_around_a_mistake_count)
{
        ck_assert_uint_eq(read_string("[Daemon]\nRetryMaxSec=1\nWhat=2\nDurability=crash\n"), 1);
        ck_assert_uint_eq(config.retry_max_usec, USEC_PER_SEC);
        ck_assert(!config.is_power);
}
END_TEST

START_TEST(bad_value_keeps_what_an_earlier_file_has_said)
{
        ck_assert_uint_eq(read_string("[Daemon]\nRetryMaxSec=7\n"), 0);
        ck_assert_uint_eq(read_string("[Daemon]\nRetryMaxSec=7x\n"), 1);
        ck_assert_uint_eq(config.retry_max_usec, 7 * USEC_PER_SEC);
}
END_TEST

START_TEST(nul_byte_is_a_mistake)
{
        static const char text[] = "[Daemon]\nDurability=crash\0and more\nRetryMaxSec=1\n";

        ck_assert_uint_eq(read_bytes(text, sizeof(text) - 1), 1);
        ck_assert_ptr_nonnull(strstr(said, "a.conf:2: there is a NUL byte"));
        ck_assert(config.is_power);
        ck_assert_uint_eq(config.retry_max_usec, USEC_PER_SEC);
}
END_TEST

/* Each length of something long, and noise: complaints, and no end. */
START_TEST(anything_at_all_is_survived)
{
        char *text = malloc(100000);
        uint32_t state = 1;

        for (size_t i = 0; i < 100000; i++) {
                state = state * 1103515245 + 12345;
                text[i] = "[]=#;\n \tDaemonRetryMaxSec01smh\0\377"[(state >> 16) % 33];
        }
        (void) read_bytes(text, 100000);
        memset(text, 'x', 100000);
        text[0] = '[';
        text[99999] = ']';
        ck_assert_uint_eq(read_bytes(text, 100000), 1);
        free(text);
}
END_TEST

/* ---- all files ---- */

static char *directories[3];

static void write_in(const char *directory, const char *name, const char *text)
{
        const char *slash = strchr(name, '/');
        char path[256];

        (void) mkdir(directory, 0700);
        if (slash) {
                (void) snprintf(path, sizeof(path), "%s/%.*s", directory, (int) (slash - name),
                                name);
                (void) mkdir(path, 0700);
        }
        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        unit_write(path, text);
}

static void setup_directories(void)
{
        setup();
        for (int i = 0; i < 2; i++)
                ck_assert_int_gt(asprintf(&directories[i], "%s/%d", dir, i), 0);
}

static void teardown_directories(void)
{
        teardown();
        for (int i = 0; i < 2; i++)
                free(directories[i]);
}

START_TEST(nothing_there_says_nothing)
{
        ck_assert_uint_eq(listen_to(load, directories), 0);
        assert_unchanged();
}
END_TEST

START_TEST(first_file_counts_and_drop_ins_of_all)
{
        write_in(directories[0], "tempfiled.conf", "[Daemon]\nRetryMaxSec=1\n");
        write_in(directories[1], "tempfiled.conf", "[Daemon]\nRetryMaxSec=2\nDurability=crash\n");
        write_in(directories[1], "tempfiled.conf.d/20.conf", "[Daemon]\nRetainMaxSec=20\n");
        write_in(directories[0], "tempfiled.conf.d/10.conf", "[Daemon]\nRetainMaxSec=10\n");
        write_in(directories[0], "tempfiled.conf.d/30.conf~", "[Daemon]\nRetainMaxSec=30\n");
        write_in(directories[0], "tempfiled.conf.d/.40.conf", "[Daemon]\nRetainMaxSec=40\n");
        ck_assert_uint_eq(listen_to(load, directories), 0);
        ck_assert_uint_eq(config.retry_max_usec, USEC_PER_SEC);
        ck_assert(config.is_power); /* the second file was not read */
        ck_assert_uint_eq(config.retain_max_usec, 20 * USEC_PER_SEC);
}
END_TEST

START_TEST(drop_in_of_one_name_hides_the_others)
{
        write_in(directories[1], "tempfiled.conf.d/10.conf", "[Daemon]\nRetryMaxSec=2\n");
        write_in(directories[0], "tempfiled.conf.d/10.conf", "");
        ck_assert_uint_eq(listen_to(load, directories), 0);
        assert_unchanged();
}
END_TEST

START_TEST(file_that_cannot_be_read_is_told)
{
        char path[256];

        write_in(directories[0], "tempfiled.conf.d/10.conf", "[Daemon]\nRetryMaxSec=2\n");
        (void) snprintf(path, sizeof(path), "%s/tempfiled.conf", directories[0]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        ck_assert_uint_eq(listen_to(load, directories), 1);
        ck_assert_ptr_nonnull(
                strstr(said, "/tempfiled.conf:1: cannot be read from here: Is a dir"));
        ck_assert_uint_eq(config.retry_max_usec, 2 * USEC_PER_SEC); /* and the others count */
}
END_TEST

START_TEST(users_directory_is_where_users_keep_theirs)
{
        char *found[CONFIG_DIRECTORIES_MAX + 1];

        ck_assert_int_eq(setenv("HOME", "/home/u", 1), 0);
        ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
        ck_assert_int_eq(config_directories(true, found), 0);
        ck_assert_str_eq(found[0], "/home/u/.config/tempfiled");
        ck_assert_ptr_null(found[1]);
        config_directories_done(found);
        ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/c", 1), 0);
        ck_assert_int_eq(config_directories(true, found), 0);
        ck_assert_str_eq(found[0], "/c/tempfiled");
        config_directories_done(found);
        ck_assert_int_eq(config_directories(false, found), 0);
        ck_assert_str_eq(strrchr(found[0], '/'), "/tempfiled");
        ck_assert_str_eq(found[1], "/run/tempfiled");
        ck_assert_ptr_nonnull(found[2]);
        ck_assert_ptr_null(found[3]);
        config_directories_done(found);
}
END_TEST

static Suite *config_suite(void)
{
        Suite *s = suite_create("config");
        TCase *t = tcase_create("file"), *all = tcase_create("files");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, defaults_are_what_the_manual_says);
        tcase_add_test(t, what_is_printed_is_read_as_the_same);
        tcase_add_test(t, syntax_is_that_of_the_service_managers_files);
        tcase_add_test(t, empty_value_takes_back_what_was_said);
        tcase_add_loop_test(t, time_spans, 0, (int) ARRAY_SIZE(spans));
        tcase_add_loop_test(t, mistakes_are_told_with_their_line_and_change_nothing, 0,
                            (int) ARRAY_SIZE(mistakes));
        tcase_add_test(t, lines_around_a_mistake_count);
        tcase_add_test(t, bad_value_keeps_what_an_earlier_file_has_said);
        tcase_add_test(t, nul_byte_is_a_mistake);
        tcase_add_test(t, anything_at_all_is_survived);
        suite_add_tcase(s, t);
        tcase_add_checked_fixture(all, setup_directories, teardown_directories);
        tcase_add_test(all, nothing_there_says_nothing);
        tcase_add_test(all, first_file_counts_and_drop_ins_of_all);
        tcase_add_test(all, drop_in_of_one_name_hides_the_others);
        tcase_add_test(all, file_that_cannot_be_read_is_told);
        tcase_add_test(all, users_directory_is_where_users_keep_theirs);
        suite_add_tcase(s, all);
        return s;
}

int main(void)
{
        return unit_main(config_suite());
}
