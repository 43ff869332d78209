/* SPDX-License-Identifier: MIT */

/*
 * Owns the worker threads and the two queues between them and the loop. Threads are started when
 * a job may run and none is idle, and stay; one that can't be started is tried again by the loop.
 * The fuller the pool, the fewer of its threads one user gets, so that it takes many users with
 * hung file systems to hold up another, and no number of them to hold up root. The one subtle
 * thing is the end: a thread inside a hung system call can't be joined, so the pool's memory is
 * given up with it; the process is about to end anyway.
 */

#include "daemon/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "libclient/util.h"

#define THREADS_MAX 256U
#define THREADS_PER_UID 16U
#define THREADS_PER_LANE 2U
#define THREADS_OF_ROOT 16U /* that nobody else gets */
#define START_AGAIN_USEC (100 * USEC_PER_MSEC)
#define HUNG_USEC (10 * USEC_PER_SEC)

struct worker {
        pthread_t thread;
        struct job *job; /* NULL: idle */
        uint64_t since_usec;
};

struct pool {
        pthread_mutex_t lock;
        pthread_cond_t work;
        struct job *queue, **queue_end;
        struct job *finished, **finished_end;
        unsigned int n_queued;
        struct worker workers[THREADS_MAX];
        unsigned int n_workers, n_idle;
        bool is_stopping;
        int wake_fd;
        sd_event_source *wake, *start_again;
        void (*ready)(void *userdata);
        void *userdata;
};

static uint64_t now_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

/* How many threads may one user have, that many being busy? */
static unsigned int share(uid_t uid, unsigned int busy)
{
        if (uid == 0 || busy < THREADS_MAX / 2)
                return THREADS_PER_UID;
        if (busy < THREADS_MAX / 4 * 3)
                return THREADS_PER_UID / 4;
        return busy < THREADS_MAX - THREADS_OF_ROOT ? 1 : 0;
}

/* May one more job of this lane run? */
static bool lane_is_free(const struct pool *p, const struct job *j)
{
        unsigned int busy = 0, of_uid = 0, of_lane = 0;

        for (unsigned int i = 0; i < p->n_workers; i++) {
                const struct job *other = p->workers[i].job;

                if (!other || other == j)
                        continue;
                busy++;
                if (other->uid != j->uid)
                        continue;
                of_uid++;
                of_lane += other->device == j->device;
        }
        return of_uid < share(j->uid, busy) &&
               (of_lane < THREADS_PER_LANE || j->device == POOL_DEVICE_UNKNOWN);
}

static void push(struct pool *p, struct job *j)
{
        j->next = NULL;
        *p->queue_end = j;
        p->queue_end = &j->next;
        p->n_queued++;
}

static struct job *pick(struct pool *p)
{
        for (struct job **at = &p->queue; *at; at = &(*at)->next) {
                struct job *j = *at;

                if (!lane_is_free(p, j))
                        continue;
                *at = j->next;
                if (!*at)
                        p->queue_end = at;
                p->n_queued--;
                return j;
        }
        return NULL;
}

static void finish(struct pool *p, struct job *j)
{
        j->next = NULL;
        *p->finished_end = j;
        p->finished_end = &j->next;
        (void) eventfd_write(p->wake_fd, 1); /* can only fail when the loop is woken already */
}

/* Runs a job to its end, or puts it back when its new lane is full. Called and left locked. */
static void work(struct pool *p, struct worker *w, struct job *j)
{
        bool moves;

        w->job = j;
        w->since_usec = now_usec();
        do {
                pthread_mutex_unlock(&p->lock);
                moves = j->run(j) > 0;
                pthread_mutex_lock(&p->lock);
        } while (moves && lane_is_free(p, j));
        w->job = NULL;
        if (moves)
                push(p, j);
        else
                finish(p, j);
        if (p->queue)
                pthread_cond_signal(&p->work); /* a lane has become free */
}

static void *worker_main(void *userdata)
{
        struct pool *p = userdata;
        struct worker *w = NULL;
        struct job *j;

        pthread_mutex_lock(&p->lock);
        for (unsigned int i = 0; i < p->n_workers; i++)
                if (pthread_equal(p->workers[i].thread, pthread_self()))
                        w = &p->workers[i];
        assert(w);
        while (!p->is_stopping) {
                j = pick(p);
                if (j) {
                        work(p, w, j);
                        continue;
                }
                p->n_idle++;
                pthread_cond_wait(&p->work, &p->lock);
                p->n_idle--;
        }
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

static int on_start_again(sd_event_source *s, uint64_t usec, void *userdata);

static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct pool *p = userdata;
        eventfd_t count;

        (void) eventfd_read(fd, &count);
        p->ready(p->userdata);
        return 0;
}

static void pool_freep(struct pool **p)
{
        (void) pool_free(*p); /* no job has run yet */
}

