/* Loaded ahead of libc: boot time runs on while the simulated host sleeps, and the entry points that an
 * older driver lacks cannot be found. Touches nothing when NVSIM_STATE names no simulated host. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "sim.h"

typedef int clock_fn(clockid_t, struct timespec *);
typedef void *dlsym_fn(void *, const char *);

static struct state *state;
static clock_fn *real_clock;
static dlsym_fn *real_dlsym;

static void *versioned(const char *name, const char *const *versions)
{
    for (; *versions; versions++) {
        void *p = dlvsym(RTLD_NEXT, name, *versions);
        if (p)
            return p;
    }
    return NULL;
}

__attribute__((constructor)) static void start(void)
{
    static const char *const clock_versions[] = {"GLIBC_2.17", "GLIBC_2.2.5", NULL};
    static const char *const dlsym_versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5", NULL};
    real_clock = (clock_fn *)versioned("clock_gettime", clock_versions);
    real_dlsym = (dlsym_fn *)versioned("dlsym", dlsym_versions);
    const char *dir = getenv("NVSIM_STATE");
    if (dir && *dir)
        state = state_open(dir);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *t)
{
    int r = real_clock ? real_clock(clock, t) : (int)syscall(SYS_clock_gettime, clock, t);
    if (r == 0 && clock == CLOCK_BOOTTIME && state) {
        int64_t asleep = __atomic_load_n(&state->asleep_ns, __ATOMIC_ACQUIRE);
        t->tv_sec += asleep / 1000000000;
        t->tv_nsec += asleep % 1000000000;
        if (t->tv_nsec >= 1000000000) {
            t->tv_nsec -= 1000000000;
            t->tv_sec++;
        }
    }
    return r;
}

EXPORT void *dlsym(void *handle, const char *name)
{
    if (state && strncmp(name, "nvml", 4) == 0) {
        if (driver_before(state, (int)function_since(name), 0))
            return real_dlsym(handle, "nvsim_symbol_of_a_newer_driver");
        for (int i = 0, n = __atomic_load_n(&state->n_missing, __ATOMIC_ACQUIRE); i < n; i++)
            if (strcmp(state->missing[i], name) == 0)
                name = "nvsim_symbol_of_a_newer_driver";   /* found nowhere: dlerror() is set as usual */
    }
    return real_dlsym(handle, name);    /* a tail call: RTLD_NEXT goes by the address of the caller */
}
