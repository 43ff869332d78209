/* SPDX-License-Identifier: MIT */

/*
 * The scenarios in which somebody beside the client is an owner: another process, its unit, an
 * open file description, a token, a lease. What was made may outlive the client then, so the fate
 * has two halves: while those others are there, and when they have ended too.
 *
 * In each the client holds one file more, which is nobody else's. When that one is gone, the
 * daemon has dealt with the client's end; whatever is there then was left on purpose.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-client.h"

#define LONG_SEC 3600U
#define SHORT_SEC 1000U
#define LEASE_END_MSEC 10
#define LEASE_END_ROUNDS 2000

/* What the others have by now is theirs. */
static enum crash_fate fate_given(const struct crash_report *r)
{
        if (r->others_have_ended || r->change.progress == CRASH_NOT_YET)
                return CRASH_GONE;
        if (r->change.progress == CRASH_DONE)
                return CRASH_STAYS;
        return CRASH_EITHER;
}

/* It was theirs before. */
static enum crash_fate fate_leased(const struct crash_report *r)
{
        return r->others_have_ended ? CRASH_GONE : CRASH_STAYS;
}

/* Kept for good, whoever had it. */
static enum crash_fate fate_share_keep(const struct crash_report *r)
{
        if (r->change.progress == CRASH_DONE)
                return CRASH_STAYS;
        return r->others_have_ended && r->change.progress == CRASH_NOT_YET ? CRASH_GONE
                                                                           : CRASH_EITHER;
}

static bool make_canary(struct crash_client *c)
{
        return client_succeeded(c, "tempfile_named", client_make_file(c));
}

/* ---- made for somebody ---- */

static void make_for(struct crash_client *c, struct tempfile_options *o)
{
        int r;

        if (!make_canary(c))
                return;
        client_begin(c);
        r = client_make_with(c, o);
        if (r >= 0)
                client_set_subject(c, tempfile_path(client_last(c)));
        client_end(c, "tempfile_named", r);
        if (r >= 0)
                client_copy_last(c, "%s.bak");
}

static struct tempfile_options for_owner(const struct crash_client *c)
{
        struct tempfile_options o = client_options();

        o.flags = TEMPFILE_OWNER_PIDFD;
        o.owner_pidfd = c->owner_pidfd;
        return o;
}

static void run_owner(struct crash_client *c)
{
        struct tempfile_options o = for_owner(c);

        make_for(c, &o);
}

/* As mktemp(1) does it for a script, with few random characters. */
static void run_owner_pattern(struct crash_client *c)
{
        struct tempfile_options o = for_owner(c);

        o.pattern = "report-XXXXXX.txt";
        make_for(c, &o);
}

static void run_unit(struct crash_client *c)
{
        struct tempfile_options o = for_owner(c);

        o.owner_kind = TEMPFILE_OWNER_UNIT;
        make_for(c, &o);
}

static void run_lease(struct crash_client *c)
{
        struct tempfile_options o = client_options();

        o.owner_kind = TEMPFILE_OWNER_LEASE;
        o.lease_sec = LONG_SEC;
        make_for(c, &o);
}

static void run_retained(struct crash_client *c)
{
        struct tempfile_options o = client_options();

        o.retain_sec = LONG_SEC;
        make_for(c, &o);
}

/* ---- given to somebody ---- */

static bool make_canary_and_file(struct crash_client *c)
{
        if (!make_canary(c) || !client_succeeded(c, "tempfile_named", client_make_file(c)))
                return false;
        client_set_subject(c, tempfile_path(client_last(c)));
        return true;
}

