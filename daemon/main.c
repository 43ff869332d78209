/* SPDX-License-Identifier: MIT */

/*
 * Arguments, configuration, sockets, run. What the arguments say counts more than what a file
 * says. Where nothing is said: the system instance as root, with
 * /run/tempfiled/socket and /var/lib/tempfiled; --user: below $XDG_RUNTIME_DIR and
 * $XDG_STATE_HOME. A socket handed over by the service manager comes before a path.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "daemon/config.h"
#include "daemon/delegate.h"
#include "daemon/fdstore.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/server.h"
#include "libclient/util.h"

#define LOCK_PAUSE_NSEC (100 * 1000 * 1000)
#define CHILD_PAUSE_NSEC (10 * 1000 * 1000)
#define CHILD_PAUSES 200U /* two seconds, on a busy machine */

struct arguments {
        const char *socket;
        const char *state_dir;
        const char *config;     /* NULL: where it is looked for */
        const char *durability; /* NULL: as configured */
        bool is_user;
        bool is_container;
        bool only_checks;
        char *made_socket, *made_state_dir; /* what the defaults come to */
};

static const char help[] =
        "tempfiled [OPTION...]\n\n"
        "Delete temporary files and directories when their owner ends.\n\n"
        "  -h --help             show this help\n"
        "     --version          show the version\n"
        "     --user             the calling user's instance instead of the system's\n"
        "     --socket=PATH      listen here\n"
        "     --state-dir=DIR    keep the database here\n"
        "     --config=FILE      read this file instead of those in tempfiled.conf(5)\n"
        "     --check-config     say what is wrong with the configuration, show what holds,\n"
        "                        and end\n"
        "     --durability=HOW   power: promises outlive a power cut (default);\n"
        "                        crash: they outlive a crash of the daemon\n"
        "     --container        processes of an earlier pid namespace have ended: for one that\n"
        "                        runs in a container that is started again with its files\n"
        "     --debug            log more\n\n"
        "See tempfiled(8).\n";

enum {
        OPT_VERSION = 256,
        OPT_USER,
        OPT_SOCKET,
        OPT_STATE_DIR,
        OPT_CONFIG,
        OPT_CHECK_CONFIG,
        OPT_DURABILITY,
        OPT_CONTAINER,
        OPT_DEBUG
};

static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPT_VERSION },
        { "user", no_argument, NULL, OPT_USER },
        { "socket", required_argument, NULL, OPT_SOCKET },
        { "state-dir", required_argument, NULL, OPT_STATE_DIR },
        { "config", required_argument, NULL, OPT_CONFIG },
        { "check-config", no_argument, NULL, OPT_CHECK_CONFIG },
        { "durability", required_argument, NULL, OPT_DURABILITY },
        { "container", no_argument, NULL, OPT_CONTAINER },
        { "debug", no_argument, NULL, OPT_DEBUG },
        { NULL, 0, NULL, 0 },
};

static int usage_error(const char *what, const char *value)
{
        fprintf(stderr, "tempfiled: %s '%s'\nTry 'tempfiled --help'.\n", what, value);
        return -EINVAL;
}

/* 1: go on; 0: done; negative: wrong, and said so. */
static int parse_arguments(int argc, char *argv[], struct arguments *a)
{
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                switch (c) {
                case 'h':
                        fputs(help, stdout);
                        return 0;
                case OPT_VERSION:
                        puts("tempfiled " PACKAGE_VERSION);
                        return 0;
                case OPT_USER:
                        a->is_user = true;
                        break;
                case OPT_SOCKET:
                        a->socket = optarg;
                        break;
                case OPT_STATE_DIR:
                        a->state_dir = optarg;
                        break;
                case OPT_CONFIG:
                        a->config = optarg;
                        break;
                case OPT_CHECK_CONFIG:
                        a->only_checks = true;
                        break;
                case OPT_DURABILITY:
                        if (!streq(optarg, "power") && !streq(optarg, "crash"))
                                return usage_error("--durability is power or crash, not", optarg);
                        a->durability = optarg;
                        break;
                case OPT_CONTAINER:
                        a->is_container = true;
                        break;
                case OPT_DEBUG:
                        log_set_level(LOG_DEBUG);
                        break;
                default: /* getopt has said what is wrong */
                        fputs("Try 'tempfiled --help'.\n", stderr);
                        return -EINVAL;
                }
        }
        if (optind < argc)
                return usage_error("unexpected argument", argv[optind]);
        return 1;
}

