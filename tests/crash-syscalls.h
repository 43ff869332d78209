/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_SYSCALLS_H
#define TEMPFILED_CRASH_SYSCALLS_H

/*
 * The names of the system calls that daemon and library are seen to make, so that a failing point
 * reads as words. What is missing here is shown by its number.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define CRASH_SYSCALL(name)                                                                        \
        {                                                                                          \
                SYS_##name, #name                                                                  \
        }

static inline const char *crash_syscall_name(uint64_t nr)
{
        static const struct {
                uint64_t nr;
                const char *name;
        } names[] = {
                CRASH_SYSCALL(read),
                CRASH_SYSCALL(write),
                CRASH_SYSCALL(pread64),
                CRASH_SYSCALL(pwrite64),
                CRASH_SYSCALL(close),
                CRASH_SYSCALL(openat),
                CRASH_SYSCALL(openat2),
                CRASH_SYSCALL(newfstatat),
                CRASH_SYSCALL(fstat),
                CRASH_SYSCALL(statx),
                CRASH_SYSCALL(fstatfs),
                CRASH_SYSCALL(getdents64),
                CRASH_SYSCALL(unlinkat),
                CRASH_SYSCALL(mkdirat),
                CRASH_SYSCALL(renameat2),
                CRASH_SYSCALL(linkat),
                CRASH_SYSCALL(fchmod),
                CRASH_SYSCALL(fdatasync),
                CRASH_SYSCALL(fsync),
                CRASH_SYSCALL(syncfs),
                CRASH_SYSCALL(ftruncate),
                CRASH_SYSCALL(fallocate),
                CRASH_SYSCALL(fcntl),
                CRASH_SYSCALL(flock),
                CRASH_SYSCALL(mmap),
                CRASH_SYSCALL(munmap),
                CRASH_SYSCALL(brk),
                CRASH_SYSCALL(futex),
                CRASH_SYSCALL(madvise),
                CRASH_SYSCALL(mprotect),
                CRASH_SYSCALL(socket),
                CRASH_SYSCALL(bind),
                CRASH_SYSCALL(listen),
                CRASH_SYSCALL(connect),
                CRASH_SYSCALL(accept4),
                CRASH_SYSCALL(sendmsg),
                CRASH_SYSCALL(recvmsg),
                CRASH_SYSCALL(sendto),
                CRASH_SYSCALL(recvfrom),
                CRASH_SYSCALL(getsockopt),
                CRASH_SYSCALL(setsockopt),
                CRASH_SYSCALL(ppoll),
                CRASH_SYSCALL(epoll_pwait),
                CRASH_SYSCALL(epoll_ctl),
                CRASH_SYSCALL(eventfd2),
                CRASH_SYSCALL(timerfd_settime),
                CRASH_SYSCALL(getrandom),
                CRASH_SYSCALL(getpid),
                CRASH_SYSCALL(gettid),
                CRASH_SYSCALL(geteuid),
                CRASH_SYSCALL(setfsuid),
                CRASH_SYSCALL(setfsgid),
                CRASH_SYSCALL(setgroups),
                CRASH_SYSCALL(capset),
                CRASH_SYSCALL(pidfd_open),
                CRASH_SYSCALL(pidfd_send_signal),
                CRASH_SYSCALL(exit),
                CRASH_SYSCALL(exit_group),
                CRASH_SYSCALL(rt_sigprocmask),
                CRASH_SYSCALL(name_to_handle_at),
#ifdef SYS_poll /* the newer architectures do without these */
                CRASH_SYSCALL(poll),
                CRASH_SYSCALL(epoll_wait),
                CRASH_SYSCALL(unlink),
                CRASH_SYSCALL(rename),
                CRASH_SYSCALL(open),
                CRASH_SYSCALL(stat),
                CRASH_SYSCALL(lstat),
                CRASH_SYSCALL(mkdir),
                CRASH_SYSCALL(rmdir),
                CRASH_SYSCALL(readlink),
#endif
                CRASH_SYSCALL(readlinkat),
                CRASH_SYSCALL(clone3),
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (names[i].nr == nr)
                        return names[i].name;
        return NULL;
}

#endif
