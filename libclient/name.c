/* SPDX-License-Identifier: MIT */

/*
 * Names that carry a tag: making them, telling them from all others. Owns the spelling of the mark
 * and what its check covers; leaves drawing tags, keys and random bits, and every look at a file
 * system, to its callers. Both are stored, in names and in the daemon's database, and outlive any
 * version of this code: neither may ever change.
 *
 * The digits, by rising value: 0-9, A-Z, a-z, which is their order in ASCII too, so that names of
 * one length sort as their numbers do. 11 digits hold 64 bits, 5 hold 29, 6 hold 32.
 *
 * What the check covers, byte by byte:
 *
 *     tag (8, little-endian), length of prefix (1), length of suffix (1), random (5 digits),
 *     prefix, suffix
 *
 * The subtle thing: the lengths come first, so that no two splits of a name into prefix and suffix
 * are ever hashed as the same bytes. The mark is found again by looking for the tag's digits, which
 * prefix and suffix may contain as well: every place where they stand is tried.
 */

#include "libclient/name.h"

#include <assert.h>

#include "libclient/util.h"

#define RANDOM_MASK ((UINT64_C(1) << 29) - 1)
#define CHECK_MASK UINT64_C(0xffffffff)
#define COVERED_FIXED (8U + 1U + 1U + NAME_RANDOM_CHARS)

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#define BASE (sizeof(digits) - 1)

/* A name taken apart. Nothing here ends with a NUL. */
struct parts {
        const char *prefix;
        size_t prefix_len;
        const char *random; /* NAME_RANDOM_CHARS */
        const char *suffix;
        size_t suffix_len;
};

static uint64_t load_le64(const uint8_t *p)
{
        uint64_t v = 0;

        for (unsigned int i = 0; i < 8; i++)
                v |= (uint64_t) p[i] << (8 * i);
        return v;
}

static void store_le64(uint8_t *p, uint64_t v)
{
        for (unsigned int i = 0; i < 8; i++)
                p[i] = (uint8_t) (v >> (8 * i));
}

static uint64_t rotate(uint64_t v, unsigned int bits)
{
        return (v << bits) | (v >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
}

static void sip_compress(uint64_t v[4], uint64_t word)
{
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
}

/* The last word: the bytes left over, and the length's low byte on top. */
static uint64_t sip_last_word(const uint8_t *rest, size_t len)
{
        uint64_t word = (uint64_t) len << 56;

        for (unsigned int i = 0; i < len % 8; i++)
                word |= (uint64_t) rest[i] << (8 * i);
        return word;
}

uint64_t name_hash(const uint8_t key[NAME_KEY_SIZE], const void *data, size_t len)
{
        const uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
        const uint8_t *p = data;
        /* "somepseudorandomlygeneratedbytes", as the paper (Aumasson, Bernstein, 2012) has it */
        uint64_t v[4] = {
                k0 ^ UINT64_C(0x736f6d6570736575),
                k1 ^ UINT64_C(0x646f72616e646f6d),
                k0 ^ UINT64_C(0x6c7967656e657261),
                k1 ^ UINT64_C(0x7465646279746573),
        };

        for (size_t i = 0; i < len / 8; i++, p += 8)
                sip_compress(v, load_le64(p));
        sip_compress(v, sip_last_word(p, len));

        v[2] ^= 0xff;
        for (unsigned int i = 0; i < 4; i++)
                sip_round(v);

        return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void name_encode(uint64_t value, char *buf, size_t len)
{
        while (len > 0) {
                buf[--len] = digits[value % BASE];
                value /= BASE;
        }
}

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'Z')
                return c - 'A' + 10;
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 36;
        return -1;
}

bool name_decode(const char *text, size_t len, uint64_t *ret)
{
        uint64_t value = 0;
        int digit;

        for (size_t i = 0; i < len; i++) {
                digit = digit_of(text[i]);
                if (digit < 0 || __builtin_mul_overflow(value, (uint64_t) BASE, &value) ||
                    __builtin_add_overflow(value, (uint64_t) digit, &value))
                        return false;
        }
        *ret = value;
        return true;
}

