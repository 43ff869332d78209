/* SPDX-License-Identifier: MIT */

/*
 * Bad input, and a world that is not well, in every function that makes something: each situation with
 * each of them. What they fail with is in the header, and nothing is left. What can go wrong with
 * a thing that has been made is test-errors-change's and test-errors-use' business.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/error-table.h"

#define SHORT_MSEC 400U

/* ---- what makes something --------------------------------------------------------------------- */

static int dispose(int r, struct tempfile *t)
{
        return r == 0 ? tempfile_close(t) : r;
}

static int dispose_fd(int fd)
{
        return fd >= 0 ? close(fd) : fd;
}

/* A daemon that only plays one deletes nothing. */
static int dispose_path(int fd, char *path)
{
        if (fd >= 0)
                ck_assert_int_eq(remove(path), 0);
        free(path);
        return dispose_fd(fd);
}

static int make_named(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_named(asked, &t);

        return dispose(r, t);
}

static int make_dir(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_directory(asked, &t);

        return dispose(r, t);
}

static int make_fifo(int dirfd, const char *name, const char *path, void *userdata)
{
        return mkfifoat(dirfd, name, 0600) < 0 ? -errno : 0;
}

static int make_other(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_make(asked, TEMPFILE_KIND_OTHER, make_fifo, NULL, &t);

        return dispose(r, t);
}

static int make_name(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_mktemp(asked, TEMPFILE_KIND_FILE, &t);

        return dispose(r, t);
}

static int make_pseudo_file(void)
{
        char *path = NULL;
        int fd = tempfile_pseudo_file(asked, &path);

        return dispose_path(fd, path);
}

static int make_pseudo_directory(void)
{
        char *path = NULL;
        int fd = tempfile_pseudo_directory(asked, &path);

        return dispose_path(fd, path);
}

static int make_unnamed(void)
{
        return dispose_fd(tempfile_unnamed(asked));
}

static int make_stream(void)
{
        FILE *f;
        int r = tempfile_fopen(asked, NULL, -1, &f);

        return r == 0 ? fclose(f) : r;
}

static int make_spooled(void)
{
        struct tempfile_spooled *s = NULL;
        int r = tempfile_spooled(asked, 1, &s);

        if (r == 0)
                r = tempfile_spooled_rollover(s);
        tempfile_spooled_close(s);
        return r;
}

static int fill_template(int (*fn)(char *))
{
        char *path;
        int r;

        if (asprintf(&path, "%s/%s", asked->dir, asked->pattern ? asked->pattern : "XXXXXXXXXX") <
            0)
                return -ENOMEM;
        r = fn(path);
        if (r >= 0)
                (void) remove(path);
        free(path);
        return r > 0 ? close(r) : r;
}

static int make_by_mkstemp(void)
{
        return fill_template(tempfile_mkstemp);
}

static int make_by_mkdtemp(void)
{
        return fill_template(tempfile_mkdtemp);
}

#define HANDLE (1U << 0)  /* may be another's, and retained */
#define SAID (1U << 1)    /* the daemon hears of it */
#define CREATES (1U << 2) /* it is there when the call returns, with a descriptor */
#define PSEUDO (1U << 3)  /* belongs to its descriptor */
#define KERNELS (1U << 4) /* nobody need know of it */
#define OPTIONS (1U << 5) /* has options, and not only a template */

static const struct error_call calls[] = {
        { "tempfile_named", make_named, OPTIONS | HANDLE | SAID | CREATES },
        { "tempfile_directory", make_dir, OPTIONS | HANDLE | SAID | CREATES },
        { "tempfile_make", make_other, OPTIONS | HANDLE | SAID },
        { "tempfile_mktemp", make_name, OPTIONS | HANDLE | SAID },
        { "tempfile_mkstemp", make_by_mkstemp, SAID | CREATES },
        { "tempfile_mkdtemp", make_by_mkdtemp, SAID | CREATES },
        { "tempfile_pseudo_file", make_pseudo_file, OPTIONS | PSEUDO | SAID | CREATES },
        { "tempfile_pseudo_directory", make_pseudo_directory, OPTIONS | PSEUDO | SAID | CREATES },
        { "tempfile_unnamed", make_unnamed, OPTIONS | KERNELS | CREATES },
        { "tempfile_fopen", make_stream, OPTIONS | KERNELS | CREATES },
        { "tempfile_spooled", make_spooled, OPTIONS | KERNELS | CREATES },
};

