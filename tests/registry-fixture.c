/* SPDX-License-Identifier: MIT */

#include "tests/registry-fixture.h"

#include <check.h>
#include <sys/stat.h>

struct client here;

void registry_setup(void)
{
        server_setup();
        client_start(&here);
}

void registry_teardown(void)
{
        client_close(&here);
        server_teardown();
}

const char *path_under_tag(unsigned int seq)
{
        struct client c = { .tag = TAG };

        return file_path(client_name(&c, seq, ""));
}

bool is_empty(const struct wire_status_reply *s)
{
        return s->live + s->reaping + s->stuck + s->waiting == 0 && s->owners == 0;
}

bool has_no_entries(const struct wire_status_reply *s)
{
        return s->live + s->reaping + s->stuck + s->waiting == 0;
}

void make_some(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        for (unsigned int seq = 1; seq <= 5; seq++)
                client_make(&c, seq);
        client_report(&c, WIRE_MADE, TAG, 6, WIRE_KIND_DIRECTORY, client_name(&c, 6, ""));
        if (mkdir(file_path(client_name(&c, 6, "")), 0700) < 0)
                _exit(2);
        unit_write(unit_path(file_path(client_name(&c, 6, "")), "below"), "");
        client_settle(&c);
        worker_pause();
}