static int default_paths(struct arguments *a)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME");
        const char *given = getenv("STATE_DIRECTORY"), *home = getenv("HOME");
        int r = 0;

        if (!a->state_dir && given && *given)
                a->state_dir = given;
        if (!a->is_user) {
                a->socket = a->socket ? a->socket : "/run/tempfiled/socket";
                a->state_dir = a->state_dir ? a->state_dir : "/var/lib/tempfiled";
                return 0;
        }
        if (!a->socket) {
                if (!runtime || *runtime != '/')
                        return usage_error("--user without --socket needs", "XDG_RUNTIME_DIR");
                r = asprintf(&a->made_socket, "%s/tempfiled/socket", runtime);
                a->socket = a->made_socket;
        }
        if (r >= 0 && !a->state_dir) {
                if ((!state || *state != '/') && (!home || *home != '/'))
                        return usage_error("--user without --state-dir needs", "HOME");
                r = state && *state == '/'
                            ? asprintf(&a->made_state_dir, "%s/tempfiled", state)
                            : asprintf(&a->made_state_dir, "%s/.local/state/tempfiled", home);
                a->state_dir = a->made_state_dir;
        }
        return r < 0 ? -ENOMEM : 0;
}

/* The number of complaints, or a negative errno. */
static int read_config(const struct arguments *a, struct config *c)
{
        char *directories[CONFIG_DIRECTORIES_MAX + 1];
        unsigned int n;
        int r;

        config_init(c);
        if (a->config)
                n = config_read_path(c, a->config);
        else {
                r = config_directories(a->is_user, directories);
                if (r < 0)
                        return r;
                n = config_load(c, directories);
                config_directories_done(directories);
        }
        if (a->durability)
                c->is_power = streq(a->durability, "power");
        return (int) n;
}

static int check_config(const struct arguments *a)
{
        struct config c;
        int r;

        r = read_config(a, &c);
        if (r < 0)
                log_error("Cannot read the configuration: %s", strerror(-r));
        else
                config_print(&c, stdout);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* One that is made gets just that mode, whatever the umask. */
static int make_directory(const char *path, mode_t mode)
{
        if (mkdir(path, mode) < 0)
                return errno == EEXIST ? 0 : -errno;
        return chmod(path, mode) < 0 ? -errno : 0;
}

/* Makes the directory, and those above it that are missing. */
static int make_directories(const char *path, mode_t mode)
{
        _cleanup_(freep) char *copy = strdup(path);
        int r;

        if (!copy)
                return -ENOMEM;
        for (char *at = copy + 1; *at; at++) {
                if (*at != '/')
                        continue;
                *at = 0;
                r = make_directory(copy, 0755);
                if (r < 0)
                        return r;
                *at = '/';
        }
        return make_directory(copy, mode);
}

static int make_parent(const char *path)
{
        _cleanup_(freep) char *copy = strdup(path);
        char *slash = copy ? strrchr(copy, '/') : NULL;

        if (!copy)
                return -ENOMEM;
        if (!slash || slash == copy)
                return 0;
        *slash = 0;
        return make_directories(copy, 0755);
}

/* A socket that nobody listens on any more is taken over. */
static int bind_over(int fd, const struct sockaddr_un *address, socklen_t len)
{
        _cleanup_(closep) int probe = -1;
        struct stat st;

        if (bind(fd, (const struct sockaddr *) address, len) == 0)
                return 0;
        if (errno != EADDRINUSE)
                return -errno;
        if (lstat(address->sun_path, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode))
                return -EEXIST;
        probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (probe < 0)
                return -errno;
        if (connect(probe, (const struct sockaddr *) address, len) == 0)
                return -EADDRINUSE;
        if (errno == ENOMEM || errno == ENOBUFS)
                return -errno; /* nothing was learned */
        if (errno != ECONNREFUSED)
                return -EADDRINUSE;
        if (unlink(address->sun_path) < 0)
                return -errno;
        return bind(fd, (const struct sockaddr *) address, len) < 0 ? -errno : 0;
}

static int bind_socket(const struct arguments *a)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = -1;
        size_t len = strlen(a->socket);
        mode_t mode, before;
        int r;

        if (len >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, a->socket, len);
        r = make_parent(a->socket);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        /* Who may register what is decided by credentials, not by the socket's mode. It is born with
         * that mode: a client that is waiting for us to come back would be refused for good. */
        mode = cred_is_own(0) && !a->is_user ? 0666 : 0600;
        before = umask(0777 & ~mode);
        r = bind_over(fd, &address, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len + 1));
        (void) umask(before);
        if (r < 0)
                return r;
        return TAKE_FD(fd);
}

