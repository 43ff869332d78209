/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_QUANTITY_H
#define TEMPFILED_QUANTITY_H

/*
 * Numbers, lengths of time and sizes as people write them.
 */

#include <stdint.h>

#define QUANTITY_SIZE_SIZE 24 /* any number, a unit, a mark and the NUL */

/* Decimal digits only. 0, or -EINVAL: it is none, or above @max. */
int quantity_parse_number(const char *s, uint64_t max, uint64_t *ret);

/*
 * "90", "90s", "5min", "2h", "1d 12h", "2w": seconds unless a unit says otherwise. 0; -EINVAL: it
 * is none; -ERANGE: longer than a hundred years.
 */
int quantity_parse_time(const char *s, uint64_t *ret_usec);

/* "4096", "10K", "1.5M", "1G", "1GiB": units of 1024. 0; -EINVAL; -ERANGE: does not fit. */
int quantity_parse_bytes(const char *s, uint64_t *ret);

/* At most three digits and a unit, rounded up, as du(1) does: "0", "512", "4.0K", "13G". */
void quantity_format_bytes(uint64_t bytes, char ret[static QUANTITY_SIZE_SIZE]);

#endif
