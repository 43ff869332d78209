/* SPDX-License-Identifier: MIT */

/*
 * Names that carry a tag: what is made passes, whatever else looks like it does not.
 */

#include "libclient/name.h"

#include <check.h>
#include <stdio.h>
#include <time.h>

#include "libclient/util.h"

#define ROOM (NAME_LEN_MAX - NAME_MARK_CHARS)

static const uint8_t key[NAME_KEY_SIZE] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* SipHash-2-4 of 00, 01 ... up to each length, with the key above: the paper's appendix A has
 * length 15, its reference code all of them. */
static const uint64_t sip_vectors[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
        0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
        0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
        0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
        0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
        0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
        0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
        0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
        0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
        0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
        0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
        0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
        0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
        0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
        0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
        0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

/* A tag whose eleven digits repeat, so that it overlaps itself: "AAAAAAAAAAA". */
#define SELF_OVERLAPPING_TAG UINT64_C(8530583718661818670)
#define TAG UINT64_C(0x0123456789abcdef)

static char name[NAME_LEN_MAX + 1];
static size_t name_len;

static void make(uint64_t tag, const char *prefix, const char *suffix)
{
        int r = name_make(tag, key, 0x1234567, prefix, suffix, name);

        ck_assert_int_ge(r, NAME_MARK_CHARS);
        ck_assert_uint_eq((size_t) r, strlen(name));
        ck_assert_uint_eq((size_t) r, strlen(prefix) + NAME_MARK_CHARS + strlen(suffix));
        name_len = (size_t) r;
}

/* The loop's own generator (xorshift64*): the same names from the same seed everywhere. */
static uint64_t next_random(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(0x2545f4914f6cdd1d);
}

START_TEST(hash_agrees_with_the_reference_vectors)
{
        uint8_t data[ARRAY_SIZE(sip_vectors)];

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) i;

        for (size_t len = 0; len < ARRAY_SIZE(sip_vectors); len++)
                ck_assert_uint_eq(name_hash(key, data, len), sip_vectors[len]);
}
END_TEST

START_TEST(hash_reads_unaligned_bytes)
{
        uint8_t data[1 + ARRAY_SIZE(sip_vectors)];

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i - 1);

        ck_assert_uint_eq(name_hash(key, data + 1, 63), sip_vectors[63]);
}
END_TEST

START_TEST(digits_rise_from_numbers_over_capitals_to_small_letters)
{
        static const char expected[] =
                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        char digit;

        for (size_t i = 0; i < sizeof(expected) - 1; i++) {
                name_encode(i, &digit, 1);
                ck_assert_int_eq(digit, expected[i]);
        }
}
END_TEST

START_TEST(numbers_are_spelled_most_significant_digit_first)
{
        char buf[4] = "...";

        name_encode(61 * 62 + 10, buf, 2);
        ck_assert_str_eq(buf, "zA.");
        name_encode(62, buf, 3);
        ck_assert_str_eq(buf, "010");
}
END_TEST

START_TEST(what_was_spelled_is_read_back)
{
        static const uint64_t values[] = { 0, 1, 61, 62, TAG, SELF_OVERLAPPING_TAG, UINT64_MAX };
        char buf[NAME_TAG_CHARS + 1];
        uint64_t value;

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                name_of_tag(values[i], buf);
                ck_assert(name_decode(buf, NAME_TAG_CHARS, &value));
                ck_assert_uint_eq(value, values[i]);
        }
        for (uint64_t digit = 0; digit < 62; digit++) {
                name_encode(digit, buf, 1);
                ck_assert(name_decode(buf, 1, &value));
                ck_assert_uint_eq(value, digit);
        }
}
END_TEST

START_TEST(only_digits_are_read)
{
        unsigned int count = 0;
        uint64_t value = 99;

        for (unsigned int byte = 0; byte < 256; byte++) {
                const char text[] = { '1', (char) byte };

                if (name_decode(text, sizeof(text), &value))
                        count++;
        }
        ck_assert_uint_eq(count, 62);
}
END_TEST

