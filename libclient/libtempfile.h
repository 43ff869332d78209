/* SPDX-License-Identifier: MIT */
#ifndef LIBTEMPFILE_H
#define LIBTEMPFILE_H

/**
 * libtempfile - temporary files and directories that are gone when their owner is
 *
 * The path that a call here makes is deleted when its owner (this process, unless said
 * otherwise) ends, however it ends: return, exit, a signal, SIGKILL, the OOM killer, a reboot.
 * The daemon tempfiled(8) sees to that; nothing here installs signal handlers, threads or exit
 * handlers, and nothing prints.
 *
 * The calling sequence:
 *
 *     struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
 *     struct tempfile *t;
 *     int r;
 *
 *     o.prefix = "report-";
 *     o.suffix = ".csv";
 *     r = tempfile_named(&o, &t);             // negative errno on failure
 *     if (r < 0)
 *             return r;
 *     write(tempfile_fd(t), data, size);
 *     r = tempfile_persist(t, "/srv/report.csv", 0);   // or let tempfile_close() delete it
 *     tempfile_close(t);
 *
 * Results: below zero a negative errno value, zero done, above zero done with a fact that the
 * function states. What a ret_ argument points to is written only on success. After a failure a
 * handle is what it was before, and nothing that was half made is left. Wherever memory is needed
 * there is also -ENOMEM, and from a disk that is damaged -EIO. What the daemon lacks is passed on as
 * -ENOSPC, -ENFILE or -ENOMEM: then nothing has changed; whether it has after -EIO is not known.
 *
 * Threads: any number may call at once; one handle belongs to one thread at a time.
 * Fork: a child never deletes what its parent made, however it ends: in the child, tempfile_close()
 * and tempfile_release() free the handle and its descriptor and leave the path, and what the
 * parent's stream has not written yet, alone; calls that would change something return -EPERM.
 * What the child makes itself is its own.
 * Exec: the path stays the process's, and goes when the process ends; the descriptors are
 * close-on-exec.
 *
 * The daemon is looked for at $TEMPFILED_SOCKET (ignored in set-user-ID programs); else at
 * /run/tempfiled/socket; else at $XDG_RUNTIME_DIR/tempfiled/socket. Only a daemon that runs as
 * root or as the caller's effective user is trusted.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An entry that this process made or tracked. Opaque. */
struct tempfile;

/** What a thing is. */
enum tempfile_kind {
        TEMPFILE_KIND_FILE = 1,
        TEMPFILE_KIND_DIRECTORY = 2,
        TEMPFILE_KIND_OTHER = 3, /* socket, FIFO, symbolic link, device node */
};

/** Whose end means deletion. */
enum tempfile_owner_kind {
        TEMPFILE_OWNER_PROCESS =
                1, /* ends when the process has exited; not with a thread or exec */
        TEMPFILE_OWNER_DESCRIPTOR = 2, /* an open file description: the last copy is closed */
        TEMPFILE_OWNER_TOKEN = 3,      /* the last copy of a token's descriptor is closed */
        TEMPFILE_OWNER_UNIT = 4,       /* the systemd unit, or cgroup, has no process left */
        TEMPFILE_OWNER_LEASE = 5,      /* a time has passed without being renewed */
        TEMPFILE_OWNER_BOOT = 6,       /* the machine, or the container, restarts */
};

/**
 * struct tempfile_options - how a thing is made; start from TEMPFILE_OPTIONS_INIT
 * @size:         sizeof(struct tempfile_options); a larger one from a newer header is taken when
 *                what is beyond this library's size is zero, else -E2BIG
 * @flags:        TEMPFILE_... below, or 0
 * @dir:          directory to make it in; NULL: tempfile_gettempdir()
 * @prefix:       what the name starts with, any bytes but '/' and NUL; NULL: "tmp"
 * @suffix:       what it ends with; NULL: nothing
 * @pattern:      instead of prefix: a name whose last run of at least three X is replaced by random
 *                characters of [0-9A-Za-z]; with a suffix beside it, it ends in X. NULL: none.
 *                Acknowledged
 * @mode:         permission bits, exactly, whatever the umask: 1..07777; 0: 0600 for files,
 *                0700 for directories
 * @timeout_msec: how long the call, and later ones on the handle, may wait for the daemon, in
 *                milliseconds; 0: 5000
 * @owner_pidfd:  with TEMPFILE_OWNER_PIDFD: the process that is the owner, or is in the unit that
 *                is; borrowed
 * @owner_kind:   0: a process; else TEMPFILE_OWNER_PROCESS, _TOKEN, _UNIT (of this process, unless
 *                owner_pidfd says otherwise), _LEASE or _BOOT. All but this process itself:
 *                acknowledged, one round trip a thing
 * @lease_sec:    lease: seconds from now, 1..; else 0
 * @token:        token: its number, from tempfile_token_new(). Unit: 0: the systemd unit, or,
 *                outside of all, the cgroup that the process is in; else the inode number of
 *                another cgroup, which it is in or below. Else 0
 * @retain_sec:   how long it is left there, for debugging, when its owner ends without having
 *                closed it; 0: not at all. Acknowledged
 *
 * Strings are borrowed for the length of the call. Together prefix and suffix may have 233 bytes.
 */
