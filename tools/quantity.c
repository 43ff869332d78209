/* SPDX-License-Identifier: MIT */

/*
 * Reads and writes lengths of time and sizes.
 *
 * Promises that nothing but what the header lists is taken: no sign, no leading space, no unknown
 * unit, nothing that overflows. The subtle thing: "m" is minutes here, where no months are.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/quantity.h"

#define USEC_MAX (UINT64_C(100) * 365 * 86400 * USEC_PER_SEC)

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Digits at *@s, and moves behind them. */
static int read_digits(const char **s, uint64_t *ret)
{
        uint64_t n = 0;

        if (!is_digit(**s))
                return -EINVAL;
        for (; is_digit(**s); (*s)++)
                if (__builtin_mul_overflow(n, 10, &n) ||
                    __builtin_add_overflow(n, (uint64_t) (**s - '0'), &n))
                        return -ERANGE;
        *ret = n;
        return 0;
}

int quantity_parse_number(const char *s, uint64_t max, uint64_t *ret)
{
        uint64_t n;

        if (read_digits(&s, &n) < 0 || *s != '\0' || n > max)
                return -EINVAL;
        *ret = n;
        return 0;
}

struct unit {
        const char *name;
        uint64_t factor;
};

/* The letters at *@s as a unit, and moves behind them. "" is one too where the table has it. */
static int read_unit(const char **s, const struct unit *units, size_t n_units, uint64_t *ret)
{
        size_t len = strspn(*s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

        for (size_t i = 0; i < n_units; i++) {
                if (strlen(units[i].name) != len || strncmp(*s, units[i].name, len) != 0)
                        continue;
                *s += len;
                *ret = units[i].factor;
                return 0;
        }
        return -EINVAL;
}

int quantity_parse_time(const char *s, uint64_t *ret_usec)
{
        static const struct unit units[] = {
                { "", 1 },
                { "s", 1 },
                { "sec", 1 },
                { "m", 60 },
                { "min", 60 },
                { "h", 3600 },
                { "hr", 3600 },
                { "d", 86400 },
                { "day", 86400 },
                { "w", 7 * 86400 },
                { "week", 7 * 86400 },
                { "days", 86400 },
                { "weeks", 7 * 86400 },
                { "y", 365 * UINT64_C(86400) },
        };
        uint64_t sum = 0, n, factor;
        int r;

        do {
                r = read_digits(&s, &n);
                if (r >= 0)
                        r = read_unit(&s, units, ARRAY_SIZE(units), &factor);
                if (r < 0)
                        return r;
                if (__builtin_mul_overflow(n, factor * USEC_PER_SEC, &n) ||
                    __builtin_add_overflow(sum, n, &sum) || sum > USEC_MAX)
                        return -ERANGE;
                s += strspn(s, " ");
        } while (*s != '\0');
        *ret_usec = sum;
        return 0;
}

/* What follows a point, in thousandths; 0 without one. */
static int read_fraction(const char **s, uint64_t *ret)
{
        uint64_t scale = 1000;

        *ret = 0;
        if (**s != '.')
                return 0;
        (*s)++;
        if (!is_digit(**s))
                return -EINVAL;
        for (; is_digit(**s); (*s)++) {
                scale /= 10;
                *ret += (uint64_t) (**s - '0') * scale;
        }
        return 0;
}

int quantity_parse_bytes(const char *s, uint64_t *ret)
{
        static const struct unit units[] = {
                { "", 1 },
                { "B", 1 },
                { "K", UINT64_C(1) << 10 },
                { "KiB", UINT64_C(1) << 10 },
                { "M", UINT64_C(1) << 20 },
                { "MiB", UINT64_C(1) << 20 },
                { "G", UINT64_C(1) << 30 },
                { "GiB", UINT64_C(1) << 30 },
                { "T", UINT64_C(1) << 40 },
                { "TiB", UINT64_C(1) << 40 },
                { "P", UINT64_C(1) << 50 },
                { "PiB", UINT64_C(1) << 50 },
        };
        uint64_t n, thousandths, factor;
        int r;

        r = read_digits(&s, &n);
        if (r >= 0)
                r = read_fraction(&s, &thousandths);
        if (r >= 0)
                r = read_unit(&s, units, ARRAY_SIZE(units), &factor);
        if (r < 0)
                return r;
        if (*s != '\0' || (thousandths != 0 && factor == 1))
                return -EINVAL;
        if (__builtin_mul_overflow(n, factor, &n) ||
            __builtin_add_overflow(n, thousandths * (factor / 1000), &n))
                return -ERANGE;
        *ret = n;
        return 0;
}

void quantity_format_bytes(uint64_t bytes, char ret[static QUANTITY_SIZE_SIZE])
{
        static const char units[] = "KMGTPE";
        unsigned int unit = 0, shift = 10;
        uint64_t tenths, whole;

        if (bytes < 1024) {
                (void) snprintf(ret, QUANTITY_SIZE_SIZE, "%" PRIu64, bytes);
                return;
        }
        while (unit < 5 && bytes >> (shift + 10) != 0) {
                shift += 10;
                unit++;
        }
        whole = bytes >> shift;
        tenths = ((bytes & ((UINT64_C(1) << shift) - 1)) >> (shift - 10)) * 10;
        tenths = tenths / 1024 + (tenths % 1024 != 0); /* up: what is there, is shown */
        if (tenths == 10 || (whole >= 10 && tenths > 0)) {
                whole++;
                tenths = 0;
        }
        if (whole < 10)
                (void) snprintf(ret, QUANTITY_SIZE_SIZE, "%" PRIu64 ".%" PRIu64 "%c", whole, tenths,
                                units[unit]);
        else
                (void) snprintf(ret, QUANTITY_SIZE_SIZE, "%" PRIu64 "%c", whole, units[unit]);
}
