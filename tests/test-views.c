/* SPDX-License-Identifier: MIT */

/*
 * Clients that see other files than the daemon does under the same paths: private mounts, a chroot,
 * a user namespace, a mount that is read-only, one that maps users. Each makes some of everything;
 * then it or the daemon is killed, in whichever order. What they made goes, or waits where nothing
 * leads there any more; and at the same paths in the daemon's view lie decoys, all of which stay.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/disk-fixture.h"
#include "tests/testutil.h"

#define SEEN_UID 61001U    /* whom a client is, on a mount that maps users */
#define ON_DISK_UID 70001U /* whose its files are on the disk */
#define ACKNOWLEDGED 'a'   /* orders */
#define REPORTED 'r'
#define STAYING 2U /* what was kept, and what was persisted */

#define TRY(expr)                                                                                  \
        do {                                                                                       \
                int try_r = (expr);                                                                \
                if (try_r < 0) {                                                                   \
                        (void) fprintf(stderr, "# line %d: %s: %s\n", __LINE__, #expr,             \
                                       strerror(try_r == -1 ? errno : -try_r));                    \
                        return -1;                                                                 \
                }                                                                                  \
        } while (0)

static struct world world;
static struct tempfile_options options;
static char other[PATH_MAX]; /* what some see in place of the world's directory */
static int orders[2];        /* to make another */
static int inside = -1;      /* what the client sees there */

static void set_up(void)
{
        if (geteuid() == 0)
                disk_own_mounts();
        world_init(&world);
        (void) snprintf(other, sizeof(other), "%s/other", world.top);
        ck_assert_int_eq(mkdir(other, 0700), 0);
        ck_assert_int_eq(pipe2(orders, O_CLOEXEC), 0);
        world_start_daemon(&world);
        options = world_options(&world);
}

static void tear_down(void)
{
        inside = close_fd(inside);
        daemon_fixture_kill(&world.daemon);
        daemon_fixture_drop_kept(&world.daemon);
        world_done(&world);
}

/* ---- views ----------------------------------------------------------------------------------- */

static int write_text(const char *path, const char *text)
{
        const int fd = open(path, O_WRONLY | O_CLOEXEC);
        const ssize_t len = (ssize_t) strlen(text), n = fd < 0 ? -1 : write(fd, text, (size_t) len);

        (void) close_fd(fd);
        return n == len ? 0 : -1;
}

/* Root in there is who this was. */
static int enter_user_namespace(void)
{
        const unsigned int uid = geteuid(), gid = getegid();
        char map[64];

        TRY(unshare(CLONE_NEWUSER | CLONE_NEWNS));
        TRY(write_text("/proc/self/setgroups", "deny"));
        (void) snprintf(map, sizeof(map), "0 %u 1", uid);
        TRY(write_text("/proc/self/uid_map", map));
        (void) snprintf(map, sizeof(map), "0 %u 1", gid);
        return write_text("/proc/self/gid_map", map);
}