/* Inherited sockets, or our own. *ret_own: the path to be removed at the end. */
static int open_sockets(struct server *s, const struct arguments *a, const char **ret_own)
{
        int n = sd_listen_fds(1), n_sockets = 0, fd, r;

        if (n < 0)
                return n;
        for (int i = 0; i < n; i++) {
                fd = SD_LISTEN_FDS_START + i;
                if (sd_is_socket_unix(fd, SOCK_SEQPACKET, -1, NULL, 0) <= 0)
                        continue; /* a descriptor of another kind is not for us to serve */
                r = server_listen(s, fd);
                if (r < 0)
                        return r;
                n_sockets++;
        }
        if (n_sockets > 0)
                return 0;
        fd = bind_socket(a);
        if (fd < 0)
                return fd;
        *ret_own = a->socket;
        return server_listen(s, fd);
}

static void say_in_use(const char *state_dir)
{
        struct lock_holder h;

        if (!lock_find_holder(state_dir, &h))
                log_error("The state directory '%s' is in use by another daemon", state_dir);
        else if (!h.is_killed)
                log_error("The state directory '%s' is in use by another daemon, process %d",
                          state_dir, (int) h.pid);
        else
                log_error("The state directory '%s' is in use by process %d, a daemon that was "
                          "killed and can't end: it waits for a file system that does not answer. "
                          "Waiting until that answers, or is unmounted by force",
                          state_dir, (int) h.pid);
}

/* 1: who has the lock will let go of it; 0: it is not worth waiting; -EINTR: we are to end ourselves. */
static int wait_for_killed(const char *state_dir)
{
        const struct timespec pause = { 0, LOCK_PAUSE_NSEC };
        struct lock_holder h;
        sigset_t set;

        if (!lock_find_holder(state_dir, &h) || !h.is_killed)
                return 0;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM); /* blocked, see add_signals() */
        sigaddset(&set, SIGINT);
        return sigtimedwait(&set, NULL, &pause) < 0 ? 1 : -EINTR;
}

/* The daemon that had it was killed just as a child of its was about to execute a delegate, and has the
 * lock until then. */
static int outwait_child(const char *state_dir, struct store **ret, char **ret_salvaged)
{
        const struct timespec pause = { 0, CHILD_PAUSE_NSEC };
        struct lock_holder h;
        int r = -EBUSY;

        for (unsigned int i = 0; i < CHILD_PAUSES && r == -EBUSY; i++) {
                if (lock_find_holder(state_dir, &h))
                        break;
                (void) nanosleep(&pause, NULL);
                r = store_open(state_dir, ret, ret_salvaged);
        }
        return r;
}

static int open_store_in_use(const char *state_dir, struct store **ret, char **ret_salvaged)
{
        int r, waits;

        r = outwait_child(state_dir, ret, ret_salvaged);
        if (r != -EBUSY)
                return r;
        say_in_use(state_dir);
        do {
                waits = wait_for_killed(state_dir);
                if (waits < 0)
                        return waits;
                r = store_open(state_dir, ret, ret_salvaged);
        } while (r == -EBUSY && waits > 0);
        return r;
}

static int open_store(const struct arguments *a, struct store **ret)
{
        _cleanup_(freep) char *salvaged = NULL;
        int r;

        r = make_directories(a->state_dir, 0700);
        if (r >= 0)
                r = store_open(a->state_dir, ret, &salvaged);
        if (r == -EBUSY)
                r = open_store_in_use(a->state_dir, ret, &salvaged);
        if (r == -EPROTONOSUPPORT)
                log_error("The database in '%s' is of a newer version than this daemon",
                          a->state_dir);
        else if (r < 0 && r != -EBUSY && r != -EINTR)
                log_error("Cannot use the state directory '%s': %s", a->state_dir, strerror(-r));
        if (salvaged)
                log_write(
                        LOG_CRIT, &(struct log_fields) { .message_id = LOG_ID_SALVAGED },
                        "The database was damaged: set aside as '%s/%s', readable rows taken over",
                        a->state_dir, salvaged);
        return r;
}

