/* SPDX-License-Identifier: MIT */

/*
 * The grammar of the conversation, by tables: one sample of every message, every field of each with
 * the values that it may have, every text. All else is done to all of them: cut short, made longer,
 * put at an odd address.
 *
 *     test-wire --write-corpus DIR     writes the samples, and some that are refused, for fuzz-wire
 */

#include "libclient/wire.h"

#include <check.h>
#include <stdio.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/wire-samples.h"

#define PATH_LEN (sizeof(SAMPLE_PATH) - 1)
#define NAME_LEN (sizeof(SAMPLE_NAME) - 1)
#define VERSION_LEN (sizeof(SAMPLE_VERSION) - 1)

/* In the direction that the opcode has. */
static int check_packet(const struct packet *p)
{
        return packet_check(p, sample_find(wire_header_of(p->data).opcode)->is_reply);
}

/* ---- every field, and what it may be -------------------------------------------------- */

enum rule {
        ANY,
        ZERO,
        NOT_ZERO,
        RANGE,  /* low..high */
        BITS,   /* none but those of low */
        SIGNED, /* zero or negative */
};

static const struct field {
        uint16_t opcode;
        size_t offset, size;
        enum rule rule;
        uint64_t low, high;
        const char *name;
} fields[] = {
#define IN(opcode, base, type, member, ...)                                                        \
        {                                                                                          \
                opcode, (base) + offsetof(struct type, member),                                    \
                        sizeof(((struct type *) NULL)->member), __VA_ARGS__,                       \
                        .name = #type "." #member                                                  \
        }
        IN(WIRE_WELCOME, 0, wire_welcome, header.serial, ANY),
        IN(WIRE_WELCOME, 0, wire_welcome, nonce, ANY),
        IN(WIRE_WELCOME, 0, wire_welcome, features, ANY),
        IN(WIRE_WELCOME, 0, wire_welcome, reserved, ZERO),

        IN(WIRE_HELLO, 0, wire_hello, header.serial, ANY),
        IN(WIRE_HELLO, 0, wire_hello, nonce, ANY),
        IN(WIRE_HELLO, 0, wire_hello, features, ZERO),
        IN(WIRE_HELLO, 0, wire_hello, reserved, ZERO),

        IN(WIRE_RESULT, 0, wire_result, result, ANY),
        IN(WIRE_RESULT, 0, wire_result, reserved, ZERO),
        IN(WIRE_RESULT, 0, wire_result, id, ANY),

        IN(WIRE_TAG, 0, wire_tag, tag, NOT_ZERO),
        IN(WIRE_TAG, 0, wire_tag, key[0], ANY),
        IN(WIRE_TAG, 0, wire_tag, key[15], ANY),
        IN(WIRE_TAG, 0, wire_tag, path_len, RANGE, PATH_LEN, PATH_LEN),
        IN(WIRE_TAG, 0, wire_tag, reserved, ZERO),
        IN(WIRE_TAG, 0, wire_tag, flags, BITS, WIRE_TAG_UNREADABLE | WIRE_TAG_AGAIN | WIRE_TAG_ANY),

        IN(WIRE_TAGGED, 0, wire_tagged, result, ZERO),
        IN(WIRE_TAGGED, 0, wire_tagged, reserved, ZERO),
        IN(WIRE_TAGGED, 0, wire_tagged, id, ANY),
        IN(WIRE_TAGGED, 0, wire_tagged, tag, NOT_ZERO),
        IN(WIRE_TAGGED, 0, wire_tagged, key[0], ANY),
        IN(WIRE_TAGGED, 0, wire_tagged, key[15], ANY),

#define MADE_AT sizeof(struct wire_report)
#define GONE_AT (MADE_AT + sizeof(struct wire_record) + sizeof(SAMPLE_NAME))
        IN(WIRE_REPORT, 0, wire_report, count, RANGE, 3, 3),
        IN(WIRE_REPORT, 0, wire_report, reserved, ZERO),
        IN(WIRE_REPORT, 0, wire_report, reserved2, ZERO),
        IN(WIRE_REPORT, MADE_AT, wire_record, what, RANGE, WIRE_MADE, WIRE_MADE),
        IN(WIRE_REPORT, MADE_AT, wire_record, kind, RANGE, WIRE_KIND_FILE, WIRE_KIND_OTHER),
        IN(WIRE_REPORT, MADE_AT, wire_record, name_len, RANGE, NAME_LEN, NAME_LEN),
        IN(WIRE_REPORT, MADE_AT, wire_record, seq, NOT_ZERO),
        IN(WIRE_REPORT, MADE_AT, wire_record, tag_or_id, NOT_ZERO),
        IN(WIRE_REPORT, GONE_AT, wire_record, what, RANGE, WIRE_GONE, WIRE_SETTLED),
        IN(WIRE_REPORT, GONE_AT, wire_record, kind, ZERO),
        IN(WIRE_REPORT, GONE_AT, wire_record, name_len, ZERO),
        IN(WIRE_REPORT, GONE_AT, wire_record, seq, ANY),
        IN(WIRE_REPORT, GONE_AT, wire_record, tag_or_id, NOT_ZERO),

#define IN_REGISTER(opcode, seq_rule, flags_mask)                                                  \
        IN(opcode, 0, wire_register, tag, NOT_ZERO), IN(opcode, 0, wire_register, seq, seq_rule),  \
                IN(opcode, 0, wire_register, retain_sec, ANY),                                     \
                IN(opcode, 0, wire_register, kind, RANGE, WIRE_KIND_FILE, WIRE_KIND_OTHER),        \
                IN(opcode, 0, wire_register, reserved, ZERO),                                      \
                IN(opcode, 0, wire_register, name_len, RANGE, NAME_LEN, NAME_LEN),                 \
                IN(opcode, 0, wire_register, flags, BITS, flags_mask)
        IN_REGISTER(WIRE_RESERVE, ZERO, WIRE_REGISTER_RESUME),
        IN_REGISTER(WIRE_TRACK, ZERO, 0),
        IN_REGISTER(WIRE_TARGET, NOT_ZERO, 0),

        IN(WIRE_CLAIM, 0, wire_claim, ref.tag_or_id, NOT_ZERO),
        IN(WIRE_CLAIM, 0, wire_claim, ref.seq, ANY),
        IN(WIRE_CLAIM, 0, wire_claim, ref.reserved, ZERO),
        IN(WIRE_CLAIM, 0, wire_claim, flags, BITS, WIRE_CLAIM_GIVE),
        IN(WIRE_CLAIM, 0, wire_claim, reserved, ZERO),

#define IN_CHANGE(opcode, argument_rule)                                                           \
        IN(opcode, 0, wire_change, ref.tag_or_id, NOT_ZERO),                                       \
                IN(opcode, 0, wire_change, ref.seq, ANY),                                          \
                IN(opcode, 0, wire_change, ref.reserved, ZERO),                                    \
                IN(opcode, 0, wire_change, argument, argument_rule),                               \
                IN(opcode, 0, wire_change, reserved, ZERO)
        IN_CHANGE(WIRE_KEEP, ZERO),
        IN_CHANGE(WIRE_RETAIN, ANY),
        IN_CHANGE(WIRE_RENEW, NOT_ZERO),

        IN(WIRE_TOKEN, 0, wire_token, header.serial, ANY),
        IN(WIRE_RING, 0, wire_ring, header.serial, ANY),

        IN(WIRE_LIST, 0, wire_list, cursor, ANY),
        IN(WIRE_LIST, 0, wire_list, flags, BITS, 0xf),
        IN(WIRE_LIST, 0, wire_list, uid, ANY),
        IN(WIRE_LIST, 0, wire_list, pid, ANY),
        IN(WIRE_LIST, 0, wire_list, reserved, ZERO),

#define ROW_PATH_LEN (PATH_LEN + NAME_LEN)
#define ROW_TEXTS (ROW_PATH_LEN + 1 + sizeof("") + sizeof("sort") + sizeof("sub/dir"))
#define ROW_1_AT sizeof(struct wire_rows)
#define ROW_2_AT (ROW_1_AT + sizeof(struct wire_row) + ROW_TEXTS)
#define IN_ROW(base)                                                                               \
        IN(WIRE_ROWS, base, wire_row, id, ANY), IN(WIRE_ROWS, base, wire_row, created_usec, ANY),  \
                IN(WIRE_ROWS, base, wire_row, next_try_usec, ANY),                                 \
                IN(WIRE_ROWS, base, wire_row, expires_usec, ANY),                                  \
                IN(WIRE_ROWS, base, wire_row, owner, ANY),                                         \
                IN(WIRE_ROWS, base, wire_row, pid, ANY), IN(WIRE_ROWS, base, wire_row, uid, ANY),  \
                IN(WIRE_ROWS, base, wire_row, error, SIGNED),                                      \
                IN(WIRE_ROWS, base, wire_row, attempts, ANY),                                      \
                IN(WIRE_ROWS, base, wire_row, kind, RANGE, WIRE_KIND_FILE, WIRE_KIND_OTHER),       \
                IN(WIRE_ROWS, base, wire_row, state, RANGE, WIRE_STATE_LIVE, WIRE_STATE_KEPT),     \
                IN(WIRE_ROWS, base, wire_row, owner_kind, RANGE, WIRE_OWNER_PROCESS,               \
                   WIRE_OWNER_BOOT),                                                               \
                IN(WIRE_ROWS, base, wire_row, flags, BITS, WIRE_ROW_MADE | WIRE_ROW_ARENA),        \
                IN(WIRE_ROWS, base, wire_row, path_len, RANGE, ROW_PATH_LEN, ROW_PATH_LEN),        \
                IN(WIRE_ROWS, base, wire_row, unit_len, RANGE, 0, 0),                              \
                IN(WIRE_ROWS, base, wire_row, command_len, RANGE, 4, 4),                           \
                IN(WIRE_ROWS, base, wire_row, failed_len, RANGE, 7, 7),                            \
                IN(WIRE_ROWS, base, wire_row, event, ZERO)
        IN(WIRE_ROWS, 0, wire_rows, result, ANY),
        IN(WIRE_ROWS, 0, wire_rows, count, RANGE, 2, 2),
        IN(WIRE_ROWS, 0, wire_rows, cursor, ANY),
        IN_ROW(ROW_1_AT),
        IN_ROW(ROW_2_AT),

        IN(WIRE_MONITOR, 0, wire_monitor, flags, ZERO),
        IN(WIRE_MONITOR, 0, wire_monitor, reserved, ZERO),

        IN(WIRE_EVENTS, 0, wire_events, header.serial, ANY),
        IN(WIRE_EVENTS, 0, wire_events, result, ANY),
        IN(WIRE_EVENTS, 0, wire_events, count, RANGE, 1, 1),
        IN(WIRE_EVENTS, 0, wire_events, time_usec, ANY),
        IN(WIRE_EVENTS, ROW_1_AT, wire_row, error, SIGNED),
        IN(WIRE_EVENTS, ROW_1_AT, wire_row, failed_len, RANGE, 7, 7),
        IN(WIRE_EVENTS, ROW_1_AT, wire_row, event, NOT_ZERO),

        IN(WIRE_STATUS, 0, wire_status, header.serial, ANY),

        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, result, ANY),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, uptime_usec, ANY),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, database_bytes, ANY),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, version_len, RANGE, VERSION_LEN, VERSION_LEN),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, flags, BITS, 3),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, limit, RANGE, 0, WIRE_LIMIT_DESCRIPTORS),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, refused, ANY),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, reserved, ZERO),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, hung, ANY),
        IN(WIRE_STATUS_REPLY, 0, wire_status_reply, reap.sum_usec, ANY),

        IN(WIRE_REAP, 0, wire_reap, id, ANY),
        IN(WIRE_REAP, 0, wire_reap, flags, BITS, WIRE_REAP_FORCE),
        IN(WIRE_REAP, 0, wire_reap, reserved, ZERO),
};