/* ---- options ---------------------------------------------------------------------------------- */

/* Compiled with a header that has two members more. */
static struct {
        struct tempfile_options options;
        uint64_t more[2];
} newer;

static void be_newer(void)
{
        newer.options = options;
        newer.options.size = sizeof(newer);
        newer.more[0] = newer.more[1] = 0;
        asked = &newer.options;
}

static void be_newer_and_ask(void)
{
        be_newer();
        newer.more[1] = 1;
}

static void be_older(void)
{
        options.size -= sizeof(uint64_t);
}
static void be_nothing(void)
{
        options.size = 0;
}
static void ask_for_flag(void)
{
        options.flags = 1U << 31;
}
static void ask_for_reserved(void)
{
        options.reserved[3] = 1;
}
static void ask_for_mode(void)
{
        options.mode = 010000;
}
static void put_slash_in_prefix(void)
{
        options.prefix = "a/b";
}
static void put_slash_in_suffix(void)
{
        options.suffix = "/b";
}
static void put_slash_in_pattern(void)
{
        options.pattern = "a/XXXXXXXXXX";
}
static void ask_for_few_x(void)
{
        options.pattern = "a-XX-X";
}
static void ask_for_pattern_and_prefix(void)
{
        options.pattern = "XXX", options.prefix = "";
}
static void have_no_pidfd(void)
{
        options.flags = TEMPFILE_OWNER_PIDFD, options.owner_pidfd = -1;
}
static void have_closed_pidfd(void)
{
        options.flags = TEMPFILE_OWNER_PIDFD, options.owner_pidfd = 999;
}
static void have_lease_of_nothing(void)
{
        options.owner_kind = TEMPFILE_OWNER_LEASE;
}
static void have_lease_alone(void)
{
        options.lease_sec = 1;
}
static void have_token_of_nothing(void)
{
        options.owner_kind = TEMPFILE_OWNER_TOKEN;
}
static void have_token_alone(void)
{
        options.token = 1;
}
static void have_descriptor(void)
{
        options.owner_kind = TEMPFILE_OWNER_DESCRIPTOR;
}
static void have_unknown_owner(void)
{
        options.owner_kind = 99;
}
static void have_lease(void)
{
        options.owner_kind = TEMPFILE_OWNER_LEASE, options.lease_sec = 9;
}
static void have_write_only(void)
{
        options.mode = 0200;
}

static void be_long(void)
{
        static char prefix[234 + 1];

        memset(prefix, 'p', sizeof(prefix) - 1);
        options.prefix = prefix;
}

static void have_long_pattern(void)
{
        static char pattern[256 + 1];

        memset(pattern, 'X', sizeof(pattern) - 1);
        options.pattern = pattern;
}

/* ---- directories ------------------------------------------------------------------------------ */

static void go_nowhere(void)
{
        options.dir = stage_path("missing");
}
static void go_to_nothing(void)
{
        options.dir = "";
}

static void go_to_a_file(void)
{
        write_file(stage_path("file"), "");
        options.dir = stage_path("file");
}

static void go_round_in_circles(void)
{
        ck_assert_int_eq(symlink("loop", stage_path("loop")), 0);
        options.dir = stage_path("loop");
}

static void go_too_far(void)
{
        static char dir[PATH_MAX + 1];

        memset(dir, '/', sizeof(dir) - 1);
        memcpy(dir, "/tmp", 4);
        options.dir = dir;
}

static void go_where_it_is_forbidden(void)
{
        become_ordinary();
        ck_assert_int_eq(chmod(stage_dir, 0500), 0);
}

static void go_where_nobody_writes(void)
{
        mount_at(stage_path("sub"), "", MS_RDONLY);
        options.dir = stage_path("sub");
}