/* The last one held goes to the other process, or to both; then this one's handle is closed. */
static void hand_over(struct crash_client *c, const char *call,
                      int (*how)(struct tempfile *t, int pidfd))
{
        struct tempfile *t = client_unhold(c);

        client_begin(c);
        client_end(c, call, how(t, c->owner_pidfd));
        (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
}

static void run_give(struct crash_client *c)
{
        if (make_canary_and_file(c))
                hand_over(c, "tempfile_give", tempfile_give);
}

static void run_give_tree(struct crash_client *c)
{
        if (!make_canary(c) || !client_make_tree(c))
                return;
        client_set_subject(c, tempfile_path(client_last(c)));
        hand_over(c, "tempfile_give", tempfile_give);
}

static void run_share(struct crash_client *c)
{
        if (make_canary_and_file(c))
                hand_over(c, "tempfile_share", tempfile_share);
}

static void run_share_keep(struct crash_client *c)
{
        struct tempfile *t;

        if (!make_canary_and_file(c) ||
            !client_succeeded(c, "tempfile_share", tempfile_share(client_last(c), c->owner_pidfd)))
                return;
        t = client_unhold(c);
        client_begin(c);
        client_end(c, "tempfile_keep", tempfile_keep(t));
        (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
}

/* ---- for how long ---- */

static void run_retain(struct crash_client *c)
{
        if (!make_canary_and_file(c))
                return;
        client_begin(c);
        client_end(c, "tempfile_retain", tempfile_retain(client_last(c), LONG_SEC));
}

static int prepare_renew(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        int r;

        o.owner_kind = TEMPFILE_OWNER_LEASE;
        o.lease_sec = SHORT_SEC;
        r = client_make_with(c, &o);
        if (r < 0)
                return r;
        client_set_subject(c, tempfile_path(client_last(c)));
        c->report->expires_sec[0] = SHORT_SEC;
        c->report->expires_sec[1] = LONG_SEC;
        return client_make_file(c); /* the canary */
}

static void run_renew(struct crash_client *c)
{
        client_begin(c);
        client_end(c, "tempfile_renew", tempfile_renew(c->held[0], LONG_SEC));
}

/* Nobody closes it, and nobody has to die: time passes. */
static void run_lease_end(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;

        o.owner_kind = TEMPFILE_OWNER_LEASE;
        o.lease_sec = 1;
        if (!client_succeeded(c, "tempfile_named", client_make_with(c, &o)))
                return;
        t = client_unhold(c);
        for (int i = 0; i < LEASE_END_ROUNDS && access(tempfile_path(t), F_OK) == 0; i++)
                (void) usleep(LEASE_END_MSEC * 1000);
        (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
}

/* ---- descriptors and tokens ---- */

/* Passes it on: from then on the harness's copy is the one that counts, if there is one. */
static void pass_on(struct crash_client *c, int fd)
{
        int r;

        client_begin(c);
        r = client_pass(c, fd);
        client_end(c, "sendmsg", r);
        if (r >= 0)
                (void) close(fd);
}

static void run_pseudo_file(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        _cleanup_(freep) char *path = NULL;
        int fd;

        if (!make_canary(c))
                return;
        o.dir = c->tmp_dir;
        fd = tempfile_pseudo_file(&o, &path);
        if (!client_succeeded(c, "tempfile_pseudo_file", fd))
                return;
        client_set_subject(c, path);
        if (write(fd, CRASH_NEW, strlen(CRASH_NEW)) == (ssize_t) strlen(CRASH_NEW))
                pass_on(c, fd);
}

static void run_pseudo_directory(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        _cleanup_(freep) char *path = NULL;
        int fd;

        if (!make_canary(c))
                return;
        o.dir = c->tmp_dir;
        fd = tempfile_pseudo_directory(&o, &path);
        if (!client_succeeded(c, "tempfile_pseudo_directory", fd))
                return;
        client_set_subject(c, path);
        if (client_fill_directory(path) == 0)
                pass_on(c, fd);
}

static void run_token(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        int fd;

        if (!make_canary(c))
                return;
        fd = tempfile_token_new(o.timeout_msec, &o.token);
        if (!client_succeeded(c, "tempfile_token_new", fd))
                return;
        o.owner_kind = TEMPFILE_OWNER_TOKEN;
        if (!client_succeeded(c, "tempfile_named", client_make_with(c, &o)))
                return;
        client_set_subject(c, tempfile_path(client_last(c)));
        pass_on(c, fd);
}

#define OTHERS CRASH_FLAG_OTHERS
#define LEASE (CRASH_FLAG_OTHERS | CRASH_FLAG_LEASE)
#define OWNER (CRASH_FLAG_OTHERS | CRASH_FLAG_OWNER)

const struct crash_scenario crash_owners[] = {
        { "owner", "a file that another process owns", OWNER, NULL, run_owner, fate_given, NULL },
        { "owner-pattern", "the same with a name of the caller's choosing", OWNER, NULL,
          run_owner_pattern, fate_given, NULL },
        { "unit", "a file that another process's unit owns", OWNER | CRASH_FLAG_CGROUP, NULL,
          run_unit, fate_given, NULL },
        { "lease", "a file with a lease", LEASE, NULL, run_lease, fate_given, NULL },
        { "retained", "a file that is made to be retained", LEASE, NULL, run_retained, fate_given,
          NULL },
        { "give", "a file given to another process", OWNER, NULL, run_give, fate_given, NULL },
        { "give-tree", "a directory with a temporary in it, given", OWNER | CRASH_FLAG_DIRECTORY,
          NULL, run_give_tree, fate_given, NULL },
        { "share", "a file shared with another process, and closed", OWNER, NULL, run_share,
          fate_given, NULL },
        { "share-keep", "a shared file is kept", OWNER, NULL, run_share_keep, fate_share_keep,
          NULL },
        { "retain", "a file that is to be retained after all", LEASE, NULL, run_retain, fate_given,
          NULL },
        { "renew", "a lease is renewed", LEASE, prepare_renew, run_renew, fate_leased, NULL },
        { "lease-end", "a lease ends", CRASH_FLAG_SLOW, NULL, run_lease_end, NULL, NULL },
        { "pseudo-file", "a file that belongs to its descriptor, passed on", OTHERS, NULL,
          run_pseudo_file, fate_given, NULL },
        { "pseudo-directory", "the same with a directory", OTHERS | CRASH_FLAG_DIRECTORY, NULL,
          run_pseudo_directory, fate_given, NULL },
        { "token", "a file that belongs to a token, passed on", OTHERS, NULL, run_token, fate_given,
          NULL },
        { NULL, NULL, 0, NULL, NULL, NULL, NULL },
};
