/* SPDX-License-Identifier: MIT */

/*
 * Memory that two processes share: what is put in comes out, in order, once, and nothing that the
 * other end may have written there does harm.
 */

#include "libclient/ring.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/unit.h"

#define SHARED_SIZE 20480U
#define WRITTEN_AT 0U
#define DATA_AT 4096U
#define MANY 10000U
#define WORDS_FD 700

static struct ring *reader, *writer;
static uint8_t *memory; /* as whoever has the descriptor sees it */
static uint8_t taken[RING_PACKET_MAX];

static void set_up(void)
{
        int fd = -1;

        ck_assert_int_eq(ring_new(&writer, &fd), 0);
        memory = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert(memory != MAP_FAILED);
        ck_assert_int_eq(ring_open(fd, &reader), 0);
        (void) close(fd);
}

static void tear_down(void)
{
        ring_free(writer);
        ring_free(reader);
        (void) munmap(memory, SHARED_SIZE);
}

static int take(uint32_t n_received)
{
        return ring_take(reader, taken, ring_end(reader), n_received);
}

/* Of that number: its length and its bytes follow from it. */
static size_t make_packet(unsigned int number, uint8_t *packet)
{
        const size_t len = 1 + number * 37U % RING_PACKET_MAX;

        memset(packet, (int) number, len);
        return len;
}

static bool put_number(unsigned int number)
{
        uint8_t packet[RING_PACKET_MAX];
        const size_t len = make_packet(number, packet);

        return ring_put(writer, packet, len, 0);
}

static void take_number(unsigned int number)
{
        uint8_t packet[RING_PACKET_MAX];
        const size_t len = make_packet(number, packet);

        ck_assert_int_eq(take(0), (int) len);
        ck_assert_mem_eq(taken, packet, len);
}

START_TEST(what_is_put_in_comes_out_in_order)
{
        unsigned int n_in = 0, n_out = 0;

        ck_assert_int_eq(take(0), 0);
        while (n_out < MANY) {
                while (n_in < MANY && put_number(n_in))
                        n_in++;
                ck_assert(ring_has_more(reader));
                for (unsigned int i = 0; i <= n_in % 5 && n_out < n_in; i++)
                        take_number(n_out++);
        }
        ck_assert_int_eq(take(0), 0);
        ck_assert(!ring_has_more(reader));
}
END_TEST

START_TEST(a_full_one_takes_no_more_and_loses_nothing)
{
        unsigned int n = 0, first = 0;

        while (put_number(n))
                n++;
        ck_assert_uint_gt(n, 5);
        ck_assert(!put_number(n));
        while (!put_number(n) && first < n)
                take_number(first++);
        ck_assert_uint_gt(first, 0);
        while (first <= n)
                take_number(first++);
        ck_assert_int_eq(take(0), 0);
}
END_TEST

START_TEST(what_is_too_long_is_not_taken)
{
        static const uint8_t packet[RING_PACKET_MAX + 1];

        ck_assert(!ring_put(writer, packet, sizeof(packet), 0));
        ck_assert(ring_put(writer, packet, sizeof(packet) - 1, 0));
        ck_assert_int_eq(take(0), (int) sizeof(packet) - 1);
}
END_TEST

/* Numbers of packets that were sent before it, and those that have come; they wrap around. */
static const struct {
        uint32_t n_sent, n_received;
        bool is_due;
} orders[] = {
        { 0, 0, true },          { 5, 4, false },          { 5, 5, true },
        { 5, 6, true },          { 0, UINT32_MAX, false }, { UINT32_MAX, 0, true },
        { UINT32_MAX, 7, true }, { 7, UINT32_MAX, false },
};

START_TEST(what_was_sent_before_comes_before)
{
        ck_assert(ring_put(writer, "x", 1, orders[_i].n_sent));
        ck_assert_int_eq(take(orders[_i].n_received), orders[_i].is_due ? 1 : 0);
        ck_assert_int_eq(ring_has_more(reader), !orders[_i].is_due);
}
END_TEST

START_TEST(what_comes_after_the_end_is_left)
{
        uint32_t end;

        ck_assert(ring_put(writer, "a", 1, 0));
        end = ring_end(reader);
        ck_assert(ring_put(writer, "b", 1, 0));
        ck_assert_int_eq(ring_take(reader, taken, end, 0), 1);
        ck_assert_int_eq(*taken, 'a');
        ck_assert_int_eq(ring_take(reader, taken, end, 0), 0);
        ck_assert_int_eq(take(0), 1);
        ck_assert_int_eq(*taken, 'b');
}
END_TEST

START_TEST(the_writer_is_told_what_the_reader_does)
{
        ck_assert_int_eq(ring_state(writer), RING_ASLEEP);
        ring_tell(reader, RING_READ);
        ck_assert_int_eq(ring_state(writer), RING_READ);
        ring_tell(reader, RING_OVER);
        ck_assert_int_eq(ring_state(writer), RING_OVER);
}
END_TEST

