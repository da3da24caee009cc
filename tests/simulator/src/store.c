/* The shared file: mapping, the lock, waking waiters, time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "sim.h"

const char *nvsim_dir;

static struct state *map_file(const char *dir, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/state", dir);
    int fd = open(path, flags | O_CLOEXEC, 0666);
    if (fd < 0)
        return NULL;
    if (flags & O_CREAT) {
        fchmod(fd, 0666);       /* a daemon without privileges maps it too; umask would forbid */
        if (ftruncate(fd, sizeof(struct state)) != 0) {
            close(fd);
            return NULL;
        }
    } else {
        struct stat st;
        if (fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(struct state)) {
            close(fd);
            return NULL;
        }
    }
    void *p = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

struct state *state_open(const char *dir)
{
    struct state *s = map_file(dir, O_RDWR);
    if (!s)
        return NULL;
    if (s->magic != STATE_MAGIC || s->version != STATE_VERSION || s->size != sizeof *s) {
        munmap(s, sizeof *s);
        return NULL;
    }
    nvsim_dir = dir;
    return s;
}

struct state *state_create(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/state", dir);
    unlink(path);               /* processes of an earlier host keep their own mapping */
    struct state *s = map_file(dir, O_RDWR | O_CREAT | O_EXCL);
    if (!s)
        return NULL;
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s->lock, &a);
    s->version = STATE_VERSION;
    s->size = sizeof *s;
    s->speed = 1.0;
    s->base_mono_ns = now_ns(CLOCK_MONOTONIC);
    nvsim_dir = dir;
    return s;
}

void state_lock(struct state *s)
{
    /* A process killed while it held the lock leaves plain data that the next one can go on with. */
    if (pthread_mutex_lock(&s->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&s->lock);
}

void state_unlock(struct state *s)
{
    pthread_mutex_unlock(&s->lock);
}

/* A bare futex, not a condition variable: a waiter killed by SIGKILL must not block the wakers. */
void state_wake(struct state *s)
{
    __atomic_add_fetch(&s->event_word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &s->event_word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void state_wait(struct state *s, uint32_t seen, int64_t timeout_ns)
{
    struct timespec t = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    syscall(SYS_futex, &s->event_word, FUTEX_WAIT, seen, &t, NULL, 0);
}

int64_t now_ns(int clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Goes back to sleep after a signal, as a call stuck in the kernel does. */
void sleep_until_ns(int64_t mono)
{
    struct timespec t = {mono / 1000000000, mono % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}