static void raise_limits(void)
{
        struct rlimit limit;

        /* Each client costs two descriptors: its socket, and its pidfd. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit); /* then with fewer */
        }
}

struct running {
        const struct arguments *arguments;
        struct notify *notify;
        struct server *server; /* NULL: not yet */
};

/* What a service manager asks for as a reload: the configuration is read again. */
static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        struct running *running = userdata;
        char text[64];
        struct timespec t;
        struct config c;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        (void) snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                        (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC);
        (void) notify_send(text, -1);
        if (running->server && read_config(running->arguments, &c) >= 0)
                server_configure(running->server, &c);
        notify_ready(running->notify);
        return 0;
}

static int add_signals(sd_event *event, struct running *running)
{
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, running);
        if (r < 0)
                return r;
        r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r < 0)
                return r;
        return sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

static void say_cannot_listen(const char *socket, int error)
{
        if (error == -EADDRINUSE)
                log_error("The socket '%s' is in use by another daemon", socket);
        else
                log_error("Cannot listen on '%s': %s", socket, strerror(-error));
}

static int start_server(const struct arguments *a, struct server *s)
{
        struct config c;
        int r;

        r = read_config(a, &c);
        if (r < 0)
                return r;
        server_configure(s, &c);
        return server_start(s);
}

static int serve(struct running *running, sd_event *event, struct store *store,
                 struct fdstore *fdstore)
{
        const struct arguments *a = running->arguments;
        struct server_options o = {
                .is_system = !a->is_user,
                .is_container = a->is_container,
                .is_notifying = getenv("NOTIFY_SOCKET"),
                .fdstore = fdstore,
        };
        const char *own_socket = NULL;
        struct server *s = NULL;
        int r;

        r = server_new(event, store, &o, &s);
        if (r >= 0)
                r = start_server(a, s);
        if (r < 0) {
                log_error("Cannot start: %s", strerror(-r));
                server_free(s);
                return r;
        }
        r = open_sockets(s, a, &own_socket);
        if (r < 0)
                say_cannot_listen(a->socket, r);
        else {
                running->server = s;
                notify_ready(running->notify);
                r = sd_event_loop(event);
                (void) notify_send("STOPPING=1", -1);
        }
        if (own_socket)
                (void) unlink(own_socket); /* else taken over by the next */
        server_free(s);
        return r;
}

static int run(const struct arguments *a)
{
        struct running running = { .arguments = a };
        struct fdstore *fdstore = NULL;
        struct store *store = NULL;
        sd_event *event = NULL;
        int r;

        raise_limits();
        delegate_enable();
        r = fdstore_new(&fdstore);
        if (r >= 0)
                r = sd_event_new(&event);
        if (r >= 0)
                r = notify_new(event, &running.notify);
        if (r >= 0)
                r = add_signals(event, &running);
        if (r >= 0)
                r = notify_start_watchdog(running.notify);
        if (r < 0)
                log_error("Cannot start: %s", strerror(-r));
        else
                r = open_store(a, &store);
        if (r >= 0)
                r = serve(&running, event, store, fdstore);
        if (r == -EINTR) /* while it waited for the store */
                r = 0;
        store_close(store);
        notify_free(running.notify);
        sd_event_unref(event);
        fdstore_free(fdstore);
        return r;
}

int main(int argc, char *argv[])
{
        struct arguments a = { 0 };
        int r;

        if (argc > 0 && streq(argv[0], DELEGATE_NAME))
                return delegate_main();
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full disk, and no end */
        umask(0077);
        r = parse_arguments(argc, argv, &a);
        if (r == 0)
                return EXIT_SUCCESS;
        if (r > 0 && a.only_checks)
                return check_config(&a);
        if (r < 0 || default_paths(&a) < 0)
                return 2;
        r = run(&a);
        free(a.made_socket);
        free(a.made_state_dir);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