/* There is one inode, the directory's own. */
static void go_where_it_is_full(void)
{
        mount_at(stage_path("sub"), "nr_inodes=1", 0);
        options.dir = stage_path("sub");
}

static void have_it_vanish(void)
{
        options.dir = stage_path("sub");
        ck_assert_int_eq(mkdir(options.dir, 0700), 0);
        (void) tempfile_close(make_file());
        ck_assert_int_eq(rmdir(options.dir), 0);
}

/* ---- descriptors ------------------------------------------------------------------------------ */

static void have_no_descriptor(void)
{
        (void) tempfile_close(make_file()); /* all that is needed once is there */
        leave_no_descriptor();
}

static void have_no_descriptor_elsewhere(void)
{
        ck_assert_int_eq(mkdir(stage_path("sub"), 0700), 0);
        have_no_descriptor();
        options.dir = stage_path("sub");
}

/* ---- daemons ---------------------------------------------------------------------------------- */

static void be_impatient(void)
{
        options.timeout_msec = SHORT_MSEC;
}
static void be_alone(void)
{
        fake_stop();
}
static void be_ignored(void)
{
        be_impatient(), fake_set(WIRE_TAG, FAKE_IGNORE, 0, 0);
}
static void be_met_with_silence(void)
{
        be_impatient(), fake_stay_silent(true);
}
static void be_told_nonsense(void)
{
        fake_set(WIRE_TAG, FAKE_GARBAGE, 0, 0);
}
static void be_too_many(void)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -EDQUOT, 0);
}
static void be_too_large(void)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -ENOSPC, 0);
}
static void be_foreign(void)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -EPROTONOSUPPORT, 0);
}
static void be_out_of_sight(void)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -EREMOTE, 0);
}
static void find_no_memory(void)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -ENOMEM, 0);
}

static void refuse_owner(int error)
{
        have_lease();
        fake_set(WIRE_RESERVE, FAKE_ANSWER, error, 0);
}

static void have_late_owner(void)
{
        refuse_owner(-ESRCH);
}
static void have_anothers_owner(void)
{
        refuse_owner(-EPERM);
}
static void have_no_unit(void)
{
        refuse_owner(-EOPNOTSUPP);
}

static void have_weak_pattern(void)
{
        options.pattern = "a.XXX";
        fake_set(WIRE_TARGET, FAKE_ANSWER, -ESTALE, 0);
}

static void fail_to_claim(int error)
{
        fake_set(WIRE_CLAIM, FAKE_ANSWER, error, 0);
}
static void have_no_locks(void)
{
        fail_to_claim(-ENOLCK);
}
static void have_no_watches(void)
{
        fail_to_claim(-ENOSPC);
}
static void be_unwatchable(void)
{
        fail_to_claim(-EOPNOTSUPP);
}

