/* Verbs that make calls fail, hang or drag, and that send events. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "nvsim.h"

/* -1: leave that as it is */
static int set_fault(const char *call, int slot, int64_t until_ns, int slow_us, int answer, unsigned times)
{
    struct fault *f = NULL;
    for (int i = 0; i < MAX_FAULTS && !f; i++)
        if (strcmp(st->faults[i].call, call) == 0 && st->faults[i].slot == slot)
            f = &st->faults[i];
    for (int i = 0; i < MAX_FAULTS && !f; i++)
        if (!st->faults[i].call[0])
            f = &st->faults[i];
    if (!f)
        return fail("at most %d calls can be made to fail", MAX_FAULTS);
    if (until_ns >= 0)
        __atomic_store_n(&f->until_ns, until_ns, __ATOMIC_RELEASE);
    if (slow_us >= 0)
        f->slow_us = (unsigned)slow_us;
    f->slot = slot;
    if (answer >= 0) {
        f->answer = answer;
        __atomic_store_n(&f->times, times, __ATOMIC_RELEASE);
    }
    snprintf(f->call, sizeof f->call, "%s", call);
    int n = 0;
    for (int i = 0; i < MAX_FAULTS; i++) {
        f = &st->faults[i];
        if (!f->slow_us && !f->answer && f->until_ns <= now_ns(CLOCK_MONOTONIC))
            f->call[0] = 0;
        n += f->call[0] != 0;
    }
    __atomic_store_n(&st->n_faults, n, __ATOMIC_RELEASE);
    return 0;
}

/* The options behind the two words of `hang`, `slow` and `answer`; 0 where they are not understood. */
static int options(int argc, char **argv, int *slot, unsigned *times)
{
    double n = 0;
    *slot = ALL_GPUS;
    *times = 0;
    for (int i = 2; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--gpu") == 0) {
            *slot = find_gpu(argv[i + 1]);
            if (*slot < 0)
                return 0;
        } else if (strcmp(argv[i], "--times") != 0 || !number(argv[i + 1], &n) || n < 1)
            return 0;
    *times = (unsigned)n;
    return argc >= 2 && argc % 2 == 0;
}

static int verb_hang(int argc, char **argv)
{
    double seconds;
    int slot;
    unsigned times;
    if (!options(argc, argv, &slot, &times) || !number(argv[1], &seconds))
        return usage("hang");
    return set_fault(argv[0], slot, seconds > 0 ? now_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9) : 0, -1, -1, 0);
}

static int verb_slow(int argc, char **argv)
{
    double ms;
    int slot;
    unsigned times;
    if (!options(argc, argv, &slot, &times) || !number(argv[1], &ms))
        return usage("slow");
    return set_fault(argv[0], slot, -1, (int)(ms * 1000), -1, 0);
}

static int verb_missing(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "none") == 0) {
        __atomic_store_n(&st->n_missing, 0, __ATOMIC_RELEASE);
        return 0;
    }
    if (argc < 1)
        return usage("missing");
    for (int i = 0; i < argc; i++) {
        if (st->n_missing == MAX_MISSING)
            return fail("at most %d symbols can be missing", MAX_MISSING);
        snprintf(st->missing[st->n_missing], CALL_NAME, "%s", argv[i]);
        __atomic_add_fetch(&st->n_missing, 1, __ATOMIC_RELEASE);
    }
    return 0;
}

/* As a lock on Blackwell can: the request is taken, and nothing comes of it. */
static int verb_deaf(int argc, char **argv)
{
    int on, slot = argc == 2 ? find_gpu(argv[0]) : -1;
    if (slot < 0 || !on_off(argv[1], &on))
        return argc == 2 ? 1 : usage("deaf");
    st->gpus[slot].deaf = on;
    st->gpus[slot].kept = st->gpus[slot].set;
    return 0;
}

static int verb_answer(int argc, char **argv)
{
    int slot;
    unsigned times;
    if (!options(argc, argv, &slot, &times))
        return usage("answer");
    return set_fault(argv[0], slot, -1, -1, strcmp(argv[1], "none") == 0 ? 0 : atoi(argv[1]), times);
}

static int verb_xid(int argc, char **argv)
{
    double n;
    if (argc != 2 || !number(argv[1], &n))
        return usage("xid");
    int slot = find_gpu(argv[0]);
    if (slot < 0)
        return 1;
    event_push(st, slot, EVENT_XID, (unsigned long long)n);
    if (n == 154 || n == 48) {
        st->gpus[slot].recovery_action = 1;
        event_push(st, slot, EVENT_RECOVERY_ACTION, 1);
    }
    return 0;
}

static int verb_storm(int argc, char **argv)
{
    double n;
    if (argc != 2 || !number(argv[1], &n))
        return usage("storm");
    int slot = find_gpu(argv[0]);
    if (slot < 0)
        return 1;
    for (int i = 0; i < (int)n; i++)
        event_push(st, slot, EVENT_CLOCK, 0);
    return 0;       /* waiters are woken on the way out */
}

const struct verb fault_verbs[] = {
    {"hang", "CALL|all SECONDS [--gpu GPU]", "that call does not come back for so long; 0 ends it", verb_hang},
    {"slow", "CALL|all MS [--gpu GPU]", "that call takes so much longer; 0 ends it", verb_slow},
    {"answer", "CALL|all CODE|none [--gpu GPU] [--times N]", "that call answers this NVML error (999: unknown), N times", verb_answer},
    {"deaf", "GPU on|off", "set calls answer SUCCESS and change nothing", verb_deaf},
    {"missing", "SYMBOL...|none", "an older driver: the library lacks these functions", verb_missing},
    {"xid", "GPU N", "an Xid, through the event sets", verb_xid},
    {"storm", "GPU N", "so many clock events at once", verb_storm},
    {NULL, NULL, NULL, NULL},
};
