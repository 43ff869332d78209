/* SPDX-License-Identifier: MIT */

/*
 * Failing system calls; see the header. What an error means depends on what a descriptor is of:
 * no disk is behind a socket or an eventfd, and /proc has no I/O errors.
 */

#include "tests/crash-fault.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "libclient/util.h"

#define BIT(e) (1U << CRASH_##e)
#define DISK (BIT(EIO) | BIT(EIO_ON))

static const struct {
        const char *name;
        int number;
} errors[CRASH_ERRORS] = {
        [CRASH_ENOSPC] = { "ENOSPC", ENOSPC }, [CRASH_EIO] = { "EIO", EIO },
        [CRASH_ENOMEM] = { "ENOMEM", ENOMEM }, [CRASH_EMFILE] = { "EMFILE", EMFILE },
        [CRASH_EINTR] = { "EINTR", EINTR },    [CRASH_EIO_ON] = { "EIO-from-there-on", EIO },
};

const char *crash_error_name(enum crash_error e)
{
        return errors[e].name;
}

enum crash_error crash_error_find(const char *name)
{
        enum crash_error e = 0;

        while (e < CRASH_ERRORS && !streq(errors[e].name, name))
                e++;
        return e;
}

int crash_error_number(enum crash_error e)
{
        return errors[e].number;
}

/* ---- which call may fail with what ---- */

enum about {
        ABOUT_ANYTHING,
        ABOUT_FD,     /* the first argument: an error of the disk needs one behind it */
        ABOUT_STAT,   /* the same, if there is no path */
        ABOUT_CREATE, /* openat(): a full disk only where something is made */
        ABOUT_FCNTL,  /* only what makes a descriptor */
};

static const struct {
        uint64_t nr;
        enum about about;
        unsigned int mask;
} calls[] = {
        { SYS_openat, ABOUT_CREATE, DISK | BIT(ENOSPC) | BIT(ENOMEM) | BIT(EMFILE) | BIT(EINTR) },
        { SYS_openat2, ABOUT_ANYTHING, DISK | BIT(ENOMEM) | BIT(EMFILE) | BIT(EINTR) },
        { SYS_open_by_handle_at, ABOUT_ANYTHING, DISK | BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_name_to_handle_at, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_read, ABOUT_FD, DISK | BIT(ENOMEM) | BIT(EINTR) },
        { SYS_pread64, ABOUT_FD, DISK | BIT(ENOMEM) | BIT(EINTR) },
        { SYS_write, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(ENOMEM) | BIT(EINTR) },
        { SYS_pwrite64, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(ENOMEM) | BIT(EINTR) },
        { SYS_close, ABOUT_FD, BIT(EIO) | BIT(EINTR) },
        { SYS_fsync, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(EINTR) },
        { SYS_fdatasync, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(EINTR) },
        { SYS_syncfs, ABOUT_FD, DISK | BIT(ENOSPC) },
        { SYS_ftruncate, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(EINTR) },
        { SYS_fallocate, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(EINTR) },
        { SYS_fstat, ABOUT_FD, DISK | BIT(ENOMEM) },
        { SYS_fstatfs, ABOUT_FD, DISK | BIT(ENOMEM) },
        { SYS_newfstatat, ABOUT_STAT, DISK | BIT(ENOMEM) },
        { SYS_statx, ABOUT_STAT, DISK | BIT(ENOMEM) },
        { SYS_readlinkat, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_faccessat, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_faccessat2, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_getdents64, ABOUT_FD, DISK | BIT(ENOMEM) },
        { SYS_mkdirat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_mknodat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_symlinkat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_linkat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_unlinkat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_renameat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_renameat2, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_fchmod, ABOUT_FD, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_fchmodat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_utimensat, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_flock, ABOUT_ANYTHING, BIT(EINTR) | BIT(ENOMEM) },
        { SYS_fcntl, ABOUT_FCNTL, BIT(EMFILE) },
        { SYS_dup3, ABOUT_ANYTHING, BIT(EMFILE) },
        { SYS_mmap, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_mremap, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_mprotect, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_clone, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_clone3, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_socket, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_connect, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_accept4, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) | BIT(EINTR) },
        { SYS_bind, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_setsockopt, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_getsockopt, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_sendmsg, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_sendto, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_recvmsg, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_recvfrom, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_ppoll, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_epoll_create1, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_epoll_ctl, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(ENOSPC) },
        { SYS_epoll_pwait, ABOUT_ANYTHING, BIT(EINTR) },
        { SYS_epoll_pwait2, ABOUT_ANYTHING, BIT(EINTR) },
        { SYS_eventfd2, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_timerfd_create, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_signalfd4, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_inotify_init1, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_inotify_add_watch, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(ENOSPC) },
        { SYS_memfd_create, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_pidfd_open, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_pipe2, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EMFILE) },
        { SYS_setgroups, ABOUT_ANYTHING, BIT(ENOMEM) },
        { SYS_getrandom, ABOUT_ANYTHING, BIT(EINTR) },
        { SYS_clock_nanosleep, ABOUT_ANYTHING, BIT(EINTR) },
