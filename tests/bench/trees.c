/* SPDX-License-Identifier: MIT */

/*
 * See the header.
 */

#include "tests/bench/trees.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/bench/works.h"

#define DIRECTORIES 100U

int trees_fill(const char *top, unsigned int count)
{
        const unsigned int each = MAX(count / DIRECTORIES, 1U);
        char path[512];
        int fd;

        for (unsigned int i = 0; i < count; i++) {
                (void) snprintf(path, sizeof(path), "%s/%u", top, i / each);
                if (i % each == 0 && mkdir(path, 0700) < 0)
                        return -errno;
                (void) snprintf(path, sizeof(path), "%s/%u/%u", top, i / each, i);
                fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                        return -errno;
                (void) close(fd);
        }
        return 0;
}

static void be_owner(const char *dir, unsigned int count, const char *socket, int to)
{
        const struct tempfile_options o = our_options(dir);
        struct tempfile *t;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = socket && setenv("TEMPFILED_SOCKET", socket, 1) < 0 ? -errno : 0;
        if (r == 0)
                r = tempfile_directory(&o, &t);
        if (r == 0)
                r = trees_fill(tempfile_path(t), count);
        if (write(to, &r, sizeof(r)) == sizeof(r) && r == 0)
                for (;;)
                        (void) pause();
        _exit(1);
}

int trees_start_owner(const char *dir, unsigned int count, const char *socket, pid_t *ret)
{
        int ends[2], r = 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        *ret = fork();
        if (*ret == 0)
                be_owner(dir, count, socket, ends[1]);
        (void) close(ends[1]);
        if (*ret < 0)
                r = -errno;
        else if (read(ends[0], &r, sizeof(r)) != sizeof(r))
                r = -ECHILD;
        (void) close(ends[0]);
        return r;
}
