/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ENDING_H
#define TEMPFILED_ENDING_H

/*
 * Has an object ended with the deletion of its name? Of what has no link left the kernel lets nobody
 * make another: where it is seen again, a power cut has undone the deletion. What was moved away
 * meanwhile, or has another link, has not ended.
 */

#include <stdbool.h>
#include <stdint.h>

#define ENDING_HANDLE_MAX 128U
#define ENDING_TEXT_SIZE (2 * (16 + ENDING_HANDLE_MAX) + 1)

/* What tells it from every other of its file system. */
struct ending_object {
        uint64_t ino;
        uint32_t mode; /* the type bits only */
        int32_t handle_type;
        uint32_t handle_len; /* never 0 */
        uint8_t handle[ENDING_HANDLE_MAX];
};

/* Before the name is deleted: a descriptor of what it leads to, or -1. */
int ending_watch(int dirfd, const char *name);

/* After it: does nothing lead there any more? */
bool ending_has_come(int fd);

enum ending {
        ENDING_UNKNOWN, /* also: there is no such object, or nobody can make it a link (a directory) */
        ENDING_COME,
        ENDING_ELSEWHERE, /* it has another link */
};

/* The same, and describes what has ended as a text, for the wire; "": there is nothing to tell it by. */
enum ending ending_tell(int fd, char text[ENDING_TEXT_SIZE]);

/* The other way. False: that is no such text. */
bool ending_read(const char *text, struct ending_object *ret);

#endif
