/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROPERTY_CLIENT_H
#define TEMPFILED_PROPERTY_CLIENT_H

/*
 * A client of the property test: a process that does what it is told over a socket, one operation
 * at a time, until it is killed. What it makes holds a text that tells it again. Things are called
 * by the numbers that the teller gives them.
 */

#include <limits.h>
#include <stdint.h>

enum property_op {
        OP_NAMED, /* .dir, .prefix, .suffix, .pattern */
        OP_DIRECTORY,
        OP_MKSTEMP,
        OP_PSEUDO_FILE, /* no handle: the descriptor has .thing's number */
        OP_PSEUDO_DIRECTORY,
        OP_TRACK_FILE, /* makes .path, then has it tracked */
        OP_TRACK_DIRECTORY,
        OP_BURST,  /* makes and closes so many in .dir that it reports them through memory */
        OP_INSIDE, /* a file in .path, a directory of its own, with which it goes or stays */
        OP_TOKEN,  /* the descriptor has .thing's number */
        OP_CLOSE,
        OP_PERSIST, /* to .path; .flags */
        OP_KEEP,
        OP_RELEASE,
        OP_FIND, /* .path */
        OP_GIVE, /* to the pidfd sent along */
        OP_SHARE,
        OP_GIVE_TOKEN, /* .token */
        OP_SHARE_TOKEN,
        OP_GIVE_LEASE,
        OP_SHARE_LEASE,
        OP_GIVE_BOOT,
        OP_RETAIN,
        OP_RENEW,
        OP_CLOSE_FD, /* of a token, or a pseudo file or directory */
        OP_COPY_FD,  /* a copy takes its place */
        OP_RENAME,   /* from .path to .other */
        OP_REPLACE,  /* .path, by a new file made at .other */
        OP_LINK,
        OP_COPY,
        OP_WRITE,      /* a file of nobody's */
        OP_FORK,       /* a client on the socket sent along */
        OP_FORK_CLOSE, /* a child that closes all it has inherited, makes a file, and dies */
        OP_EXEC,
        OP_PING,
        OP_MAX,
};

struct property_command {
        uint32_t op; /* enum property_op */
        uint32_t thing;
        uint32_t flags;
        uint32_t text; /* what it is to hold */
        uint64_t token;
        char dir[128], prefix[32], suffix[32], pattern[64];
        char path[256], other[256];
};

struct property_answer {
        int32_t result;
        int32_t pid; /* of the fork */
        uint64_t token;
        char path[256];
};

#define PROPERTY_LEASE_SEC 100000U

/* The text that marks thing number @text; as a directory: in its file "text". */
int property_write(const char *path, uint32_t text);
/* Its number; 0: there is no such file, or another text in it. */
uint32_t property_read(const char *path);

/* Serves @fd for ever. */
void property_client(int fd) __attribute__((noreturn));

#endif
