/* SPDX-License-Identifier: MIT */

/*
 * The crash-point harness: kills a victim with SIGKILL at its k-th system-call stop, for every k,
 * or has its k-th system call fail, and looks whether the promise held. This file says which groups
 * there are; crash-group.c chooses the points, crash-run.c runs one, crash-scenarios.c, -owners.c
 * and -starts.c say what is done, crash-check.c what must be true.
 *
 * Entry and exit stops both count, and every thread of the victim has its turn.
 */

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-group.h"
#include "tests/crash-process.h"

#define OTHER_UID 65534U /* as root: whose clients there are as well */

static const char help[] =
        "Usage: crashpoint [OPTION...]\n"
        "Kills programs that use tempfiled, or tempfiled, at every system call.\n"
        "\n"
        "  --list            list the scenarios\n"
        "  --scenario NAME   this one only\n"
        "  --victim WHO      client, daemon (started again), or both (daemon, client at once)\n"
        "  --thread N        the victim's N-th thread only\n"
        "  --point N         its N-th stop only\n"
        "  --errors          calls fail, with each error that makes sense, and nobody is killed\n"
        "  --error NAME      the same with this one only: ENOSPC, EIO, ENOMEM, EMFILE, EINTR, or\n"
        "                    EIO-from-there-on\n"
        "  --every N         every N-th point only\n"
        "  --seed N          which ones these are; else always the same\n"
        "  --uid N           as root: the clients are this user's; else once 0's, once 65534's\n"
        "  --verbose         tell every stop\n"
        "\n"
        "The daemon is $TEMPFILED. $TEMPFILED_TEST_FULL: every point of it.\n";

static bool parse_number(const char *text, uint64_t *ret)
{
        char *end;

        *ret = strtoull(text, &end, 10);
        return *text != '\0' && *end == '\0';
}

static int parse_victim(const char *name)
{
        for (int i = 0; i < CRASH_VICTIMS; i++)
                if (streq(crash_victims[i], name))
                        return i;
        return -1;
}

static bool parse_option(struct crash_options *o, int opt)
{
        uint64_t n = 0;

        if (strchr("tpnsu", opt) && !parse_number(optarg, &n))
                return false;
        switch (opt) {
        case 'l':
                o->is_list = true;
                return true;
        case 'V':
                o->is_verbose = true;
                return true;
        case 'S':
                o->scenario = optarg;
                return crash_scenario_find(optarg);
        case 'v':
                o->victim = parse_victim(optarg);
                return o->victim >= 0;
        case 'E':
                o->has_errors = true;
                return true;
        case 'e':
                o->has_errors = true;
                o->error = crash_error_find(optarg);
                return o->error < CRASH_ERRORS;
        case 't':
                o->thread = (unsigned int) n;
                return true;
        case 'p':
                o->point = n;
                return true;
        case 'n':
                o->every = (unsigned int) n;
                return true;
        case 's':
                o->seed = (unsigned int) n;
                return true;
        case 'u':
                o->uid = (uid_t) n;
                o->has_uid = true;
                return geteuid() == 0;
        default:
                return false;
        }
}

