/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl track: what exists goes when its owner ends.
 *
 * Goes on after a failure, tells each, and fails if there was any.
 */

#include <stdio.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/newowner.h"

static int tell_failure(const char *path, const struct newowner *to, int error)
{
        switch (error) {
        case -ECONNREFUSED:
                return ctl_error_no_daemon();
        case -EINVAL:
                return ctl_error("'%s' is no name that could be deleted", path);
        case -ESTALE:
                return ctl_error("'%s' cannot be told apart from another on that file system",
                                 path);
        case -ESRCH:
                return ctl_error("cannot track '%s': the owner has ended", path);
        case -EPERM:
                return to->pid != 0
                               ? ctl_error("'%s' or process %d is not yours", path, (int) to->pid)
                               : ctl_error("'%s' is not yours", path);
        case -EOPNOTSUPP:
                return ctl_error("cannot track '%s': the daemon cannot tell when its owner ends",
                                 path);
        default:
                return ctl_error("cannot track '%s': %s", path, ctl_strerror(error));
        }
}

static int track(const struct ctl *c, const char *path, const struct newowner *to)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int r;

        o.owner_kind = to->owner.kind;
        o.lease_sec = to->owner.lease_sec;
        o.token = to->owner.token;
        if (to->owner.pidfd >= 0) {
                o.flags = TEMPFILE_OWNER_PIDFD;
                o.owner_pidfd = to->owner.pidfd;
        }
        r = tempfile_track(path, &o, &t);
        if (r < 0)
                return tell_failure(path, to, r);
        if (!c->is_quiet)
                ctl_print_field("Tracked", tempfile_path(t));
        (void) tempfile_close(t); /* it has another owner: this frees the handle only */
        return CTL_OK;
}

int ctl_track(struct ctl *c)
{
        _cleanup_(newowner_done) struct newowner to;
        int r, status = CTL_OK;

        to.owner.pidfd = -1;
        r = newowner_check(c);
        if (r == CTL_OK)
                r = newowner_open(c, &to);
        if (r != CTL_OK)
                return r;
        for (int i = 0; i < c->n_args; i++) {
                r = track(c, c->args[i], &to);
                if (r != CTL_OK)
                        status = r;
        }
        return status;
}
