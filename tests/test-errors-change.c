/* SPDX-License-Identifier: MIT */

/*
 * The calls that ask the daemon about a thing that is there, times what it may answer. The library
 * hands that on, the thing is what it was before, and closing it deletes it.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "tests/error-table.h"

#define SHORT_MSEC 400U /* for those that wait in vain, but on a busy machine */

static struct tempfile *t;

/* ---- calls ------------------------------------------------------------------------------------ */

static struct tempfile_options owned_by_boot(void)
{
        struct tempfile_options owner = TEMPFILE_OPTIONS_INIT;

        owner.owner_kind = TEMPFILE_OWNER_BOOT;
        owner.timeout_msec = options.timeout_msec;
        return owner;
}

/* It failed: nothing has changed. The daemon is not asked any more, so what it may have heard counts
 * as another's: such a thing is not deleted here. */
static int unchanged(int r)
{
        char *path = strdup(tempfile_path(t));

        if (r < 0 && tempfile_fd(t) >= 0) {
                ck_assert(path_exists(path));
                ck_assert_int_eq(write(tempfile_fd(t), "x", 1), 1);
        }
        ck_assert_int_eq(tempfile_close(t), 0);
        if (r == -ETIMEDOUT)
                (void) unlink(path);
        ck_assert_msg(r >= 0 || !path_exists(path), "%s is still there", path);
        free(path);
        return r;
}

/* What is arranged comes after the thing was made: see main(). */
static void (*arrange)(void);

/* With the usual time for it: the connection and the tag are there then. */
static void meet_daemon(void)
{
        const struct tempfile_options arranged = options;

        options = (struct tempfile_options) TEMPFILE_OPTIONS_INIT;
        options.dir = arranged.dir;
        ck_assert_int_eq(tempfile_close(make_file()), 0);
        options = arranged;
}

static void have_file(void)
{
        meet_daemon();
        t = make_file();
        arrange();
}

static int keep(void)
{
        have_file();
        return unchanged(tempfile_keep(t));
}

static int by_pidfd(int (*fn)(struct tempfile *, int))
{
        _cleanup_(closep) int pidfd = (int) syscall(SYS_pidfd_open, getppid(), 0);

        have_file();
        return unchanged(fn(t, pidfd));
}

static int give(void)
{
        return by_pidfd(tempfile_give);
}

static int share(void)
{
        return by_pidfd(tempfile_share);
}

static int give_to(void)
{
        const struct tempfile_options owner = owned_by_boot();

        have_file();
        return unchanged(tempfile_give_to(t, &owner));
}

static int share_with(void)
{
        const struct tempfile_options owner = owned_by_boot();

        have_file();
        return unchanged(tempfile_share_with(t, &owner));
}

static int retain(void)
{
        have_file();
        return unchanged(tempfile_retain(t, 1));
}

/* What a lease owns is not this process's to delete. */
static int renew(void)
{
        _cleanup_(freep) char *path = NULL;
        int r;

        options.owner_kind = TEMPFILE_OWNER_LEASE;
        options.lease_sec = 100;
        have_file();
        path = strdup(tempfile_path(t));
        r = tempfile_renew(t, 1);
        ck_assert(path_exists(path));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(unlink(path), 0);
        return r;
}