/* An ordinary user may not do that in another way. */
static int unshare_mounts(void)
{
        if (geteuid() != 0)
                return enter_user_namespace();
        TRY(unshare(CLONE_NEWNS));
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int see_a_bind_mount(void)
{
        TRY(unshare_mounts());
        return mount(other, world.dir, NULL, MS_BIND, NULL);
}

static int see_memory(void)
{
        TRY(unshare_mounts());
        return mount("tempfiled-test", world.dir, "tmpfs", 0, NULL);
}

static int see_memory_as_another_root(void)
{
        TRY(enter_user_namespace());
        return mount("tempfiled-test", world.dir, "tmpfs", 0, NULL);
}

/* Without /proc, and with the daemon's socket elsewhere. */
static int see_another_root(void)
{
        char path[2 * PATH_MAX];

        TRY(unshare_mounts());
        (void) snprintf(path, sizeof(path), "%s/run", other);
        TRY(mkdir(path, 0700));
        TRY(mount(world.top, path, NULL, MS_BIND, NULL));
        (void) snprintf(path, sizeof(path), "%s/tmp", other);
        TRY(mkdir(path, 0700));
        (void) snprintf(path, sizeof(path), "%s%s", other, world.top);
        TRY(mkdir(path, 0700));
        (void) snprintf(path, sizeof(path), "%s%s", other, world.dir);
        TRY(mkdir(path, 0700));
        TRY(setenv("TEMPFILED_SOCKET", "/run/socket", 1));
        TRY(chroot(other));
        return chdir("/");
}

static int (*const views[])(void) = {
        see_a_bind_mount,
        see_memory,
        see_memory_as_another_root,
        see_another_root,
};
#define VIEWS ((int) ARRAY_SIZE(views))

static bool is_in_memory(int view)
{
        return views[view] == see_memory || views[view] == see_memory_as_another_root;
}

/* ---- what clients do there ------------------------------------------------------------------- */

static int make_with_pattern(const char *pattern)
{
        struct tempfile_options o = options;
        struct tempfile *t;

        o.pattern = pattern;
        return tempfile_named(&o, &t);
}

static int make_tree(void)
{
        struct tempfile *t;

        TRY(tempfile_directory(&options, &t));
        TRY(mkdirat(tempfile_fd(t), "sub", 0700));
        return close(openat(tempfile_fd(t), "sub/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int track_what_is_there(void)
{
        struct tempfile *t;

        TRY(close(open(world_path(&world, "mine"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
        TRY(tempfile_track(world_path(&world, "mine"), NULL, &t));
        TRY(mkdir(world_path(&world, "tree"), 0700));
        TRY(mkdir(world_path(&world, "tree/sub"), 0700));
        return tempfile_track(world_path(&world, "tree"), NULL, &t);
}

static int make_what_stays(void)
{
        struct tempfile *t;

        TRY(tempfile_named(&options, &t));
        TRY(tempfile_persist(t, world_path(&world, "final"), 0));
        TRY(tempfile_named(&options, &t));
        return tempfile_keep(t);
}

static int make_some_of_everything(void)
{
        struct tempfile *t;

        TRY(make_with_pattern(NULL));
        TRY(make_with_pattern("a.XXX"));
        TRY(make_with_pattern("b.XXXXXXXXXXXX"));
        TRY(make_tree());
        TRY(track_what_is_there());
        TRY(tempfile_pseudo_file(&options, NULL));
        TRY(tempfile_named(&options, &t));
        TRY(tempfile_close(t));
        return make_what_stays(); /* acknowledged: all before it is stored by then */
}

static int make_and_obey(int to)
{
        char c;

        TRY(make_some_of_everything());
        victim_say(to, "ready");
        while (read(orders[0], &c, 1) == 1) {
                TRY(make_with_pattern(c == ACKNOWLEDGED ? "b.XXXXXXXXXXXX" : NULL));
                victim_say(to, "done");
        }
        return 0;
}

static int live_there(int to, void *userdata)
{
        int (*const enter)(void) = *(int (*const *)(void)) userdata;

        TRY(enter());
        return make_and_obey(to);
}

/* ---- looking on ------------------------------------------------------------------------------ */

static void listen_to(struct victim *v)
{
        char said[16];

        ck_assert_msg(victim_hear(v, said, sizeof(said)), "it ended with %d", victim_join(v));
}

static void start(struct victim *v, int view)
{
        char path[2 * PATH_MAX];

        victim_start(v, live_there, (void *) &views[view]);
        listen_to(v);
        (void) snprintf(path, sizeof(path), "/proc/%d/root%s", (int) v->pid, world.dir);
        inside = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        ck_assert_msg(inside >= 0, "%s: %s", path, strerror(errno));
}

static void make_another(struct victim *v, char order)
{
        ck_assert_int_eq(write(orders[1], &order, 1), 1);
        listen_to(v);
}

static const char *path_inside(void)
{
        static char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) getpid(), inside);
        return path;
}

/* Under each name that there is, here. They stay whatever happens. */
static void lay_decoys(void)
{
        static const char script[] = "cp -r \"$FROM\"/. \"$TO\" && find \"$TO\" -type f |"
                                     "while read -r name; do echo decoy >\"$name\"; done";

        ck_assert_int_eq(setenv("FROM", path_inside(), 1), 0);
        ck_assert_int_eq(setenv("TO", world.dir, 1), 0);
        ck_assert_int_eq(system(script), 0);
}

static unsigned int count_all(const char *dir)
{
        char command[4 * PATH_MAX];
        unsigned int n = 0;
        FILE *f;

        (void) snprintf(command, sizeof(command), "find %s/ -mindepth 1 | wc -l", dir);
        f = popen(command, "re");
        ck_assert_ptr_nonnull(f);
        ck_assert_int_eq(fscanf(f, "%u", &n), 1);
        (void) pclose(f);
        return n;
}

static void wait_gone_inside(void)
{
        ck_assert(wait_left(path_inside(), STAYING));
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(path_inside()), STAYING);
        ck_assert_int_eq(faccessat(inside, "final", F_OK, 0), 0);
}

static void restart_daemon(void)
{
        world_kill_daemon(&world);
        world_start_daemon(&world);
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(what_was_made_in_another_view_goes_with_its_maker)
{
        struct victim v;
        unsigned int n;

        start(&v, _i);
        lay_decoys();
        n = count_all(world.dir);
        ck_assert_uint_gt(n, STAYING);
        victim_kill(&v, SIGKILL);
        wait_gone_inside();
        ck_assert_uint_eq(count_all(world.dir), n);
}
END_TEST

/* The service manager has nothing of it: its maker brings the descriptor again.
 */
START_TEST(who_speaks_after_a_restart_brings_its_directory_again)
{
        struct victim v;
        unsigned int n;

        start(&v, _i);
        restart_daemon();
        make_another(&v, ACKNOWLEDGED);
        lay_decoys();
        n = count_all(world.dir);
        victim_kill(&v, SIGKILL);
        wait_gone_inside();
        ck_assert_uint_eq(count_all(world.dir), n);
}
END_TEST

/* It has a descriptor of that directory: opened a moment after it has started. */
static bool has_descriptor(const struct stat *wanted)
{
        char path[128];
        struct stat st;

        for (int fd = 0; fd < 256; fd++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) world.daemon.pid, fd);
                if (stat(path, &st) == 0 && st.st_dev == wanted->st_dev &&
                    st.st_ino == wanted->st_ino)
                        return true;
        }
        return false;
}

static void wait_kept(unsigned int n)
{
        const time_t end = time(NULL) + 60;

        while (daemon_fixture_count_kept(&world.daemon) != n) {
                ck_assert_int_lt(time(NULL), end);
                (void) poll(NULL, 0, 1);
        }
}

static void wait_for_descriptor(void)
{
        const time_t end = time(NULL) + 60;
        struct stat st;

        ck_assert_int_eq(fstat(inside, &st), 0);
        while (!has_descriptor(&st))
                ck_assert_int_lt(time(NULL), end);
}

/* It is idle, and the descriptor lost: it sees the directory, still. */
START_TEST(where_its_maker_sees_it_it_is_found_again)
{
        struct victim v;
        unsigned int n;

        world_kill_daemon(&world);
        world.daemon.is_keeping = true;
        world_start_daemon(&world);
        start(&v, _i);
        world_kill_daemon(&world);
        daemon_fixture_drop_kept(&world.daemon);
        world_start_daemon(&world);
        wait_for_descriptor();
        wait_kept(1); /* from now on again */
        lay_decoys();
        n = count_all(world.dir);
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        wait_gone_inside();
        ck_assert_uint_eq(count_all(world.dir), n);
}
END_TEST

/* Also what is made meanwhile, which nobody was told of. */
START_TEST(what_the_service_manager_keeps_leads_there_when_both_have_died)
{
        struct victim v;
        unsigned int n;

        world_kill_daemon(&world);
        world.daemon.is_keeping = true;
        world_start_daemon(&world);
        start(&v, _i);
        world_kill_daemon(&world);
        ck_assert_uint_eq(world.daemon.n_kept, 1);
        make_another(&v, REPORTED);
        lay_decoys();
        n = count_all(world.dir);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        wait_gone_inside();
        ck_assert_uint_eq(count_all(world.dir), n);
        if (is_in_memory(_i)) /* what is on a disk may be back after a power cut */
                wait_kept(0);
}
END_TEST

/* It may just be tried again. */
static int keep_waiting(const struct tempfile_entry *e, void *userdata)
{
        unsigned int *n = userdata;
        struct tempfile_admin *a;
        int r;

        if (e->owner_kind == TEMPFILE_OWNER_DESCRIPTOR) { /* nor can its lock be looked at */
                ck_assert_int_eq(e->state, TEMPFILE_STATE_LIVE);
        } else {
                ck_assert_int_eq(e->state, TEMPFILE_STATE_WAITING);
                ck_assert_int_eq(e->error, -ENOLINK);
        }
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        do
                r = tempfile_admin_keep(a, e->id);
        while (r == -ESTALE);
        ck_assert_int_eq(r, 0);
        tempfile_admin_close(a);
        (*n)++;
        return 0;
}

static bool wait_waiting(unsigned int n)
{
        struct tempfile_status s = { .size = sizeof(s) };
        const time_t end = time(NULL) + 60;
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        while (tempfile_admin_status(a, &s) == 0 && s.waiting != n && time(NULL) < end)
                ;
        tempfile_admin_close(a);
        return s.waiting == n;
}

/* It is listed, and nothing is guessed: the same paths in this view are not
 * what is meant. */
START_TEST(what_nothing_leads_to_waits_and_no_path_is_gone_by)
{
        struct tempfile_admin *a;
        unsigned int n, n_inside, n_kept = 0;
        struct victim v;

        start(&v, _i);
        lay_decoys();
        n = count_all(world.dir);
        n_inside = count_files(path_inside());
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        ck_assert(wait_waiting(n_inside - STAYING - 1)); /* one is a descriptor's */
        ck_assert_uint_eq(count_files(path_inside()), n_inside);
        ck_assert_uint_eq(count_all(world.dir), n);
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_ge(tempfile_admin_list(a, NULL, keep_waiting, &n_kept), 0);
        tempfile_admin_close(a);
        ck_assert_uint_eq(n_kept, n_inside - STAYING);
        ck_assert(wait_list_empty());
        restart_daemon();
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_all(world.dir), n);
}
END_TEST

/* ---- the same directory, through another mount ----------------------------------------------- */

static int write_maps(pid_t pid, const char *map)
{
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
        TRY(write_text(path, map));
        (void) snprintf(path, sizeof(path), "/proc/%d/gid_map", (int) pid);
        TRY(write_text(path, map));
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static int be_in_user_namespace(int to, void *userdata)
{
        TRY(unshare(CLONE_NEWUSER));
        victim_say(to, "");
        victim_wait();
}

/* A mount of @dir that shows the disk's users as the client's, detached. -1:
 * not here. */
static int map_users(const char *dir)
{
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
        int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), fd;
        char map[64], said[4];
        struct victim v;

        (void) snprintf(map, sizeof(map), "0 0 1\n%u %u 1\n", ON_DISK_UID, SEEN_UID);
        victim_start(&v, be_in_user_namespace, NULL);
        fd = victim_hear(&v, said, sizeof(said)) ? write_maps(v.pid, map) : -1;
        victim_kill(&v, SIGKILL);
        attr.userns_fd = (uint64_t) fd;
        if (fd < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                tree = close_fd(tree);
        (void) close_fd(fd);
        return tree;
}

/* To where the directory itself is: it is the daemon's too, under the same
 * path. */
static int live_with_mapped_users(int to, void *userdata)
{
        TRY(unshare(CLONE_NEWNS));
        TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
        TRY(move_mount(*(int *) userdata, "", AT_FDCWD, world.dir, MOVE_MOUNT_F_EMPTY_PATH));
        if (setgroups(0, NULL) < 0 || setgid(SEEN_UID) < 0 || setuid(SEEN_UID) < 0)
                return 1;
        return make_and_obey(to);
}

static bool start_with_mapped_users(struct victim *v)
{
        int tree = map_users(world.dir);

        if (tree < 0) {
                (void) fprintf(stderr, "# SKIP users can't be mapped here\n");
                return false;
        }
        ck_assert_int_eq(chmod(world.dir, 01777), 0);
        ck_assert_int_eq(chmod(world.daemon.socket, 0666), 0);
        victim_start(v, live_with_mapped_users, &tree);
        (void) close(tree);
        listen_to(v);
        return true;
}

/* Under their numbers on the disk they are somebody else's. */
START_TEST(what_was_made_where_users_are_mapped_goes_with_its_maker)
{
        struct victim v;
        struct stat st;

        write_file(world_path(&world, "stranger"), "");
        ck_assert_int_eq(chown(world_path(&world, "stranger"), SEEN_UID, SEEN_UID), 0);
        if (!start_with_mapped_users(&v))
                return;
        ck_assert_int_eq(stat(world_path(&world, "mine"), &st), 0);
        ck_assert_uint_eq(st.st_uid, ON_DISK_UID);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, STAYING + 1));
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(world.dir), STAYING + 1);
        ck_assert(path_exists(world_path(&world, "stranger")));
}
END_TEST

START_TEST(what_was_made_where_users_are_mapped_goes_after_a_restart)
{
        struct victim v;

        world_kill_daemon(&world);
        world.daemon.is_keeping = true;
        world_start_daemon(&world);
        if (!start_with_mapped_users(&v))
                return;
        world_kill_daemon(&world);
        make_another(&v, REPORTED);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        ck_assert(wait_left(world.dir, STAYING));
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(world.dir), STAYING);
}
END_TEST

