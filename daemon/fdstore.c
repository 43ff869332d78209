/* SPDX-License-Identifier: MIT */

/*
 * Owns what the service manager keeps for the daemon. It drops what goes beyond its maximum and
 * says so in its own log only: so what it has is counted here. FDPOLL=0, since it can't poll an
 * O_PATH descriptor.
 */

#include "daemon/fdstore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "libclient/util.h"

#define KEPT_MAX 4096U /* FileDescriptorStoreMax= in the units, where $FDSTORE does not tell */

struct kept {
        uint64_t id, ino;
        int fd; /* -1: taken */
};

struct fdstore {
        struct kept *kept; /* at the start */
        unsigned int n_kept;
        unsigned int n_stored, max;
        bool is_full; /* and was said to be */
};

/* systemd 254 says how many it takes; older ones don't, and are believed to have our units. */
static unsigned int read_max(void)
{
        const char *text = getenv("FDSTORE");
        unsigned int max;

        if (!getenv("NOTIFY_SOCKET"))
                return 0;
        if (text && sscanf(text, "%u", &max) == 1)
                return max;
        return KEPT_MAX;
}

static bool parse_name(const char *name, struct kept *k)
{
        int end = 0;

        return sscanf(name, "d%" SCNu64 "-%" SCNx64 "%n", &k->id, &k->ino, &end) == 2 &&
               name[end] == 0;
}

static int receive(struct fdstore *f)
{
        char **names = NULL;
        int n = sd_listen_fds_with_names(0, &names);

        if (n <= 0)
                return n;
        f->kept = calloc((size_t) n, sizeof(*f->kept));
        for (int i = 0; i < n; i++) {
                if (f->kept && parse_name(names[i], &f->kept[f->n_kept]))
                        f->kept[f->n_kept++].fd = SD_LISTEN_FDS_START + i;
                free(names[i]);
        }
        free(names);
        f->n_stored = f->n_kept;
        return f->kept ? 0 : -ENOMEM;
}

int fdstore_new(struct fdstore **ret)
{
        struct fdstore *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->max = read_max();
        r = receive(f);
        if (r < 0) {
                fdstore_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

void fdstore_free(struct fdstore *f)
{
        if (!f)
                return;
        free(f->kept); /* descriptors that nobody took are closed with the process */
        free(f);
}

int fdstore_take(struct fdstore *f, uint64_t id, uint64_t ino)
{
        for (unsigned int i = 0; f && i < f->n_kept; i++)
                if (f->kept[i].id == id && f->kept[i].ino == ino)
                        return TAKE_FD(f->kept[i].fd);
        return -1;
}

bool fdstore_keep(struct fdstore *f, uint64_t id, uint64_t ino, int fd)
{
        char text[128];

        if (!f || f->max == 0 || fd < 0)
                return false;
        if (f->n_stored >= f->max) {
                if (!f->is_full)
                        log_warning("The service manager keeps no more than %u descriptors: "
                                    "further directories of clients that see other mounts "
                                    "will be out of reach after a restart",
                                    f->max);
                f->is_full = true;
                return false;
        }
        (void) snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=d%" PRIu64 "-%" PRIx64 "\nFDPOLL=0",
                        id, ino);
        if (notify_send(text, fd) <= 0)
                return false;
        f->n_stored++;
        return true;
}

void fdstore_forget(struct fdstore *f, uint64_t id, uint64_t ino)
{
        char text[128];

        if (!f)
                return;
        (void) snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=d%" PRIu64 "-%" PRIx64, id,
                        ino);
        if (notify_send(text, -1) == -EAGAIN)
                return; /* it goes at the next start, when nobody takes it */
        f->n_stored -= f->n_stored > 0;
        f->is_full = false;
}

int fdstore_drop_one(struct fdstore *f)
{
        for (unsigned int i = 0; f && i < f->n_kept; i++) {
                if (f->kept[i].fd < 0)
                        continue;
                fdstore_forget(f, f->kept[i].id, f->kept[i].ino);
                return TAKE_FD(f->kept[i].fd);
        }
        return -1;
}