struct tempfile_options {
        uint32_t size;
        uint32_t flags;
        const char *dir;
        const char *prefix;
        const char *suffix;
        const char *pattern;
        uint32_t mode;
        uint32_t timeout_msec;
        int32_t owner_pidfd;
        uint32_t owner_kind;
        uint64_t token;
        uint32_t lease_sec;
        uint32_t retain_sec;
        uint64_t reserved[4];
};

#define TEMPFILE_OWNER_PIDFD (1U << 0) /* owner_pidfd is meant */

/*
 * For development machines: when no daemon answers, it is made all the same. tempfile_close()
 * deletes it as ever; but a crash leaves it, until a daemon is there and this process has made
 * another call here, which registers it (tempfile_is_guaranteed()). While that is under way keeping,
 * persisting and closing wait for the daemon's answer; without one they change nothing (-ETIMEDOUT; and
 * keeping -ECONNREFUSED, when that daemon has gone: the next may know of it). Only for what this process
 * itself owns. The environment variable TEMPFILED_BEST_EFFORT, set and neither empty nor "0", says
 * so for all calls; it is ignored in set-user-ID programs.
 */
#define TEMPFILE_BEST_EFFORT (1U << 1)

/* tempfile_close() lets it stay, as tempfile_keep() does; a process that ends without leaves
 * nothing. Python's delete=False, but for that. */
#define TEMPFILE_NO_DELETE (1U << 2)

/* tempfile_close() does not say that something could not be deleted: the daemon will see to it. That
 * something could not be kept it does say. */
#define TEMPFILE_IGNORE_CLEANUP_ERRORS (1U << 3)

/* clang-format off */
#define TEMPFILE_OPTIONS_INIT \
        { sizeof(struct tempfile_options), 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, { 0, 0, 0, 0 } }
/* clang-format on */

/**
 * tempfile_named() - make and open a temporary file that has a name
 * @options: NULL: the defaults
 * @ret:     receives the handle; tempfile_close() deletes the file and frees it
 *
 * Opened for reading and writing, close-on-exec, created exclusively. The first call of a process
 * in a directory waits for the daemon (one round trip); further ones only send.
 *
 * Threads: any number at once. Fork: see above.
 *
 * Return: 0;
 *   -EINVAL        ret NULL; unknown flag; a slash in prefix, suffix or pattern; mode out of range;
 *                  pattern without XXX, or, with a suffix beside it, not at its end, or with prefix
 *   -E2BIG         options from a newer header ask for what this library does not know
 *   -ENAMETOOLONG  prefix and suffix, the pattern, or dir are too long
 *   -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -EROFS, -ENOSPC, -EDQUOT, -EMFILE, -ENFILE  as open(2)
 *   -ECONNREFUSED  no daemon answers at any of the sockets; nothing was made
 *   -ENOSPC, -EDQUOT  also: of the daemon's disk, or of what one user may have registered
 *   -ETIMEDOUT     the daemon did not answer in time; nothing was made
 *   -EACCES        also: a daemon answered that is neither root's nor the caller's
 *   -ENFILE        also: the daemon has no descriptor free at the moment
 *   -EREMOTE       the daemon is in a process namespace that this process can't be seen from
 *   -EBADMSG, -EPROTONOSUPPORT  what answered does not speak this library's language
 *   -EEXIST        a hundred names were tried, and all are taken: too few X for so many
 *   -ESTALE        pattern with fewer than ten X, where the file system gives no way to recognise
 *                  what was renamed; or the directory was replaced this moment
 *   -EBADF         owner_pidfd is no pidfd
 *   -EPERM, -ESRCH the owner: may not be signalled by the caller, or is another's token; has ended
 *   -EOPNOTSUPP    unit: the process is in none of its own, or this system has no cgroup2
 *   -ENOMEM
 *
 * Since: 0.1
 */
