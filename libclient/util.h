/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_UTIL_H
#define TEMPFILED_UTIL_H

/*
 * The few idioms that every file here shares: cleanup attributes, ownership
 * hand-over, and a memory-to-integer copy that is safe on unaligned bytes.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _public_ __attribute__((visibility("default")))
#define _unused_ __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)

/* Hands a pointer over: the variable is NULL afterwards, so its cleanup does nothing. */
#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) _taken = (p);                                                        \
                (p) = NULL;                                                                        \
                _taken;                                                                            \
        })

/* The same for a descriptor. */
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int _taken = (fd);                                                                 \
                (fd) = -1;                                                                         \
                _taken;                                                                            \
        })

/* A call that a signal has cut short, on a file system that lets it (FUSE, NFS), is made again. */
#define RETRY(call)                                                                                \
        ({                                                                                         \
                __typeof__(call) _result;                                                          \
                do                                                                                 \
                        _result = (call);                                                          \
                while (_result < 0 && errno == EINTR);                                             \
                _result;                                                                           \
        })

/* Closes and keeps errno. Returns -1, so that `fd = close_fd(fd)` leaves no stale number behind. */
static inline int close_fd(int fd)
{
        int saved = errno;

        if (fd >= 0)
                (void) close(fd); /* the descriptor is gone whatever close() says (Linux) */
        errno = saved;
        return -1;
}

static inline void closep(int *fd)
{
        *fd = close_fd(*fd);
}

static inline void freep(void *p)
{
        free(*(void **) p);
}

#define streq(a, b) (strcmp((a), (b)) == 0)

#endif