int pool_new(sd_event *event, void (*ready)(void *userdata), void *userdata, struct pool **ret)
{
        _cleanup_(pool_freep) struct pool *p = NULL;
        int r;

        p = malloc(sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (struct pool) { .wake_fd = -1, .ready = ready, .userdata = userdata };
        p->queue_end = &p->queue;
        p->finished_end = &p->finished;
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->work, NULL);

        p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (p->wake_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &p->wake, p->wake_fd, EPOLLIN, on_wake, p);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &p->start_again, CLOCK_MONOTONIC, 0, 0,
                                               on_start_again, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->start_again, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

static int run_close(struct job *j);

/* Nobody else knows of these. The process ends, and its descriptors with it. */
static void drop_closing(struct job *j)
{
        struct job *next;

        for (; j; j = next) {
                next = j->next;
                if (j->run == run_close)
                        free(j);
        }
}

bool pool_free(struct pool *p)
{
        bool hangs = false;

        if (!p)
                return true;
        sd_event_source_disable_unref(p->wake);
        sd_event_source_disable_unref(p->start_again);
        pthread_mutex_lock(&p->lock);
        p->is_stopping = true;
        pthread_cond_broadcast(&p->work);
        for (unsigned int i = 0; i < p->n_workers; i++)
                hangs = hangs || p->workers[i].job;
        pthread_mutex_unlock(&p->lock);
        if (hangs)
                return false; /* its thread still uses all this */
        for (unsigned int i = 0; i < p->n_workers; i++)
                pthread_join(p->workers[i].thread, NULL);
        drop_closing(p->queue);
        drop_closing(p->finished);
        close_fd(p->wake_fd);
        pthread_mutex_destroy(&p->lock);
        pthread_cond_destroy(&p->work);
        free(p);
        return true;
}

/* Called locked. False: there is no thread to be had now. */
static bool start_worker(struct pool *p)
{
        struct worker *w = &p->workers[p->n_workers];
        sigset_t all, before;
        int r;

        *w = (struct worker) { .job = NULL };
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
        r = pthread_create(&w->thread, NULL, worker_main, p);
        if (r == 0)
                p->n_workers++;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r == 0;
}

/* Somebody must run what waits: with no thread, or none but hung ones, nobody would ever look. */
static void need_worker(struct pool *p)
{
        if (p->n_idle >= p->n_queued || p->n_workers == THREADS_MAX || start_worker(p))
                return;
        (void) sd_event_source_set_time_relative(p->start_again, START_AGAIN_USEC);
        (void) sd_event_source_set_enabled(p->start_again, SD_EVENT_ONESHOT);
}

static bool has_runnable(const struct pool *p)
{
        for (const struct job *j = p->queue; j; j = j->next)
                if (lane_is_free(p, j))
                        return true;
        return false;
}

static int on_start_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct pool *p = userdata;

        pthread_mutex_lock(&p->lock);
        if (has_runnable(p))
                need_worker(p);
        pthread_mutex_unlock(&p->lock);
        return 0;
}

void pool_submit(struct pool *p, struct job *j)
{
        pthread_mutex_lock(&p->lock);
        push(p, j);
        if (lane_is_free(p, j))
                need_worker(p);
        pthread_mutex_unlock(&p->lock);
        pthread_cond_signal(&p->work); /* not before: it would wake up to wait for the lock */
}

struct job *pool_take(struct pool *p)
{
        struct job *j;

        pthread_mutex_lock(&p->lock);
        j = p->finished;
        if (j) {
                p->finished = j->next;
                if (!p->finished)
                        p->finished_end = &p->finished;
        }
        pthread_mutex_unlock(&p->lock);
        return j;
}

struct close_job {
        struct job job;
        int fd;
};

static int run_close(struct job *j)
{
        struct close_job *c = (struct close_job *) j;

        c->fd = close_fd(c->fd);
        return 0;
}

static void done_close(struct job *j, void *userdata)
{
        free(j);
}

void pool_close(struct pool *p, uid_t uid, int fd)
{
        struct close_job *c;

        if (fd < 0)
                return;
        c = malloc(sizeof(*c));
        if (!c)
                return; /* a descriptor lost beats a loop that hangs */
        *c = (struct close_job) {
                .job = { run_close, done_close, uid, POOL_DEVICE_UNKNOWN, NULL },
                .fd = fd,
        };
        pool_submit(p, &c->job);
}

void pool_count(struct pool *p, unsigned int *ret_jobs, unsigned int *ret_hung)
{
        uint64_t now = now_usec();

        *ret_jobs = *ret_hung = 0;
        pthread_mutex_lock(&p->lock);
        *ret_jobs = p->n_queued;
        for (unsigned int i = 0; i < p->n_workers; i++) {
                if (!p->workers[i].job)
                        continue;
                (*ret_jobs)++;
                *ret_hung += now - p->workers[i].since_usec > HUNG_USEC;
        }
        pthread_mutex_unlock(&p->lock);
}
