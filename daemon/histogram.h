/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_HISTOGRAM_H
#define TEMPFILED_HISTOGRAM_H

/*
 * How long things took, for STATUS.
 */

#include "libclient/wire.h"

static inline void histogram_add(struct wire_histogram *h, uint64_t usec, uint64_t n)
{
        static const uint64_t bounds[] = WIRE_HISTOGRAM_BOUNDS_USEC;
        unsigned int i = 0;

        while (i < WIRE_HISTOGRAM_COUNTS - 1 && usec > bounds[i])
                i++;
        h->counts[i] += n;
        h->sum_usec += usec * n;
}

#endif
