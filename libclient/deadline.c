/* SPDX-License-Identifier: MIT */

/*
 * Waiting that ends: every wait of the library goes through here. The subtle thing: poll() counts
 * in milliseconds, and rounding down would make the last one of them a busy loop.
 */

#include "libclient/deadline.h"

#include <poll.h>
#include <time.h>

#include "libclient/util.h"

#define WAIT_MAX_MSEC (3600 * UINT64_C(1000)) /* fits an int; the waiting loops come back */

uint64_t deadline_now(void)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail for a clock that exists */
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

uint64_t deadline_in(uint64_t usec)
{
        return deadline_now() + MAX(usec, UINT64_C(1));
}

int deadline_left_msec(uint64_t deadline_usec)
{
        uint64_t now, msec;

        if (deadline_usec == DEADLINE_PAST)
                return 0;
        now = deadline_now();
        if (deadline_usec <= now)
                return 0;
        msec = (deadline_usec - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        return (int) MIN(msec, WAIT_MAX_MSEC);
}

/* No memory for the kernel to wait with: that passes, and whether what was asked for has been done
 * must not depend on it. */
static void outwait_shortage(void)
{
        const struct timespec pause = { .tv_nsec = (long) (USEC_PER_MSEC * NSEC_PER_USEC) };

        (void) nanosleep(&pause, NULL);
}

int deadline_poll(int fd, short events, uint64_t deadline_usec)
{
        struct pollfd p = { .fd = fd, .events = events };
        int r, msec;

        for (;;) {
                msec = deadline_left_msec(deadline_usec);
                if (msec == 0)
                        return -ETIMEDOUT;
                r = poll(&p, 1, msec);
                if (r > 0)
                        return 0;
                if (r < 0 && errno == ENOMEM)
                        outwait_shortage();
                else if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

void deadline_pause(uint64_t usec, uint64_t deadline_usec)
{
        const uint64_t end = MIN(deadline_usec, deadline_in(usec));
        int msec;

        while ((msec = deadline_left_msec(end)) > 0)
                (void) poll(NULL, 0, msec);
}
