/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REMOVER_FIXTURE_H
#define TEMPFILED_REMOVER_FIXTURE_H

/*
 * What the tests of the remover share: a yard to build trees in, and ways to be somebody else or
 * to have less. Paths are relative to the yard. Failures are Check's.
 */

#include <check.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libclient/remover.h"

#define NOBODY 65534

#define TREE REMOVER_RECURSIVE

/* The yard of the test that runs, and what the last removal reported. */
extern int yard;
extern bool yard_is_fast;
extern struct remover_failure failure;

void yard_set_up(void);
void yard_set_up_fast(void); /* on a tmpfs, if there is one: for very many names */
void yard_tear_down(void);
const char *yard_path(const char *name); /* absolute; valid until the next call */

void make_directory(const char *path);
void make_file(const char *path);
void make_link(const char *target, const char *path);
void make_files(const char *dir, unsigned int n);

/* A chain of directories named "d" in the directory @path, with a file "f" in each. The second one
 * takes what is there, and stops where others are in the way. */
void make_chain(const char *path, unsigned int depth);
void grow_chain(const char *path, unsigned int depth);

bool is_there(const char *path);
unsigned int mode_of(const char *path);
void set_mode(const char *path, mode_t mode);

/* Sets or clears the immutable flag. Returns 0 or a negative errno. */
int set_immutable(const char *path, bool on);

/* Removes in the yard; the failure is in the variable above. */
int64_t remove_in_yard(const char *name, unsigned int flags);
void expect_failure(int64_t result, int error, const char *path);

/* Runs @body in a child and expects it to return: there it may do to its process what it likes. */
void in_child(void (*body)(void));

/* The same with the rights of an ordinary user: as root, in a yard that is nobody's. */
void as_ordinary(void (*body)(void));

/* Lets this process open only @n descriptors more, or as many as before again. */
void limit_descriptors(unsigned int n);
void unlimit_descriptors(void);

/* Adds a test to @c, or, with a reason, a line that says that it is skipped. */
void add_test_unless(TCase *c, const TTest *test, const char *reason);
void add_loop_test_unless(TCase *c, const TTest *test, int n, const char *reason);

const char *reason_not_root(void);
const char *reason_no_immutable(void);
bool is_full_run(void);

/* Runs a suite the way all of them are run. Returns main()'s status. */
int run_suite(Suite *s);

#endif
