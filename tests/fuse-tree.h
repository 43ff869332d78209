/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FUSE_TREE_H
#define TEMPFILED_FUSE_TREE_H

/* What fuse-server.c's requests do: for that file alone. One tree a process. */

#include <linux/fuse.h>
#include <stdint.h>

#define FUSE_DATA_MAX 131072

struct fuse_request {
        const struct fuse_in_header *header;
        const void *in; /* what follows the header; a NUL comes after its end */
        void *out;      /* FUSE_DATA_MAX bytes for the answer */
};

/* There is none. */
#define FUSE_NO_ANSWER (-1000000)

/* Shows this directory; borrows the descriptor. Returns 0 or a negative errno. */
int fuse_tree_open(int backing);

/* Carries one out. Returns the size of the answer, a negative errno, or FUSE_NO_ANSWER. */
int fuse_tree_serve(struct fuse_request *q);

/* The inode's number of a node in the directory shown, or 0. */
uint64_t fuse_tree_ino(uint64_t nodeid);

#endif
