/* SPDX-License-Identifier: MIT */

/*
 * Preloaded into programs under test: a wall clock that a test can step (wall-clock.h). The other
 * clocks stay as they are.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const _Atomic int64_t *map_steps(void)
{
        const char *file = getenv("WALL_CLOCK_FILE");
        int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
        void *steps;

        if (fd < 0)
                return NULL;
        steps = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        (void) close(fd);
        return steps == MAP_FAILED ? NULL : steps;
}

/* Mapped twice when threads are in time with each other: no harm. */
static int64_t step_sec(void)
{
        static _Atomic(const _Atomic int64_t *) mapped;
        const _Atomic int64_t *steps = mapped;

        if (!steps) {
                steps = map_steps();
                mapped = steps;
        }
        return steps ? *steps : 0;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *t)
{
        int r = (int) syscall(SYS_clock_gettime, clock, t);

        if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                t->tv_sec += step_sec();
        return r;
}

EXPORT int gettimeofday(struct timeval *t, void *zone)
{
        struct timespec now;

        (void) zone;
        (void) clock_gettime(CLOCK_REALTIME, &now);
        *t = (struct timeval) { .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
        return 0;
}

EXPORT time_t time(time_t *ret)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        if (ret)
                *ret = now.tv_sec;
        return now.tv_sec;
}
