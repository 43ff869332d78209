/* SPDX-License-Identifier: MIT */

/*
 * Nothing leaks, and nothing else is deleted: many thousand random operations by many clients, a
 * daemon that is killed and started again in the midst of them, and a model of what must be there
 * and what must not, compared with the file system whenever all is quiet.
 *
 *     property [--seed N] [--rounds N] [--seconds N] [--top DIR] [--verbose]
 *
 * In each round every client is told to do one thing, all at the same time. The seed chooses them,
 * the same in each short run, and is printed; a failing run prints the command that repeats it. As
 * root half of the clients are an ordinary user's.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/property-run.h"
#include "tests/wall-clock.h"

#define NOBODY 65534U
#define ROUNDS_BETWEEN 40U /* until all is compared */
#define ANSWER_MSEC 60000
#define SETTLE_MSEC 60000
#define YEAR_SEC (INT64_C(365) * 86400)
#define FILES_MAX 150U

static struct {
        uint64_t seed, rounds, seconds;
        const char *top;
        bool is_verbose;
} args = { .top = "/tmp" };

/* ---- failing ---- */

static struct property_run run;

void property_fail(const char *format, ...)
{
        va_list ap;

        printf("not ok 1 - seed %" PRIu64 ", round %" PRIu64 ": ", args.seed, run.round);
        va_start(ap, format);
        (void) vprintf(format, ap);
        va_end(ap);
        printf("\n# To repeat: tests/property --seed %" PRIu64 " --rounds %" PRIu64 " --top %s\n",
               args.seed, run.round + 1, args.top);
        printf("# What is left is in %s\n1..1\n", run.top);
        (void) fflush(stdout);
        for (unsigned int i = 0; i < PROPERTY_SLOTS; i++)
                if (run.slots[i].process != 0)
                        (void) kill(model_process(&run.model, run.slots[i].process)->pid, SIGKILL);
        daemon_fixture_kill(&run.daemon);
        exit(EXIT_FAILURE);
}

uint32_t property_random(uint32_t n)
{
        run.random ^= run.random << 13;
        run.random ^= run.random >> 7;
        run.random ^= run.random << 17;
        return (uint32_t) ((run.random >> 16) % n);
}

static int64_t now_msec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* ---- clients ---- */

static void become(uid_t uid)
{
        if (uid != geteuid() && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                                 setresuid(uid, uid, uid) < 0))
                _exit(126);
}

void property_open_slot(struct property_slot *s, uint32_t process, int fd)
{
        *s = (struct property_slot) { .process = process, .fd = fd, .sent_fd = -1 };
}

