/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a configuration file: they are read to the end, and what came of it, printed and
 * read again, is the same without a complaint.
 */

#include <string.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "libclient/util.h"
#include "tests/fuzz-replay.h"

const char fuzz_corpus[] = "config";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct config c, again;
        char *printed = NULL;
        size_t len = 0;
        FILE *f;

        log_set_level(LOG_CRIT);
        if (size == 0)
                return 0; /* fmemopen() has none */
        f = fmemopen((void *) data, size, "r");
        fuzz_require(f);
        config_init(&c);
        (void) config_read(&c, f, "input");
        (void) fclose(f);

        f = open_memstream(&printed, &len);
        fuzz_require(f);
        config_print(&c, f);
        fuzz_require(fclose(f) == 0);
        f = fmemopen(printed, len, "r");
        fuzz_require(f);
        config_init(&again);
        fuzz_require(config_read(&again, f, "printed") == 0);
        fuzz_require(again.is_power == c.is_power && again.retry_max_usec == c.retry_max_usec &&
                     again.retain_max_usec == c.retain_max_usec);
        (void) fclose(f);
        free(printed);
        return 0;
}

bool fuzz_judge(const char *name, const uint8_t *data, size_t size, const char **ret_why)
{
        (void) LLVMFuzzerTestOneInput(data, size);
        return true; /* or it has aborted */
}
