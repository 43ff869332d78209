/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a packet: nothing may be read beyond them, and what passes keeps the promises of
 * wire.h: walking ends where the packet does, after as many records as it counts, and adding those
 * again spells the same packet.
 *
 * Files called refused-... must not pass in either direction, the others must in one. The corpus
 * holds the packets of a little-endian machine; test-wire --write-corpus makes it anew.
 */

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/fuzz-replay.h"

const char fuzz_corpus[] = "wire";

static void respell_report(const uint8_t *data, size_t size)
{
        uint8_t again[WIRE_PACKET_MAX];
        size_t offset = 0, len = sizeof(struct wire_report);
        struct wire_report head;
        struct wire_record record;
        const char *name;

        memcpy(&head, data, sizeof(head));
        head.count = 0;
        memcpy(again, &head, sizeof(head));
        while (wire_next_record(data, size, &offset, &record, &name)) {
                fuzz_require(strlen(name) == record.name_len);
                fuzz_require(record.name_len == 0 || name_is_component(name, record.name_len));
                fuzz_require(wire_add_record(again, sizeof(again), &len, &record, name) == 0);
        }
        fuzz_require(len == size && memcmp(again, data, size) == 0);
}

static void respell_rows(const uint8_t *data, size_t size)
{
        uint8_t again[WIRE_PACKET_MAX];
        size_t offset = 0, len = sizeof(struct wire_rows);
        const char *strings[4];
        struct wire_rows head;
        struct wire_row row;

        memcpy(&head, data, sizeof(head));
        head.count = 0;
        memcpy(again, &head, sizeof(head));
        while (wire_next_row(data, size, &offset, &row, strings))
                fuzz_require(wire_add_row(again, sizeof(again), &len, &row, strings) == 0);
        fuzz_require(len == size && memcmp(again, data, size) == 0);
}

/* Nobody does this to a packet that was refused; still it must end, and inside. */
static void walk_unchecked(const uint8_t *data, size_t size)
{
        struct wire_record record;
        const char *name, *strings[4];
        struct wire_row row;
        size_t offset = 0;

        while (wire_next_record(data, size, &offset, &record, &name))
                fuzz_require(offset <= size);
        offset = 0;
        while (wire_next_row(data, size, &offset, &row, strings))
                fuzz_require(offset <= size);
}

static void require_verdict(int r)
{
        fuzz_require(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const int request = wire_check_request(data, size), reply = wire_check_reply(data, size);

        require_verdict(request);
        require_verdict(reply);
        fuzz_require(request < 0 || reply < 0);
        walk_unchecked(data, size);

        if (request == 0 && wire_header_of(data).opcode == WIRE_REPORT)
                respell_report(data, size);
        if (reply == 0 && wire_header_of(data).opcode == WIRE_ROWS)
                respell_rows(data, size);
        return 0;
}

bool fuzz_judge(const char *name, const uint8_t *data, size_t size, const char **ret_why)
{
        const bool is_refused =
                wire_check_request(data, size) < 0 && wire_check_reply(data, size) < 0;

        (void) LLVMFuzzerTestOneInput(data, size);
        if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
                *ret_why = " # SKIP the corpus is that of a little-endian machine";
                return true;
        }
        if (is_refused != (strncmp(name, "refused-", 8) == 0))
                *ret_why = is_refused ? ": refused" : ": not refused";
        return is_refused == (strncmp(name, "refused-", 8) == 0);
}