static bool may_be(const struct field *f, uint64_t value)
{
        switch (f->rule) {
        case ZERO:
                return value == 0;
        case NOT_ZERO:
                return value != 0;
        case RANGE:
                return value >= f->low && value <= f->high;
        case BITS:
                return (value & ~f->low) == 0;
        case SIGNED:
                return value == 0 || value >> (8 * f->size - 1) == 1;
        case ANY:
                break;
        }
        return true;
}

static void try_value(const struct field *f, uint64_t value)
{
        const uint64_t max = UINT64_MAX >> (64 - 8 * f->size);
        static struct packet p;
        int r;

        value &= max;
        sample_build(&p, f->opcode);
        packet_set(&p, f->offset, f->size, value);
        r = check_packet(&p);
        ck_assert_msg(r == (may_be(f, value) ? 0 : -EBADMSG), "%s of opcode %u: %llu gives %d",
                      f->name, f->opcode, (unsigned long long) value, r);
}

START_TEST(fields_take_their_values_and_no_others)
{
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                const struct field *f = &fields[i];

                for (uint64_t value = 0; value < 300; value++)
                        try_value(f, value);
                for (unsigned int bit = 0; bit < 8 * f->size; bit++) {
                        try_value(f, UINT64_C(1) << bit);
                        try_value(f, (UINT64_C(1) << bit) - 1);
                        try_value(f, ~(UINT64_C(1) << bit));
                }
        }
}
END_TEST

