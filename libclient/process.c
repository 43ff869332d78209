/* SPDX-License-Identifier: MIT */

/*
 * Remembers the pid in a page that the kernel wipes in a child (MADV_WIPEONFORK), however that child
 * came about. The subtle thing: a child that shares its parent's memory, as vfork(2)'s does, is taken
 * for its parent; such a one may do nothing but exec or exit.
 */

#include "libclient/process.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "libclient/util.h"

static _Atomic(_Atomic(pid_t) *) page;

static _Atomic(pid_t) *make_page(void)
{
        const size_t size = (size_t) sysconf(_SC_PAGESIZE);
        _Atomic(pid_t) *made, *there = NULL;

        made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED)
                return NULL;
        if (madvise((void *) made, size, MADV_WIPEONFORK) == 0 &&
            atomic_compare_exchange_strong(&page, &there, made))
                return made;
        (void) munmap((void *) made, size);
        return there;
}

pid_t process_id(void)
{
        _Atomic(pid_t) *remembered = atomic_load_explicit(&page, memory_order_acquire);
        pid_t pid;

        if (!remembered)
                remembered = make_page();
        if (!remembered)
                return getpid();
        pid = atomic_load_explicit(remembered, memory_order_relaxed);
        if (pid == 0) {
                pid = getpid();
                atomic_store_explicit(remembered, pid, memory_order_relaxed);
        }
        return pid;
}