/* Of a directory that the daemon could write in. */
static int live_where_nothing_can_be_written(int to, void *userdata)
{
        struct tempfile *t;
        struct stat st;

        write_file(world_path(&world, "mine"), "");
        TRY(unshare_mounts());
        TRY(mount(world.dir, world.dir, NULL, MS_BIND, NULL));
        TRY(mount(NULL, world.dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
        if (tempfile_track(world_path(&world, "mine"), NULL, &t) != -EROFS)
                return 1;
        if (tempfile_named(&options, &t) != -EROFS || tempfile_directory(&options, &t) != -EROFS)
                return 2;
        return stat(world_path(&world, "mine"), &st);
}

START_TEST(what_its_user_can_not_delete_is_refused)
{
        struct victim v;

        victim_start(&v, live_where_nothing_can_be_written, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert(wait_list_empty());
        ck_assert(path_exists(world_path(&world, "mine")));
}
END_TEST

/* A file system of one's own that became read-only is no reason to leave there
 * what can be deleted. */
static int live_where_it_can_not_be_written_any_more(int to, void *userdata)
{
        struct tempfile *t;

        TRY(unshare_mounts());
        TRY(mount(world.dir, world.dir, NULL, MS_BIND, NULL));
        TRY(tempfile_named(&options, &t));
        TRY(tempfile_close_fd(t));
        TRY(make_tree());
        TRY(track_what_is_there());
        TRY(mount(NULL, world.dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
        victim_say(to, "ready");
        victim_wait();
}

START_TEST(what_was_made_before_its_mount_became_read_only_goes)
{
        struct victim v;

        victim_start(&v, live_where_it_can_not_be_written_any_more, NULL);
        listen_to(&v);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* As in a container that an ordinary user runs: root of outside is nobody there. */
static int live_as_ones_own_root(int to, void *userdata)
{
        struct tempfile *t;

        if (setgroups(0, NULL) < 0 || setgid(SEEN_UID) < 0 || setuid(SEEN_UID) < 0)
                return 1;
        TRY(prctl(PR_SET_DUMPABLE, 1)); /* its maps are its own */
        TRY(enter_user_namespace());
        return tempfile_named(&options, &t) == -EACCES ? 0 : 2;
}

START_TEST(a_daemon_whose_user_is_not_mapped_is_not_trusted)
{
        struct victim v;

        ck_assert_int_eq(chmod(world.dir, 01777), 0);
        ck_assert_int_eq(chmod(world.daemon.socket, 0666), 0);
        victim_start(&v, live_as_ones_own_root, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

static const char *unless_views(void)
{
        const pid_t pid = fork();
        int status = -1;

        if (pid == 0)
                _exit(unshare_mounts() == 0 ? 0 : 1);
        if (pid > 0)
                (void) waitpid(pid, &status, 0);
        return status == 0 ? NULL : "needs root, or user namespaces of one's own";
}

static void add_for_each_view(TCase *c, const TTest *test)
{
        const char *reason = unless_views();

        if (reason)
                add_unless(c, reason, test);
        else
                tcase_add_loop_test(c, test, 0, VIEWS);
}

int main(void)
{
        TCase *c = tcase_create("views");
        Suite *s = suite_create("views");
        SRunner *r;
        int failed;

        tcase_set_timeout(c, 20);
        tcase_add_checked_fixture(c, set_up, tear_down);
        add_for_each_view(c, what_was_made_in_another_view_goes_with_its_maker);
        add_for_each_view(c, who_speaks_after_a_restart_brings_its_directory_again);
        add_for_each_view(c, where_its_maker_sees_it_it_is_found_again);
        add_for_each_view(c, what_the_service_manager_keeps_leads_there_when_both_have_died);
        add_for_each_view(c, what_nothing_leads_to_waits_and_no_path_is_gone_by);
        add_unless(c, unless_root(), what_was_made_where_users_are_mapped_goes_with_its_maker);
        add_unless(c, unless_root(), what_was_made_where_users_are_mapped_goes_after_a_restart);
        add_unless(c, unless_root(), a_daemon_whose_user_is_not_mapped_is_not_trusted);
        add_unless(c, unless_views(), what_its_user_can_not_delete_is_refused);
        add_unless(c, unless_views(), what_was_made_before_its_mount_became_read_only_goes);
        suite_add_tcase(s, c);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
