/* SPDX-License-Identifier: MIT */

/*
 * What a process does first: each unit in one that has just been forked, with the time that it says
 * itself. What the process takes for its own first steps (pages that it copies, functions that are
 * looked up) counts for everybody.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/bench/works.h"

static void be_fresh(struct contestant *c, int (*once)(struct contestant *c), int to)
{
        const uint64_t start = clock_nsec();
        const int r = once(c);
        const uint64_t nsec = clock_nsec() - start;

        _exit(r < 0 || write(to, &nsec, sizeof(nsec)) != sizeof(nsec));
}

int fresh_run(struct contestant *c, int (*once)(struct contestant *c), unsigned int n,
              uint64_t *ret_nsec)
{
        uint64_t nsec;
        int ends[2], r = 0;

        *ret_nsec = 0;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        for (unsigned int i = 0; i < n && r == 0; i++) {
                const pid_t pid = fork();
                int status = 1;

                if (pid == 0)
                        be_fresh(c, once, ends[1]);
                if (pid < 0 || waitpid(pid, &status, 0) < 0)
                        r = -errno;
                else if (status != 0 || read(ends[0], &nsec, sizeof(nsec)) != sizeof(nsec))
                        r = -EIO;
                else
                        *ret_nsec += nsec;
        }
        (void) close(ends[0]);
        (void) close(ends[1]);
        return r;
}