static bool parse(int argc, char *argv[], struct crash_options *o)
{
        static const struct option longs[] = {
                { "list", no_argument, NULL, 'l' },
                { "scenario", required_argument, NULL, 'S' },
                { "victim", required_argument, NULL, 'v' },
                { "thread", required_argument, NULL, 't' },
                { "point", required_argument, NULL, 'p' },
                { "errors", no_argument, NULL, 'E' },
                { "error", required_argument, NULL, 'e' },
                { "every", required_argument, NULL, 'n' },
                { "seed", required_argument, NULL, 's' },
                { "uid", required_argument, NULL, 'u' },
                { "verbose", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { NULL, 0, NULL, 0 },
        };
        int opt;

        while ((opt = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
                if (opt == 'h') {
                        (void) fputs(help, stdout);
                        exit(EXIT_SUCCESS);
                }
                if (opt == '?' || !parse_option(o, opt)) {
                        (void) fprintf(stderr, "Wrong option; see crashpoint --help.\n");
                        return false;
                }
        }
        return optind == argc;
}

static void list_scenarios(void)
{
        for (const struct crash_scenario *s = NULL; (s = crash_scenario_next(s));)
                printf("%-18s %s\n", s->name, s->about);
}

static void on_signal(int sig)
{
        crash_is_interrupted = 1;
}

static void catch_signals(void)
{
        struct sigaction sa = { .sa_handler = on_signal };

        (void) sigaction(SIGINT, &sa, NULL);
        (void) sigaction(SIGTERM, &sa, NULL);
        (void) sigaction(SIGHUP, &sa, NULL);
}

/* A world to run groups in: of the self-test, or of one user's clients. */
struct round {
        bool is_selftest;
        uid_t uid;
};

static bool is_wanted(const struct crash_options *o, const struct round *r,
                      const struct crash_scenario *s, enum crash_victim victim)
{
        bool is_faulty = s->flags & CRASH_FLAG_FAULTY;

        if (o->has_errors && victim == CRASH_BOTH)
                return false; /* calls fail here or there */
        return is_faulty == r->is_selftest && crash_run_knows(s, victim) &&
               (!o->scenario || streq(o->scenario, s->name)) &&
               (o->victim < 0 || o->victim == (int) victim);
}

static unsigned int count_groups(const struct crash_options *o, const struct round *r)
{
        unsigned int n = 0;

        for (const struct crash_scenario *s = NULL; (s = crash_scenario_next(s));)
                for (int v = 0; v < CRASH_VICTIMS; v++)
                        n += is_wanted(o, r, s, v);
        return n;
}

/* All wanted groups. Returns how many failed. */
static unsigned int run_groups(const struct crash_options *o, const struct round *r, int signal_fd,
                               unsigned int *number, struct crash_totals *totals)
{
        unsigned int failures = 0;

        for (const struct crash_scenario *s = NULL; (s = crash_scenario_next(s));)
                for (int v = 0; v < CRASH_VICTIMS; v++)
                        if (!crash_is_interrupted && is_wanted(o, r, s, v))
                                failures += !crash_group_run(o, r->uid, signal_fd, s, v, ++*number,
                                                             totals);
        return failures;
}

/* Returns how many groups failed. */
static unsigned int run_rounds(const struct crash_options *o, int signal_fd)
{
        const struct round rounds[] = { { true, o->uid }, { false, o->uid }, { false, OTHER_UID } };
        /* Whose the clients are makes no difference to what fails, but in the full form. */
        const bool has_others = !o->has_errors || getenv("TEMPFILED_TEST_FULL");
        const size_t n = geteuid() == 0 && !o->has_uid && has_others ? 3 : 2;
        unsigned int plan = 0, number = 0, failures = 0;
        struct crash_totals totals = { 0 };

        for (size_t i = 0; i < n; i++)
                plan += count_groups(o, &rounds[i]);
        printf("1..%u\n", plan);
        for (size_t i = 0; i < n; i++)
                failures += run_groups(o, &rounds[i], signal_fd, &number, &totals);
        printf("# in all %" PRIu64 " points and %" PRIu64 " errors tried\n", totals.points,
               totals.errors);
        return failures;
}

int main(int argc, char *argv[])
{
        struct crash_options o = {
                .program = argv[0],
                .victim = -1,
                .error = CRASH_ERRORS,
                .uid = geteuid(),
        };
        unsigned int failures;
        int signal_fd, r;

        if (argc > 1 && streq(argv[1], CRASH_PROCESS_CLIENT))
                return crash_process_main(argc, argv);
        if (!parse(argc, argv, &o))
                return 2;
        if (o.is_list) {
                list_scenarios();
                return EXIT_SUCCESS;
        }

        /* LeakSanitizer traces its own process at exit: it can't in one that is traced already */
        (void) setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
        catch_signals();
        if (o.has_errors && !crash_fault_is_possible()) {
                printf("1..0 # SKIP calls can't be made to fail on this architecture\n");
                return EXIT_SUCCESS;
        }
        signal_fd = trace_setup();
        if (signal_fd < 0) {
                printf("Bail out! signalfd\n");
                return EXIT_FAILURE;
        }
        r = trace_probe();
        if (r < 0) {
                printf("1..0 # SKIP processes can't be traced here: %s\n", strerror(-r));
                return EXIT_SUCCESS;
        }
        failures = run_rounds(&o, signal_fd);
        if (crash_is_interrupted)
                printf("Bail out! Interrupted.\n");
        return failures > 0 || crash_is_interrupted ? EXIT_FAILURE : EXIT_SUCCESS;
}