static void start_client(struct property_slot *s)
{
        uid_t uid = geteuid() == 0 && property_random(2) ? NOBODY : geteuid();
        int ends[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                property_fail("socketpair: %s", strerror(errno));
        (void) fflush(NULL);
        pid = fork();
        if (pid < 0)
                property_fail("fork: %s", strerror(errno));
        if (pid == 0) {
                (void) dup2(ends[1], 3);
                (void) close_range(4, ~0U, 0);
                become(uid);
                property_client(3);
        }
        (void) close(ends[1]);
        property_open_slot(s, model_add_process(&run.model, pid, uid), ends[0]);
}

static void reap(pid_t pid)
{
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

/* Kills it; an answer that it had sent still counts. True: there is one. */
static bool kill_client(struct property_slot *s, struct property_answer *a)
{
        bool has_answered;

        (void) kill(model_process(&run.model, s->process)->pid, SIGKILL);
        reap(model_process(&run.model, s->process)->pid);
        has_answered = recv(s->fd, a, sizeof(*a), 0) == (ssize_t) sizeof(*a);
        s->fd = close_fd(s->fd);
        run.n_kills++;
        return has_answered;
}

static void wait_answer(struct property_slot *s, struct property_answer *a)
{
        struct pollfd p = { .fd = s->fd, .events = POLLIN };

        if (poll(&p, 1, ANSWER_MSEC) <= 0 || recv(s->fd, a, sizeof(*a), 0) != (ssize_t) sizeof(*a))
                property_fail("a client has not answered: operation %u", s->command.op);
}

/* ---- the daemon ---- */

static void tell(const char *what, uint32_t number)
{
        if (args.is_verbose)
                printf("# %" PRIu64 ": %s %u\n", run.round, what, number);
}

static void start_daemon(void)
{
        int r = daemon_fixture_start(&run.daemon);

        tell("the daemon starts, number", (uint32_t) run.n_starts + 1);
        if (r < 0)
                property_fail("the daemon does not start: %s", strerror(-r));
        run.n_starts++;
}

static void end_daemon(void)
{
        int status;

        tell("the daemon ends, number", (uint32_t) run.n_starts);
        if (property_random(3) > 0) {
                daemon_fixture_kill(&run.daemon);
                return;
        }
        status = daemon_fixture_stop(&run.daemon);
        if (status != 0)
                property_fail("the daemon ended with status %x", (unsigned int) status);
}

/* Some time for what was sent to be under way. */
static void pause_a_little(void)
{
        struct timespec t = { .tv_nsec = property_random(1500) * 1000 };

        (void) nanosleep(&t, NULL);
}

/* The wall clock, of the daemon and of clients that were executed; it is not to matter. */
static void step_clock(void)
{
        static const int64_t steps[] = { 3600, -3600, YEAR_SEC, -30 * YEAR_SEC, 0 };
        uint32_t i;

        if (property_random(20) > 0)
                return;
        i = property_random(ARRAY_SIZE(steps));
        if (!run.has_clock)
                return;
        tell("the clock is stepped, way", i);
        wall_clock_step(steps[i]);
        run.n_steps++;
}

/* Before a round: away for some, or back. Calls are refused at once then. */
static void have_daemon_or_not(void)
{
        if (run.daemon.pid == 0) {
                if (property_random(3) == 0)
                        start_daemon();
        } else if (property_random(25) == 0) {
                end_daemon();
        }
        run.is_calm = run.daemon.pid > 0;
}

/* In the midst of a round: who waits for an answer then waits for the next one, too. */
static void disturb_daemon(void)
{
        if (run.daemon.pid == 0 || property_random(12) > 0)
                return;
        run.is_calm = false;
        pause_a_little();
        end_daemon();
        pause_a_little();
        start_daemon();
}

/* ---- a round ---- */

static void send_command(struct property_slot *s)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { 0 };
        struct iovec iov = { &s->command, sizeof(s->command) };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (s->sent_fd >= 0) {
                m.msg_control = &u;
                m.msg_controllen = sizeof(u);
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &s->sent_fd, sizeof(int));
        }
        if (sendmsg(s->fd, &m, MSG_NOSIGNAL) < 0)
                property_fail("a client is gone: operation %u", s->command.op);
        s->sent_fd = close_fd(s->sent_fd);
        run.n_operations[s->command.op]++;
}

static void collect(struct property_slot *s, bool is_doomed)
{
        struct property_answer a = { 0 };
        bool has_answered = true;

        if (is_doomed)
                has_answered = kill_client(s, &a);
        else
                wait_answer(s, &a);
        if (args.is_verbose)
                printf("# %" PRIu64
                       ": process %u, operation %u, thing %u, %s%s%s%s for %u: %d%s%s\n",
                       run.round, s->process, s->command.op, s->command.thing, s->command.path,
                       *s->command.other ? " to " : "", s->command.other, a.path, s->target,
                       a.result, is_doomed ? ", killed" : "",
                       has_answered ? "" : " before it answered");
        property_apply(&run, s, has_answered ? &a : NULL);
        if (!is_doomed)
                return;
        model_end_process(&run.model, s->process);
        s->process = 0;
}

static void do_round(void)
{
        struct property_slot *doomed = NULL;

        step_clock();
        have_daemon_or_not();
        for (unsigned int i = 0; i < PROPERTY_SLOTS; i++)
                if (run.slots[i].process == 0 && property_random(4) == 0)
                        start_client(&run.slots[i]);
        for (unsigned int i = 0; i < PROPERTY_SLOTS; i++) {
                struct property_slot *s = &run.slots[i];

                s->is_busy = s->process != 0;
                if (!s->is_busy)
                        continue;
                property_choose(&run, s);
                send_command(s);
                if (property_random(6 * PROPERTY_SLOTS) == 0 && property_may_be_cut(s))
                        doomed = s;
        }
        disturb_daemon();
        if (doomed)
                pause_a_little();
        for (unsigned int i = 0; i < PROPERTY_SLOTS; i++)
                if (run.slots[i].is_busy)
                        collect(&run.slots[i], &run.slots[i] == doomed);
        model_settle(&run.model);
}

/* ---- comparing ---- */

/* What was deleted a moment before another boot waits to be looked for: without an error so far. What
 * is in a directory that is moved aside at this moment, to be deleted itself, waits with that. */
