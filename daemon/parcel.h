/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PARCEL_H
#define TEMPFILED_PARCEL_H

/*
 * What one process of the daemon's hands to another over a socket: bytes in the order in which
 * they were put in, and at most one descriptor. Both ends are the same program, so nothing in it
 * is versioned; but what comes out is checked, since the other end may have been killed halfway.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identity;

struct parcel {
        uint8_t *data;
        size_t len, room;
        size_t at;   /* where it is read next */
        bool is_bad; /* no memory, or there was less in it than was taken out: nothing counts */
        int fd;      /* -1: none. Borrowed when sent, owned when received */
};
#define PARCEL_INIT                                                                                \
        {                                                                                          \
                .fd = -1                                                                           \
        }

void parcel_done(struct parcel *p); /* with the descriptor */

void parcel_put(struct parcel *p, const void *data, size_t size);
void parcel_put_number(struct parcel *p, uint64_t n);
void parcel_put_text(struct parcel *p, const char *text); /* NULL is one, too */
void parcel_put_identity(struct parcel *p, const struct identity *i);

/* What is bad gives zeroes, and NULL. */
void parcel_get(struct parcel *p, void *data, size_t size);
uint64_t parcel_get_number(struct parcel *p);
char *parcel_get_text(struct parcel *p); /* the caller's */
void parcel_get_identity(struct parcel *p, struct identity *ret);

int parcel_send(int fd, const struct parcel *p);
int parcel_receive(int fd, struct parcel *ret); /* -ECONNRESET: the other end is gone */

#endif