START_TEST(owner_kinds_take_what_belongs_to_them)
{
        static const uint64_t numbers[] = { 0, 1, UINT32_MAX };
        const uint16_t opcode = _i == 0 ? WIRE_RESERVE : WIRE_CLAIM;
        const size_t at = _i == 0 ? offsetof(struct wire_register, owner)
                                  : offsetof(struct wire_claim, owner);
        static struct packet p;

        for (uint32_t kind = 0; kind < 9; kind++)
                for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                        for (size_t j = 0; j < ARRAY_SIZE(numbers); j++) {
                                const bool lease = numbers[i] != 0, token = numbers[j] != 0;
                                const bool good = kind >= 1 && kind <= 6 && lease == (kind == 5) &&
                                                  (kind == 4 || token == (kind == 3));

                                sample_build(&p, opcode);
                                packet_set(&p, at, 4, kind);
                                packet_set(&p, at + 4, 4, numbers[i]);
                                packet_set(&p, at + 8, 8, numbers[j]);
                                ck_assert_int_eq(check_packet(&p), good ? 0 : -EBADMSG);
                        }
}
END_TEST

/* ---- every message -------------------------------------------------------------------- */

/* Checks what was made of @s, in the direction that @s has. */
static void expect(const struct sample *s, const struct packet *p, int expected)
{
        int r = packet_check(p, s->is_reply);

        ck_assert_msg(r == expected, "%s with %zu bytes gives %d", s->name, p->len, r);
}