START_TEST(numbers_beyond_64_bits_are_not_read)
{
        uint64_t value = 99;

        ck_assert(!name_decode("LygHa16AHYG", NAME_TAG_CHARS, &value)); /* 2^64 */
        ck_assert(!name_decode("zzzzzzzzzzz", NAME_TAG_CHARS, &value));
        ck_assert(!name_decode("100000000000", NAME_TAG_CHARS + 1, &value));
        ck_assert_uint_eq(value, 99);
        ck_assert(name_decode("0LygHa16AHYF", NAME_TAG_CHARS + 1, &value));
        ck_assert_uint_eq(value, UINT64_MAX);
}
END_TEST

START_TEST(tags_have_eleven_digits)
{
        char buf[NAME_TAG_CHARS + 1];

        name_of_tag(0, buf);
        ck_assert_str_eq(buf, "00000000000");
        name_of_tag(1, buf);
        ck_assert_str_eq(buf, "00000000001");
        name_of_tag(UINT64_MAX, buf);
        ck_assert_str_eq(buf, "LygHa16AHYF");
        name_of_tag(SELF_OVERLAPPING_TAG, buf);
        ck_assert_str_eq(buf, "AAAAAAAAAAA");
}
END_TEST

/* Names on disks outlive versions of this code: these were made by the first one. */
START_TEST(spelling_never_changes)
{
        make(UINT64_MAX, "tmp", ".x");
        ck_assert_str_eq(name, "tmpLygHa16AHYF1I5qx0pVNQN.x");
        make(TAG, "", "");
        ck_assert_str_eq(name, "063UfDVRKBz1I5qx2SL1SB");
}
END_TEST