int tempfile_named(const struct tempfile_options *options, struct tempfile **ret);

/**
 * tempfile_directory() - make a temporary directory
 * @options: NULL: the defaults
 * @ret:     receives the handle; tempfile_close() deletes the directory with its contents
 *
 * tempfile_fd() of it is a descriptor of the directory (O_RDONLY, close-on-exec). Whatever lies in
 * the directory when its owner ends is deleted with it. Otherwise as tempfile_named().
 *
 * Since: 0.1
 */
int tempfile_directory(const struct tempfile_options *options, struct tempfile **ret);

/**
 * tempfile_make() - make something else: a socket, a FIFO, a symbolic link, or by other means
 * @options:  NULL: the defaults; mode is not used; pattern: ten or more X
 * @kind:     enum tempfile_kind: what it will be
 * @fn:       makes @name in @dirfd, or, which is the same, @path, exclusively. Returns 0 or more;
 *            -EEXIST or -EADDRINUSE: something is there already, another name is tried; any other
 *            negative errno: it failed, and that is returned
 * @userdata: handed on
 * @ret:      receives the handle; its descriptor is -1
 *
 * The name is registered before it exists: dying in the middle of @fn leaves nothing. What @fn is
 * given is borrowed for the length of the call. Otherwise as tempfile_named();
 *
 * Return: also -EINVAL fn NULL, or what it made is of another kind (and was deleted); -EEXIST fn
 * said so a hundred times; what else @fn returned. Since: 0.1
 */
typedef int (*tempfile_make_fn)(int dirfd, const char *name, const char *path, void *userdata);
int tempfile_make(const struct tempfile_options *options, uint32_t kind, tempfile_make_fn fn,
                  void *userdata, struct tempfile **ret);

/**
 * tempfile_mktemp() - a name at which nothing is yet
 * @options: NULL: the defaults; mode is not used; pattern: ten or more X
 * @kind:    enum tempfile_kind: what the caller is going to make there
 * @ret:     receives the handle; its descriptor is -1
 *
 * The name is registered, and nobody can guess it: make the thing exclusively, and it is deleted
 * like the others. Something of another kind is left alone by the daemon. tempfile_close() also
 * deletes it when it was never made. Returns: as tempfile_make(). Since: 0.1
 */
int tempfile_mktemp(const struct tempfile_options *options, uint32_t kind, struct tempfile **ret);

/**
 * tempfile_mkstemp() - mkstemp(3), and the file is gone when the process is
 * @template: a path whose last component has a run of three or more X, the last of which is
 *            replaced; what follows it is kept, as by mkstemps(3)
 *
 * There is no handle: tempfile_find() gets one, to keep, persist or close it. With ten X or more it
 * takes one round trip to the daemon, with fewer two; tempfile_named() takes none.
 *
 * Return: the descriptor, close-on-exec, the caller's; else as tempfile_named(), and @template is
 * unchanged. Since: 0.1
 */
int tempfile_mkstemp(char *template_);

/** tempfile_mkdtemp() - the same for a directory. Return: 0; else as tempfile_mkstemp(). Since: 0.1 */
int tempfile_mkdtemp(char *template_);

/**
 * tempfile_unnamed() - open a temporary file without a name
 * @options: dir, mode and flags 0 are used
 *
 * The kernel deletes it when the last descriptor is closed; needs no daemon. Where the file
 * system lacks O_TMPFILE, a named one is made and unlinked before the call returns: that does.
 *
 * Return: a descriptor, close-on-exec, opened for reading and writing; or a negative errno as
 * tempfile_named(), where -EINVAL is also an owner, or retain_sec, among the options.
 *
 * Since: 0.1
 */
int tempfile_unnamed(const struct tempfile_options *options);

/**
 * tempfile_unnamed_persist() - give an unnamed file a name, with which it stays
 * @fd:     from tempfile_unnamed(), tempfile_fopen() (flushed), or a spooled file that has rolled
 *          over; stays open and the caller's
 * @target: in the same file system; relative paths count from the current directory
 * @flags:  as of tempfile_persist()
 *
 * Needs no daemon, unless something is to be replaced: then the file gets a temporary name first.
 *
 * Return: 0;
 *   -EINVAL   target NULL or unknown flag; not a regular file
 *   -EBADF    fd is no descriptor
 *   -ENOENT   also: the file can't be named: it was made in a file system without O_TMPFILE
 *   -EXDEV    another file system; in memory
 *   and those of tempfile_persist(), and for replacing of tempfile_named()
 *
 * Since: 0.1
 */