static int note_stuck(const struct tempfile_entry *e, void *userdata)
{
        char *what = userdata;

        if (e->error != 0 && (e->state == TEMPFILE_STATE_STUCK ||
                              (e->state == TEMPFILE_STATE_WAITING && e->error != -ENOENT)))
                (void) snprintf(what, MODEL_PATH_MAX, "%.200s: %s", e->path, strerror(-e->error));
        return 0;
}

/* How many entries there are; each question takes its time at the daemon. */
static int64_t look_at_list(void)
{
        char what[MODEL_PATH_MAX] = "";
        struct tempfile_admin *a = NULL;
        int64_t n;

        n = tempfile_admin_open(run.daemon.socket, 0, &a);
        if (n == 0)
                n = tempfile_admin_list(a, NULL, note_stuck, what);
        tempfile_admin_close(a);
        if (n < 0)
                property_fail("cannot list: %s", strerror((int) -n));
        if (*what)
                property_fail("can't be deleted: %s", what);
        return n;
}

static void compare(void)
{
        const int64_t end = now_msec() + SETTLE_MSEC;
        const char *dirs[] = { run.dirs[0], run.dirs[1], run.target };
        char what[2 * MODEL_PATH_MAX];
        int r;

        while ((r = model_compare(&run.model, dirs, ARRAY_SIZE(dirs), what, sizeof(what))) > 0 &&
               now_msec() < end)
                (void) look_at_list();
        if (r != 0)
                property_fail("%s", what);
        run.n_compared++;
}

static void empty_directory(const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                (void) unlinkat(dirfd(dir), e->d_name, 0);
        if (dir)
                (void) closedir(dir);
}

/* Files of nobody's, once they were looked at, are cleared away. */
static void clear_some_files(void)
{
        while (run.model.files.n > FILES_MAX) {
                struct model_file *f = &run.model.files.at[property_random(run.model.files.n)];

                empty_directory(f->path);
                (void) remove(f->path);
                model_remove_file(&run.model, f);
        }
}

static void be_quiet(void)
{
        if (run.daemon.pid == 0)
                start_daemon();
        model_settle(&run.model);
        compare();
        clear_some_files();
}

/* ---- beginning and end ---- */

static void make_directory(char *path, const char *name, mode_t mode)
{
        (void) snprintf(path, MODEL_PATH_MAX, "%s/%s", run.top, name);
        if (mkdir(path, 0700) < 0 || chmod(path, mode) < 0)
                property_fail("%s: %s", path, strerror(errno));
}

static void begin(void)
{
        mode_t mode = geteuid() == 0 ? 01777 : 0700;
        char clock[MODEL_PATH_MAX];

        (void) snprintf(run.top, sizeof(run.top), "%.40s/property-XXXXXX", args.top);
        if (!mkdtemp(run.top) || chmod(run.top, 0711) < 0)
                property_fail("%s: %s", run.top, strerror(errno));
        make_directory(run.dirs[0], "a", mode);
        make_directory(run.dirs[1], "b", mode);
        make_directory(run.target, "target", mode);
        (void) snprintf(clock, sizeof(clock), "%s/clock", run.top);
        run.has_clock = wall_clock_prepare(clock);
        run.random = args.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        if (daemon_fixture_init(&run.daemon, run.top) < 0 ||
            setenv("TEMPFILED_SOCKET", run.daemon.socket, 1) < 0 ||
            unsetenv("TEMPFILED_BOOT_ID") < 0)
                property_fail("no place for a daemon");
        start_daemon();
}

static void end_clients(void)
{
        struct property_answer a;

        for (unsigned int i = 0; i < PROPERTY_SLOTS; i++) {
                if (run.slots[i].process == 0)
                        continue;
                (void) kill_client(&run.slots[i], &a);
                model_end_process(&run.model, run.slots[i].process);
                run.slots[i].process = 0;
        }
        model_settle(&run.model);
}

static int reap_one(const struct tempfile_entry *e, void *userdata)
{
        const int64_t end = now_msec() + SETTLE_MSEC;
        struct tempfile_admin *a = NULL;
        int64_t n = tempfile_admin_open(run.daemon.socket, 0, &a);

        if (n == 0)
                do /* it may be tried already, for another reason */
                        n = tempfile_admin_reap(a, e->id, TEMPFILE_REAP_FORCE);
                while (n == -EALREADY && now_msec() < end);
        tempfile_admin_close(a);
        return n < 0 && n != -ENOENT && n != -ESTALE ? (int) n : 0; /* -ESTALE: it was replaced */
}