START_TEST(samples_pass_in_their_direction_only)
{
        static struct packet p;

        for (const struct sample *s = samples; s < samples + sample_count; s++) {
                sample_build(&p, s->opcode);
                expect(s, &p, 0);
                ck_assert_int_eq(packet_check(&p, !s->is_reply), -EOPNOTSUPP);
        }
}
END_TEST

START_TEST(samples_cut_short_are_malformed)
{
        static struct packet p;

        for (const struct sample *s = samples; s < samples + sample_count; s++) {
                sample_build(&p, s->opcode);
                while (p.len > 0) {
                        p.len--;
                        expect(s, &p, -EBADMSG);
                }
        }
}
END_TEST

static void expect_no_longer(const struct sample *s, int filler)
{
        static struct packet p;
        size_t len;

        sample_build(&p, s->opcode);
        len = p.len;
        memset(p.data + len, filler, sizeof(p.data) - len);
        for (p.len++; p.len < len + 100; p.len++)
                expect(s, &p, -EBADMSG);

        p.len = WIRE_PACKET_MAX;
        expect(s, &p, -EBADMSG);
        p.len = WIRE_PACKET_MAX + 1;
        expect(s, &p, -EBADMSG);
}

START_TEST(samples_with_more_behind_them_are_malformed)
{
        for (const struct sample *s = samples; s < samples + sample_count; s++) {
                expect_no_longer(s, '\0');
                expect_no_longer(s, 1);
                expect_no_longer(s, 'x');
                expect_no_longer(s, 0xff);
        }
}
END_TEST