int tempfile_unnamed_persist(int fd, const char *target, unsigned int flags);

/**
 * tempfile_fopen() - an unnamed file as a stdio stream
 * @options:   as of tempfile_unnamed()
 * @mode:      as of fdopen(3); NULL: "w+". 'w' truncates nothing: the file is empty
 * @buffering: below 0: stdio's default; 0: none; 1: by lines; above: full. The C library may choose
 *             the size itself; setvbuf(3) with a buffer decides it
 * @ret:       receives the stream; the caller's, to be closed with fclose(3)
 *
 * As tmpfile(3), with options. Return: 0; else as tempfile_unnamed(), fdopen(3). Since: 0.1
 */
int tempfile_fopen(const struct tempfile_options *options, const char *mode, int buffering,
                   FILE **ret);

/**
 * tempfile_track() - have a path that exists deleted when its owner ends
 * @path:    relative paths count from the current directory; the last component is not followed
 * @options: the owner, retain_sec and timeout_msec are used; NULL: the defaults
 * @ret:     receives the handle (its descriptor is -1)
 *
 * The thing is recognised by what it is now (inode and file handle): a replacement under the same
 * name stays; one that is put there while the old thing is being deleted may be away for an instant.
 * A directory is deleted with its contents. Waits for the daemon.
 *
 * Return: 0;
 *   -EINVAL        path NULL, or "/", or ends in "." or ".."; unknown flag
 *   -ENOENT, -ENOTDIR, -ENAMETOOLONG, -ELOOP, -EACCES  as stat(2)
 *   -EPERM         the caller may not delete that path
 *   -EBUSY         it is a mount point
 *   and those of tempfile_named()
 *
 * Since: 0.1
 */
int tempfile_track(const char *path, const struct tempfile_options *options, struct tempfile **ret);

/**
 * tempfile_fd() - the open descriptor of a file or directory
 * Borrowed: closed by tempfile_close(). Return: the descriptor; -1 for one that was tracked;
 * -EINVAL for NULL. Since: 0.1
 */
int tempfile_fd(const struct tempfile *t);

/**
 * tempfile_path() - where it is: an absolute path
 * Borrowed: valid until the handle is closed. NULL for NULL. Since: 0.1
 */
const char *tempfile_path(const struct tempfile *t);

/**
 * tempfile_stream() - a stdio stream on a handle's file
 * @t:         of a file that is open and has no stream yet
 * @mode:      as of fdopen(3); NULL: "w+"
 * @buffering: as of tempfile_fopen()
 * @ret:       receives the stream; borrowed: not to be closed with fclose(3)
 *
 * tempfile_persist() writes out what it has buffered; tempfile_close() and tempfile_close_fd()
 * close it. Return: 0; -EINVAL a NULL, no such file, or no such mode; as fdopen(3). Since: 0.1
 */
int tempfile_stream(struct tempfile *t, const char *mode, int buffering, FILE **ret);

/**
 * tempfile_close_fd() - close the descriptor, or stream, and leave the path for others to open
 * @t: stays valid; tempfile_fd() is -1 afterwards
 *
 * Python's delete_on_close=False: the file is deleted by tempfile_close(). Of a tracked or closed
 * one nothing is left to close, which is no error. Return: 0; -EINVAL t NULL; or, though it is
 * closed all the same, what the stream could not be written with: -ENOSPC, -EDQUOT, -EFBIG, others
 * of write(2); -EIO something was lost earlier, see ferror(3). Since: 0.1
 */
int tempfile_close_fd(struct tempfile *t);

/**
 * tempfile_is_guaranteed() - will it be deleted whatever happens to this process?
 *
 * Always, but with best effort when no daemon has been there yet; looks for one. Return: 1 yes;
 * 0 no, or not yet, or it is this process's no more; -EINVAL t NULL; -EPERM the handle came from
 * the parent by fork. Since: 0.1
 */
int tempfile_is_guaranteed(struct tempfile *t);