void name_of_tag(uint64_t tag, char buf[NAME_TAG_CHARS + 1])
{
        name_encode(tag, buf, NAME_TAG_CHARS);
        buf[NAME_TAG_CHARS] = '\0';
}

/* Spells the check over @parts, which together are no longer than a name. */
static void spell_check(uint64_t tag, const uint8_t key[NAME_KEY_SIZE], const struct parts *parts,
                        char buf[NAME_CHECK_CHARS])
{
        uint8_t covered[COVERED_FIXED + NAME_LEN_MAX], *p = covered;

        assert(parts->prefix_len + parts->suffix_len <= NAME_LEN_MAX);

        store_le64(p, tag);
        p += 8;
        *p++ = (uint8_t) parts->prefix_len;
        *p++ = (uint8_t) parts->suffix_len;
        p = mempcpy(p, parts->random, NAME_RANDOM_CHARS);
        p = mempcpy(p, parts->prefix, parts->prefix_len);
        p = mempcpy(p, parts->suffix, parts->suffix_len);

        name_encode(name_hash(key, covered, (size_t) (p - covered)) & CHECK_MASK, buf,
                    NAME_CHECK_CHARS);
}

int name_make(uint64_t tag, const uint8_t key[NAME_KEY_SIZE], uint64_t random, const char *prefix,
              const char *suffix, char buf[NAME_LEN_MAX + 1])
{
        struct parts parts = {
                .prefix = prefix,
                .prefix_len = strlen(prefix),
                .suffix = suffix,
                .suffix_len = strlen(suffix),
        };
        const size_t room = NAME_LEN_MAX - NAME_MARK_CHARS;
        char *mark, *end;

        if (strchr(prefix, '/') || strchr(suffix, '/'))
                return -EINVAL;
        if (parts.prefix_len > room || parts.suffix_len > room - parts.prefix_len)
                return -ENAMETOOLONG;

        mark = mempcpy(buf, prefix, parts.prefix_len);
        name_encode(tag, mark, NAME_TAG_CHARS);
        name_encode(random & RANDOM_MASK, mark + NAME_TAG_CHARS, NAME_RANDOM_CHARS);
        parts.random = mark + NAME_TAG_CHARS;
        spell_check(tag, key, &parts, mark + NAME_TAG_CHARS + NAME_RANDOM_CHARS);

        end = mempcpy(mark + NAME_MARK_CHARS, suffix, parts.suffix_len);
        *end = '\0';
        return (int) (end - buf);
}

/* Does the mark that starts at @at pass? @len leaves room for it. */
static bool mark_passes(uint64_t tag, const uint8_t key[NAME_KEY_SIZE], const char *name,
                        size_t len, size_t at)
{
        const char *mark = name + at;
        const struct parts parts = {
                .prefix = name,
                .prefix_len = at,
                .random = mark + NAME_TAG_CHARS,
                .suffix = mark + NAME_MARK_CHARS,
                .suffix_len = len - at - NAME_MARK_CHARS,
        };
        char check[NAME_CHECK_CHARS];

        spell_check(tag, key, &parts, check);
        return memcmp(mark + NAME_TAG_CHARS + NAME_RANDOM_CHARS, check, NAME_CHECK_CHARS) == 0;
}

bool name_check(uint64_t tag, const uint8_t key[NAME_KEY_SIZE], const char *name, size_t len)
{
        char text[NAME_TAG_CHARS + 1];

        if (len < NAME_MARK_CHARS || !name_is_component(name, len))
                return false;

        name_of_tag(tag, text);
        for (size_t at = 0; at + NAME_MARK_CHARS <= len; at++) {
                const size_t rest = len - at - (NAME_MARK_CHARS - NAME_TAG_CHARS);
                const char *found = memmem(name + at, rest, text, NAME_TAG_CHARS);

                if (!found)
                        return false;
                at = (size_t) (found - name);
                if (mark_passes(tag, key, name, len, at))
                        return true;
        }

        return false;
}

bool name_is_component(const char *name, size_t len)
{
        if (len == 0 || len > NAME_LEN_MAX)
                return false;
        if (memchr(name, '/', len) || memchr(name, '\0', len))
                return false;
        if (name[0] != '.')
                return true;

        return !(len == 1 || (len == 2 && name[1] == '.'));
}