START_TEST(other_versions_are_refused)
{
        static const uint16_t versions[] = { 0, WIRE_VERSION + 1, WIRE_VERSION << 8, UINT16_MAX };
        static struct packet p;

        for (const struct sample *s = samples; s < samples + sample_count; s++) {
                sample_build(&p, s->opcode);
                for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
                        packet_set(&p, offsetof(struct wire_header, version), 2, versions[i]);
                        expect(s, &p, -EPROTONOSUPPORT);
                }
        }
}
END_TEST

START_TEST(descriptors_are_as_the_protocol_says)
{
        for (const struct sample *s = samples; s < samples + sample_count; s++) {
                unsigned int min = 99, max = 99;

                wire_fds(s->opcode, &min, &max);
                ck_assert_uint_eq(min, s->fds_min);
                ck_assert_uint_eq(max, s->fds_max);
                ck_assert_uint_le(max, WIRE_FDS_MAX);
        }
}
END_TEST

START_TEST(unknown_opcodes_are_refused)
{
        static struct packet p;

        sample_build(&p, WIRE_TOKEN);
        for (uint32_t opcode = 0; opcode <= UINT16_MAX; opcode++) {
                unsigned int min, max;

                if (sample_find((uint16_t) opcode))
                        continue;
                packet_set(&p, offsetof(struct wire_header, opcode), 2, opcode);
                ck_assert_int_eq(packet_check(&p, false), -EOPNOTSUPP);
                ck_assert_int_eq(packet_check(&p, true), -EOPNOTSUPP);

                wire_fds((uint16_t) opcode, &min, &max);
                ck_assert_uint_eq(min + max, 0);
        }
}
END_TEST

START_TEST(header_is_read_from_an_odd_address)
{
        static struct packet p;
        uint8_t copy[1 + sizeof(struct wire_token)];
        struct wire_header header;

        sample_build(&p, WIRE_TOKEN);
        memcpy(copy + 1, p.data, p.len);
        header = wire_header_of(copy + 1);
        ck_assert_uint_eq(header.version, WIRE_VERSION);
        ck_assert_uint_eq(header.opcode, WIRE_TOKEN);
        ck_assert_uint_eq(header.serial, 7);
}
END_TEST

/* ---- texts ---------------------------------------------------------------------------- */

static const struct text {
        uint16_t opcode;
        size_t at, len;
        bool is_component;
} texts[] = {
        { WIRE_TAG, sizeof(struct wire_tag), PATH_LEN, false },
        { WIRE_REPORT, MADE_AT + sizeof(struct wire_record), NAME_LEN, true },
        { WIRE_REPORT, GONE_AT + sizeof(struct wire_record), 0, false },
        { WIRE_RESERVE, sizeof(struct wire_register), NAME_LEN, true },
        { WIRE_TRACK, sizeof(struct wire_register), NAME_LEN, true },
        { WIRE_TARGET, sizeof(struct wire_register), NAME_LEN, true },
        { WIRE_ROWS, ROW_1_AT + sizeof(struct wire_row), ROW_PATH_LEN, false },
        { WIRE_ROWS, ROW_2_AT - sizeof("sub/dir") - sizeof("sort") - sizeof(""), 0, false },
        { WIRE_ROWS, ROW_2_AT - sizeof("sub/dir") - sizeof("sort"), 4, false },
        { WIRE_ROWS, ROW_2_AT - sizeof("sub/dir"), 7, false },
        { WIRE_ROWS, ROW_2_AT + sizeof(struct wire_row), ROW_PATH_LEN, false },
        { WIRE_ROWS, ROW_2_AT + sizeof(struct wire_row) + ROW_TEXTS - sizeof("sub/dir"), 7, false },
        { WIRE_EVENTS, ROW_1_AT + sizeof(struct wire_row), ROW_PATH_LEN, false },
        { WIRE_STATUS_REPLY, sizeof(struct wire_status_reply), VERSION_LEN, false },
};