/**
 * tempfile_close() - delete and forget
 * @t: freed in any case; NULL does nothing
 *
 * Closes the descriptor, deletes the path (a directory with its contents) and tells the daemon.
 * Handles to what was in such a directory can only be closed then; other calls find them invalid.
 * After tempfile_persist() or tempfile_keep() there is nothing to delete. In a child that
 * inherited the handle by fork, and for an owner other than this process, nothing is deleted.
 * What is shared is let go of: the daemon deletes it, soon, if nobody else has it. A file already
 * gone is no error, nor is that its directory is.
 *
 * Return: 0; else what the deletion failed with: the path then stays registered and is deleted when
 * the owner ends.
 *   -EACCES, -EPERM, -EROFS, -EISDIR  as unlink(2), rmdir(2)
 *   -EBUSY    there is a mount point in the directory
 *   -EMFILE, -ENFILE  as open(2)
 *   -ETIMEDOUT  with best effort: a daemon is about to register what is there, and does not answer
 *   and with TEMPFILE_NO_DELETE those of tempfile_keep(): it is not kept then
 *
 * Since: 0.1
 */
int tempfile_close(struct tempfile *t);

/**
 * tempfile_closep() - for the end of a scope; errno is kept
 *
 *     TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
 *
 * (gcc and clang) closes t when the scope is left, but not by longjmp(3). Since: 0.1
 */
void tempfile_closep(struct tempfile **t);
#define TEMPFILE_AUTO_CLOSE __attribute__((cleanup(tempfile_closep)))

/**
 * tempfile_persist() - move it to its final place, where it stays
 * @t:      stays valid; its descriptor stays open and its path is @target afterwards
 * @target: in the same file system; relative paths count from the current directory
 * @flags:  0: replace what is there, as rename(2); TEMPFILE_NOREPLACE: refuse, atomically;
 *          TEMPFILE_FSYNC: the file's data before and the directory after are written to disk
 *
 * A crash at any moment leaves exactly one outcome: at @target and kept, or temporary and deleted.
 * What this process made inside a directory stays with it: the daemon is asked to keep that first.
 * What was tracked is kept after the move, as tempfile_keep() does it, so that it is nobody's under
 * its old name either; when no daemon answers, that is made up for, and 0 returned all the same.
 * A power cut may undo the move, but with TEMPFILE_FSYNC.
 *
 * Return: 0;
 *   -EINVAL   t or target NULL; unknown flag; already persisted or kept; another process's
 *   -EEXIST   TEMPFILE_NOREPLACE and something is there; t is unchanged
 *   -EXDEV    another file system; t is unchanged
 *   -EPERM    the handle came from the parent by fork
 *   -ESTALE   it was tracked, and another thing is there now
 *   -ENOENT, -ENOTDIR, -EISDIR, -ENOTEMPTY, -EACCES, -EROFS, -ENOSPC, -EDQUOT, -ELOOP,
 *   -ENAMETOOLONG, -EMFILE, -ENFILE  as rename(2), open(2)
 *   -EFBIG, -ENOSPC  what its stream has buffered can't be written
 *   -EIO      something has been lost from its stream before, see ferror(3); and as fsync(2): if
 *             tempfile_path() is the target then, it was persisted, but is perhaps not on disk
 *   -ETIMEDOUT  as tempfile_close(); t is unchanged
 *   those of tempfile_keep(), when something made in the directory has to be kept
 *
 * Since: 0.1
 */
int tempfile_persist(struct tempfile *t, const char *target, unsigned int flags);
#define TEMPFILE_NOREPLACE (1U << 0)
#define TEMPFILE_FSYNC (1U << 1)

/**
 * tempfile_keep() - let it stay where it is: temporary no more
 * @t: stays valid; tempfile_close() then only frees it
 *
 * Waits until the daemon has stored that durably, whatever its Durability setting.
 *
 * Return: 0;
 *   -EINVAL   t NULL; already persisted or kept; another process's
 *   -EPERM    the handle came from the parent by fork
 *   -ESTALE   its owner had ended and it is being deleted
 *   -ECONNREFUSED, -ETIMEDOUT  the daemon did not answer: nothing has changed, or (timeout) it is
 *             unknown whether it has
 *   -ENOSPC, -ENOMEM  the daemon has no room: nothing has changed
 *   -EDQUOT   the user had too many to have this one listed when it was made: it stays temporary
 *   -EBADMSG  what answers does not speak this library's language
 *
 * Since: 0.1
 */
int tempfile_keep(struct tempfile *t);

