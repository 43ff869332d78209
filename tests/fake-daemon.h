/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FAKE_DAEMON_H
#define TEMPFILED_FAKE_DAEMON_H

/*
 * A daemon that does as it is told, in a thread of the test's: greets, writes down what it is sent,
 * and answers each kind of request in the way that the test has set, late, wrong or never. Stores
 * and deletes nothing. One at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libclient/wire.h"

#define FAKE_ID_OF(serial) (UINT64_C(100000) + (serial))

enum fake_action {
        FAKE_ANSWER,  /* with the result set, and FAKE_ID_OF() the request */
        FAKE_IGNORE,  /* never answer */
        FAKE_LATE,    /* answer when the next packet has come, before that one's answer */
        FAKE_GARBAGE, /* answer with bytes that mean nothing */
        FAKE_HANG_UP, /* close the connection instead; the result, if any, is the next one's */
};

struct fake_packet {
        size_t len;
        uint8_t bytes[WIRE_PACKET_MAX];
};

/* Listens at @path. Forgets the actions of the one before. */
void fake_start(const char *path);

/* Hangs up on everybody; the socket is gone when it returns. */
void fake_stop(void);

/* Around a fork(): the thread then holds no lock that the child would miss. In both processes. */
void fake_before_fork(void);
void fake_after_fork(void);

/* How the next @times requests of @opcode are treated; 0: all from now on. */
void fake_set(uint16_t opcode, enum fake_action action, int32_t result, unsigned int times);

/* No WELCOME for connections from now on. */
void fake_stay_silent(bool is_silent);

/* Say that there are tags to be had, and give who takes any this one, with a key that begins with 7. */
void fake_give_tag(uint64_t tag);

/* Hang up instead on the next @times connections. */
void fake_refuse(unsigned int times);

/* Read nothing more until told to. */
void fake_stop_reading(bool is_stopped);

/* How many of that kind have come. */
unsigned int fake_count(uint16_t opcode);

/* Waits until @n of that kind have come, and copies the @n-th, counted from 1. False: too long. */
bool fake_wait(uint16_t opcode, unsigned int n, struct fake_packet *ret);

/* How many records of @what (enum wire_what) about @tag_or_id (0: any) the reports so far had. */
unsigned int fake_count_records(uint8_t what, uint64_t tag_or_id);

/* Waits until there are @n of them. False: too long. */
bool fake_wait_records(uint8_t what, uint64_t tag_or_id, unsigned int n);

#endif
