/* SPDX-License-Identifier: MIT */

#include "tests/wire-samples.h"

#include <stdlib.h>
#include <string.h>

#include "libclient/util.h"

#define PROCESS                                                                                    \
        {                                                                                          \
                .kind = WIRE_OWNER_PROCESS                                                         \
        }

/* Not check's: samples are built outside of tests, too. */
static void require(bool holds)
{
        if (!holds)
                abort();
}

void packet_put(struct packet *p, const void *data, size_t size)
{
        require(size <= sizeof(p->data) - p->len);
        memcpy(p->data + p->len, data, size);
        p->len += size;
}

void packet_put_text(struct packet *p, const char *text)
{
        packet_put(p, text, strlen(text) + 1);
}

void packet_set(struct packet *p, size_t offset, size_t size, uint64_t value)
{
        if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
                value = __builtin_bswap64(value) >> (64 - 8 * size);
        for (size_t i = 0; i < size; i++)
                p->data[offset + i] = (uint8_t) (value >> (8 * i));
}

static void build_welcome(struct packet *p)
{
        struct wire_welcome m = { .header = SAMPLE_HEADER(WIRE_WELCOME), .nonce = 99 };

        packet_put(p, &m, sizeof(m));
}

static void build_hello(struct packet *p)
{
        struct wire_hello m = { .header = SAMPLE_HEADER(WIRE_HELLO), .nonce = 99 };

        packet_put(p, &m, sizeof(m));
}

static void build_result(struct packet *p)
{
        struct wire_result m = { .header = SAMPLE_HEADER(WIRE_RESULT), .result = -EDQUOT, .id = 5 };

        packet_put(p, &m, sizeof(m));
}

static void build_tag(struct packet *p)
{
        struct wire_tag m = {
                .header = SAMPLE_HEADER(WIRE_TAG),
                .tag = SAMPLE_TAG,
                .key = { 1, 2, 3 },
                .path_len = sizeof(SAMPLE_PATH) - 1,
        };

        packet_put(p, &m, sizeof(m));
        packet_put_text(p, SAMPLE_PATH);
}

static void build_report(struct packet *p)
{
        const struct wire_report m = { .header = SAMPLE_HEADER(WIRE_REPORT) };
        const struct wire_record made = {
                .what = WIRE_MADE,
                .kind = WIRE_KIND_FILE,
                .seq = 1,
                .tag_or_id = SAMPLE_TAG,
        };
        const struct wire_record gone = { .what = WIRE_GONE, .tag_or_id = 17 };
        const struct wire_record unlinked = { .what = WIRE_UNLINKED, .tag_or_id = 18 };

        packet_put(p, &m, sizeof(m));
        require(wire_add_record(p->data, sizeof(p->data), &p->len, &made, SAMPLE_NAME) == 0);
        require(wire_add_record(p->data, sizeof(p->data), &p->len, &gone, "") == 0);
        require(wire_add_record(p->data, sizeof(p->data), &p->len, &unlinked, SAMPLE_OBJECT) == 0);
}

static void build_register(struct packet *p, uint16_t opcode, uint32_t seq)
{
        struct wire_register m = {
                .header = SAMPLE_HEADER(opcode),
                .tag = SAMPLE_TAG,
                .seq = seq,
                .owner = PROCESS,
                .kind = WIRE_KIND_DIRECTORY,
                .name_len = sizeof(SAMPLE_NAME) - 1,
        };

        packet_put(p, &m, sizeof(m));
        packet_put_text(p, SAMPLE_NAME);
}

static void build_reserve(struct packet *p)
{
        build_register(p, WIRE_RESERVE, 0);
}

static void build_track(struct packet *p)
{
        build_register(p, WIRE_TRACK, 0);
}

static void build_target(struct packet *p)
{
        build_register(p, WIRE_TARGET, 3);
}

static void build_change(struct packet *p, uint16_t opcode, uint32_t argument)
{
        struct wire_change m = {
                .header = SAMPLE_HEADER(opcode),
                .ref = { .tag_or_id = SAMPLE_TAG, .seq = 1 },
                .argument = argument,
        };

        packet_put(p, &m, sizeof(m));
}

static void build_keep(struct packet *p)
{
        build_change(p, WIRE_KEEP, 0);
}

static void build_retain(struct packet *p)
{
        build_change(p, WIRE_RETAIN, 3600);
}

static void build_renew(struct packet *p)
{
        build_change(p, WIRE_RENEW, 60);
}

static void build_claim(struct packet *p)
{
        struct wire_claim m = {
                .header = SAMPLE_HEADER(WIRE_CLAIM),
                .ref = { .tag_or_id = 5 },
                .owner = PROCESS,
        };

        packet_put(p, &m, sizeof(m));
}

static void build_token(struct packet *p)
{
        struct wire_token m = { .header = SAMPLE_HEADER(WIRE_TOKEN) };

        packet_put(p, &m, sizeof(m));
}

static void build_ring(struct packet *p)
{
        struct wire_ring m = { .header = SAMPLE_HEADER(WIRE_RING) };

        packet_put(p, &m, sizeof(m));
}

static void build_tagged(struct packet *p)
{
        struct wire_tagged m = { .header = SAMPLE_HEADER(WIRE_TAGGED), .id = 3, .tag = 4711 };

        packet_put(p, &m, sizeof(m));
}

