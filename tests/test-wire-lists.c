/* SPDX-License-Identifier: MIT */

/*
 * REPORT and ROWS: what was added comes back, buffers are filled to the last byte and not beyond.
 */

#include "libclient/wire.h"

#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "libclient/ending.h"
#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/wire-samples.h"

static const struct {
        struct wire_record record;
        const char *name;
} records[] = {
        { { .what = WIRE_MADE, .kind = WIRE_KIND_FILE, .seq = 1, .tag_or_id = SAMPLE_TAG }, "a" },
        { { .what = WIRE_GONE, .seq = 1, .tag_or_id = SAMPLE_TAG }, "" },
        { { .what = WIRE_MADE, .kind = WIRE_KIND_OTHER, .seq = UINT32_MAX, .tag_or_id = 9 },
          "\xff\n" },
        { { .what = WIRE_GONE, .tag_or_id = 1 }, "" },
        { { .what = WIRE_MADE, .kind = WIRE_KIND_DIRECTORY, .seq = 2, .tag_or_id = 1 }, "..." },
        { { .what = WIRE_UNLINKED, .tag_or_id = 1 }, SAMPLE_OBJECT },
};

/* Each is wrong in one thing. */
static const struct {
        struct wire_record record;
        const char *name;
} wrong_records[] = {
        { { .what = 5, .tag_or_id = 1 }, "" },
        { { .what = WIRE_GONE, .tag_or_id = 1 }, SAMPLE_OBJECT },
        { { .what = WIRE_SETTLED, .seq = 1, .tag_or_id = SAMPLE_TAG }, "" },
        { { .what = WIRE_UNLINKED, .seq = 1, .tag_or_id = SAMPLE_TAG }, SAMPLE_OBJECT },
        { { .what = WIRE_UNLINKED, .kind = WIRE_KIND_FILE, .tag_or_id = 1 }, SAMPLE_OBJECT },
        { { .what = WIRE_UNLINKED, .tag_or_id = 0 }, SAMPLE_OBJECT },
        { { .what = WIRE_UNLINKED, .tag_or_id = 1 }, "" },
        { { .what = WIRE_UNLINKED, .tag_or_id = 1 }, SAMPLE_OBJECT "0" },
        { { .what = WIRE_UNLINKED, .tag_or_id = 1 }, SAMPLE_OBJECT "0G" },
        { { .what = WIRE_UNLINKED, .tag_or_id = 1 },
          "0100000000000000"
          "00800000"
          "01000000" },
        { { .what = WIRE_UNLINKED, .tag_or_id = 1 },
          "0100000000000000"
          "01800000"
          "01000000"
          "ab" },
};

static const struct wire_row plain_row = {
        .id = UINT64_MAX,
        .created_usec = 1,
        .next_try_usec = 2,
        .expires_usec = 3,
        .owner = 4,
        .pid = 5,
        .uid = UINT32_MAX,
        .error = -EBUSY,
        .attempts = 6,
        .kind = WIRE_KIND_OTHER,
        .state = WIRE_STATE_KEPT,
        .owner_kind = WIRE_OWNER_BOOT,
        .flags = WIRE_ROW_ARENA,
};

static const char *const row_texts[][4] = {
        { "/tmp/a", "a.service", "sort", "sub" },
        { "", "", "", "" },
        { "/", "", "\xff\xfe", "" },
        { "", "user@1000.service", "", "\n" },
};

static struct packet packet;

static int add_record(size_t size, const struct wire_record *record, const char *name)
{
        return wire_add_record(packet.data, size, &packet.len, record, name);
}

static int add_row(size_t size, struct wire_row *row, const char *const texts[4])
{
        return wire_add_row(packet.data, size, &packet.len, row, texts);
}