/* What was made in a directory is kept before the directory moves. */
static int persist(void)
{
        _cleanup_(freep) char *path = NULL;
        struct tempfile *inside;
        int r;

        meet_daemon();
        ck_assert_int_eq(tempfile_directory(&options, &t), 0);
        path = strdup(tempfile_path(t));
        options.dir = path;
        inside = make_file();
        arrange();
        r = tempfile_persist(t, stage_path("target"), 0);
        ck_assert_str_eq(tempfile_path(t), path);
        ck_assert_int_eq(tempfile_close(inside), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        return r;
}

/* Closing what is to stay: it could not be kept, and so belongs to the process as before. */
static int close_and_keep(void)
{
        _cleanup_(freep) char *path = NULL;
        int r;

        options.flags =
                TEMPFILE_NO_DELETE | TEMPFILE_IGNORE_CLEANUP_ERRORS; /* it is none of those */
        have_file();
        path = strdup(tempfile_path(t));
        r = tempfile_close(t);
        ck_assert_int_eq(unlink(path), 0);
        return r;
}

static int track(void)
{
        int r;

        write_file(stage_path("mine"), "");
        arrange();
        r = tempfile_track(stage_path("mine"), &options, &t);
        ck_assert_int_eq(unlink(stage_path("mine")), 0);
        return r;
}

static int make_token(void)
{
        uint64_t id = 42;
        int r;

        arrange();
        r = tempfile_token_new(options.timeout_msec, &id);
        ck_assert_uint_eq(id, 42);
        return r;
}

#define CHANGES (1U << 0) /* the thing's owner, or how it ends */
#define CLAIMS (1U << 1)  /* it for another */
#define BY_KIND (1U << 2) /* an owner of any kind */
#define KEEPS (1U << 3)
#define LATER (1U << 4) /* changes what comes later only */
#define TRACKS (1U << 5)

static const struct error_call calls[] = {
        { "tempfile_keep", keep, CHANGES | KEEPS },
        { "tempfile_close", close_and_keep, CHANGES | KEEPS },
        { "tempfile_persist", persist, KEEPS },
        { "tempfile_give", give, CHANGES | CLAIMS },
        { "tempfile_share", share, CHANGES | CLAIMS },
        { "tempfile_give_to", give_to, CHANGES | CLAIMS | BY_KIND },
        { "tempfile_share_with", share_with, CHANGES | CLAIMS | BY_KIND },
        { "tempfile_renew", renew, CHANGES | LATER },
        { "tempfile_retain", retain, CHANGES | LATER },
        { "tempfile_track", track, TRACKS },
        { "tempfile_token_new", make_token, 0 },
};

/* ---- answers ---------------------------------------------------------------------------------- */

static const uint16_t questions[] = {
        WIRE_KEEP, WIRE_CLAIM, WIRE_RENEW, WIRE_RETAIN, WIRE_TRACK, WIRE_TOKEN,
};

static void answer_all(enum fake_action action, int error)
{
        for (unsigned int i = 0; i < ARRAY_SIZE(questions); i++)
                fake_set(questions[i], action, error, 0);
}

#define ANSWER(name, action, error)                                                                \
        static void name##_now(void)                                                               \
        {                                                                                          \
                answer_all(action, error);                                                         \
        }                                                                                          \
        static void name(void)                                                                     \
        {                                                                                          \
                arrange = name##_now;                                                              \
                options.timeout_msec = (action) == FAKE_IGNORE ? SHORT_MSEC : 0;                   \
        }
ANSWER(answer_nothing, FAKE_IGNORE, 0)
ANSWER(answer_nonsense, FAKE_GARBAGE, 0)
ANSWER(be_full, FAKE_ANSWER, -ENOSPC)
ANSWER(be_without_memory, FAKE_ANSWER, -ENOMEM)
ANSWER(allow_no_more, FAKE_ANSWER, -EDQUOT)
ANSWER(forbid, FAKE_ANSWER, -EPERM)
ANSWER(be_reaping, FAKE_ANSWER, -ESTALE)
ANSWER(find_it_gone, FAKE_ANSWER, -ENOENT)
ANSWER(find_owner_gone, FAKE_ANSWER, -ESRCH)
ANSWER(find_no_unit, FAKE_ANSWER, -EOPNOTSUPP)
ANSWER(find_no_lease, FAKE_ANSWER, -EINVAL)

static void be_gone(void)
{
        arrange = fake_stop;
}

static const struct error_situation situations[] = {
        { "no daemon any more", -ECONNREFUSED, 0, be_gone, NULL },
        { "no answer", -ETIMEDOUT, 0, answer_nothing, NULL },
        { "nonsense for an answer", -EBADMSG, 0, answer_nonsense, NULL },
        { "a daemon whose disk is full", -ENOSPC, 0, be_full, NULL },
        { "a daemon without memory", -ENOMEM, 0, be_without_memory, NULL },
        { "a thing that is being deleted", -ESTALE, CHANGES, be_reaping, NULL },
        { "a thing that is gone", -ENOENT, LATER, find_it_gone, NULL },
        { "a thing that is gone", -ESTALE, CLAIMS, find_it_gone, NULL },
        { "an owner that may not be signalled", -EPERM, CLAIMS, forbid, NULL },
        { "an owner that has ended", -ESRCH, CLAIMS, find_owner_gone, NULL },
        { "an owner that may have no more", -EDQUOT, CLAIMS, allow_no_more, NULL },
        { "no unit to be the owner", -EOPNOTSUPP, BY_KIND, find_no_unit, NULL },
        { "another's path", -EPERM, TRACKS, forbid, NULL },
        { "one path too many", -EDQUOT, TRACKS, allow_no_more, NULL },
        { "what is no lease", -EINVAL, LATER, find_no_lease, NULL },
};

int main(int argc, char **argv)
{
        return run_error_table("errors-change", calls, ARRAY_SIZE(calls), situations,
                               ARRAY_SIZE(situations), argc, argv);
}
