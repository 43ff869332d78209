/* SPDX-License-Identifier: MIT */

/*
 * Finds the process that a temporary file made from a shell script belongs to.
 *
 * `f=$(g)`, `$(a | b)`, `$(a || b)`, `( ... )`, `{ ... } &` and nested ones run a command in a
 * forked copy of the script's shell, and that copy is often dead before the name is used. So the
 * climb starts at the parent and goes on while the parent's parent looks like what the process
 * was forked from; when in doubt the longer-lived one is taken. A shell that was given one plain
 * command with -c, as system(3) does, is climbed over too: it ends with that command, and some
 * shells become the command while others wait for it. The subtle thing is that all of
 * this is read from /proc while processes may end and their numbers return: the climb is done
 * twice, with the pidfd opened in between. The same process at the same place both times, and the
 * pidfd alive afterwards, mean that the pidfd is that process's.
 */

#include <poll.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "tools/ancestor.h"
#include "tools/process.h"

/* init adopts orphans, so being its child says nothing; a container's shell is its own program. */
static bool may_own(const struct process *p)
{
        return p->pid != 1 || process_is_shell(p);
}

/*
 * Is @parent perhaps not who started the child, but init or a subreaper that took it over? The
 * kernel does not show who is a subreaper. But a child is in its parent's session unless it opened
 * one of its own, and those who adopt (init, systemd --user, container shims) have theirs.
 */
static bool is_adoptive(pid_t child, pid_t session, const struct process *parent)
{
        if (!may_own(parent))
                return true;
        return session != child && session != parent->session && parent->pid != 1;
}

/* Would the thing be of use to @parent, after @p? */
static bool is_in_between(const struct process *p, const struct process *parent)
{
        if (process_is_copy(p, parent))
                return may_own(parent);
        return process_is_single_command(p) && !is_adoptive(p->pid, p->session, parent);
}

static int climb(struct process *ret)
{
        struct process p, parent;
        pid_t pid = getppid();
        int r;

        if (pid <= 0)
                return -ECHILD; /* started from outside of this pid namespace */
        r = process_read(pid, &p);
        if (r < 0)
                return r;
        if (is_adoptive(getpid(), getsid(0), &p))
                return -ECHILD;

        while (p.parent > 0) {
                r = process_read(p.parent, &parent);
                if (r == -ESRCH)
                        break; /* just ended: then the second climb ends elsewhere */
                if (r < 0)
                        return r;
                if (!is_in_between(&p, &parent))
                        break;
                p = parent;
        }
        *ret = p;
        return 0;
}

/* 1, 0, or negative errno. */
static int is_alive(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        if (poll(&p, 1, 0) < 0)
                return -errno;
        return p.revents == 0;
}

int ancestor_open_pid(pid_t pid, int *ret_pidfd)
{
        _cleanup_(closep) int fd = -1;
        int r;

        fd = (int) syscall(SYS_pidfd_open, pid, 0U); /* only glibc 2.36 and newer have a function */
        if (fd < 0)
                return -errno;
        r = is_alive(fd);
        if (r < 0)
                return r;
        if (r == 0)
                return -ESRCH;
        *ret_pidfd = TAKE_FD(fd);
        return 0;
}

int ancestor_open(pid_t *ret_pid, int *ret_pidfd)
{
        _cleanup_(closep) int fd = -1;
        struct process before, after;
        int r;

        r = climb(&before);
        if (r < 0)
                return r;
        r = ancestor_open_pid(before.pid, &fd);
        if (r < 0)
                return r;
        r = climb(&after);
        if (r < 0)
                return r;
        if (!process_is_same(&before, &after))
                return -ESRCH;
        r = is_alive(fd);
        if (r < 0)
                return r;
        if (r == 0)
                return -ESRCH;

        *ret_pid = after.pid;
        *ret_pidfd = TAKE_FD(fd);
        return 0;
}