/* What leases hold, and what is retained: by force. */
static void reap_all(void)
{
        struct tempfile_admin *a = NULL;
        int64_t n;

        n = tempfile_admin_open(run.daemon.socket, 0, &a);
        if (n == 0)
                n = tempfile_admin_list(a, NULL, reap_one, NULL);
        tempfile_admin_close(a);
        if (n < 0)
                property_fail("cannot reap: %s", strerror((int) -n));
        for (unsigned int i = 0; i < run.model.things.n; i++)
                if (run.model.things.at[i].kept == MODEL_NO)
                        model_remove_thing(&run.model, &run.model.things.at[i--]);
}

/* All clients end, the machine is started again, and then leases and retentions end, too. */
static void finish(void)
{
        int64_t patience;

        be_quiet();
        end_clients();
        compare();
        end_daemon();
        (void) setenv("TEMPFILED_BOOT_ID", "0123456789abcdef0123456789abcdef", 1);
        start_daemon();
        model_reboot(&run.model);
        compare();
        reap_all();
        compare();
        patience = now_msec() + SETTLE_MSEC; /* what may have come back is still looked for */
        while (look_at_list() != 0)
                if (now_msec() >= patience)
                        property_fail("something is listed that is not there");
}

static void remove_top(void)
{
        const char *rm[] = { "rm", "-rf", run.top, NULL };
        pid_t pid = fork();

        if (pid == 0) {
                (void) execvp(rm[0], (char *const *) rm);
                _exit(127);
        }
        reap(pid);
}

static void report(void)
{
        uint64_t n = 0;

        for (unsigned int op = 0; op < OP_MAX; op++)
                n += run.n_operations[op];
        printf("ok 1 - %" PRIu64 " operations by %u processes, %" PRIu64 " killed, %" PRIu64
               " starts of the daemon, %" PRIu64 " steps of its clock, %" PRIu64
               " comparisons: seed %" PRIu64 ", %" PRIu64 " rounds\n1..1\n",
               n, run.model.processes.n, run.n_kills, run.n_starts, run.n_steps, run.n_compared,
               args.seed, run.round);
}

static int usage(void)
{
        (void) fprintf(stderr, "Usage: property [--seed N] [--rounds N] [--seconds N] [--top DIR]"
                               " [--verbose]\n");
        return 2;
}

static int read_arguments(int argc, char *argv[])
{
        static const struct option options[] = {
                { "seed", required_argument, NULL, 's' },
                { "rounds", required_argument, NULL, 'r' },
                { "seconds", required_argument, NULL, 't' },
                { "top", required_argument, NULL, 'd' },
                { "verbose", no_argument, NULL, 'v' },
                { "client", required_argument, NULL, 'c' },
                { NULL, 0, NULL, 0 },
        };
        struct property_answer done = { 0 };
        const char *full = getenv("TEMPFILED_TEST_FULL");
        const bool is_full = full && *full && !streq(full, "0");
        int c;

        args.seconds = is_full ? 300 : 8;
        args.seed = is_full ? (uint64_t) time(NULL) ^ ((uint64_t) getpid() << 32) : 1;
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case 's':
                        args.seed = strtoull(optarg, NULL, 10);
                        break;
                case 'r':
                        args.rounds = strtoull(optarg, NULL, 10);
                        break;
                case 't':
                        args.seconds = strtoull(optarg, NULL, 10);
                        break;
                case 'd':
                        args.top = optarg;
                        break;
                case 'v':
                        args.is_verbose = true;
                        break;
                case 'c': /* after an exec, whose answer is owed */
                        c = (int) strtol(optarg, NULL, 10);
                        (void) send(c, &done, sizeof(done), MSG_NOSIGNAL);
                        property_client(c);
                default:
                        return -EINVAL;
                }
        }
        return optind == argc ? 0 : -EINVAL;
}

int main(int argc, char *argv[])
{
        int64_t end;

        if (read_arguments(argc, argv) < 0)
                return usage();
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        begin();
        printf("# seed %" PRIu64 "\n", args.seed);
        (void) fflush(stdout);
        end = now_msec() + (int64_t) args.seconds * 1000;
        for (; args.rounds > 0 ? run.round < args.rounds : now_msec() < end; run.round++) {
                do_round();
                if (run.round % ROUNDS_BETWEEN == ROUNDS_BETWEEN - 1)
                        be_quiet();
        }
        finish();
        report();
        daemon_fixture_kill(&run.daemon);
        remove_top();
        model_done(&run.model);
        return EXIT_SUCCESS;
}
