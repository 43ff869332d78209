/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/server-fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "libclient/name.h"
#include "libclient/util.h"

sd_event *event;
struct server *server;
struct store *served;
char server_dir[UNIT_PATH_SIZE];

static int child_says = -1, child_hears = -1;

/* ---- the server ---- */

void (*server_before_load)(void);

static int try_start(void)
{
        struct server_options options = { .is_power = true };
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        char *salvaged = NULL;
        int fd;

        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(store_open(unit_path(server_dir, "state"), &served, &salvaged), 0);
        ck_assert_ptr_null(salvaged);
        ck_assert_int_eq(server_new(event, served, &options, &server), 0);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        memcpy(a.sun_path, client_socket, sizeof(a.sun_path));
        (void) unlink(a.sun_path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        ck_assert_int_eq(chmod(a.sun_path, 0666), 0);
        ck_assert_int_eq(server_listen(server, fd), 0);
        if (server_before_load)
                server_before_load();
        return server_start(server);
}

static void start(void)
{
        ck_assert_int_eq(try_start(), 0);
}

static bool is_idle(void *userdata)
{
        unsigned int jobs, hung;
        bool has_turned;

        do { /* in this order: a job that comes back meanwhile still has to be heard of */
                has_turned = false;
                pool_count(registry_pool(server_registry(server)), &jobs, &hung);
                while (sd_event_run(event, 0) > 0)
                        has_turned = true;
        } while (has_turned);
        return jobs == 0;
}

void server_run_until_idle(void)
{
        ck_assert(unit_run_until(event, is_idle, NULL));
}

/* What is out with workers when it ends is given up with them: waited for here. */
void server_stop(void)
{
        if (!server)
                return;
        server_run_until_idle();
        server_free(server);
        store_close(served);
        server = NULL;
        served = NULL;
        event = sd_event_unref(event);
}

void server_restart(void)
{
        server_stop();
        start();
}

int server_restart_fails(void)
{
        server_stop();
        return try_start();
}

static bool is_readable(void *userdata)
{
        struct pollfd p = { .fd = *(int *) userdata, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* The server is in this process: while a client waits, its loop runs. */
static void run_for_client(int fd)
{
        ck_assert_msg(unit_run_until(event, is_readable, &fd), "No answer came");
}

void server_setup(void)
{
        unit_make_directory(server_dir);
        (void) snprintf(client_socket, sizeof(client_socket), "%s/socket", server_dir);
        client_wait = run_for_client;
        ck_assert_int_eq(mkdir(unit_path(server_dir, "state"), 0700), 0);
        ck_assert_int_eq(mkdir(file_path(""), 0777), 0);
        ck_assert_int_eq(chmod(file_path(""), 0777), 0);
        start();
}

void server_teardown(void)
{
        server_stop();
        unit_remove_directory(server_dir);
}

const char *file_path(const char *name)
{
        return unit_path(server_dir, *name ? unit_path("files", name) : "files");
}

struct wire_status_reply server_status(void)
{
        struct wire_status_reply s = { 0 };

        server_get_status(server, &s);
        return s;
}

void server_limit_files(rlim_t size)
{
        struct rlimit l;

        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &l), 0);
        l.rlim_cur = MIN(size, l.rlim_max);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* Nothing more goes into the log, which keeps its size when it is started over: how many frames it has is
 * the sixteenth byte of its index (https://sqlite.org/walformat.html). Check writes to a file, too, but a
 * smaller one. */
void server_fill_disk(void)
{
        int fd = open(unit_path(server_dir, "state/tempfiled.db-shm"), O_RDONLY | O_CLOEXEC);
        uint32_t frames;

        ck_assert_int_eq(pread(fd, &frames, sizeof(frames), 16), sizeof(frames));
        (void) close(fd);
        server_limit_files(32 + frames * (24 + 4096UL));
}

static bool is_gone(void *path)
{
        return !unit_exists(path);
}

void wait_path_gone(const char *path)
{
        char copy[512];

        (void) snprintf(copy, sizeof(copy), "%s", path);
        ck_assert_msg(unit_run_until(event, is_gone, copy), "%s is still there", copy);
}

struct status_question {
        bool (*is_right)(const struct wire_status_reply *s);
};

static bool has_status(void *userdata)
{
        struct wire_status_reply s = server_status();

        return ((struct status_question *) userdata)->is_right(&s);
}

void wait_status(bool (*is_right)(const struct wire_status_reply *s))
{
        struct status_question q = { is_right };

        ck_assert(unit_run_until(event, has_status, &q));
}

void client_make(struct client *c, unsigned int seq)
{
        const char *name = client_name(c, seq, "");

        client_report(c, WIRE_MADE, c->tag, seq, WIRE_KIND_FILE, name);
        unit_write(file_path(name), "");
}

/* ---- clients in children ---- */

static void become(uid_t uid)
{
        if (uid == geteuid())
                return;
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                _exit(126);
}

#define LOW_NUMBERS 64

/* The server's lock, sockets and pidfds are not the child's to hold. Check writes on to a number that
 * it had: that is to be nothing of the test's. */
static void keep_only(int a, int b)
{
        unsigned int low = (unsigned int) MIN(a, b), high = (unsigned int) MAX(a, b);

        (void) close_range(3, low - 1, 0);
        (void) close_range(low + 1, high - 1, 0);
        (void) close_range(high + 1, ~0U, 0);
        while (open("/dev/null", O_RDWR | O_CLOEXEC) < LOW_NUMBERS)
                ;
}

void worker_pause(void)
{
        char byte = 0;

        if (write(child_says, &byte, 1) != 1 || read(child_hears, &byte, 1) < 0)
                _exit(125);
}

void worker_start(struct worker *w, uid_t uid, void (*body)(void))
{
        int says[2], hears[2];

        ck_assert_int_eq(pipe2(says, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(hears, O_CLOEXEC), 0);
        (void) fflush(NULL);
        w->pid = fork();
        ck_assert_int_ge(w->pid, 0);
        if (w->pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                client_wait = NULL;
                child_says = says[1];
                child_hears = hears[0];
                keep_only(says[1], hears[0]);
                become(uid);
                body();
                for (;;)
                        worker_pause();
        }
        (void) close(says[1]);
        (void) close(hears[0]);
        w->from = says[0];
        w->to = hears[1];
}

static int on_said(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        return 0; /* the loop has turned, that is all */
}

void worker_wait(struct worker *w)
{
        sd_event_source *source = NULL;
        char byte;

        ck_assert_int_ge(sd_event_add_io(event, &source, w->from, EPOLLIN, on_said, NULL), 0);
        ck_assert(unit_run_until(event, is_readable, &w->from));
        sd_event_source_disable_unref(source);
        ck_assert_int_eq(read(w->from, &byte, 1), 1);
}

void worker_go_on(struct worker *w)
{
        ck_assert_int_eq(write(w->to, "", 1), 1);
}

void worker_kill(struct worker *w)
{
        (void) kill(w->pid, SIGKILL);
        ck_assert_int_eq(waitpid(w->pid, NULL, 0), w->pid);
        w->from = close_fd(w->from);
        w->to = close_fd(w->to);
}