START_TEST(records_come_back_as_they_were_added)
{
        const char *name = NULL;
        struct wire_record r;
        size_t offset = 0;

        packet.len = 0;
        for (size_t i = 0; i < ARRAY_SIZE(records); i++)
                ck_assert_int_eq(add_record(WIRE_PACKET_MAX, &records[i].record, records[i].name),
                                 0);
        ck_assert_int_eq(packet_check(&packet, false), 0);

        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
                ck_assert(wire_next_record(packet.data, packet.len, &offset, &r, &name));
                ck_assert_str_eq(name, records[i].name);
                ck_assert_uint_eq(r.name_len, strlen(records[i].name));
                r.name_len = 0;
                ck_assert_mem_eq(&r, &records[i].record, sizeof(r));
        }
        ck_assert(!wire_next_record(packet.data, packet.len, &offset, &r, &name));
        ck_assert_uint_eq(offset, packet.len);
}
END_TEST

START_TEST(records_that_make_no_sense_are_refused)
{
        packet.len = 0;
        ck_assert_int_eq(
                add_record(WIRE_PACKET_MAX, &wrong_records[_i].record, wrong_records[_i].name), 0);
        ck_assert_int_eq(packet_check(&packet, false), -EBADMSG);
}
END_TEST

START_TEST(what_is_said_of_an_object_comes_back)
{
        char name[] = "/tmp/ending-XXXXXX", text[ENDING_TEXT_SIZE];
        const int made = mkstemp(name), fd = ending_watch(AT_FDCWD, name);
        struct ending_object o;
        struct stat st;

        ck_assert_int_ge(made, 0);
        ck_assert_int_eq(fstat(made, &st), 0);
        ck_assert(!ending_has_come(fd));
        ck_assert_int_eq(ending_tell(fd, text), ENDING_ELSEWHERE);
        ck_assert_str_eq(text, "");
        ck_assert_int_eq(unlink(name), 0);
        ck_assert(ending_has_come(fd));
        ck_assert_int_eq(ending_tell(fd, text), ENDING_COME);
        if (*text) { /* /tmp may be without handles */
                ck_assert(ending_read(text, &o));
                ck_assert_uint_eq(o.ino, st.st_ino);
                ck_assert_uint_eq(o.mode, S_IFREG);
        }
        ck_assert(!ending_has_come(-1));
        ck_assert_int_eq(ending_tell(-1, text), ENDING_UNKNOWN);
        (void) close(fd);
        (void) close(made);
}
END_TEST

START_TEST(rows_come_back_as_they_were_added)
{
        const char *strings[4] = { NULL };
        struct wire_row row = plain_row, r;
        size_t offset = 0;

        packet.len = 0;
        for (size_t i = 0; i < ARRAY_SIZE(row_texts); i++)
                ck_assert_int_eq(add_row(WIRE_PACKET_MAX, &row, row_texts[i]), 0);
        ck_assert_int_eq(packet_check(&packet, true), 0);

        for (size_t i = 0; i < ARRAY_SIZE(row_texts); i++) {
                ck_assert(wire_next_row(packet.data, packet.len, &offset, &r, strings));
                for (unsigned int j = 0; j < 4; j++)
                        ck_assert_str_eq(strings[j], row_texts[i][j]);
                ck_assert_uint_eq(r.path_len, strlen(row_texts[i][0]));
                ck_assert_uint_eq(r.failed_len, strlen(row_texts[i][3]));
                r.path_len = r.unit_len = r.command_len = r.failed_len = 0;
                ck_assert_mem_eq(&r, &plain_row, sizeof(r));
        }
        ck_assert(!wire_next_row(packet.data, packet.len, &offset, &r, strings));
        ck_assert_uint_eq(offset, packet.len);
}
END_TEST

