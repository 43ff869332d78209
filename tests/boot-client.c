/* SPDX-License-Identifier: MIT */

/*
 * What runs as a service in test-boot.sh: makes temporary files and never tidies up.
 *
 *     boot-client hold DIR COUNT [unit]   makes COUNT files, says that it is ready, and stays; with
 *                                         "unit" they are the service's and not the process's
 *     boot-client churn DIR               goes on making files and closing the oldest; ends with
 *                                         status 1 if one can't be made
 *     boot-client mount DIR BACKING UID   serves a FUSE mount that lets in nobody but that user
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "libclient/libtempfile.h"
#include "tests/fuse-server.h"

#define RING 32U

static int fail(const char *what, int r)
{
        (void) fprintf(stderr, "boot-client: %s: %s\n", what, strerror(-r));
        return EXIT_FAILURE;
}

static void stay(void)
{
        for (;;)
                (void) pause();
}

static int hold(const struct tempfile_options *o, unsigned long count)
{
        struct tempfile *t;
        int r;

        for (unsigned long i = 0; i < count; i++) {
                r = tempfile_named(o, &t);
                if (r < 0)
                        return fail(o->dir, r);
        }
        (void) sd_notify(0, "READY=1");
        stay();
        return EXIT_SUCCESS;
}

static int churn(const struct tempfile_options *o)
{
        struct tempfile *ring[RING] = { NULL };
        int r;

        for (unsigned long i = 0;; i++) {
                (void) tempfile_close(ring[i % RING]);
                r = tempfile_named(o, &ring[i % RING]);
                if (r < 0)
                        return fail(o->dir, r);
                if (i == RING)
                        (void) sd_notify(0, "READY=1");
                (void) poll(NULL, 0, 1); /* a load, and not all of the machine */
        }
}

static int serve_mount(const char *dir, const char *backing, unsigned long uid)
{
        struct fuse_server_options o = { .backing = backing,
                                         .mount_point = dir,
                                         .uid = (uid_t) uid,
                                         .gid = (gid_t) uid,
                                         .record_fd = -1 };
        struct fuse_server s;
        int r = fuse_server_start(&s, &o);

        if (r < 0)
                return fail(dir, r);
        (void) sd_notify(0, "READY=1");
        stay();
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.timeout_msec = 60000; /* a hung daemon is ended and started first */

        if (argc == 5 && strcmp(argv[1], "mount") == 0)
                return serve_mount(argv[2], argv[3], strtoul(argv[4], NULL, 10));
        if (argc >= 3)
                o.dir = argv[2];
        if (argc == 5 && strcmp(argv[4], "unit") == 0)
                o.owner_kind = TEMPFILE_OWNER_UNIT;
        else if (argc == 5)
                argc = 0;
        if (argc >= 4 && strcmp(argv[1], "hold") == 0)
                return hold(&o, strtoul(argv[3], NULL, 10));
        if (argc == 3 && strcmp(argv[1], "churn") == 0)
                return churn(&o);
        (void) fprintf(stderr, "Usage: boot-client hold DIR COUNT [unit] | churn DIR |\n"
                               "       mount DIR BACKING UID\n");
        return 2;
}
