/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl run: a program with a temporary directory that goes when the program ends.
 *
 * This process makes the directory, owns it, and becomes the program: same process, same exit
 * status, nothing in between. The directory stays this process's across exec, and the library's
 * descriptors are close-on-exec. Only what is to be done after the program's end takes a process
 * that waits for it (supervise.c), which then is the owner.
 */

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/family.h"
#include "tools/supervise.h"

#define STATUS_CANNOT_EXECUTE 126
#define STATUS_NOT_FOUND 127

struct running {
        const struct ctl *ctl;
        struct tempfile *directory;
        struct family family;
        bool stays; /* it is not to be deleted here */
};

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
        if (!c->is_kept_on_failure)
                o.retain_sec = c->retain_sec;
        r = tempfile_directory(&o, ret);
        if (r == -ECONNREFUSED)
                return ctl_error_no_daemon();
        if (r < 0)
                return ctl_error("cannot make a temporary directory%s%s: %s", c->dir ? " in " : "",
                                 c->dir ? c->dir : "", ctl_strerror(r));
        return CTL_OK;
}

static int set_environment(const struct ctl *c, const char *path)
{
        static const char *const usual[] = { "TMPDIR", "TEMP", "TMP" };
        const char *const *names = c->variable ? &c->variable : usual;
        size_t n = c->variable ? 1 : ARRAY_SIZE(usual);

        for (size_t i = 0; i < n; i++)
                if (setenv(names[i], path, 1) < 0)
                        return ctl_error("%s", ctl_strerror(-errno));
        return CTL_OK;
}

/* Returns only when it failed. */
static int execute(void *userdata)
{
        const struct running *r = userdata;
        const struct ctl *c = r->ctl;
        int error;

        (void) signal(SIGPIPE, c->old_sigpipe);
        execvp(c->args[0], c->args);
        error = errno;
        (void) signal(SIGPIPE, SIG_IGN);
        (void) ctl_error("cannot run '%s': %s", c->args[0], strerror(error));
        return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
}

static int begin(void *userdata)
{
        struct running *r = userdata;
        int status;

        set_name(r->ctl->args[0]);
        status = make_directory(r->ctl, &r->directory);
        return status == CTL_OK ? set_environment(r->ctl, tempfile_path(r->directory)) : status;
}

/* From now on the cgroup owns it, too: it keeps it even when this process is killed. Where that
 * can't be, this process alone waits for its family, as the parent of whom the others leave. */
static void started(pid_t pid, void *userdata)
{
        struct running *r = userdata;
        struct tempfile_options owner = TEMPFILE_OPTIONS_INIT;
        _cleanup_(closep) int pidfd = pidfd_open(pid, 0);

        if (pidfd < 0 || family_begin(&r->family) < 0 || family_add(&r->family, pid) < 0)
                return;
        owner.flags = TEMPFILE_OWNER_PIDFD;
        owner.owner_kind = TEMPFILE_OWNER_UNIT;
        owner.owner_pidfd = pidfd;
        owner.token = r->family.inode;
        (void) tempfile_share_with(r->directory, &owner); /* a daemon elsewhere can't see it */
}

static void over(void *userdata)
{
        struct running *r = userdata;
        int error;

        family_end(&r->family);
        if (r->stays)
                return; /* it ends with this process, and is retained or kept */
        error = tempfile_close(r->directory);
        if (error < 0)
                (void) ctl_error("cannot delete the temporary directory now: %s",
                                 ctl_strerror(error));
}

static void ended(bool has_failed, void *userdata)
{
        struct running *r = userdata;
        uint32_t sec = r->ctl->retain_sec;
        int error;

        r->stays = r->ctl->is_kept_on_failure ? has_failed : sec > 0;
        if (!has_failed || !r->ctl->is_kept_on_failure)
                return;
        error = sec > 0 ? tempfile_retain(r->directory, sec) : tempfile_keep(r->directory);
        if (error < 0)
                (void) ctl_error("cannot keep '%s': %s", tempfile_path(r->directory),
                                 ctl_strerror(error));
        else
                (void) ctl_error("the command has failed; its temporary directory is '%s'",
                                 tempfile_path(r->directory));
}

static int run_and_become(struct running *r)
{
        int status;

        status = begin(r);
        if (status == CTL_OK)
                status = execute(r);
        r->stays = false;
        over(r);
        return status;
}

static bool is_variable_name(const char *s)
{
        if (!isalpha((unsigned char) *s) && *s != '_')
                return false;
        while (isalnum((unsigned char) *s) || *s == '_')
                s++;
        return *s == '\0';
}

int ctl_run(struct ctl *c)
{
        struct running r = { .ctl = c, .family.fd = -1 };
        const struct supervise_hooks hooks = {
                .begin = begin,
                .started = started,
                .execute = execute,
                .ended = ended,
                .over = over,
                .has_family = c->has_family,
        };

        if (c->variable && !is_variable_name(c->variable))
                return ctl_usage_error(c->command, "'%s' is not a variable's name", c->variable);
        if (c->is_kept_on_failure || c->has_family)
                return supervise(&hooks, &r);
        return run_and_become(&r);
}