static const struct {
        uint64_t tag;
        const char *prefix;
        const char *suffix;
} odd_names[] = {
        { TAG, "tmp", "" },
        { TAG, "", "" },
        { TAG, "", ".csv" },
        { 0, "report-", ".tar.gz" },
        { UINT64_MAX, "a", "b" },
        { TAG, ".", "." },
        { TAG, "..", ".." },
        { TAG, "-rf ", " *" },
        { TAG, "two\nlines\t\r", "\x01\x7f\x1b[2J" },
        { TAG, "\xff\xfe\x80", "\xc3(\xed\xa0\x80" },
        { TAG, "\xc3\xbc\xe2\x82\xac", "\xf0\x9f\x97\x91" },
        { SELF_OVERLAPPING_TAG, "AAAA", "AAAA" },
        { SELF_OVERLAPPING_TAG, "AAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
};

START_TEST(what_was_made_passes)
{
        make(odd_names[_i].tag, odd_names[_i].prefix, odd_names[_i].suffix);
        ck_assert(name_check(odd_names[_i].tag, key, name, name_len));
        ck_assert(name_is_component(name, name_len));
}
END_TEST

START_TEST(tag_in_prefix_and_suffix_does_not_hide_the_mark)
{
        char tag[NAME_TAG_CHARS + 1], twice[2 * sizeof(tag)];

        name_of_tag(TAG, tag);
        snprintf(twice, sizeof(twice), "%s%s", tag, tag);

        make(TAG, tag, "");
        ck_assert(name_check(TAG, key, name, name_len));
        make(TAG, "", tag);
        ck_assert(name_check(TAG, key, name, name_len));
        make(TAG, twice, tag + 1);
        ck_assert(name_check(TAG, key, name, name_len));
        make(TAG, tag + 5, twice);
        ck_assert(name_check(TAG, key, name, name_len));
}
END_TEST

START_TEST(name_made_of_a_name_passes_as_itself_only)
{
        char inner[NAME_LEN_MAX + 1];

        make(TAG, "x", "y");
        memcpy(inner, name, sizeof(inner));
        make(TAG, inner, ".bak");
        ck_assert(name_check(TAG, key, name, name_len));

        name[name_len - 1] = 'K';
        ck_assert(!name_check(TAG, key, name, name_len));
}
END_TEST

START_TEST(every_altered_byte_fails)
{
        make(odd_names[_i].tag, odd_names[_i].prefix, odd_names[_i].suffix);

        for (size_t at = 0; at < name_len; at++) {
                const char was = name[at];

                for (unsigned int delta = 1; delta < 256; delta++) {
                        name[at] = (char) (was + (int) delta);
                        ck_assert_msg(!name_check(odd_names[_i].tag, key, name, name_len),
                                      "byte %zu changed by %u and still passes", at, delta);
                }
                name[at] = was;
        }
}
END_TEST

START_TEST(every_byte_put_in_or_taken_out_fails)
{
        char other[NAME_LEN_MAX + 2];

        make(TAG, "tmp", ".csv");
        for (size_t at = 0; at <= name_len; at++)
                for (unsigned int byte = 0; byte < 256; byte++) {
                        memcpy(other, name, at);
                        other[at] = (char) byte;
                        memcpy(other + at + 1, name + at, name_len - at);
                        ck_assert_msg(!name_check(TAG, key, other, name_len + 1),
                                      "byte %u put in at %zu and still passes", byte, at);
                }

        for (size_t at = 0; at < name_len; at++) {
                memcpy(other, name, at);
                memcpy(other + at, name + at + 1, name_len - at - 1);
                ck_assert_msg(!name_check(TAG, key, other, name_len - 1),
                              "byte %zu taken out and still passes", at);
        }
}
END_TEST

START_TEST(copies_that_programs_make_fail)
{
        static const struct {
                const char *before, *after;
        } copies[] = {
                { "", ".bak" },     { "", "~" },    { "", ".orig" },
                { "", ".1" },       { "", " (2)" }, { "#", "#" },
                { "Copy of ", "" }, { ".#", "" },   { ".", ".swp" },
        };
        char copy[2 * NAME_LEN_MAX];

        make(TAG, "tmp", ".txt");
        for (size_t i = 0; i < ARRAY_SIZE(copies); i++) {
                snprintf(copy, sizeof(copy), "%s%s%s", copies[i].before, name, copies[i].after);
                ck_assert_msg(!name_check(TAG, key, copy, strlen(copy)), "%s passes", copy);
        }
}
END_TEST

START_TEST(prefix_and_suffix_cannot_trade_bytes)
{
        char mark[NAME_MARK_CHARS], other[NAME_LEN_MAX + 1];

        make(TAG, "ab", "c");
        memcpy(mark, name + 2, sizeof(mark));
        snprintf(other, sizeof(other), "a%.*sbc", (int) sizeof(mark), mark);
        ck_assert(!name_check(TAG, key, other, strlen(other)));
        snprintf(other, sizeof(other), "abc%.*s", (int) sizeof(mark), mark);
        ck_assert(!name_check(TAG, key, other, strlen(other)));
}
END_TEST

START_TEST(another_tag_or_key_fails)
{
        uint8_t other[NAME_KEY_SIZE];

        make(TAG, "tmp", "");
        ck_assert(!name_check(TAG + 1, key, name, name_len));

        for (size_t i = 0; i < 8 * sizeof(other); i++) {
                memcpy(other, key, sizeof(other));
                other[i / 8] ^= (uint8_t) (1U << (i % 8));
                ck_assert(!name_check(TAG, other, name, name_len));
        }
}
END_TEST

START_TEST(only_29_bits_of_the_random_value_count)
{
        char other[NAME_LEN_MAX + 1];

        name_make(TAG, key, UINT64_MAX, "", "", name);
        name_make(TAG, key, (UINT64_C(1) << 29) - 1, "", "", other);
        ck_assert_str_eq(name, other);

        for (unsigned int bit = 0; bit < 29; bit++) {
                name_make(TAG, key, UINT64_MAX ^ (UINT64_C(1) << bit), "", "", other);
                ck_assert_str_ne(name, other);
        }
}
END_TEST

START_TEST(longest_names_fill_255_bytes)
{
        char text[ROOM + 1];

        for (size_t prefix_len = 0; prefix_len <= ROOM; prefix_len++) {
                char prefix[ROOM + 1];

                memset(prefix, 'p', prefix_len);
                prefix[prefix_len] = '\0';
                memset(text, 's', ROOM - prefix_len);
                text[ROOM - prefix_len] = '\0';

                make(TAG, prefix, text);
                ck_assert_uint_eq(name_len, NAME_LEN_MAX);
                ck_assert(name_check(TAG, key, name, name_len));
        }
}
END_TEST

START_TEST(too_long_prefix_and_suffix_are_refused)
{
        char text[5000];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        ck_assert_int_eq(name_make(TAG, key, 0, text, "", name), -ENAMETOOLONG);
        ck_assert_int_eq(name_make(TAG, key, 0, "", text, name), -ENAMETOOLONG);
        ck_assert_int_eq(name_make(TAG, key, 0, text, text, name), -ENAMETOOLONG);

        text[ROOM + 1] = '\0';
        ck_assert_int_eq(name_make(TAG, key, 0, text, "", name), -ENAMETOOLONG);
        ck_assert_int_eq(name_make(TAG, key, 0, "", text, name), -ENAMETOOLONG);
        text[ROOM] = '\0';
        ck_assert_int_eq(name_make(TAG, key, 0, text, "s", name), -ENAMETOOLONG);
        ck_assert_int_eq(name_make(TAG, key, 0, "p", text, name), -ENAMETOOLONG);
        ck_assert_int_eq(name_make(TAG, key, 0, text, "", name), NAME_LEN_MAX);
}
END_TEST

START_TEST(slashes_are_refused)
{
        ck_assert_int_eq(name_make(TAG, key, 0, "/", "", name), -EINVAL);
        ck_assert_int_eq(name_make(TAG, key, 0, "a/b", "", name), -EINVAL);
        ck_assert_int_eq(name_make(TAG, key, 0, "", "../x", name), -EINVAL);
}
END_TEST

START_TEST(short_and_empty_names_fail)
{
        make(TAG, "", "");
        for (size_t len = 0; len < name_len; len++)
                ck_assert(!name_check(TAG, key, name, len));
        ck_assert(!name_check(TAG, key, ".", 1));
        ck_assert(!name_check(TAG, key, "..", 2));
}
END_TEST

START_TEST(names_longer_than_255_bytes_fail)
{
        char text[2 * NAME_LEN_MAX];

        memset(text, 'A', sizeof(text));
        for (size_t len = 0; len <= sizeof(text); len++)
                ck_assert(!name_check(SELF_OVERLAPPING_TAG, key, text, len));
}
END_TEST

/* Random bytes but NUL and slash, sometimes with the tag's digits among them. */
static void draw_text(uint64_t *state, uint64_t tag, char *buf, size_t len)
{
        char digits[NAME_TAG_CHARS + 1];

        for (size_t i = 0; i < len; i++) {
                buf[i] = (char) next_random(state);
                if (buf[i] == '\0' || buf[i] == '/')
                        buf[i] = 'x';
        }
        buf[len] = '\0';

        name_of_tag(tag, digits);
        if (len >= NAME_TAG_CHARS && next_random(state) % 4 == 0)
                memcpy(buf + next_random(state) % (len - NAME_TAG_CHARS + 1), digits,
                       NAME_TAG_CHARS);
}

static void try_random_name(uint64_t *state)
{
        const size_t prefix_len = next_random(state) % (ROOM + 1);
        const size_t suffix_len = next_random(state) % (ROOM - prefix_len + 1);
        const uint64_t tag = next_random(state);
        char prefix[ROOM + 1], suffix[ROOM + 1];
        uint8_t drawn[NAME_KEY_SIZE];
        size_t at;
        int len;

        for (size_t i = 0; i < sizeof(drawn); i++)
                drawn[i] = (uint8_t) next_random(state);
        draw_text(state, tag, prefix, prefix_len);
        draw_text(state, tag, suffix, suffix_len);

        len = name_make(tag, drawn, next_random(state), prefix, suffix, name);
        ck_assert_int_eq(len, (int) (prefix_len + NAME_MARK_CHARS + suffix_len));
        ck_assert(name_check(tag, drawn, name, (size_t) len));

        at = next_random(state) % (size_t) len;
        name[at] ^= (char) (1 + next_random(state) % 255);
        ck_assert(!name_check(tag, drawn, name, (size_t) len));
}

/* TEMPFILED_TEST_SEED=N repeats a run. A false alarm has odds of one in 2^32 a name. */
START_TEST(random_names_pass_and_altered_ones_fail)
{
        const char *given = getenv("TEMPFILED_TEST_SEED");
        uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t) time(NULL) << 16 ^ getpid();
        uint64_t state = seed | UINT64_C(1) << 63;

        printf("# random names: TEMPFILED_TEST_SEED=%llu\n", (unsigned long long) seed);
        fflush(stdout);
        for (unsigned int i = 0; i < 20000; i++)
                try_random_name(&state);
}
END_TEST