/**
 * tempfile_give() - let another process have it instead of this one
 * @t:     stays valid, with its descriptor and path; tempfile_close() then only frees it
 * @pidfd: that process (pidfd_open(2)), which the caller must be allowed to signal; borrowed
 *
 * From then on the path lives as long as the other process, and longer than this one. Stored
 * durably before the call returns; dying in the middle leaves it one's or the other's. What this
 * process made inside a directory that is given goes with the directory. A pidfd of this process
 * changes nothing.
 *
 * Return: 0;
 *   -EINVAL   t NULL; already persisted, kept or given; another owner's
 *   -EPERM    the handle came from the parent by fork; the process may not be signalled
 *   -EBADF    not a pidfd
 *   -ESRCH    that process has ended; nothing has changed
 *   -ESTALE   the thing is being deleted, as when it was given and that process has ended since
 *   -ECONNREFUSED, -ENOSPC, -EDQUOT, -ENOMEM, -EBADMSG  nothing has changed
 *   -ETIMEDOUT  it is not known whose it is: tempfile_close() then leaves it to the daemon, which
 *             deletes it when both have ended
 *
 * Since: 0.1
 */
int tempfile_give(struct tempfile *t, int pidfd);

/**
 * tempfile_share() - let another process have it too: deleted when the last owner is gone
 * @t: stays valid; tempfile_close() ends this process's share only
 *
 * tempfile_persist() and tempfile_keep() are for all of them: then it is nobody's any more.
 * Otherwise, and in what it returns, as tempfile_give(); -EDQUOT also: it has 256 owners. Since: 0.1
 */
int tempfile_share(struct tempfile *t, int pidfd);

/**
 * tempfile_give_to(), tempfile_share_with() - the same for an owner of any kind
 * @owner: flags, owner_kind, owner_pidfd, lease_sec, token and timeout_msec are used
 *
 * Return: as tempfile_give();
 *   -EINVAL      also: owner NULL; members that do not belong to the kind
 *   -EOPNOTSUPP  unit: the process is in none of its own, or this system has no cgroup2
 *
 * Since: 0.1
 */
int tempfile_give_to(struct tempfile *t, const struct tempfile_options *owner);
int tempfile_share_with(struct tempfile *t, const struct tempfile_options *owner);

/**
 * tempfile_release() - free the handle and leave the path to its owners
 * @t: freed, and its descriptor closed, unless the call fails
 *
 * A shared thing stays as long as the others. One that is this process's alone stays until the
 * process ends; tempfile_find() gets a handle for it again. Does not wait.
 *
 * Return: 0; -EINVAL t NULL. Since: 0.1
 */
int tempfile_release(struct tempfile *t);

/**
 * tempfile_find() - a handle for what was released, or made without one
 * @path: relative paths count from the current directory; the last component is not followed
 * @ret:  receives the handle; its descriptor is -1
 *
 * Return: 0; -EINVAL a NULL, or no path of a thing; -ENOENT this process has no such thing, or
 * its handle is in use; -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -EMFILE, -ENFILE as open(2) of
 * the directory. Since: 0.1
 */
int tempfile_find(const char *path, struct tempfile **ret);

/**
 * tempfile_renew() - have its lease end that much later than now
 * @t:   made, tracked or given with TEMPFILE_OWNER_LEASE
 * @sec: 1.. seconds; also shortens
 *
 * The time runs while the machine is suspended; over a restart the rest of it counts. Of several
 * leases that hold it, each ends then.
 *
 * Return: 0; -EINVAL t NULL, sec 0, or its owner is no lease; -ENOENT it is gone; -ESTALE the
 * lease has ended; -EPERM the handle came from the parent by fork; -ECONNREFUSED, -ETIMEDOUT,
 * -EBADMSG, -ENOSPC, -ENOMEM. Since: 0.1
 */
int tempfile_renew(struct tempfile *t, uint32_t sec);

/**
 * tempfile_retain() - have it left there for a while when its owner ends without closing it
 * @sec: seconds after the owner's end; 0: none any more
 *
 * For looking at what a crash has left. tempfile_close() deletes it as ever.
 *
 * Return: 0; -EINVAL t NULL, or persisted; -ENOENT, -ESTALE it is gone, or going; -EPERM the
 * handle came from the parent by fork; -ECONNREFUSED, -ETIMEDOUT, -EBADMSG, -ENOSPC, -ENOMEM,
 * -EDQUOT as tempfile_keep(). Since: 0.1
 */
int tempfile_retain(struct tempfile *t, uint32_t sec);