static const struct error_situation situations[] = {
        { "a size before the first", -EINVAL, OPTIONS, be_older, NULL },
        { "a later size", 0, OPTIONS, be_newer, NULL },
        { "a later size, and its members used", -E2BIG, OPTIONS, be_newer_and_ask, NULL },
        { "no size", -EINVAL, OPTIONS, be_nothing, NULL },
        { "an unknown flag", -EINVAL, OPTIONS, ask_for_flag, NULL },
        { "a reserved member that is not zero", -EINVAL, OPTIONS, ask_for_reserved, NULL },
        { "more than permission bits", -EINVAL, OPTIONS, ask_for_mode, NULL },
        { "a slash in the prefix", -EINVAL, OPTIONS, put_slash_in_prefix, NULL },
        { "a slash in the suffix", -EINVAL, OPTIONS, put_slash_in_suffix, NULL },
        { "a slash in the pattern", -EINVAL, OPTIONS, put_slash_in_pattern, NULL },
        { "too few X", -EINVAL, 0, ask_for_few_x, NULL },
        { "a pattern and a prefix", -EINVAL, OPTIONS, ask_for_pattern_and_prefix, NULL },
        { "a flag without its pidfd", -EINVAL, OPTIONS, have_no_pidfd, NULL },
        { "a pidfd that is closed", -EBADF, OPTIONS, have_closed_pidfd, NULL },
        { "a lease without an end", -EINVAL, OPTIONS, have_lease_of_nothing, NULL },
        { "a lease's end without a lease", -EINVAL, OPTIONS, have_lease_alone, NULL },
        { "a token without its number", -EINVAL, OPTIONS, have_token_of_nothing, NULL },
        { "a token's number without a token", -EINVAL, OPTIONS, have_token_alone, NULL },
        { "a descriptor as the owner", -EINVAL, OPTIONS, have_descriptor, NULL },
        { "an unknown kind of owner", -EINVAL, OPTIONS, have_unknown_owner, NULL },
        { "an owner", -EINVAL, KERNELS, have_lease, NULL },
        { "an owner", -EINVAL, PSEUDO, have_lease, NULL },
        { "a mode that its owner can't read", -EINVAL, PSEUDO, have_write_only, NULL },
        { "a prefix of 234 bytes", -ENAMETOOLONG, OPTIONS, be_long, NULL },
        { "a pattern of 256 bytes", -ENAMETOOLONG, 0, have_long_pattern, NULL },

        { "no such directory", -ENOENT, 0, go_nowhere, NULL },
        { "no name of a directory", -ENOENT, OPTIONS, go_to_nothing, NULL },
        { "a file for a directory", -ENOTDIR, 0, go_to_a_file, NULL },
        { "a loop of links", -ELOOP, 0, go_round_in_circles, NULL },
        { "a path beyond the system's limit", -ENAMETOOLONG, SAID, go_too_far, NULL },
        { "a directory that may not be written to", -EACCES, CREATES, go_where_it_is_forbidden,
          NULL },
        { "a read-only file system", -EROFS, CREATES, go_where_nobody_writes, unless_root },
        { "a full file system", -ENOSPC, CREATES, go_where_it_is_full, unless_root },
        { "a directory that has vanished", -ENOENT, 0, have_it_vanish, NULL },

        { "no free descriptor", -EMFILE, CREATES, have_no_descriptor, NULL },
        { "no free descriptor, in another directory", -EMFILE, 0, have_no_descriptor_elsewhere,
          NULL },

        { "no daemon", -ECONNREFUSED, SAID, be_alone, NULL },
        { "a daemon that does not answer", -ETIMEDOUT, SAID | OPTIONS, be_ignored, NULL },
        { "a daemon that does not greet", -ETIMEDOUT, SAID | OPTIONS, be_met_with_silence, NULL },
        { "a daemon that answers nonsense", -EBADMSG, SAID, be_told_nonsense, NULL },
        { "a daemon of another language", -EPROTONOSUPPORT, SAID, be_foreign, NULL },
        { "a daemon that allows no more", -EDQUOT, SAID, be_too_many, NULL },
        { "a daemon whose disk is full", -ENOSPC, SAID, be_too_large, NULL },
        { "a daemon in a namespace that shows nobody else", -EREMOTE, SAID, be_out_of_sight, NULL },
        { "a daemon without memory", -ENOMEM, SAID, find_no_memory, NULL },
        { "an owner that has ended", -ESRCH, HANDLE | SAID, have_late_owner, NULL },
        { "an owner that may not be signalled", -EPERM, HANDLE | SAID, have_anothers_owner, NULL },
        { "no unit to be the owner", -EOPNOTSUPP, HANDLE | SAID, have_no_unit, NULL },
        { "a file system that recognises nothing", -ESTALE, HANDLE | CREATES, have_weak_pattern,
          NULL },
        { "no locks", -ENOLCK, PSEUDO, have_no_locks, NULL },
        { "no watches left", -ENOSPC, PSEUDO, have_no_watches, NULL },
        { "what can't be watched", -EOPNOTSUPP, PSEUDO, be_unwatchable, NULL },
};

int main(int argc, char **argv)
{
        return run_error_table("errors", calls, ARRAY_SIZE(calls), situations,
                               ARRAY_SIZE(situations), argc, argv);
}