START_TEST(components_are_single_names)
{
        char text[NAME_LEN_MAX + 1];

        memset(text, 'x', sizeof(text));
        ck_assert(name_is_component("a", 1));
        ck_assert(name_is_component("...", 3));
        ck_assert(name_is_component(".a", 2));
        ck_assert(name_is_component("a.", 2));
        ck_assert(name_is_component("\n", 1));
        ck_assert(name_is_component("\xff", 1));
        ck_assert(name_is_component(text, NAME_LEN_MAX));
}
END_TEST

START_TEST(what_is_no_single_name_is_no_component)
{
        char text[NAME_LEN_MAX + 1];

        memset(text, 'x', sizeof(text));
        ck_assert(!name_is_component("", 0));
        ck_assert(!name_is_component(".", 1));
        ck_assert(!name_is_component("..", 2));
        ck_assert(!name_is_component("/", 1));
        ck_assert(!name_is_component("a/", 2));
        ck_assert(!name_is_component("a/b", 3));
        ck_assert(!name_is_component("a\0b", 3));
        ck_assert(!name_is_component("a", 2)); /* its NUL counted */
        ck_assert(!name_is_component(text, sizeof(text)));
}
END_TEST

static Suite *name_suite(void)
{
        Suite *s = suite_create("name");
        TCase *spelling = tcase_create("spelling"), *check = tcase_create("check");

        tcase_add_test(spelling, hash_agrees_with_the_reference_vectors);
        tcase_add_test(spelling, hash_reads_unaligned_bytes);
        tcase_add_test(spelling, digits_rise_from_numbers_over_capitals_to_small_letters);
        tcase_add_test(spelling, numbers_are_spelled_most_significant_digit_first);
        tcase_add_test(spelling, what_was_spelled_is_read_back);
        tcase_add_test(spelling, only_digits_are_read);
        tcase_add_test(spelling, numbers_beyond_64_bits_are_not_read);
        tcase_add_test(spelling, tags_have_eleven_digits);
        tcase_add_test(spelling, spelling_never_changes);
        tcase_add_test(spelling, only_29_bits_of_the_random_value_count);
        tcase_add_test(spelling, longest_names_fill_255_bytes);
        tcase_add_test(spelling, too_long_prefix_and_suffix_are_refused);
        tcase_add_test(spelling, slashes_are_refused);
        tcase_add_test(spelling, components_are_single_names);
        tcase_add_test(spelling, what_is_no_single_name_is_no_component);
        suite_add_tcase(s, spelling);

        tcase_add_loop_test(check, what_was_made_passes, 0, ARRAY_SIZE(odd_names));
        tcase_add_loop_test(check, every_altered_byte_fails, 0, ARRAY_SIZE(odd_names));
        tcase_add_test(check, tag_in_prefix_and_suffix_does_not_hide_the_mark);
        tcase_add_test(check, name_made_of_a_name_passes_as_itself_only);
        tcase_add_test(check, every_byte_put_in_or_taken_out_fails);
        tcase_add_test(check, copies_that_programs_make_fail);
        tcase_add_test(check, prefix_and_suffix_cannot_trade_bytes);
        tcase_add_test(check, another_tag_or_key_fails);
        tcase_add_test(check, short_and_empty_names_fail);
        tcase_add_test(check, names_longer_than_255_bytes_fail);
        tcase_add_test(check, random_names_pass_and_altered_ones_fail);
        tcase_set_timeout(check, 60); /* under valgrind */
        suite_add_tcase(s, check);
        return s;
}

int main(void)
{
        SRunner *runner = srunner_create(name_suite());
        int failed;

        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