#ifdef SYS_open
        /* What other architectures do without. */
        { SYS_open, ABOUT_ANYTHING, DISK | BIT(ENOMEM) | BIT(EMFILE) | BIT(EINTR) },
        { SYS_stat, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_lstat, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_access, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_readlink, ABOUT_ANYTHING, DISK | BIT(ENOMEM) },
        { SYS_mkdir, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_unlink, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_rmdir, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_rename, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_chmod, ABOUT_ANYTHING, DISK | BIT(ENOSPC) | BIT(ENOMEM) },
        { SYS_poll, ABOUT_ANYTHING, BIT(ENOMEM) | BIT(EINTR) },
        { SYS_epoll_wait, ABOUT_ANYTHING, BIT(EINTR) },
#endif
};

/* Is a file of a disk behind it? */
static bool is_file(pid_t tid, int fd)
{
        char link[64], path[PATH_MAX];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/%d/fd/%d", tid, fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n <= 0)
                return false;
        path[n] = '\0';
        return path[0] == '/' && strncmp(path, "/proc/", 6) != 0 &&
               strncmp(path, "/sys/", 5) != 0 && strncmp(path, "/dev/pts", 8) != 0;
}

/* As signal(7) lists what a stopped and continued process finds interrupted without a handler. */
static bool is_cut_by_stop(uint64_t nr)
{
#ifdef SYS_epoll_wait
        if (nr == SYS_epoll_wait)
                return true;
#endif
        return nr == SYS_epoll_pwait || nr == SYS_epoll_pwait2;
}

static unsigned int mask_of(pid_t tid, uint64_t nr, const uint64_t args[6])
{
        const unsigned int of_files = DISK | BIT(ENOSPC) | BIT(ENOMEM);
        uint64_t flags;
        size_t i = 0;

        while (i < ARRAY_SIZE(calls) && calls[i].nr != nr)
                i++;
        if (i == ARRAY_SIZE(calls))
                return 0;
        switch (calls[i].about) {
        case ABOUT_FD:
                if (is_file(tid, (int) args[0]))
                        return calls[i].mask;
                return nr == SYS_close ? 0 : calls[i].mask & ~of_files;
        case ABOUT_STAT:
                flags = nr == SYS_statx ? args[2] : args[3];
                return !(flags & AT_EMPTY_PATH) || is_file(tid, (int) args[0]) ? calls[i].mask : 0;
        case ABOUT_CREATE:
                return args[2] & O_CREAT ? calls[i].mask : calls[i].mask & ~BIT(ENOSPC);
        case ABOUT_FCNTL:
                return args[1] == F_DUPFD || args[1] == F_DUPFD_CLOEXEC ? calls[i].mask : 0;
        default:
                return calls[i].mask;
        }
}

unsigned int crash_fault_mask(pid_t tid, uint64_t nr, const uint64_t args[6], bool is_deaf)
{
        unsigned int mask = mask_of(tid, nr, args);

        return is_deaf && !is_cut_by_stop(nr) ? mask & ~BIT(EINTR) : mask;
}

/* ---- making it fail ---- */

#if defined(__x86_64__)

bool crash_fault_is_possible(void)
{
        return true;
}

static int set_number(pid_t tid, uint64_t nr)
{
        struct user_regs_struct regs;

        if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
                return -errno;
        regs.orig_rax = nr;
        return ptrace(PTRACE_SETREGS, tid, NULL, &regs) < 0 ? -errno : 0;
}

static int set_result(pid_t tid, int64_t result)
{
        struct user_regs_struct regs;

        if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
                return -errno;
        regs.rax = (unsigned long long) result;
        return ptrace(PTRACE_SETREGS, tid, NULL, &regs) < 0 ? -errno : 0;
}

