/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ATTACK_FIXTURE_H
#define TEMPFILED_ATTACK_FIXTURE_H

/*
 * The stage of the attacks: root's true daemon in a world of its own, and two ordinary users:
 * Mallory, who wants something deleted that is not hers, and Alice, whose it is. What they do they
 * do in processes of their own, with packets that the library would never send.
 *
 *     TOP/alice     Alice's, anybody may write in it: the worst case, where the kernel helps nobody
 *     TOP/mallory   Mallory's alone
 *     TOP/shared    as /tmp is: anybody's, sticky
 *     TOP/root      root's; all may look
 */

#include <sys/stat.h>

#include "tests/raw-client.h"
#include "tests/testutil.h"

#define MALLORY 61001
#define ALICE 61002
#define MALLORYS_TAG UINT64_C(0xbadbadbadbadbad1)
#define ALICES_TAG UINT64_C(0xa11cea11cea11ce1)

extern struct world world;

void attack_set_up(void);
void attack_tear_down(void);

/* TOP/NAME, as formatted; valid until the eighth call from now. */
const char *at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something that is somebody's; it is worth "precious". */
void put_file(const char *path, uid_t uid);
void put_directory(const char *path, uid_t uid, mode_t mode);
bool is_precious(const char *path);

/* The one thing in TOP/DIRECTORY that was moved aside to be removed. Valid until the next call. */
const char *moved_aside(const char *directory);

/* The process becomes that user for good: no groups, no way back. */
void become(uid_t uid);

/* @body in a process of that user's that has a connection; its result is expected to be 0. */
typedef int (*attack_fn)(struct client *c, void *userdata);
void run_as(uid_t uid, attack_fn body, void *userdata);

/* The same, and afterwards it lives on until it is killed. */
void start_as(struct victim *v, uid_t uid, attack_fn body, void *userdata);

/* In one of these: stands still until victim_kill(), having said something. */
void attack_say(const char *text);

/* A name that it registers in its directory, under its tag; the id, or the test has failed. */
uint64_t track(struct client *c, const char *name);
uint64_t reserve(struct client *c, const char *name, unsigned int kind);

struct wire_status_reply daemon_status(void);

/* Waits until the daemon says so. */
void wait_daemon(bool (*is_right)(const struct wire_status_reply *s));
bool nothing_is_left(const struct wire_status_reply *s); /* no entry */
bool nothing_happens(const struct wire_status_reply *s); /* all was tried: none live or reaping */

/* Runs the suite, or says why not. */
int attack_main(Suite *s);
TCase *attack_case(Suite *s, const char *name);

#endif
