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
 * function states. What a ret_ argument points to is written only on success.
 *
 * Threads: any number may call at once; one handle belongs to one thread at a time.
 * Fork: a child never deletes what its parent made: in the child, tempfile_close() frees the
 * handle and its descriptor and leaves the path alone, and the other calls on it return -EPERM.
 * What the child makes itself is its own.
 * Exec: the path stays the process's, and goes when the process ends; the descriptors are
 * close-on-exec.
 *
 * The daemon is looked for at $TEMPFILED_SOCKET (ignored in set-user-ID programs); else at
 * /run/tempfiled/socket; else at $XDG_RUNTIME_DIR/tempfiled/socket. Only a daemon that runs as
 * root or as the caller's effective user is trusted.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An entry that this process made or tracked. Opaque. */
struct tempfile;

/**
 * struct tempfile_options - how a thing is made; start from TEMPFILE_OPTIONS_INIT
 * @size:         sizeof(struct tempfile_options); a larger one from a newer header is taken when
 *                what is beyond this library's size is zero, else -E2BIG
 * @flags:        TEMPFILE_... below, or 0
 * @dir:          directory to make it in; NULL: tempfile_gettempdir()
 * @prefix:       what the name starts with, any bytes but '/' and NUL; NULL: "tmp"
 * @suffix:       what it ends with; NULL: nothing
 * @pattern:      instead of prefix and suffix: a name whose last run of at least three X is
 *                replaced by random characters of [0-9A-Za-z]; NULL: none. Acknowledged
 * @mode:         permission bits, exactly, whatever the umask: 1..07777; 0: 0600 for files,
 *                0700 for directories
 * @timeout_msec: how long the call may wait for the daemon, in milliseconds; 0: 5000
 * @owner_pidfd:  with TEMPFILE_OWNER_PIDFD: the process whose end means deletion; borrowed
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
        uint32_t reserved;
        uint64_t reserved2[6];
};

/* Another process is the owner: acknowledged, one round trip. */
#define TEMPFILE_OWNER_PIDFD (1U << 0)

/* clang-format off */
#define TEMPFILE_OPTIONS_INIT { sizeof(struct tempfile_options), 0, 0, 0, 0, 0, 0, 0, -1, 0, { 0 } }
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
 *                  pattern without XXX, or with prefix or suffix beside it
 *   -E2BIG         options from a newer header ask for what this library does not know
 *   -ENAMETOOLONG  prefix and suffix are too long
 *   -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOSPC, -EDQUOT, -EMFILE, -ENFILE  as open(2)
 *   -ECONNREFUSED  no daemon answers at any of the sockets; nothing was made
 *   -ETIMEDOUT     the daemon did not answer in time; nothing was made
 *   -EACCES        also: a daemon answered that is neither root's nor the caller's
 *   -EBADMSG, -EPROTONOSUPPORT  what answered does not speak this library's language
 *   -EEXIST        pattern: every name that was tried is taken
 *   -ESTALE        pattern with fewer than ten X, where the file system gives no way to recognise
 *                  what was renamed; or the directory was replaced this moment
 *   -EPERM, -ESRCH owner_pidfd: may not be signalled by the caller; has ended
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
 * tempfile_unnamed() - open a temporary file without a name
 * @options: dir, mode and flags 0 are used
 *
 * The kernel deletes it when the last descriptor is closed; needs no daemon. Where the file
 * system lacks O_TMPFILE, a named one is made and unlinked before the call returns: that does.
 *
 * Return: a descriptor, close-on-exec, opened for reading and writing; or a negative errno as
 * tempfile_named().
 *
 * Since: 0.1
 */
int tempfile_unnamed(const struct tempfile_options *options);

/**
 * tempfile_track() - have a path that exists deleted when its owner ends
 * @path:    relative paths count from the current directory; the last component is not followed
 * @options: owner_pidfd and timeout_msec are used; NULL: the defaults
 * @ret:     receives the handle (its descriptor is -1)
 *
 * The thing is recognised by what it is now (inode and file handle): a replacement under the same
 * name stays. A directory is deleted with its contents. Waits for the daemon.
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
 * tempfile_close() - delete and forget
 * @t: freed in any case; NULL does nothing
 *
 * Closes the descriptor, deletes the path (a directory with its contents) and tells the daemon.
 * After tempfile_persist() or tempfile_keep() there is nothing to delete. In a child that
 * inherited the handle by fork, and for an owner other than this process, nothing is deleted.
 * A file already gone is no error.
 *
 * Return: 0; else what the deletion failed with (as unlink(2), rmdir(2)): the path then stays
 * registered and is deleted when the owner ends.
 *
 * Since: 0.1
 */
int tempfile_close(struct tempfile *t);

/**
 * tempfile_persist() - move it to its final place, where it stays
 * @t:      stays valid; its descriptor stays open and its path is @target afterwards
 * @target: in the same file system; relative paths count from the current directory
 * @flags:  0: replace what is there, as rename(2); TEMPFILE_NOREPLACE: refuse, atomically;
 *          TEMPFILE_FSYNC: the file's data before and the directory after are written to disk
 *
 * A crash at any moment leaves exactly one outcome: at @target and kept, or temporary and deleted.
 * What this process made inside a directory stays with it: the daemon is asked to keep that first.
 *
 * Return: 0;
 *   -EINVAL   t or target NULL; unknown flag; already persisted or kept; another process's
 *   -EEXIST   TEMPFILE_NOREPLACE and something is there; t is unchanged
 *   -EXDEV    another file system; t is unchanged
 *   -EPERM    the handle came from the parent by fork
 *   -ESTALE   it was tracked, and another thing is there now
 *   others    as rename(2), and with TEMPFILE_FSYNC as fsync(2): if tempfile_path() is the target
 *             then, it was persisted, but is perhaps not on disk
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
 *   -ENOSPC   the daemon's disk is full: nothing has changed
 *
 * Since: 0.1
 */
int tempfile_keep(struct tempfile *t);

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