/**
 * tempfile_token_new() - an owner for a family of processes
 * @timeout_msec: how long to wait for the daemon; 0: 5000
 * @ret_id:       receives the token's number, for tempfile_options.token of this user's processes
 *
 * The token ends when the last copy of the descriptor is closed. fork(2) copies it, and execve(2)
 * keeps it when FD_CLOEXEC is cleared; a process that closes what it inherited drops out. close(2)
 * ends this process's copy.
 *
 * Return: the descriptor, close-on-exec; -EINVAL ret_id NULL; -ECONNREFUSED, -ETIMEDOUT, -EBADMSG
 * no daemon answers; -EMFILE, -ENOSPC, -ENOMEM; -EDQUOT the user has too many owners. Since: 0.1
 */
int tempfile_token_new(uint32_t timeout_msec, uint64_t *ret_id);

/**
 * tempfile_pseudo_file() - make a file that belongs to its descriptor
 * @options:  NULL: the defaults. The owner's members are not used; mode must have 0400
 * @ret_path: receives its path, to be freed with free(3); NULL: of no interest
 *
 * The path is deleted when the last copy of the descriptor is closed, wherever dup, fork, exec,
 * mmap(2) or a socket have carried it, and by whomever. No handle, and no process, is needed for
 * that. The descriptor carries a shared lock (flock(2)): who unlocks it, or converts it by locking
 * it himself, ends that. Deletion follows within moments. One round trip.
 *
 * Return: the descriptor, close-on-exec, opened for reading and writing; else as tempfile_named();
 *   -EINVAL  also: mode without 0400, or an owner
 *   -ENOLCK, -EOPNOTSUPP  the file system has no locks, or can't be watched; nothing is left
 *   -ENOSPC  also: the daemon may watch no more (inotify(7))
 *
 * Since: 0.1
 */
int tempfile_pseudo_file(const struct tempfile_options *options, char **ret_path);

/**
 * tempfile_pseudo_directory() - make a directory that belongs to its descriptor
 *
 * What lies in it is deleted with it. The descriptor is O_RDONLY. Otherwise as
 * tempfile_pseudo_file(). Since: 0.1
 */
int tempfile_pseudo_directory(const struct tempfile_options *options, char **ret_path);

/**
 * tempfile_list() - what this process holds
 * @fn: called for each, in no particular order; may call the library. A negative result ends it
 *
 * As the library knows it, of the caller's effective user. What was kept, persisted or given is
 * none of it. Return: how many; what @fn returned when negative; -EINVAL fn NULL; -ENOMEM.
 * Since: 0.1
 */
struct tempfile_item {
        const char *path; /* borrowed for the length of the call */
        uint32_t kind;    /* enum tempfile_kind */
        uint32_t flags;   /* TEMPFILE_ITEM_... */
};
#define TEMPFILE_ITEM_SHARED (1U << 0)
#define TEMPFILE_ITEM_GUARANTEED (1U << 1) /* a daemon knows it */
#define TEMPFILE_ITEM_RELEASED (1U << 2)   /* it has no handle: tempfile_find() gets one */
typedef int (*tempfile_list_fn)(const struct tempfile_item *item, void *userdata);
int64_t tempfile_list(tempfile_list_fn fn, void *userdata);

/**
 * tempfile_arena_named() - make a file in a temporary directory, and tell nobody
 * @arena:    a handle of a directory, from tempfile_directory()
 * @options:  prefix, suffix and mode are used; NULL: the defaults
 * @ret_name: receives its name in the directory; NULL: of no interest
 *
 * It is deleted with the directory, or by unlinkat(tempfile_fd(arena), name, 0); there is no
 * handle and no message. For many files that go together this is the fastest.
 *
 * Threads: any number, in the same arena too. Fork: a child may use its parent's, and what it makes
 * there stays when it ends.
 *
 * Return: the descriptor, close-on-exec, the caller's; -EINVAL no such arena; options that ask for
 * more; -ENAMETOOLONG; -ENOENT the arena is gone; -EACCES, -ENOSPC, -EDQUOT, -EMFILE, -ENFILE as
 * open(2). Since: 0.1
 */
#define TEMPFILE_NAME_SIZE 256
int tempfile_arena_named(const struct tempfile *arena, const struct tempfile_options *options,
                         char ret_name[TEMPFILE_NAME_SIZE]);

/** tempfile_arena_directory() - the same for a directory; its descriptor is O_RDONLY. Return: as
 * tempfile_arena_named(). Since: 0.1 */
