/* SPDX-License-Identifier: MIT */

/*
 * Owns what is said of an object that has ended: inode, type and file handle, in hexadecimal digits,
 * so that it travels where names do.
 */

#include "libclient/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "libclient/util.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* 6.5: a handle to compare, not to open; overlayfs has only those */
#endif

#define FIXED_SIZE 16U /* before the handle */

int ending_watch(int dirfd, const char *name)
{
        return openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

bool ending_has_come(int fd)
{
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0;
}

static bool read_object(int fd, const struct stat *st, struct ending_object *o)
{
        union {
                struct file_handle h;
                char space[sizeof(struct file_handle) + ENDING_HANDLE_MAX];
        } u;
        int mount_id, r;

        u.h.handle_bytes = ENDING_HANDLE_MAX;
        r = name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH);
        if (r < 0) {
                u.h.handle_bytes = ENDING_HANDLE_MAX;
                r = name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH | AT_HANDLE_FID);
        }
        if (r < 0 || u.h.handle_bytes == 0)
                return false;
        *o = (struct ending_object) {
                .ino = st->st_ino,
                .mode = st->st_mode & S_IFMT,
                .handle_type = u.h.handle_type,
                .handle_len = u.h.handle_bytes,
        };
        memcpy(o->handle, u.h.f_handle, u.h.handle_bytes);
        return true;
}

static char *put_hex(char *at, const void *data, size_t len)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *bytes = data;

        for (size_t i = 0; i < len; i++) {
                *at++ = digits[bytes[i] >> 4];
                *at++ = digits[bytes[i] & 15];
        }
        return at;
}

static void write_text(const struct ending_object *o, char *at)
{
        at = put_hex(at, &o->ino, sizeof(o->ino));
        at = put_hex(at, &o->mode, sizeof(o->mode));
        at = put_hex(at, &o->handle_type, sizeof(o->handle_type));
        at = put_hex(at, o->handle, o->handle_len);
        *at = '\0';
}

enum ending ending_tell(int fd, char text[ENDING_TEXT_SIZE])
{
        struct ending_object o;
        struct stat st;

        *text = '\0';
        if (fd < 0 || fstat(fd, &st) < 0)
                return ENDING_UNKNOWN;
        if (st.st_nlink > 0) /* of directories each file system counts its own way */
                return S_ISDIR(st.st_mode) ? ENDING_UNKNOWN : ENDING_ELSEWHERE;
        if (read_object(fd, &st, &o))
                write_text(&o, text);
        return ENDING_COME;
}

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(const char *text, uint8_t *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                const int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                bytes[i] = (uint8_t) (high << 4 | low);
        }
        return true;
}

bool ending_read(const char *text, struct ending_object *ret)
{
        const size_t len = strlen(text) / 2;
        struct ending_object o = { 0 };
        uint8_t bytes[FIXED_SIZE];

        if (strlen(text) % 2 != 0 || len <= FIXED_SIZE || len > FIXED_SIZE + ENDING_HANDLE_MAX ||
            !take_hex(text, bytes, FIXED_SIZE))
                return false;
        memcpy(&o.ino, bytes, 8);
        memcpy(&o.mode, bytes + 8, 4);
        memcpy(&o.handle_type, bytes + 12, 4);
        o.handle_len = (uint32_t) (len - FIXED_SIZE);
        if (o.mode != (o.mode & S_IFMT) || !take_hex(text + 2 * FIXED_SIZE, o.handle, o.handle_len))
                return false;
        *ret = o;
        return true;
}
