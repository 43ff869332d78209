/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_STORE_FIXTURE_H
#define TEMPFILED_STORE_FIXTURE_H

/* A store in a directory of its own, and rows to put in it. Numbers stand for all else. */

#include "daemon/store.h"
#include "tests/unit.h"

extern char store_dir[UNIT_PATH_SIZE];
extern struct store *store;

/* Checked fixture: the directory with an open store, and what closes and removes it. */
void store_setup(void);
void store_teardown(void);
void store_open_again(void); /* closed first, if open; nothing is to be salvaged */

#define STORE_TAG_ID(tag, seq) ((uint64_t) (tag) << 32 | (seq))

void add_owner(uint64_t id);
void add_directory(uint64_t id);
void add_cred(uint64_t id);
void add_tag(uint64_t id); /* of owner, directory and cred 1 */
void add_base(void);       /* owners 1, 2, 3, directory 1, cred 1, tag 1, committed */

/* Live and under a tag; a name of its number. */
int put_made(uint64_t tag, uint64_t seq);
/* Of an owner of its own. Returns the number. */
uint64_t put_plain(uint64_t owner);
void commit(void);

/* Is the entry there? With its state; 0: it is not. */
unsigned int state_of(uint64_t id);
uint64_t owner_of(uint64_t id);
uint64_t count_live(void);

/* Numbers that a question answers. */
struct numbers {
        unsigned int n;
        uint64_t number[64];
};
int take_entry(const struct store_entry *e, void *numbers);
int take_id(uint64_t id, void *numbers);
int take_row(const struct store_row *r, void *numbers);

/* Runs SQL on a file in the directory, with SQLite of its own; returns SQLite's code. */
int run_sql(const char *file, const char *sql);
int64_t query_sql(const char *file, const char *sql);

#endif
