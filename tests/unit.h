/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_UNIT_H
#define TEMPFILED_UNIT_H

/*
 * What the unit tests of the daemon's modules share: a directory of their own, an event loop that
 * is run until something has happened, and skips that say why.
 */

#include <check.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#define UNIT_WAIT_USEC (60 * UINT64_C(1000000))
#define UNIT_NOBODY 65534U

/* Runs the suite and prints TAP. Returns the exit status. */
int unit_main(Suite *suite);

/* The test that calls this says that it could not be tried; it returns then. */
void unit_skip(const char *test, const char *why);
#define SKIP(why)                                                                                  \
        do {                                                                                       \
                unit_skip(__func__, why);                                                          \
                return;                                                                            \
        } while (0)
#define SKIP_UNLESS_ROOT(what)                                                                     \
        do {                                                                                       \
                if (geteuid() != 0)                                                                \
                        SKIP("needs root " what);                                                  \
        } while (0)

/* A fresh directory that all may pass through; its removal with all that is in it. */
#define UNIT_PATH_SIZE 64
void unit_make_directory(char path[UNIT_PATH_SIZE]);
void unit_remove_directory(const char *path);

/* Runs the loop until @is_over says so; false: it did not happen in time. */
bool unit_run_until(sd_event *event, bool (*is_over)(void *userdata), void *userdata);

/* A path in @directory; valid until the eighth call from now. */
const char *unit_path(const char *directory, const char *name);

void unit_write(const char *path, const char *text);
bool unit_exists(const char *path);
unsigned int unit_count_names(const char *directory);

/* In this process the file of /proc can't be read any more (EIO). False: that can't be done here.
 * For a child: its mounts are its own from then on. */
bool unit_spoil(const char *path);

/* A child that does @body and exits with what it returns, 0..127. */
int unit_in_child(int (*body)(void *userdata), void *userdata);

#endif
