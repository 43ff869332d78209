/* SPDX-License-Identifier: MIT */

/*
 * A service manager that does not read what it is told: nothing waits for it, and what it must know
 * is told when it reads again.
 */

#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libclient/util.h"
#include "tests/daemon-fixture.h"
#include "tests/raw-client.h"
#include "tests/unit.h"

static struct daemon_fixture tempfiled;
static char dir[UNIT_PATH_SIZE];
static int manager = -1;

static void set_up(void)
{
        unit_make_directory(dir);
        ck_assert_int_eq(daemon_fixture_init(&tempfiled, dir), 0);
        (void) snprintf(client_socket, sizeof(client_socket), "%.100s", tempfiled.socket);
}

static void tear_down(void)
{
        manager = close_fd(manager);
        daemon_fixture_kill(&tempfiled);
        unit_remove_directory(dir);
}

static void open_manager(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", unit_path(dir, "notify"));
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_eq(bind(manager, (struct sockaddr *) &a, sizeof(a)), 0);
        ck_assert_int_eq(setenv("NOTIFY_SOCKET", a.sun_path, 1), 0);
}

/* Whatever its address; the queue is then as full as it gets. */
static void fill(int fd)
{
        _cleanup_(closep) int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un a;
        socklen_t len = sizeof(a);

        ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &a, &len), 0);
        ck_assert_int_eq(connect(from, (struct sockaddr *) &a, len), 0);
        while (send(from, "STATUS=filled", 13, 0) > 0)
                ;
        ck_assert_int_eq(errno, EAGAIN);
}

/* Everything that is there now; was it among it? */
static bool hears(const char *text)
{
        char buf[256];
        bool found = false;
        ssize_t n;

        while ((n = recv(manager, buf, sizeof(buf) - 1, 0)) >= 0) {
                buf[n] = 0;
                found = found || strcmp(buf, text) == 0;
        }
        return found;
}

static bool hears_ready(void *userdata)
{
        return hears("READY=1");
}

static bool hears_watchdog(void *userdata)
{
        return hears("WATCHDOG=1");
}

START_TEST(what_finds_no_room_is_not_waited_for)
{
        _cleanup_(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
        ck_assert_int_eq(notify_send("STATUS=x", -1), 0);
        ck_assert_int_eq(setenv("NOTIFY_SOCKET", "vsock:2:3", 1), 0);
        ck_assert_int_eq(notify_send("STATUS=x", -1), -EAFNOSUPPORT);
        open_manager();
        ck_assert_int_eq(notify_send("STATUS=x", fd), 1);
        ck_assert(hears("STATUS=x"));
        fill(manager);
        ck_assert_int_eq(notify_send("STATUS=x", -1), -EAGAIN);
        ck_assert_int_eq(notify_send("FDSTORE=1", fd), -EAGAIN);
        ck_assert(!hears("STATUS=x"));
        ck_assert_int_eq(notify_send("STATUS=x", -1), 1);
}
END_TEST

START_TEST(readiness_is_told_when_there_is_room)
{
        sd_event *event = NULL;
        struct notify *n;

        open_manager();
        fill(manager);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(notify_new(event, &n), 0);
        notify_ready(n);
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0); /* in vain */
        ck_assert(unit_run_until(event, hears_ready, NULL));
        notify_free(n);
        sd_event_unref(event);
}
END_TEST

START_TEST(watchdog_is_told_as_often_as_asked_for)
{
        sd_event *event = NULL;
        struct notify *n;

        open_manager();
        ck_assert_int_eq(setenv("WATCHDOG_USEC", "60000", 1), 0);
        ck_assert_int_eq(unsetenv("WATCHDOG_PID"), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(notify_new(event, &n), 0);
        ck_assert_int_ge(notify_start_watchdog(n), 0);
        ck_assert(unit_run_until(event, hears_watchdog, NULL));
        fill(manager);
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0); /* in vain */
        ck_assert(unit_run_until(event, hears_watchdog, NULL));
        ck_assert(unit_run_until(event, hears_watchdog, NULL));
        notify_free(n);
        sd_event_unref(event);
        ck_assert_int_eq(unsetenv("WATCHDOG_USEC"), 0);
}
END_TEST

/* Nobody says when it is: that is what this is about. */
static bool is_listening(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) strcpy(a.sun_path, client_socket);
        return connect(fd, (const struct sockaddr *) &a, sizeof(a)) == 0;
}

START_TEST(daemon_serves_while_nobody_hears_that_it_is_ready)
{
        int gate[2];
        struct client c;

        ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
        ck_assert_int_eq(daemon_fixture_spawn(&tempfiled, gate[0]), 0);
        fill(tempfiled.notify_fd);
        ck_assert_int_eq(write(gate[1], "", 1), 1);
        while (!is_listening())
                (void) usleep(1000);
        client_start(&c);
        client_settle(&c);
        ck_assert_int_eq(daemon_fixture_wait_ready(&tempfiled), 0); /* reads, too */
        client_settle(&c);
        client_close(&c);
        close_fd(gate[0]);
        close_fd(gate[1]);
}
END_TEST

static Suite *notify_suite(void)
{
        Suite *s = suite_create("notify");
        TCase *c = tcase_create("notify");

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 30);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, what_finds_no_room_is_not_waited_for);
        tcase_add_test(c, readiness_is_told_when_there_is_room);
        tcase_add_test(c, watchdog_is_told_as_often_as_asked_for);
        tcase_add_test(c, daemon_serves_while_nobody_hears_that_it_is_ready);
        return s;
}

int main(void)
{
        return unit_main(notify_suite());
}
