/* SPDX-License-Identifier: MIT */

/*
 * Python, where it is there: a process that is told over a pipe how often, and answers how long.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/bench/gone.h"
#include "tests/bench/works.h"

#define OBJECTS_DIRECTORY "/dev/shm" /* where shm_open(3) makes them */

static const char named_files[] = "import sys, tempfile, time\n"
                                  "for line in sys.stdin:\n"
                                  "    start = time.perf_counter_ns()\n"
                                  "    for _ in range(int(line)):\n"
                                  "        with tempfile.NamedTemporaryFile(dir=sys.argv[1]):\n"
                                  "            pass\n"
                                  "    print(time.perf_counter_ns() - start, flush=True)\n";

static const char objects[] =
        "import sys, signal\n"
        "from multiprocessing import shared_memory\n"
        "kept = [shared_memory.SharedMemory(name=sys.argv[1] + str(i), create=True, size=1)\n"
        "        for i in range(int(sys.argv[2]))]\n"
        "print('1', flush=True)\n"
        "signal.pause()\n";

bool peers_have_python(void)
{
        return system("python3 -c 'import multiprocessing.shared_memory, tempfile' "
                      ">/dev/null 2>&1") == 0;
}

struct python {
        pid_t pid;
        FILE *to, *from;
};

/* What the tracker says about leaks is what it is for, and not for our reader. */
static void run_python(const char *script, const char *a, const char *b, int in, int out)
{
        const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
            dup2(null_fd, STDERR_FILENO) >= 0)
                (void) execlp("python3", "python3", "-c", script, a, b, (char *) NULL);
        _exit(127);
}

static int start_python(struct python *p, const char *script, const char *a, const char *b)
{
        int in[2], out[2];

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                return -errno;
        p->pid = fork();
        if (p->pid == 0)
                run_python(script, a, b, in[0], out[1]);
        (void) close(in[0]);
        (void) close(out[1]);
        p->to = fdopen(in[1], "w");
        p->from = fdopen(out[0], "r");
        return p->pid < 0 || !p->to || !p->from ? -ENOMEM : 0;
}

static void end_python(struct python *p)
{
        (void) waitpid(p->pid, NULL, 0);
        (void) fclose(p->to);
        (void) fclose(p->from);
}

/* ---- files ------------------------------------------------------------------------------------ */

static int open_python_files(struct contestant *c)
{
        struct python *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        c->state = p;
        return start_python(p, named_files, c->dir, NULL);
}

static int run_python_files(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        struct python *p = c->state;

        if (fprintf(p->to, "%u\n", n) < 0 || fflush(p->to) != 0 ||
            fscanf(p->from, "%" SCNu64, ret_nsec) != 1)
                return -EPIPE;
        return 0;
}

const struct work python_file = { .open = open_python_files, .run = run_python_files };

/* ---- the resource tracker --------------------------------------------------------------------- */

/* The process is killed; its tracker, a process of its own, unlinks what it had been told of. */
static int end_once(struct contestant *c, const char *prefix, uint64_t *ret_nsec)
{
        struct python p = { 0 };
        char count[16];
        struct gone gone;
        uint64_t start;
        int r, ready = 0;

        (void) snprintf(count, sizeof(count), "%u", c->count);
        r = start_python(&p, objects, prefix, count);
        if (r == 0 && fscanf(p.from, "%d", &ready) != 1)
                r = -EPIPE;
        if (r == 0)
                r = gone_watch(&gone, OBJECTS_DIRECTORY, prefix, c->count);
        start = clock_nsec();
        if (p.pid > 0)
                (void) kill(p.pid, SIGKILL);
        if (r == 0)
                r = gone_wait(&gone);
        *ret_nsec = clock_nsec() - start;
        end_python(&p);
        return r;
}

static int run_tracker(struct contestant *c, unsigned int n, uint64_t *ret_nsec)
{
        char prefix[64];
        uint64_t nsec = 0;
        int r = 0;

        (void) snprintf(prefix, sizeof(prefix), "tempfiled-bench-%d-", (int) getpid());
        *ret_nsec = 0;
        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = end_once(c, prefix, &nsec);
                *ret_nsec += nsec;
        }
        return r;
}

const struct work python_tracker = { .run = run_tracker };
