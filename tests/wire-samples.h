/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_WIRE_SAMPLES_H
#define TEMPFILED_WIRE_SAMPLES_H

/*
 * One well-formed packet of every message, for tests to check and to spoil.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libclient/wire.h"

#define SAMPLE_TAG UINT64_C(0x0123456789abcdef)
#define SAMPLE_HEADER(number)                                                                      \
        {                                                                                          \
                .version = WIRE_VERSION, .opcode = (number), .serial = 7                           \
        }

/* Paths and names of any bytes are good ones. */
#define SAMPLE_PATH "/var/tmp/\xff\n"
#define SAMPLE_NAME "tmp\xfe x"
#define SAMPLE_OBJECT                                                                              \
        "010000000000000000800000810000000c00000000000000" /* inode 1, a file, and its handle */
#define SAMPLE_VERSION "0.1.0"

struct packet {
        uint8_t data[WIRE_PACKET_MAX + 1];
        size_t len;
};

struct sample {
        uint16_t opcode;
        bool is_reply;
        const char *name;
        void (*build)(struct packet *p); /* appends */
        unsigned int fds_min, fds_max;
};

extern const struct sample samples[];
extern const size_t sample_count;

/* path, unit, command and failed of the rows of ROWS, which has two; REPORT has one record of
 * something made, SAMPLE_NAME, and one of something gone. */
extern const char *const sample_row_strings[4];

const struct sample *sample_find(uint16_t opcode);

/* Replaces @p by the sample of @opcode. */
void sample_build(struct packet *p, uint16_t opcode);

void packet_put(struct packet *p, const void *data, size_t size);
void packet_put_text(struct packet *p, const char *text);

/* Overwrites an integer of @size bytes, in the machine's byte order. */
void packet_set(struct packet *p, size_t offset, size_t size, uint64_t value);

/* wire_check_...() of a copy that lies at an odd address and ends where its memory ends, so that a
 * sanitizer or valgrind sees every byte read beyond it. */
int packet_check(const struct packet *p, bool is_reply);

#endif