static void build_list(struct packet *p)
{
        struct wire_list m = {
                .header = SAMPLE_HEADER(WIRE_LIST),
                .flags = WIRE_LIST_UID,
                .uid = 1000,
        };

        packet_put(p, &m, sizeof(m));
}

const char *const sample_row_strings[4] = { SAMPLE_PATH SAMPLE_NAME, "", "sort", "sub/dir" };

static void build_rows(struct packet *p)
{
        const struct wire_rows m = { .header = SAMPLE_HEADER(WIRE_ROWS), .cursor = 6 };
        struct wire_row row = {
                .id = 5,
                .pid = 4711,
                .error = -EACCES,
                .kind = WIRE_KIND_FILE,
                .state = WIRE_STATE_STUCK,
                .owner_kind = WIRE_OWNER_PROCESS,
                .flags = WIRE_ROW_MADE,
        };

        packet_put(p, &m, sizeof(m));
        require(wire_add_row(p->data, sizeof(p->data), &p->len, &row, sample_row_strings) == 0);
        row.id = 6;
        require(wire_add_row(p->data, sizeof(p->data), &p->len, &row, sample_row_strings) == 0);
}

static void build_status(struct packet *p)
{
        struct wire_status m = { .header = SAMPLE_HEADER(WIRE_STATUS) };

        packet_put(p, &m, sizeof(m));
}

static void build_status_reply(struct packet *p)
{
        struct wire_status_reply m = {
                .header = SAMPLE_HEADER(WIRE_STATUS_REPLY),
                .pid = 1,
                .version_len = sizeof(SAMPLE_VERSION) - 1,
        };

        packet_put(p, &m, sizeof(m));
        packet_put_text(p, SAMPLE_VERSION);
}

static void build_reap(struct packet *p)
{
        struct wire_reap m = { .header = SAMPLE_HEADER(WIRE_REAP), .id = 5 };

        packet_put(p, &m, sizeof(m));
}

static void build_monitor(struct packet *p)
{
        struct wire_monitor m = { .header = SAMPLE_HEADER(WIRE_MONITOR) };

        packet_put(p, &m, sizeof(m));
}

static void build_events(struct packet *p)
{
        const struct wire_events m = { .header = SAMPLE_HEADER(WIRE_EVENTS), .time_usec = 1 };
        struct wire_row row = {
                .id = 5,
                .kind = WIRE_KIND_FILE,
                .state = WIRE_STATE_LIVE,
                .owner_kind = WIRE_OWNER_PROCESS,
                .event = WIRE_EVENT_REGISTERED,
        };

        packet_put(p, &m, sizeof(m));
        require(wire_add_row(p->data, sizeof(p->data), &p->len, &row, sample_row_strings) == 0);
}

const struct sample samples[] = {
        { WIRE_WELCOME, true, "welcome", build_welcome, 1, 1 },
        { WIRE_HELLO, false, "hello", build_hello, 0, 0 },
        { WIRE_RESULT, true, "result", build_result, 0, 1 },
        { WIRE_TAG, false, "tag", build_tag, 1, 1 },
        { WIRE_REPORT, false, "report", build_report, 0, 0 },
        { WIRE_RESERVE, false, "reserve", build_reserve, 0, 1 },
        { WIRE_TRACK, false, "track", build_track, 0, 1 },
        { WIRE_TARGET, false, "target", build_target, 0, 1 },
        { WIRE_CLAIM, false, "claim", build_claim, 0, 1 },
        { WIRE_KEEP, false, "keep", build_keep, 0, 0 },
        { WIRE_RETAIN, false, "retain", build_retain, 0, 0 },
        { WIRE_RENEW, false, "renew", build_renew, 0, 0 },
        { WIRE_TOKEN, false, "token", build_token, 0, 0 },
        { WIRE_RING, false, "ring", build_ring, 1, 1 },
        { WIRE_TAGGED, true, "tagged", build_tagged, 0, 0 },
        { WIRE_LIST, false, "list", build_list, 0, 0 },
        { WIRE_ROWS, true, "rows", build_rows, 0, 0 },
        { WIRE_STATUS, false, "status", build_status, 0, 0 },
        { WIRE_STATUS_REPLY, true, "status-reply", build_status_reply, 0, 0 },
        { WIRE_REAP, false, "reap", build_reap, 0, 0 },
        { WIRE_MONITOR, false, "monitor", build_monitor, 0, 0 },
        { WIRE_EVENTS, true, "events", build_events, 0, 0 },
};

const size_t sample_count = ARRAY_SIZE(samples);

const struct sample *sample_find(uint16_t opcode)
{
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
                if (samples[i].opcode == opcode)
                        return &samples[i];
        return NULL;
}

void sample_build(struct packet *p, uint16_t opcode)
{
        p->len = 0;
        sample_find(opcode)->build(p);
}

int packet_check(const struct packet *p, bool is_reply)
{
        uint8_t *copy = malloc(p->len + 1);
        int r;

        require(copy);
        memcpy(copy + 1, p->data, p->len);
        r = is_reply ? wire_check_reply(copy + 1, p->len) : wire_check_request(copy + 1, p->len);
        free(copy);
        return r;
}