START_TEST(what_a_killed_process_has_written_is_there)
{
        const pid_t pid = fork();
        struct ring *its = NULL, *ours;
        int opened, fd, status;
        char path[64];

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                if (ring_new(&its, &fd) == 0 && dup2(fd, WORDS_FD) == WORDS_FD &&
                    ring_put(its, "last words", 10, 0))
                        (void) raise(SIGSTOP);
                _exit(1);
        }
        ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
        ck_assert(WIFSTOPPED(status));
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) pid, WORDS_FD);
        opened = open(path, O_RDWR | O_CLOEXEC);
        ck_assert_int_eq(ring_open(opened, &ours), 0);
        (void) kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(ring_take(ours, taken, ring_end(ours), 0), 10);
        ck_assert_mem_eq(taken, "last words", 10);
        (void) close(opened);
        ring_free(ours);
}
END_TEST

/* Else it would write in its parent's name. */
START_TEST(a_child_does_not_have_it)
{
        int status;
        pid_t pid;

        ring_tell(reader, RING_READ);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                (void) signal(SIGSEGV, SIG_DFL);
                _exit(ring_state(writer) == RING_READ);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));
}
END_TEST

START_TEST(it_cannot_be_made_smaller)
{
        struct ring *other;
        int fd, copy;

        ck_assert_int_eq(ring_new(&other, &fd), 0);
        ck_assert_int_lt(ftruncate(fd, 0), 0);
        ck_assert_int_lt(ftruncate(fd, 2 * SHARED_SIZE), 0);
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        (void) close(fd);
        ck_assert_int_lt(fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE), 0);
        (void) close(copy);
        ring_free(other);
}
END_TEST

START_TEST(what_is_no_ring_is_refused)
{
        struct ring *r = NULL;

        ck_assert_int_eq(ring_open(memfd_create("small", MFD_CLOEXEC), &r), -EBADMSG);
        ck_assert_int_eq(ring_open(-1, &r), -EBADMSG);
        ck_assert_ptr_null(r);
}
END_TEST

/* ---- what the other end may have written -------------------------------------------------------- */

static void set_word(size_t at, uint32_t value)
{
        memcpy(memory + at, &value, sizeof(value));
}

/* How far was written; the length of the packet there. */
static const struct {
        uint32_t written, len;
} lies[] = {
        { 16, 0 }, { 16, 9 },    { 16, UINT32_MAX }, { 16, RING_PACKET_MAX + 1 },
        { 1, 1 },  { 7, 1 },     { 16385, 1 },       { UINT32_MAX, 1 },
        { 15, 8 }, { 16384, 0 }, { 0x80000000U, 1 }, { 24, 17 },
};

START_TEST(lies_are_noticed)
{
        set_word(DATA_AT, lies[_i].len);
        set_word(WRITTEN_AT, lies[_i].written);
        ck_assert_int_eq(take(0), -EBADMSG);
        ck_assert_int_eq(take(0), -EBADMSG);
}
END_TEST

static void take_noise(unsigned int seed)
{
        int n;

        for (size_t i = 0; i < SHARED_SIZE; i++)
                memory[i] = (uint8_t) rand_r(&seed);
        set_word(WRITTEN_AT, (uint32_t) rand_r(&seed) % 20000U);
        for (size_t i = DATA_AT; i < SHARED_SIZE; i += 8)
                set_word(i, (uint32_t) rand_r(&seed) % 64U);
        for (unsigned int i = 0; (n = take((uint32_t) rand_r(&seed))) > 0; i++) {
                ck_assert_int_le(n, (int) RING_PACKET_MAX);
                ck_assert_uint_lt(i, SHARED_SIZE);
        }
}

/* Whatever is in it, taking ends, and what is taken fits. */
START_TEST(noise_does_no_harm)
{
        for (unsigned int seed = 0; seed < 200; seed++)
                take_noise(seed);
}
END_TEST

static Suite *make_suite(void)
{
        Suite *s = suite_create("ring");
        TCase *c = tcase_create("ring");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, what_is_put_in_comes_out_in_order);
        tcase_add_test(c, a_full_one_takes_no_more_and_loses_nothing);
        tcase_add_test(c, what_is_too_long_is_not_taken);
        tcase_add_loop_test(c, what_was_sent_before_comes_before, 0, ARRAY_SIZE(orders));
        tcase_add_test(c, what_comes_after_the_end_is_left);
        tcase_add_test(c, the_writer_is_told_what_the_reader_does);
        tcase_add_test(c, what_a_killed_process_has_written_is_there);
        tcase_add_test(c, a_child_does_not_have_it);
        tcase_add_test(c, it_cannot_be_made_smaller);
        tcase_add_test(c, what_is_no_ring_is_refused);
        tcase_add_loop_test(c, lies_are_noticed, 0, ARRAY_SIZE(lies));
        tcase_add_test(c, noise_does_no_harm);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return unit_main(make_suite());
}
