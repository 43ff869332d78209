/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_RING_H
#define TEMPFILED_RING_H

/*
 * Packets in memory that daemon and client share: the client writes, the daemon reads, and neither
 * needs a system call for it. What was written is there for the daemon although the client has died
 * since, as it is in a socket. One writer, one reader; each keeps its own end, and trusts nothing
 * that the other could have written. The client makes it and pays for it, and sends it by the socket,
 * where the daemon sees who does.
 *
 * It goes beside a socket, and order holds between the two: a packet tells how many were sent there
 * before it, and is not taken while fewer have been received.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_PACKET_MAX 2048U /* bytes */

/* What the reader does, as it tells the writer. */
enum ring_state {
        RING_ASLEEP = 0, /* it waits for the socket: that must be used */
        RING_READ = 1,   /* it looks into it by itself, within a millisecond or two */
        RING_OVER = 2,   /* it never does again */
};

struct ring;

/* The writer's end: makes the memory, asleep. *ret_fd, to be sent and closed, is for the reader. It is
 * not in the memory of children, who must not free it. Returns 0, or as memfd_create(2) and mmap(2). */
int ring_new(struct ring **ret, int *ret_fd);

/* The reader's end; @fd is borrowed. Returns 0; -EBADMSG it is no ring; or as mmap(2). */
int ring_open(int fd, struct ring **ret);

/* NULL: none. */
void ring_free(struct ring *r);

/*
 * Writes a packet that @n_sent went before on the socket. Returns false if nothing was written: there
 * is no room, or it is too long. A reader who was not RING_READ just after it may not take it: then it
 * is to be sent as well.
 */
bool ring_put(struct ring *r, const void *packet, size_t len, uint32_t n_sent);
enum ring_state ring_state(const struct ring *r);

/* How far has been written: what comes later is for the next time. */
uint32_t ring_end(const struct ring *r);
bool ring_has_more(const struct ring *r);

/*
 * Copies the next packet before @end out whose time has come when @n_received have come by the
 * socket. Returns its length; 0 there is none; -EBADMSG that is no ring any more.
 */
int ring_take(struct ring *r, void *buf, uint32_t end, uint32_t n_received);

/* Tells the writer. What it has written until it hears that, ring_take() gives. */
void ring_tell(struct ring *r, enum ring_state state);

#endif
