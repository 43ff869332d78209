/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl run: a program with a temporary directory that goes when the program ends.
 *
 * This process makes the directory, owns it, and becomes the program: same process, same exit
 * status, nothing in between. The directory stays this process's across exec, and the library's
 * descriptors are close-on-exec.
 */

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tools/ctl.h"

#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NOT_FOUND 127

/* The daemon remembers its owners by name: by the command's, which exec sets a moment later. */
static void set_name(const char *command)
{
        const char *slash = strrchr(command, '/');

        (void) prctl(PR_SET_NAME, slash ? slash + 1 : command); /* for show only */
}

static int make_directory(const struct ctl *c, struct tempfile **ret)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        int r;

        o.dir = c->dir;
        o.prefix = "run-";
        r = tempfile_directory(&o, ret);
        if (r == -ECONNREFUSED)
                return ctl_error_no_daemon();
        if (r < 0)
                return ctl_error("cannot make a temporary directory%s%s: %s", c->dir ? " in " : "",
                                 c->dir ? c->dir : "", ctl_strerror(r));
        return CTL_OK;
}

static int set_environment(const char *path)
{
        static const char *const names[] = { "TMPDIR", "TEMP", "TMP" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (setenv(names[i], path, 1) < 0)
                        return ctl_error("%s", ctl_strerror(-errno));
        return CTL_OK;
}

/* Returns only when it failed. */
static int execute(const struct ctl *c)
{
        int error;

        (void) signal(SIGPIPE, c->old_sigpipe);
        execvp(c->args[0], c->args);
        error = errno;
        (void) signal(SIGPIPE, SIG_IGN);
        (void) ctl_error("cannot run '%s': %s", c->args[0], strerror(error));
        return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
}

int ctl_run(struct ctl *c)
{
        struct tempfile *t;
        int status, r;

        set_name(c->args[0]);
        status = make_directory(c, &t);
        if (status != CTL_OK)
                return status;
        status = set_environment(tempfile_path(t));
        if (status == CTL_OK)
                status = execute(c);

        r = tempfile_close(t);
        if (r < 0)
                (void) ctl_error("cannot delete the temporary directory now: %s", ctl_strerror(r));
        return status;
}
