/* SPDX-License-Identifier: MIT */

/*
 * Finds the daemons' sockets. The subtle thing: the library trusts only a daemon of root or of the
 * caller, and a user's daemon shows only him what is his, so root connects as that user. What such
 * a daemon says is its user's word, and treated as any bytes are.
 */

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tools/entry.h"
#include "tools/instances.h"

#define SYSTEM_SOCKET "/run/tempfiled/socket"
#define USER_SOCKETS "/run/user/*/tempfiled/socket"

/* As the user that the socket's directory is of. */
static int open_as_user(const char *socket, uid_t uid, struct tempfile_admin **ret)
{
        int r;

        if (seteuid(uid) < 0)
                return -errno;
        r = tempfile_admin_open(socket, 0, ret);
        if (seteuid(0) < 0)
                _exit(CTL_FAILED); /* never to go on as somebody else */
        return r;
}

static int ask_user(const char *socket, instance_fn fn, void *userdata)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct stat st;
        int r;

        if (lstat(socket, &st) < 0)
                return -errno;
        r = open_as_user(socket, st.st_uid, &a);
        if (r == -ECONNREFUSED)
                return 0; /* one that has ended */
        return r < 0 ? r : fn(&(struct instance) { entry_user_name(st.st_uid), a }, userdata);
}

static int ask_users(instance_fn fn, void *userdata, bool tells)
{
        glob_t found;
        int r, status = CTL_OK;

        if (geteuid() != 0 || glob(USER_SOCKETS, GLOB_NOSORT, NULL, &found) != 0)
                return CTL_OK;
        for (size_t i = 0; i < found.gl_pathc; i++) {
                r = ask_user(found.gl_pathv[i], fn, userdata);
                if (r < 0 && tells)
                        status = ctl_error("cannot ask the daemon at '%s': %s", found.gl_pathv[i],
                                           ctl_strerror(r));
        }
        globfree(&found);
        return status;
}

static int ask_system(instance_fn fn, void *userdata)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        const char *named = getenv("TEMPFILED_SOCKET");
        const char *socket = named && *named ? named : SYSTEM_SOCKET;
        int r;

        r = tempfile_admin_open(socket, 0, &a);
        if (r == 0)
                r = fn(&(struct instance) { "system", a }, userdata);
        return r < 0 ? ctl_error("cannot ask the daemon at '%s': %s", socket, ctl_strerror(r))
                     : CTL_OK;
}

int instances_each(instance_fn fn, void *userdata)
{
        int status = ask_system(fn, userdata), r = ask_users(fn, userdata, true);

        return status == CTL_OK ? r : status;
}

void instances_each_user(instance_fn fn, void *userdata)
{
        (void) ask_users(fn, userdata, false);
}