START_TEST(empty_lists_pass_and_have_nothing_to_walk)
{
        const struct wire_report report = { .header = SAMPLE_HEADER(WIRE_REPORT) };
        const struct wire_rows rows = { .header = SAMPLE_HEADER(WIRE_ROWS) };
        const char *name, *strings[4];
        struct wire_record record;
        struct wire_row row;
        size_t offset = 0;

        packet.len = 0;
        packet_put(&packet, &report, sizeof(report));
        ck_assert_int_eq(packet_check(&packet, false), 0);
        ck_assert(!wire_next_record(packet.data, packet.len, &offset, &record, &name));

        packet.len = 0;
        packet_put(&packet, &rows, sizeof(rows));
        ck_assert_int_eq(packet_check(&packet, true), 0);
        ck_assert(!wire_next_row(packet.data, packet.len, &offset, &row, strings));
        ck_assert_uint_eq(offset, 0);
}
END_TEST

START_TEST(header_that_is_there_keeps_its_fields)
{
        const struct wire_rows rows = {
                .header = SAMPLE_HEADER(WIRE_ROWS),
                .result = 1,
                .cursor = 99,
        };
        struct wire_row row = plain_row;
        struct wire_rows head;

        packet.len = 0;
        packet_put(&packet, &rows, sizeof(rows));
        ck_assert_int_eq(add_row(WIRE_PACKET_MAX, &row, row_texts[0]), 0);
        ck_assert_int_eq(add_row(WIRE_PACKET_MAX, &row, row_texts[1]), 0);

        memcpy(&head, packet.data, sizeof(head));
        ck_assert_uint_eq(head.count, 2);
        head.count = 0;
        ck_assert_mem_eq(&head, &rows, sizeof(head));
}
END_TEST

START_TEST(empty_buffer_gets_a_header)
{
        struct wire_row row = plain_row;

        memset(packet.data, 0xaa, sizeof(packet.data));
        packet.len = 0;
        ck_assert_int_eq(add_record(WIRE_PACKET_MAX, &records[0].record, records[0].name), 0);
        ck_assert_uint_eq(wire_header_of(packet.data).opcode, WIRE_REPORT);
        ck_assert_int_eq(packet_check(&packet, false), 0);

        memset(packet.data, 0xaa, sizeof(packet.data));
        packet.len = 0;
        ck_assert_int_eq(add_row(WIRE_PACKET_MAX, &row, row_texts[0]), 0);
        ck_assert_uint_eq(wire_header_of(packet.data).opcode, WIRE_ROWS);
        ck_assert_int_eq(packet_check(&packet, true), 0);
}
END_TEST

START_TEST(record_needs_exactly_its_room)
{
        const size_t need = sizeof(struct wire_report) + sizeof(struct wire_record) + sizeof("a");
        static struct packet before;

        memset(&packet, 0, sizeof(packet));
        before = packet;
        for (size_t size = 0; size < need; size++) {
                ck_assert_int_eq(add_record(size, &records[0].record, "a"), -ENOBUFS);
                ck_assert_mem_eq(&packet, &before, sizeof(packet));
        }
        ck_assert_int_eq(add_record(need, &records[0].record, "a"), 0);
        ck_assert_uint_eq(packet.len, need);

        before = packet;
        for (size_t size = 0; size < need + sizeof(struct wire_record) + 1; size++) {
                ck_assert_int_eq(add_record(size, &records[1].record, ""), -ENOBUFS);
                ck_assert_mem_eq(&packet, &before, sizeof(packet));
        }
        ck_assert_int_eq(add_record(need + sizeof(struct wire_record) + 1, &records[1].record, ""),
                         0);
        ck_assert_int_eq(packet_check(&packet, false), 0);
}
END_TEST

START_TEST(row_needs_exactly_its_room)
{
        const size_t need = sizeof(struct wire_rows) + sizeof(struct wire_row) + sizeof("/tmp/a") +
                            sizeof("a.service") + sizeof("sort") + sizeof("sub");
        struct wire_row row = plain_row;
        static struct packet before;

        memset(&packet, 0, sizeof(packet));
        before = packet;
        for (size_t size = 0; size < need; size++) {
                ck_assert_int_eq(add_row(size, &row, row_texts[0]), -ENOBUFS);
                ck_assert_mem_eq(&packet, &before, sizeof(packet));
        }
        ck_assert_mem_eq(&row, &plain_row, sizeof(row));
        ck_assert_int_eq(add_row(need, &row, row_texts[0]), 0);
        ck_assert_uint_eq(packet.len, need);
        ck_assert_int_eq(packet_check(&packet, true), 0);
}
END_TEST

