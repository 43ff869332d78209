/* SPDX-License-Identifier: MIT */

/*
 * Positions count bytes and wrap around by themselves; where a byte lies is its position's last bits.
 *
 * The subtle thing: a reader that goes to sleep tells so first and looks once more then; a writer
 * writes first and looks then whether the reader is awake. So one of them sees the other.
 *
 * The memory can't be made smaller (it is sealed): touching what is not there any more would kill the
 * reader. A hole that a client punches is filled again as it is touched. Its pages are there from the
 * beginning, and count as the client's.
 */

#include "libclient/ring.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "libclient/util.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* 6.3 */
#endif

#define DATA_SIZE 16384U /* a power of two */
#define CACHE_LINE 64U
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct shared {
        _Atomic(uint32_t) written; /* the writer's */
        uint8_t unused[CACHE_LINE - sizeof(uint32_t)];
        _Atomic(uint32_t) taken; /* the reader's, as is the state */
        _Atomic(uint32_t) state;
        uint8_t unused2[4096 - CACHE_LINE - 2 * sizeof(uint32_t)];
        uint8_t data[DATA_SIZE];
};
static_assert(offsetof(struct shared, data) == 4096, "daemon and library share this layout");

struct ring {
        struct shared *shared;
        uint32_t at; /* of this end */
};

struct head {
        uint32_t len;
        uint32_t n_sent;
};

/* What a packet takes, its head included. */
static uint32_t room_for(uint32_t len)
{
        return (uint32_t) sizeof(struct head) + (len + 7U) / 8U * 8U;
}

static int map(int fd, int flags, struct ring **ret)
{
        struct ring *r = malloc(sizeof(*r));
        void *p;
        int error;

        if (!r)
                return -ENOMEM;
        p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
        if (p == MAP_FAILED) {
                error = -errno;
                free(r);
                return error;
        }
        *r = (struct ring) { .shared = p };
        *ret = r;
        return 0;
}

static int make_memory(void)
{
        const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        int fd;

        fd = memfd_create("tempfiled-ring", flags | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("tempfiled-ring", flags);
        return fd < 0 ? -errno : fd;
}

int ring_new(struct ring **ret, int *ret_fd)
{
        _cleanup_(closep) int fd = make_memory();
        int r;

        if (fd < 0)
                return fd;
        if (ftruncate(fd, sizeof(struct shared)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        r = map(fd, MAP_POPULATE, ret);
        if (r < 0)
                return r;
        /* What a child wrote there would be taken for its parent's. */
        (void) madvise((*ret)->shared, sizeof(struct shared), MADV_DONTFORK);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Only memory has seals: what a client may have sent in its place is not asked, which could hang. */
static bool is_ring(int fd)
{
        const int seals = fcntl(fd, F_GET_SEALS);
        struct statfs fs;
        struct stat st;

        return seals >= 0 && (seals & SEALS) == SEALS && fstatfs(fd, &fs) == 0 &&
               fs.f_type == TMPFS_MAGIC && fstat(fd, &st) == 0 &&
               st.st_size == (off_t) sizeof(struct shared);
}

int ring_open(int fd, struct ring **ret)
{
        return is_ring(fd) ? map(fd, 0, ret) : -EBADMSG;
}

void ring_free(struct ring *r)
{
        if (!r)
                return;
        (void) munmap(r->shared, sizeof(*r->shared));
        free(r);
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void copy_in(struct shared *s, uint32_t at, const void *from, size_t len)
{
        const uint32_t start = at % DATA_SIZE;
        const size_t first = MIN(len, (size_t) (DATA_SIZE - start));

        memcpy(s->data + start, from, first);
        memcpy(s->data, (const uint8_t *) from + first, len - first);
}

bool ring_put(struct ring *r, const void *packet, size_t len, uint32_t n_sent)
{
        const struct head head = { .len = (uint32_t) len, .n_sent = n_sent };
        struct shared *s = r->shared;
        uint32_t used, room;

        if (len > RING_PACKET_MAX)
                return false;
        room = room_for(head.len);
        used = r->at - atomic_load_explicit(&s->taken, memory_order_acquire);
        if (used > DATA_SIZE || room > DATA_SIZE - used)
                return false;

        copy_in(s, r->at, &head, sizeof(head));
        copy_in(s, r->at + (uint32_t) sizeof(head), packet, len);
        r->at += room;
        atomic_store_explicit(&s->written, r->at, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);
        return true;
}

enum ring_state ring_state(const struct ring *r)
{
        return (enum ring_state) atomic_load_explicit(&r->shared->state, memory_order_relaxed);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void copy_out(const struct shared *s, uint32_t at, void *to, size_t len)
{
        const uint32_t start = at % DATA_SIZE;
        const size_t first = MIN(len, (size_t) (DATA_SIZE - start));

        memcpy(to, s->data + start, first);
        memcpy((uint8_t *) to + first, s->data, len - first);
}

uint32_t ring_end(const struct ring *r)
{
        return atomic_load_explicit(&r->shared->written, memory_order_acquire);
}

bool ring_has_more(const struct ring *r)
{
        return ring_end(r) != r->at;
}

int ring_take(struct ring *r, void *buf, uint32_t end, uint32_t n_received)
{
        const uint32_t filled = end - r->at;
        struct head head;

        if (filled == 0)
                return 0;
        if (filled < sizeof(head) || filled > DATA_SIZE)
                return -EBADMSG;
        copy_out(r->shared, r->at, &head, sizeof(head));
        if (head.len == 0 || head.len > RING_PACKET_MAX || room_for(head.len) > filled)
                return -EBADMSG;
        if ((int32_t) (head.n_sent - n_received) > 0)
                return 0;

        copy_out(r->shared, r->at + (uint32_t) sizeof(head), buf, head.len);
        r->at += room_for(head.len);
        atomic_store_explicit(&r->shared->taken, r->at, memory_order_release);
        return (int) head.len;
}

void ring_tell(struct ring *r, enum ring_state state)
{
        atomic_store_explicit(&r->shared->state, (uint32_t) state, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
}