int tempfile_arena_directory(const struct tempfile *arena, const struct tempfile_options *options,
                             char ret_name[TEMPFILE_NAME_SIZE]);

/** A file in memory that moves to disk when it is large. Opaque. */
struct tempfile_spooled;

/**
 * tempfile_spooled() - open a file that stays in memory while it is small
 * @options:  dir and mode are used; NULL: the defaults
 * @max_size: bytes; 0: only tempfile_spooled_rollover() moves it
 * @ret:      receives it, to be closed with tempfile_spooled_close()
 *
 * It never has a name, and is gone with its last descriptor. Moving it keeps the number of the
 * descriptor, its position and O_APPEND; copies made before (dup, fork, mmap) stay in memory, with
 * what was there then. It belongs to one thread at a time.
 *
 * Return: 0; -EINVAL ret NULL, or options that ask for more; -EMFILE, -ENFILE; and, of dir, as
 * tempfile_unnamed(). Since: 0.1
 */
int tempfile_spooled(const struct tempfile_options *options, uint64_t max_size,
                     struct tempfile_spooled **ret);

/** tempfile_spooled_fd() - the descriptor: borrowed. -EINVAL for NULL. Since: 0.1 */
int tempfile_spooled_fd(const struct tempfile_spooled *s);

/**
 * tempfile_spooled_write() - write, all of it, where the descriptor stands
 *
 * Moves the file to disk before it would grow beyond max_size. Plain write(2), or a stream's, does
 * not: it is not noticed until the next call here, tempfile_spooled_check() for instance, and
 * until then memory takes it all.
 *
 * Return: 0; -EINVAL; -EFBIG, -ENOSPC, -EDQUOT, -EIO as write(2), and then part of it may be
 * written; as tempfile_spooled_rollover(), and then nothing has changed. Since: 0.1
 */
int tempfile_spooled_write(struct tempfile_spooled *s, const void *data, size_t size);

/** tempfile_spooled_check() - move it to disk if it has grown beyond max_size. Return: 1 it is on
 * disk; 0 in memory; -EINVAL; else as tempfile_spooled_rollover(). Since: 0.1 */
int tempfile_spooled_check(struct tempfile_spooled *s);

/** tempfile_spooled_rollover() - move it to disk now. Return: 0, also when it is there; -EINVAL;
 * -EIO; and as tempfile_unnamed(), write(2): then it is in memory still. Since: 0.1 */
int tempfile_spooled_rollover(struct tempfile_spooled *s);

/** tempfile_spooled_close() - NULL does nothing. Since: 0.1 */
void tempfile_spooled_close(struct tempfile_spooled *s);

/** tempfile_spooled_closep() - for the end of a scope, as tempfile_closep(). Since: 0.1 */
void tempfile_spooled_closep(struct tempfile_spooled **s);
#define TEMPFILE_AUTO_CLOSE_SPOOLED __attribute__((cleanup(tempfile_spooled_closep)))

/**
 * tempfile_gettempdir() - the directory that temporaries are made in by default
 * @ret: receives a string to be freed with free(3)
 *
 * The first that exists and can really be written to (a file is made there and removed) of:
 * $TMPDIR, $TEMP, $TMP (ignored in set-user-ID programs), /tmp, /var/tmp, /usr/tmp, the current
 * directory. Made absolute. Found once a process and remembered, as Python's tempfile does.
 *
 * Return: 0; -ENOENT none can be written to; -EINVAL ret NULL; -ENOMEM. Since: 0.1
 */
int tempfile_gettempdir(char **ret);

/**
 * tempfile_settempdir() - say which directory that is
 * @dir: copied, made absolute, and not looked at before it is used; NULL: look again
 *
 * For the whole process; before threads that use it are started, best. Return: 0; -EINVAL empty;
 * -ENOMEM; -ENOENT it is relative, and the current directory is gone. Since: 0.1
 */
int tempfile_settempdir(const char *dir);

/**
 * tempfile_gettempprefix() - what names start with by default: "tmp"
 * A constant. Since: 0.1
 */
const char *tempfile_gettempprefix(void);

/**
 * tempfile_socket_paths() - where the daemon is looked for, for error messages
 * @ret: receives the paths, separated by ", ", to be freed with free(3)
 * Return: 0; -ENOMEM; -EINVAL. Since: 0.1
 */
int tempfile_socket_paths(char **ret);

#ifdef __cplusplus
}
#endif

#endif
