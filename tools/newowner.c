/* SPDX-License-Identifier: MIT */

/*
 * From options to an owner. A unit is named to the daemon by a process in it.
 */

#include "tools/ancestor.h"
#include "tools/filter.h"
#include "tools/newowner.h"
#include "tools/unit.h"

int newowner_check(const struct ctl *c)
{
        int n = (c->owner_pid != 0) + (c->lease_sec != 0) + c->is_boot + (c->owner_unit != NULL);

        if (n > 1)
                return ctl_usage_error(c->command,
                                       "--owner-pid, --lease, --unit and --boot exclude "
                                       "each other");
        return CTL_OK;
}

int newowner_open_process(pid_t pid, pid_t *ret_pid, int *ret_pidfd)
{
        int r;

        if (pid > 0) {
                r = ancestor_open_pid(pid, ret_pidfd);
                if (r < 0)
                        return ctl_error("process %d cannot be the owner: %s", (int) pid,
                                         strerror(-r));
                *ret_pid = pid;
                return CTL_OK;
        }
        r = ancestor_open(ret_pid, ret_pidfd);
        if (r == -ECHILD || r == -ESRCH)
                return ctl_error("the process that asked has ended; --owner-pid=PID names another");
        if (r == -ENOENT)
                return ctl_error("no usable /proc to find the owner; --owner-pid=PID names it");
        if (r < 0)
                return ctl_error("cannot find the owner: %s; --owner-pid=PID names it",
                                 strerror(-r));
        return CTL_OK;
}

static int open_unit(const char *unit, int *ret_pidfd, uint64_t *ret_cgroup)
{
        _cleanup_(freep) char *name = filter_unit_name(unit);
        int r;

        r = name ? unit_open_process(name, ret_pidfd, ret_cgroup) : -ENOMEM;
        if (r == -ESRCH)
                return ctl_error("no process is in unit '%s'", name);
        if (r < 0)
                return ctl_error("cannot look for unit '%s': %s", unit, strerror(-r));
        return CTL_OK;
}

int newowner_open(const struct ctl *c, struct newowner *ret)
{
        struct tempfile_admin_owner *o = &ret->owner;

        *ret = (struct newowner) { .owner = { .size = sizeof(*o), .pidfd = -1 } };
        if (c->lease_sec != 0) {
                o->kind = TEMPFILE_OWNER_LEASE;
                o->lease_sec = c->lease_sec;
                return CTL_OK;
        }
        if (c->is_boot) {
                o->kind = TEMPFILE_OWNER_BOOT;
                return CTL_OK;
        }
        if (c->owner_unit) {
                o->kind = TEMPFILE_OWNER_UNIT;
                return open_unit(c->owner_unit, &o->pidfd, &o->token);
        }
        o->kind = TEMPFILE_OWNER_PROCESS;
        return newowner_open_process(c->owner_pid, &ret->pid, &o->pidfd);
}
