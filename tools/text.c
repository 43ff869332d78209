/* SPDX-License-Identifier: MIT */

/*
 * Escaping and measuring of text for terminals.
 *
 * Promises that what comes out holds no control character, no byte outside the locale's encoding
 * and nothing that reorders what stands beside it. Leaves JSON's own rules to json.c. The subtle
 * thing: with the "C" locale nothing but ASCII is printable, so everything else is escaped there.
 */

#include <stdint.h>
#include <stdio.h>
#include <wchar.h>
#include <wctype.h>

#include "libclient/util.h"
#include "tools/text.h"

#define ESCAPED_LEN 4 /* of \xNN */

bool text_is_invisible(unsigned int codepoint)
{
        static const struct {
                unsigned int first, last;
        } ranges[] = {
                { 0x00ad, 0x00ad },   /* soft hyphen */
                { 0x061c, 0x061c },   /* Arabic letter mark */
                { 0x115f, 0x1160 },   /* Hangul fillers */
                { 0x180e, 0x180e },   /* Mongolian vowel separator */
                { 0x200b, 0x200f },   /* zero width, direction marks */
                { 0x2028, 0x202e },   /* line and paragraph separator, embeddings, overrides */
                { 0x2060, 0x206f },   /* word joiner, isolates */
                { 0xfe00, 0xfe0f },   /* variation selectors */
                { 0xfeff, 0xfeff },   /* byte order mark */
                { 0xfff9, 0xfffb },   /* interlinear annotation */
                { 0xe0000, 0xe0fff }, /* tags, variation selectors */
        };

        for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
                if (codepoint >= ranges[i].first && codepoint <= ranges[i].last)
                        return true;
        return false;
}

/* Bytes of the next character when it may be shown as it is; else 0. */
static size_t printable_length(const char *s, size_t len, mbstate_t *state)
{
        wchar_t wc;
        size_t n;

        n = mbrtowc(&wc, s, len, state);
        if (n == (size_t) -1 || n == (size_t) -2 || n == 0) {
                *state = (mbstate_t) { 0 };
                return 0;
        }
        if (!iswprint((wint_t) wc) || wcwidth(wc) < 0 || text_is_invisible((unsigned int) wc))
                return 0;
        return n;
}

static char *escape(const char *s, bool is_backslash_kept)
{
        mbstate_t state = { 0 };
        size_t len = strlen(s);
        char *out, *p;

        out = malloc(len * ESCAPED_LEN + 1);
        if (!out)
                return NULL;
        for (p = out; len > 0;) {
                size_t n = printable_length(s, len, &state);

                if (n == 0 || (*s == '\\' && !is_backslash_kept)) {
                        p += sprintf(p, "\\x%02x", (unsigned char) *s);
                        n = 1;
                } else {
                        memcpy(p, s, n);
                        p += n;
                }
                s += n;
                len -= n;
        }
        *p = '\0';
        return out;
}

char *text_escape(const char *s)
{
        return escape(s, false);
}

char *text_escape_message(const char *s)
{
        return escape(s, true);
}

/* The next character of an escaped text: its bytes, and its columns. */
static size_t next_character(const char *s, mbstate_t *state, size_t *ret_columns)
{
        wchar_t wc;
        size_t n;

        n = mbrtowc(&wc, s, strlen(s), state);
        if (n == (size_t) -1 || n == (size_t) -2 || n == 0) {
                *state = (mbstate_t) { 0 };
                *ret_columns = 1;
                return 1;
        }
        *ret_columns = (size_t) MAX(wcwidth(wc), 0);
        return n;
}

size_t text_width(const char *s)
{
        mbstate_t state = { 0 };
        size_t width = 0;

        while (*s) {
                size_t columns;

                s += next_character(s, &state, &columns);
                width += columns;
        }
        return width;
}

void text_wrap(char *s, size_t width)
{
        char *space = NULL; /* in front of the word at @s */
        size_t used = 0;    /* of the line so far */

        while (*s) {
                size_t len = strcspn(s, " \n"), columns;
                char end = s[len];

                s[len] = '\0';
                columns = text_width(s);
                s[len] = end;
                if (space && used + 1 + columns > width) {
                        *space = '\n';
                        used = columns;
                } else {
                        used += (space ? 1 : 0) + columns;
                }
                space = end == ' ' ? s + len : NULL;
                if (end == '\n')
                        used = 0;
                s += len + (end != '\0');
        }
}

/* Bytes at the front of @s that take at most @width columns. */
static size_t length_of_head(const char *s, size_t width)
{
        mbstate_t state = { 0 };
        size_t len = 0;

        while (s[len]) {
                size_t columns, n = next_character(s + len, &state, &columns);

                if (columns > width)
                        break;
                width -= columns;
                len += n;
        }
        return len;
}

/* The last part of @s that takes at most @width columns. */
static const char *tail(const char *s, size_t width)
{
        mbstate_t state = { 0 };
        size_t left = text_width(s);

        while (*s && left > width) {
                size_t columns;

                s += next_character(s, &state, &columns);
                left -= columns;
        }
        return s;
}

char *text_shorten(const char *s, size_t width)
{
        const char *dots = MB_CUR_MAX > 1 ? "\342\200\246" : width >= 8 ? "..." : "~";
        size_t dots_width = text_width(dots), head;
        char *out;

        if (text_width(s) <= width)
                return strdup(s);
        if (width <= dots_width)
                return strndup(s, length_of_head(s, width));
        head = (width - dots_width) / 2;
        if (asprintf(&out, "%.*s%s%s", (int) length_of_head(s, head), s, dots,
                     tail(s, width - dots_width - head)) < 0)
                return NULL;
        return out;
}

/* How many bytes a character that starts with @c has; 0: none starts so. */
static size_t utf8_expected(unsigned char c)
{
        if (c < 0x80)
                return 1;
        if (c >= 0xc2 && c <= 0xdf)
                return 2;
        if (c >= 0xe0 && c <= 0xef)
                return 3;
        if (c >= 0xf0 && c <= 0xf4)
                return 4;
        return 0;
}

size_t text_utf8_length(const char *s, unsigned int *ret_codepoint)
{
        static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = utf8_expected((unsigned char) s[0]);
        unsigned int codepoint;

        if (n <= 1) {
                *ret_codepoint = (unsigned char) s[0];
                return n;
        }
        codepoint = (unsigned char) s[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; i++) {
                if (((unsigned char) s[i] & 0xc0) != 0x80)
                        return 0; /* also at the NUL */
                codepoint = codepoint << 6 | ((unsigned char) s[i] & 0x3f);
        }
        if (codepoint < least[n] || codepoint > 0x10ffff)
                return 0; /* longer than needed, or beyond Unicode */
        if (codepoint >= 0xd800 && codepoint <= 0xdfff)
                return 0; /* half of a surrogate pair */
        *ret_codepoint = codepoint;
        return n;
}