static void expect_byte(const struct text *t, size_t at, uint8_t byte, int expected)
{
        static struct packet p;
        int r;

        sample_build(&p, t->opcode);
        p.data[t->at + at] = byte;
        r = check_packet(&p);
        ck_assert_msg(r == expected, "opcode %u, byte %zu of the text at %zu: %u gives %d",
                      t->opcode, at, t->at, byte, r);
}

START_TEST(texts_have_a_nul_at_their_end_and_nowhere_else)
{
        for (const struct text *t = texts; t < texts + ARRAY_SIZE(texts); t++) {
                for (size_t at = 0; at < t->len; at++)
                        expect_byte(t, at, '\0', -EBADMSG);
                for (unsigned int byte = 0; byte < 256; byte++)
                        expect_byte(t, t->len, (uint8_t) byte, byte == 0 ? 0 : -EBADMSG);
        }
}
END_TEST

START_TEST(names_have_no_slash)
{
        for (const struct text *t = texts; t < texts + ARRAY_SIZE(texts); t++)
                for (size_t at = 0; at < t->len; at++)
                        expect_byte(t, at, '/', t->is_component ? -EBADMSG : 0);
}
END_TEST

static int check_tag_path(const char *path, size_t len)
{
        struct wire_tag m = {
                .header = SAMPLE_HEADER(WIRE_TAG),
                .tag = SAMPLE_TAG,
                .path_len = (uint16_t) len,
        };
        static struct packet p;

        p.len = 0;
        packet_put(&p, &m, sizeof(m));
        packet_put(&p, path, len);
        packet_put(&p, "", 1);
        return check_packet(&p);
}

START_TEST(tag_takes_absolute_paths_that_fit)
{
        char path[WIRE_PATH_MAX + 1];

        memset(path, 'x', sizeof(path));
        ck_assert_int_eq(check_tag_path(path, 0), -EBADMSG);
        ck_assert_int_eq(check_tag_path(path, 1), -EBADMSG);
        ck_assert_int_eq(check_tag_path("./tmp", 5), -EBADMSG);

        path[0] = '/';
        for (size_t len = 1; len < WIRE_PATH_MAX; len++)
                ck_assert_int_eq(check_tag_path(path, len), 0);
        ck_assert_int_eq(check_tag_path(path, WIRE_PATH_MAX), -EBADMSG);
}
END_TEST

static int check_reserved_name(const char *name, size_t len)
{
        struct wire_register m = {
                .header = SAMPLE_HEADER(WIRE_RESERVE),
                .tag = SAMPLE_TAG,
                .owner = { .kind = WIRE_OWNER_PROCESS },
                .kind = WIRE_KIND_FILE,
                .name_len = (uint16_t) len,
        };
        static struct packet p;

        p.len = 0;
        packet_put(&p, &m, sizeof(m));
        packet_put(&p, name, len);
        packet_put(&p, "", 1);
        return check_packet(&p);
}

static int check_made_name(const char *name)
{
        const struct wire_record made = {
                .what = WIRE_MADE,
                .kind = WIRE_KIND_FILE,
                .seq = 1,
                .tag_or_id = SAMPLE_TAG,
        };
        static struct packet p;

        p.len = 0;
        ck_assert_int_eq(wire_add_record(p.data, sizeof(p.data), &p.len, &made, name), 0);
        return check_packet(&p);
}

START_TEST(names_are_components)
{
        static const char *const bad[] = { "", ".", "..", "/", "a/b", "a/", "/a" };
        static const char *const good[] = { "a", "...", ".a", "..a", " ", "\n", "\xff", "-" };
        char name[NAME_LEN_MAX + 2] = "";

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                ck_assert_int_eq(check_reserved_name(bad[i], strlen(bad[i])), -EBADMSG);
                ck_assert_int_eq(check_made_name(bad[i]), -EBADMSG);
        }
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                ck_assert_int_eq(check_reserved_name(good[i], strlen(good[i])), 0);
                ck_assert_int_eq(check_made_name(good[i]), 0);
        }

        memset(name, 'x', NAME_LEN_MAX);
        ck_assert_int_eq(check_reserved_name(name, strlen(name)), 0);
        ck_assert_int_eq(check_made_name(name), 0);
        memset(name, 'x', NAME_LEN_MAX + 1);
        ck_assert_int_eq(check_reserved_name(name, strlen(name)), -EBADMSG);
        ck_assert_int_eq(check_made_name(name), -EBADMSG);
}
END_TEST

