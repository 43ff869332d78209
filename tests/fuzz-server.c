/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/fuzz-server.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/store.h"
#include "libclient/remover.h"
#include "libclient/util.h"

#define NOBODY 65534

char fuzz_dir[64];

static sd_event *event;
static struct server *server;
static struct store *store;

const char *fuzz_path(const char *path)
{
        static char paths[4][512];
        static unsigned int n;
        char *at = paths[n++ % ARRAY_SIZE(paths)];

        (void) snprintf(at, sizeof(paths[0]), "%s/%s", fuzz_dir, path);
        return at;
}

void fuzz_make_file(const char *path)
{
        close_fd(open(fuzz_path(path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void remove_all(void)
{
        int fd = open("/dev/shm", O_PATH | O_CLOEXEC);

        (void) remover_remove(fd, strrchr(fuzz_dir, '/') + 1, REMOVER_RECURSIVE, NULL, NULL);
        close_fd(fd);
}

static void become_nobody(void)
{
        if (geteuid() != 0)
                return;
        fuzz_require(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                     setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void make_all(void)
{
        become_nobody();
        (void) snprintf(fuzz_dir, sizeof(fuzz_dir), "/dev/shm/tempfiled-fuzz-XXXXXX");
        fuzz_require(mkdtemp(fuzz_dir));
        fuzz_require(mkdir(fuzz_path("files"), 0700) == 0);
        fuzz_require(mkdir(fuzz_path("state"), 0700) == 0);
        fuzz_require(mkdir(fuzz_path("outside"), 0777) == 0);
        fuzz_require(mkdir(fuzz_path("outside/directory"), 0777) == 0);
        fuzz_make_file("outside/file");
        fuzz_make_file("outside/directory/file");
        log_set_level(LOG_CRIT);
        (void) atexit(remove_all);
}

void fuzz_server_clear(void)
{
        const unsigned int contents = REMOVER_RECURSIVE | REMOVER_CONTENTS;
        int fd;

        if (!*fuzz_dir)
                make_all();
        fd = open(fuzz_dir, O_PATH | O_CLOEXEC);
        fuzz_require(remover_remove(fd, "files", contents, NULL, NULL) >= 0);
        fuzz_require(remover_remove(fd, "state", contents, NULL, NULL) >= 0);
        close_fd(fd);
        fuzz_require(symlink("../outside", fuzz_path("files/link")) == 0);
}

void fuzz_server_check(void)
{
        struct stat st;

        fuzz_require(lstat(fuzz_path("outside/file"), &st) == 0 && S_ISREG(st.st_mode));
        fuzz_require(lstat(fuzz_path("outside/directory/file"), &st) == 0);
        fuzz_require(lstat(fuzz_path("files"), &st) == 0 && S_ISDIR(st.st_mode));
}

static struct sockaddr_un address(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", fuzz_dir);
        return a;
}

int fuzz_server_start(void)
{
        struct server_options options = { .is_power = true };
        struct sockaddr_un a = address();
        _cleanup_(freep) char *salvaged = NULL;
        int fd, r;

        fuzz_require(sd_event_new(&event) >= 0);
        r = store_open(fuzz_path("state"), &store, &salvaged);
        if (r >= 0)
                r = server_new(event, store, &options, &server);
        if (r >= 0) {
                fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void) unlink(a.sun_path);
                fuzz_require(bind(fd, (struct sockaddr *) &a, sizeof(a)) == 0);
                fuzz_require(server_listen(server, fd) == 0);
                r = server_start(server);
        }
        if (r < 0)
                fuzz_server_stop();
        return r;
}

/* A little longer than until nothing is under way: the disk's thread answers late. */
void fuzz_server_settle(void)
{
        unsigned int jobs, hung;

        do {
                while (sd_event_run(event, 0) > 0)
                        ;
                pool_count(registry_pool(server_registry(server)), &jobs, &hung);
        } while (sd_event_run(event, jobs > 0 ? 10000 : 300) > 0 || jobs > 0);
}

void fuzz_server_stop(void)
{
        if (server)
                fuzz_server_settle();
        server_free(server);
        store_close(store);
        server = NULL;
        store = NULL;
        event = sd_event_unref(event);
}

int fuzz_server_connect(void)
{
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un a = address();

        fuzz_require(connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0);
        return fd;
}