#elif defined(__aarch64__)

bool crash_fault_is_possible(void)
{
        return true;
}

static int set_number(pid_t tid, uint64_t nr)
{
        int number = (int) nr;
        struct iovec iov = { &number, sizeof(number) };

        return ptrace(PTRACE_SETREGSET, tid, (void *) NT_ARM_SYSTEM_CALL, &iov) < 0 ? -errno : 0;
}

static int set_result(pid_t tid, int64_t result)
{
        struct user_regs_struct regs;
        struct iovec iov = { &regs, sizeof(regs) };

        if (ptrace(PTRACE_GETREGSET, tid, (void *) NT_PRSTATUS, &iov) < 0)
                return -errno;
        regs.regs[0] = (unsigned long long) result;
        return ptrace(PTRACE_SETREGSET, tid, (void *) NT_PRSTATUS, &iov) < 0 ? -errno : 0;
}

#else

bool crash_fault_is_possible(void)
{
        return false;
}

static int set_number(pid_t tid, uint64_t nr)
{
        return -EOPNOTSUPP;
}

static int set_result(pid_t tid, int64_t result)
{
        return -EOPNOTSUPP;
}

#endif

int crash_fault_skip(pid_t tid, uint64_t nr)
{
        return nr == SYS_close ? 0 : set_number(tid, UINT64_MAX);
}

int crash_fault_return(pid_t tid, int error)
{
        return set_result(tid, -(int64_t) error);
}

/* ---- what the library may say ---- */

/*
 * By libtempfile.h. What a caller does wrong is not among these, nor is what can't come of a
 * failing call; the error itself may be passed on wherever the header says "as open(2)" and the
 * like, or that the daemon lacks something. A signal is never the caller's business.
 */
#define WITH_DAEMON (1U << 0) /* it asks the daemon, perhaps */
#define WITH_PLACE (1U << 1)  /* it finds a directory, perhaps anew */
#define NEVER_FAILS (1U << 2)

static const struct {
        const char *call;
        unsigned int with;
} functions[] = {
        { "tempfile_named", WITH_DAEMON | WITH_PLACE },
        { "tempfile_directory", WITH_DAEMON | WITH_PLACE },
        { "tempfile_make", WITH_DAEMON | WITH_PLACE },
        { "tempfile_mktemp", WITH_DAEMON | WITH_PLACE },
        { "tempfile_mkstemp", WITH_DAEMON | WITH_PLACE },
        { "tempfile_mkdtemp", WITH_DAEMON | WITH_PLACE },
        { "tempfile_track", WITH_DAEMON | WITH_PLACE },
        { "tempfile_pseudo_file", WITH_DAEMON | WITH_PLACE },
        { "tempfile_pseudo_directory", WITH_DAEMON | WITH_PLACE },
        { "tempfile_unnamed", 0 },
        { "tempfile_unnamed_persist", WITH_DAEMON | WITH_PLACE },
        { "tempfile_arena_named", 0 },
        { "tempfile_persist", WITH_DAEMON },
        { "tempfile_keep", WITH_DAEMON },
        { "tempfile_give", WITH_DAEMON },
        { "tempfile_share", WITH_DAEMON },
        { "tempfile_retain", WITH_DAEMON },
        { "tempfile_renew", WITH_DAEMON },
        { "tempfile_token_new", WITH_DAEMON },
        { "tempfile_find", 0 },
        { "tempfile_close", WITH_DAEMON },
        { "tempfile_release", NEVER_FAILS },
        { "sendmsg", 0 },
};

bool crash_fault_is_documented(const char *call, int r, int error)
{
        const size_t len = strcspn(call, ",");

        for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
                if (strncmp(functions[i].call, call, len) != 0 || functions[i].call[len] != '\0')
                        continue;
                if (r == -error)
                        return error != EINTR && !(functions[i].with & NEVER_FAILS);
                if (functions[i].with & WITH_DAEMON &&
                    (r == -ECONNREFUSED || r == -ETIMEDOUT || r == -EIO))
                        return true;
                if (functions[i].with & WITH_DAEMON && error == EMFILE && r == -ENFILE)
                        return true; /* the daemon's descriptors, not this process's */
                return functions[i].with & WITH_PLACE && r == -ESTALE;
        }
        return false;
}