START_TEST(packets_grow_to_their_limit_and_no_further)
{
        char name[NAME_LEN_MAX + 1] = "", path[WIRE_PACKET_MAX] = "";
        const char *const texts[4] = { path, "", "", "" };
        struct wire_row row = plain_row;

        memset(name, 'x', NAME_LEN_MAX);
        packet.len = 0;
        while (add_record(SIZE_MAX, &records[0].record, name) == 0)
                ;
        ck_assert_uint_le(packet.len, WIRE_PACKET_MAX);
        ck_assert_uint_gt(packet.len, WIRE_PACKET_MAX - sizeof(struct wire_record) - sizeof(name));
        ck_assert_int_eq(packet_check(&packet, false), 0);

        memset(path, 'x', sizeof(path) - 1);
        packet.len = 0;
        ck_assert_int_eq(add_row(SIZE_MAX, &row, texts), -ENOBUFS);
        path[WIRE_PACKET_MAX - sizeof(struct wire_rows) - sizeof(struct wire_row) - 4] = '\0';
        ck_assert_int_eq(add_row(SIZE_MAX, &row, texts), 0);
        ck_assert_uint_eq(packet.len, WIRE_PACKET_MAX);
        ck_assert_int_eq(packet_check(&packet, true), 0);

        packet.len++;
        ck_assert_int_eq(packet_check(&packet, true), -EBADMSG);
}
END_TEST

/* Nobody should walk a packet that was not checked; who does must not leave it. */
START_TEST(walks_stay_inside_what_was_never_checked)
{
        const uint16_t opcodes[] = { WIRE_REPORT, WIRE_ROWS };
        const char *name, *strings[4];
        struct wire_record record;
        struct wire_row row;

        for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
                sample_build(&packet, opcodes[i]);
                for (size_t len = 0; len < packet.len; len++) {
                        uint8_t *copy = malloc(len + 1);
                        size_t offset = 0;

                        memcpy(copy + 1, packet.data, len);
                        while (wire_next_record(copy + 1, len, &offset, &record, &name))
                                ck_assert_uint_le(offset, len);
                        offset = 0;
                        while (wire_next_row(copy + 1, len, &offset, &row, strings))
                                ck_assert_uint_le(offset, len);
                        free(copy);
                }
        }
}
END_TEST

static Suite *lists_suite(void)
{
        Suite *s = suite_create("wire-lists");
        TCase *lists = tcase_create("lists");

        tcase_add_test(lists, records_come_back_as_they_were_added);
        tcase_add_loop_test(lists, records_that_make_no_sense_are_refused, 0,
                            (int) ARRAY_SIZE(wrong_records));
        tcase_add_test(lists, what_is_said_of_an_object_comes_back);
        tcase_add_test(lists, rows_come_back_as_they_were_added);
        tcase_add_test(lists, empty_lists_pass_and_have_nothing_to_walk);
        tcase_add_test(lists, header_that_is_there_keeps_its_fields);
        tcase_add_test(lists, empty_buffer_gets_a_header);
        tcase_add_test(lists, record_needs_exactly_its_room);
        tcase_add_test(lists, row_needs_exactly_its_room);
        tcase_add_test(lists, packets_grow_to_their_limit_and_no_further);
        tcase_add_test(lists, walks_stay_inside_what_was_never_checked);
        suite_add_tcase(s, lists);
        return s;
}

int main(void)
{
        SRunner *runner = srunner_create(lists_suite());
        int failed;

        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
