/* nvsim watch: looks at one GPU's settings on a fixed grid of time. It has nothing open, so that it keeps no driver
 * initialised: what is lost when the last client leaves is lost under its eyes too. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <time.h>
#include "nvsim.h"

#define MAX_SEEN 64
#define EVERY_NS 5000000ll      /* 200 looks a second, so that some may come late and 100 are left */
#define LATE_NS 10000000ll
#define BUCKET_NS 100000ll      /* gaps are counted by tenths of a millisecond */
#define BUCKETS 10000           /* the last one: a second and more */

/* Compared as bytes: fields of four bytes, nothing between them. */
struct sight { struct settings set; unsigned init_seq; int loaded; };
struct seen { struct sight sight; int64_t first_ns; unsigned long long count; };

static struct seen seen[MAX_SEEN];
static int n_seen;
static unsigned long long looks, gaps[BUCKETS];
static int64_t first_ns, last_ns, longest_ns, late_ns;
static volatile sig_atomic_t ended;

static void end(int number)
{
    (void)number;
    ended = 1;
}

static struct sight look(int slot)
{
    struct sight now;
    state_lock(st);
    clients_reap(st, 1);            /* a killed client is gone at once, not when the next one comes */
    physics_advance(st);
    now.set = st->gpus[slot].set;
    now.init_seq = st->gpus[slot].init_seq;
    now.loaded = st->loaded;
    state_unlock(st);
    return now;
}

static void print_seen(int slot, const struct seen *one)
{
    json_open(NULL, '{');
    json_integer("count", (long long)one->count);
    json_integer("first_ns", one->first_ns);
    json_flag("loaded", one->sight.loaded);
    json_integer("initialisation", one->sight.init_seq);
    json_settings(&st->gpus[slot], &one->sight.set);
    json_close('}');
}

/* What is new is told at once, the first sight too: who reads that line knows that watching has begun. */
static void remember(int slot, const struct sight *sight, int64_t at)
{
    for (int i = n_seen - 1; i >= 0; i--)
        if (memcmp(&seen[i].sight, sight, sizeof *sight) == 0) {
            seen[i].count++;
            return;
        }
    if (n_seen == MAX_SEEN)
        return;
    seen[n_seen++] = (struct seen){*sight, at, 1};
    print_seen(slot, &seen[n_seen - 1]);
    json_end();
    fflush(stdout);
}

static void count_gap(int64_t gap)
{
    gaps[gap / BUCKET_NS < BUCKETS ? gap / BUCKET_NS : BUCKETS - 1]++;
    if (gap > longest_ns)
        longest_ns = gap;
    if (gap > LATE_NS)
        late_ns += gap;
}

/* The upper end of its bucket: never told better than it was. */
static double median_ms(void)
{
    unsigned long long half = looks / 2, sum = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((sum += gaps[i]) >= half)
            return (double)((i + 1) * BUCKET_NS) / 1e6;
    return 0;
}

static void print_all(int slot)
{
    json_open(NULL, '{');
    json_integer("looks", (long long)looks);
    json_integer("first_ns", first_ns);
    json_integer("last_ns", last_ns);
    json_number("median_gap_ms", median_ms());
    json_number("longest_gap_ms", (double)longest_ns / 1e6);
    json_number("late_ms", (double)late_ns / 1e6);
    json_flag("overflow", n_seen == MAX_SEEN);
    json_open("seen", '[');
    for (int i = 0; i < n_seen; i++)
        print_seen(slot, &seen[i]);
    json_close(']');
    json_close('}');
    json_end();
}

int verb_watch(int argc, char **argv)
{
    int slot = argc == 1 ? find_gpu(argv[0]) : -1;
    if (slot < 0)
        return argc == 1 ? 1 : usage("watch");
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int64_t next = now_ns(CLOCK_MONOTONIC);
    while (!ended) {
        struct sight sight = look(slot);
        int64_t at = now_ns(CLOCK_MONOTONIC);   /* after the look: waiting for the lock is a gap like any other */
        if (looks++)
            count_gap(at - last_ns);
        else
            first_ns = at;
        last_ns = at;
        remember(slot, &sight, at);
        while (next <= at)                      /* late: what was missed is missed, the grid stays */
            next += EVERY_NS;
        struct timespec t = {next / 1000000000, next % 1000000000};
        if (!ended)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    }
    print_all(slot);
    return fflush(stdout) != 0;
}
