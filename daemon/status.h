/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_STATUS_H
#define TEMPFILED_STATUS_H

/*
 * What the service manager shows about the daemon: "12 owners, 3,401 entries, 0 leaked".
 */

#include <stdbool.h>
#include <stddef.h>

#include "libclient/wire.h"

#define STATUS_TEXT_MAX 256U

/* @hung: workers that a file system does not answer. */
void status_format(const struct wire_status_reply *s, unsigned int hung,
                   char text[STATUS_TEXT_MAX]);

/* Tells the service manager, if there is one and @text is not @last, which is then replaced. False: it
 * does not read now. */
bool status_tell(const char *text, char last[STATUS_TEXT_MAX]);

#endif
