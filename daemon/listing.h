/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_LISTING_H
#define TEMPFILED_LISTING_H

/*
 * What a client is shown of the entries.
 */

#include "libclient/wire.h"

struct conn;

/* Answers with those rows behind the cursor that the client may see and asks for, as many as fit. */
void listing_answer(struct conn *c, const struct wire_list *filter);

#endif