/* ---- the suite ------------------------------------------------------------------------ */

static Suite *wire_suite(void)
{
        Suite *s = suite_create("wire");
        TCase *messages = tcase_create("messages"), *values = tcase_create("values");

        tcase_add_test(messages, samples_pass_in_their_direction_only);
        tcase_add_test(messages, samples_cut_short_are_malformed);
        tcase_add_test(messages, samples_with_more_behind_them_are_malformed);
        tcase_add_test(messages, other_versions_are_refused);
        tcase_add_test(messages, descriptors_are_as_the_protocol_says);
        tcase_add_test(messages, unknown_opcodes_are_refused);
        tcase_add_test(messages, header_is_read_from_an_odd_address);
        suite_add_tcase(s, messages);

        tcase_add_test(values, fields_take_their_values_and_no_others);
        tcase_add_loop_test(values, owner_kinds_take_what_belongs_to_them, 0, 2);
        tcase_add_test(values, texts_have_a_nul_at_their_end_and_nowhere_else);
        tcase_add_test(values, names_have_no_slash);
        tcase_add_test(values, tag_takes_absolute_paths_that_fit);
        tcase_add_test(values, names_are_components);
        suite_add_tcase(s, values);

        return s;
}

/* ---- the corpus of fuzz-wire ---------------------------------------------------------- */

/* Packets that are refused: one number of a sample changed. */
static const struct {
        const char *name;
        uint16_t opcode;
        size_t offset, size;
        uint64_t value;
} refused[] = {
        { "refused-tag-relative", WIRE_TAG, sizeof(struct wire_tag), 1, 'v' },
        { "refused-tag-long", WIRE_TAG, offsetof(struct wire_tag, path_len), 2, 4096 },
        { "refused-report-count", WIRE_REPORT, offsetof(struct wire_report, count), 2, 0xffff },
        { "refused-report-name", WIRE_REPORT, MADE_AT + offsetof(struct wire_record, name_len), 2,
          0xffff },
        { "refused-reserve-slash", WIRE_RESERVE, sizeof(struct wire_register), 1, '/' },
        { "refused-rows-count", WIRE_ROWS, offsetof(struct wire_rows, count), 4, UINT32_MAX },
        { "refused-rows-unit", WIRE_ROWS, ROW_1_AT + offsetof(struct wire_row, unit_len), 2, 1 },
        { "refused-version", WIRE_HELLO, offsetof(struct wire_header, version), 2, 2 },
};

static int write_packet(const char *dir, const char *name, const struct packet *p)
{
        char path[4096];
        FILE *f;
        int r = 0;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "we");
        if (!f)
                return -errno;
        if (fwrite(p->data, 1, p->len, f) != p->len)
                r = -EIO;
        if (fclose(f) < 0 && r == 0)
                r = -errno;
        return r;
}

static int write_corpus(const char *dir)
{
        static struct packet p;
        int r = 0;

        for (size_t i = 0; i < sample_count && r == 0; i++) {
                sample_build(&p, samples[i].opcode);
                r = write_packet(dir, samples[i].name, &p);
        }
        for (size_t i = 0; i < ARRAY_SIZE(refused) && r == 0; i++) {
                sample_build(&p, refused[i].opcode);
                packet_set(&p, refused[i].offset, refused[i].size, refused[i].value);
                r = write_packet(dir, refused[i].name, &p);
        }
        return r;
}

int main(int argc, char **argv)
{
        SRunner *runner;
        int failed;

        if (argc == 3 && streq(argv[1], "--write-corpus"))
                return write_corpus(argv[2]) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;

        runner = srunner_create(wire_suite());
        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
