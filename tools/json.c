/* SPDX-License-Identifier: MIT */

/*
 * A JSON writer.
 *
 * Owns nothing: the caller's stream remembers errors, and ctl_finish_output() looks. Promises valid
 * UTF-8 and valid JSON whatever the bytes, and nothing that a terminal would act on. The subtle
 * thing: file names need not be UTF-8, and JSON has no way to say that, hence KEY_hex.
 */

#include <inttypes.h>
#include <string.h>

#include "tools/json.h"
#include "tools/text.h"

void json_init(struct json *j, FILE *file, enum json_style style)
{
        *j = (struct json) { .file = file, .style = style, .is_empty = true };
}

static void break_line(struct json *j)
{
        if (j->style == JSON_PRETTY)
                fprintf(j->file, "\n%*s", (int) (j->depth * 2), "");
}

static void put_escape(FILE *f, unsigned int codepoint)
{
        if (codepoint > 0xffff) {
                codepoint -= 0x10000;
                fprintf(f, "\\u%04x\\u%04x", 0xd800 | codepoint >> 10,
                        0xdc00 | (codepoint & 0x3ff));
        } else {
                fprintf(f, "\\u%04x", codepoint);
        }
}

static void put_character(FILE *f, const char *s, size_t n, unsigned int codepoint)
{
        if (codepoint == '"' || codepoint == '\\')
                fprintf(f, "\\%c", (char) codepoint);
        else if (codepoint == '\n')
                fputs("\\n", f);
        else if (codepoint == '\t')
                fputs("\\t", f);
        else if (codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0) ||
                 text_is_invisible(codepoint))
                put_escape(f, codepoint);
        else
                fwrite(s, 1, n, f);
}

/* Returns whether all of it was UTF-8. */
static bool put_string(FILE *f, const char *s)
{
        bool is_utf8 = true;

        fputc('"', f);
        while (*s) {
                unsigned int codepoint;
                size_t n = text_utf8_length(s, &codepoint);

                if (n > 0) {
                        put_character(f, s, n, codepoint);
                } else {
                        is_utf8 = false;
                        fputs("\357\277\275", f); /* U+FFFD */
                        n = 1;
                }
                s += n;
        }
        fputc('"', f);
        return is_utf8;
}

static void put_key(struct json *j, const char *key, const char *ending)
{
        if (!j->is_empty)
                fputc(',', j->file);
        if (j->depth > 0)
                break_line(j);
        j->is_empty = false;
        if (key)
                fprintf(j->file, "\"%s%s\":%s", key, ending, j->style == JSON_PRETTY ? " " : "");
}

void json_begin(struct json *j, const char *key, char bracket)
{
        put_key(j, key, "");
        fputc(bracket, j->file);
        j->depth++;
        j->is_empty = true;
}

void json_end(struct json *j, char bracket)
{
        j->depth--;
        if (!j->is_empty)
                break_line(j);
        fputc(bracket, j->file);
        j->is_empty = false;
}

void json_done(struct json *j)
{
        fputc('\n', j->file);
}

void json_string(struct json *j, const char *key, const char *s)
{
        put_key(j, key, "");
        if (put_string(j->file, s))
                return;
        put_key(j, key, "_hex");
        fputc('"', j->file);
        for (; *s; s++)
                fprintf(j->file, "%02x", (unsigned char) *s);
        fputc('"', j->file);
}

void json_unsigned(struct json *j, const char *key, uint64_t value)
{
        put_key(j, key, "");
        fprintf(j->file, "%" PRIu64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
        put_key(j, key, "");
        fputs(value ? "true" : "false", j->file);
}

void json_null(struct json *j, const char *key)
{
        put_key(j, key, "");
        fputs("null", j->file);
}
