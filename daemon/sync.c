/* SPDX-License-Identifier: MIT */

/*
 * Owns one thread and what is asked of it. Requests coalesce: while one fdatasync() runs, all
 * that arrives is covered by the next. After a failed fdatasync() the kernel may have dropped the
 * pages, so a later success proves nothing: the failure is reported for good.
 */

#include "daemon/sync.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "libclient/util.h"

struct sync {
        pthread_mutex_t lock;
        pthread_cond_t work;
        pthread_t thread;
        bool has_thread;
        bool is_stopping;
        int fd;
        uint64_t wanted, done;
        unsigned int step_wanted, step_done;
        int error, step_result;
        int wake_fd;
        sd_event_source *wake;
        struct sync_callbacks callbacks;
        uint64_t reported; /* the loop's */
};

/* Called and left locked. */
static void write_through(struct sync *s)
{
        uint64_t number = s->wanted;
        int r;

        pthread_mutex_unlock(&s->lock);
        r = fdatasync(s->fd) < 0 ? -errno : 0;
        pthread_mutex_lock(&s->lock);
        if (r < 0 && s->error == 0)
                s->error = r;
        s->done = number;
}

static void run_step(struct sync *s)
{
        unsigned int step = s->step_wanted;
        int r;

        s->step_wanted = 0;
        pthread_mutex_unlock(&s->lock);
        r = s->callbacks.checkpoint(step, s->callbacks.userdata);
        pthread_mutex_lock(&s->lock);
        s->step_done = step;
        s->step_result = r;
}

static void *sync_main(void *userdata)
{
        struct sync *s = userdata;

        pthread_mutex_lock(&s->lock);
        while (!s->is_stopping) {
                if (s->wanted > s->done)
                        write_through(s);
                else if (s->step_wanted > 0)
                        run_step(s);
                else {
                        pthread_cond_wait(&s->work, &s->lock);
                        continue;
                }
                (void) eventfd_write(s->wake_fd, 1); /* fails only when the loop is woken already */
        }
        pthread_mutex_unlock(&s->lock);
        return NULL;
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct sync *s = userdata;
        unsigned int step;
        uint64_t done;
        eventfd_t count;
        int error, step_result;

        (void) eventfd_read(fd, &count);
        pthread_mutex_lock(&s->lock);
        done = s->done;
        error = s->error;
        step = s->step_done;
        step_result = s->step_result;
        s->step_done = 0;
        pthread_mutex_unlock(&s->lock);

        if (done > s->reported) {
                s->reported = done;
                s->callbacks.synced(done, error, s->callbacks.userdata);
        }
        if (step > 0)
                s->callbacks.checkpointed(step, step_result, s->callbacks.userdata);
        return 0;
}

static void sync_freep(struct sync **s)
{
        sync_free(*s);
}

int sync_new(sd_event *event, int fd, const struct sync_callbacks *callbacks, struct sync **ret)
{
        _cleanup_(sync_freep) struct sync *s = NULL;
        sigset_t all, before;
        int r;

        s = malloc(sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct sync) { .fd = fd, .wake_fd = -1, .callbacks = *callbacks };
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->work, NULL);
        s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->wake_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &s->wake, s->wake_fd, EPOLLIN, on_wake, s);
        if (r < 0)
                return r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
        r = pthread_create(&s->thread, NULL, sync_main, s);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r > 0)
                return -r;
        s->has_thread = true;
        *ret = TAKE_PTR(s);
        return 0;
}

void sync_free(struct sync *s)
{
        if (!s)
                return;
        sd_event_source_disable_unref(s->wake);
        if (s->has_thread) {
                pthread_mutex_lock(&s->lock);
                s->is_stopping = true;
                pthread_cond_signal(&s->work);
                pthread_mutex_unlock(&s->lock);
                pthread_join(s->thread, NULL);
        }
        close_fd(s->wake_fd);
        pthread_mutex_destroy(&s->lock);
        pthread_cond_destroy(&s->work);
        free(s);
}

void sync_request(struct sync *s, uint64_t number)
{
        pthread_mutex_lock(&s->lock);
        s->wanted = MAX(s->wanted, number);
        pthread_cond_signal(&s->work);
        pthread_mutex_unlock(&s->lock);
}

void sync_checkpoint(struct sync *s, unsigned int step)
{
        pthread_mutex_lock(&s->lock);
        s->step_wanted = step;
        pthread_cond_signal(&s->work);
        pthread_mutex_unlock(&s->lock);
}
