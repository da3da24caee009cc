/* How a simulated GPU moves: clocks from load, locks and power cap; power from clocks and load;
 * temperature from power; reasons and counters from those. Shaped after a recorded H200 (see README.md). */
#include <math.h>
#include <string.h>
#include <time.h>
#include "sim.h"

#define REASON_DELAY_S 0.10     /* the cap acts at once, the reason bit shows after this */
#define CAP_HOLD_S 0.40         /* and stays this long after the need for it has gone */
#define LOW_UTIL_ON_S 1.9
#define LOW_UTIL_OFF_S 0.3
#define COARSE_TICKS 6000

int64_t sim_now_ns(const struct state *s)
{
    return s->base_sim_ns + (int64_t)((double)(now_ns(CLOCK_MONOTONIC) - s->base_mono_ns) * s->speed);
}

void sim_rebase(struct state *s)
{
    s->base_sim_ns = sim_now_ns(s);
    s->base_mono_ns = now_ns(CLOCK_MONOTONIC);
}

unsigned enforced_mw(const struct gpu *g)
{
    return g->enforced_mw && g->enforced_mw < g->set.power_mw ? g->enforced_mw : g->set.power_mw;
}

double power_at(const struct gpu *g, double mhz)
{
    const struct board *b = &g->board;
    double x = mhz / b->boost_mhz;
    double up = mhz <= b->idle_mhz ? 0 : (mhz - b->idle_mhz) / (b->boost_mhz - b->idle_mhz);
    double still = b->idle_w + (b->open_w - b->idle_w) * (up > 1 ? 1 : up);
    return still + g->load * (b->load_w - b->open_w) * pow(x, b->power_exponent);
}

void physics_unsteady(struct gpu *g)
{
    g->steady = 0;
    g->cap_key[0] = -1;
}

/* Highest clock whose power stays below the limit. Kept until its inputs change. */
static double capped_mhz(struct gpu *g, double target, double limit_w)
{
    if (g->cap_key[0] == target && g->cap_key[1] == limit_w && g->cap_key[2] == g->load)
        return g->cap_mhz;
    double low = g->board.ladder[0].low_mhz, high = target;
    if (power_at(g, target) > limit_w)
        for (int i = 0; i < 24; i++) {
            double mid = (low + high) / 2;
            if (power_at(g, mid) > limit_w)
                high = mid;
            else
                low = mid;
        }
    else
        low = target;
    g->cap_key[0] = target;
    g->cap_key[1] = limit_w;
    g->cap_key[2] = g->load;
    return g->cap_mhz = low;
}

/* 0 to 99, each equally often in any hundred tenths of a second, in no visible order: a run repeats exactly. */
static unsigned wander(int64_t tick, int slot)
{
    return (unsigned)((tick / 10 * 37 + slot * 13) % 100);
}

static double wanted_mhz(const struct gpu *g, int active)
{
    const struct board *b = &g->board;
    double f = active ? b->boost_mhz : b->idle_mhz;
    if (active && b->app_clocks == APP_SUPPORTED && g->set.app_gpu_mhz && g->set.app_gpu_mhz < f)
        f = g->set.app_gpu_mhz;
    if (g->set.gpu_lock.set) {
        if (f > g->set.gpu_lock.max)
            f = g->set.gpu_lock.max;
        if (f < g->set.gpu_lock.min)
            f = g->set.gpu_lock.min;
    }
    return f;
}

static unsigned wanted_mem(const struct gpu *g, int active)
{
    const struct board *b = &g->board;
    unsigned m = active ? b->load_mem_mhz : b->idle_mem_mhz;
    if (active && b->app_clocks == APP_SUPPORTED && g->set.app_mem_mhz)
        m = g->set.app_mem_mhz;
    if (g->set.mem_lock.set) {
        if (m > g->set.mem_lock.max)
            m = g->set.mem_lock.max;
        if (m < g->set.mem_lock.min)
            m = g->set.mem_lock.min;
    }
    return m;
}

/* Cap, its late reason bit and its hold. Returns the clock before ripple. */
static double cap_step(struct gpu *g, double target, double dt, int *needed)
{
    double limit_w = enforced_mw(g) / 1000.0 * g->board.cap_margin;
    double capped = capped_mhz(g, target, limit_w);
    *needed = capped < target - 1;
    if (*needed) {
        g->cap_for_s += dt;
        g->hold_s = CAP_HOLD_S;
        if (g->cap_for_s > REASON_DELAY_S)
            g->capping = 1;
        return capped;
    }
    g->cap_for_s = 0;
    if (g->capping) {
        g->hold_s -= dt;
        if (g->hold_s <= 0)
            g->capping = 0;
        double slow = target - g->board.ladder[0].step_mhz;
        return g->sm_mhz + (slow - g->sm_mhz) * (1 - exp(-dt / 0.05));
    }
    return target;
}

static void heat_step(struct gpu *g, double dt)
{
    const struct board *b = &g->board;
    g->t_fast += (g->power_w * b->r_fast - g->t_fast) * (1 - exp(-dt / b->tau_fast_s));
    g->t_slow += (g->power_w * b->r_slow - g->t_slow) * (1 - exp(-dt / b->tau_slow_s));
    g->temp_c = g->forced_temp > -1000 ? g->forced_temp : b->ambient_c + g->t_fast + g->t_slow;
}

static void count(struct gpu *g, double dt, double app_mhz)
{
    unsigned r = g->reasons;
    double *c = g->counter_s;
    c[C_POWER] += r & REASON_SW_POWER_CAP ? dt : 0;
    c[C_THERMAL] += r & (REASON_SW_THERMAL | REASON_HW_THERMAL) ? dt : 0;
    c[C_SYNC] += r & REASON_SYNC_BOOST ? dt : 0;
    c[C_BOARD] += r & REASON_BOARD_LIMIT ? dt : 0;
    c[C_LOW_UTIL] += g->low_util ? dt : 0;
    c[C_RELIABILITY] += r & REASON_RELIABILITY ? dt : 0;
    c[C_APP] += g->sm_mhz < app_mhz - 1 ? dt : 0;
    c[C_BASE] += g->sm_read_mhz < g->board.base_mhz ? dt : 0;
    c[C_SW_THERMAL] += r & REASON_SW_THERMAL ? dt : 0;
    c[C_HW_THERMAL] += r & REASON_HW_THERMAL ? dt : 0;
    c[C_HW_BRAKE] += r & REASON_HW_BRAKE ? dt : 0;
    g->energy_mj += g->power_w * dt * 1000;
}

static void ring_push(struct gpu *g, double dt)
{
    int n = dt > 1.0 ? POWER_RING : (int)(dt * 1e9 / TICK_NS + 0.5);
    for (int i = 0; i < (n < 1 ? 1 : n > POWER_RING ? POWER_RING : n); i++) {
        g->ring_at = (g->ring_at + 1) % POWER_RING;
        g->ring[g->ring_at] = g->power_w;
    }
    g->ring_sum = 0;
    for (int i = 0; i < POWER_RING; i++)
        g->ring_sum += g->ring[i];
}

static void script_step(struct gpu *g, double sim_s)
{
    while (g->script_at < g->script_len && sim_s - g->script_start_s >= g->script[g->script_at].at_s) {
        g->load = g->script[g->script_at].load;
        g->open = g->script[g->script_at].open;
        g->script_at++;
        physics_unsteady(g);
    }
}

static void utilisation_step(struct gpu *g, double dt)
{
    g->util += (g->load - g->util) * (dt > 0.16 ? 1 : 1 - exp(-dt / 0.04));
    if (g->load > 0.05) {
        g->busy_s += dt;
        g->low_util_s = 0;
        if (g->busy_s > LOW_UTIL_OFF_S)
            g->low_util = 0;
    } else {
        g->busy_s = 0;
        g->low_util_s += dt;
        if (g->low_util_s > LOW_UTIL_ON_S)
            g->low_util = 1;
    }
}

static void gpu_step(struct state *s, int slot, double dt, int64_t tick)
{
    struct gpu *g = &s->gpus[slot];
    const struct board *b = &g->board;
    double old_power = g->power_w, old_temp = g->temp_c;
    unsigned old_reasons = g->reasons, old_pstate = g->pstate;
    script_step(g, (double)tick * TICK_NS / 1e9 - dt + 1e-6);
    int active = g->open || g->load > 0, needed = 0;
    double target = wanted_mhz(g, active), f = target;
    unsigned reasons = 0;
    if (active)
        f = cap_step(g, target, dt, &needed);
    else
        g->capping = 0, g->cap_for_s = 0, reasons |= b->idle_reasons;
    if (g->capping)
        reasons |= REASON_SW_POWER_CAP;
    unsigned r = wander(tick, slot);
    if (g->temp_c >= b->t_slowdown)
        reasons |= REASON_HW_THERMAL | REASON_HW_SLOWDOWN;
    else if (g->temp_c >= b->t_gpu_max)
        reasons |= REASON_SW_THERMAL;
    reasons |= g->forced_reasons;
    if (active && reasons & (REASON_HW_THERMAL | REASON_HW_BRAKE | REASON_HW_SLOWDOWN))
        f = f < b->boost_mhz / 2.0 ? f : b->boost_mhz / 2.0;    /* hardware slowdown halves the clock */
    else if (active && reasons & REASON_SW_THERMAL)
        f *= 0.9;
    g->sm_mhz = f;
    g->power_w = power_at(g, f);
    /* A capped clock wanders by a step or two around its mean. */
    double ripple = !needed ? 0 : r < 8 ? 30 : r < 27 ? 15 : r < 65 ? 0 : -15;
    g->sm_read_mhz = ladder_floor(&b->ladder[0], f + ripple);
    /* Seen on RTX 5090: a clock held by its lock reads one half-step below it now and then. */
    if (active && g->set.gpu_lock.set && !needed && b->ladder[0].step_mhz < 10 && f >= g->set.gpu_lock.max && r < 50)
        g->sm_read_mhz = ladder_floor(&b->ladder[0], f - b->ladder[0].step_mhz);
    g->mem_mhz = wanted_mem(g, active);
    g->pstate = active ? b->load_pstate : b->idle_pstate;
    g->reasons = reasons & (b->supported_reasons | g->forced_reasons);
    utilisation_step(g, dt);
    ring_push(g, dt);
    heat_step(g, dt);
    count(g, dt, g->set.app_gpu_mhz ? g->set.app_gpu_mhz : b->boost_mhz);
    if ((needed && tick % 2) || g->reasons != old_reasons)   /* about as many as recorded: 60 a second */
        event_push(s, slot, EVENT_CLOCK, 0);
    if (g->pstate != old_pstate)
        event_push(s, slot, EVENT_PSTATE, g->pstate);
    g->steady = !needed && !g->capping && g->script_at >= g->script_len && g->low_util_s > LOW_UTIL_ON_S
        && fabs(old_power - g->power_w) < 0.001 && fabs(g->ring_sum / POWER_RING - g->power_w) < 0.01
        && fabs(old_temp - g->temp_c) < 0.0005 * dt / 0.01;
}

void physics_start(struct gpu *g)
{
    const struct board *b = &g->board;
    g->sm_mhz = b->idle_mhz;
    g->power_w = b->idle_w;
    g->t_fast = g->power_w * b->r_fast;
    g->t_slow = g->power_w * b->r_slow;
    g->temp_c = b->ambient_c + g->t_fast + g->t_slow;
    g->sm_read_mhz = b->idle_mhz;
    g->mem_mhz = b->idle_mem_mhz;
    g->pstate = b->idle_pstate;
    g->reasons = b->idle_reasons;
    g->low_util = 1;
    g->low_util_s = 10;
    ring_push(g, 10);
    physics_unsteady(g);
}

void physics_advance(struct state *s)
{
    settle_check(s);
    int64_t target = sim_now_ns(s) / TICK_NS, from = s->advanced_ticks;
    if (target <= from)
        return;
    s->advanced_ticks = target;
    if (!s->loaded)
        return;
    for (int i = 0; i < s->n_slots; i++) {
        struct gpu *g = &s->gpus[i];
        if (!g->present || g->lost)
            continue;
        int64_t at = from;
        if (g->steady) {        /* nothing changes: one step does for any length of time */
            gpu_step(s, i, (double)(target - at) * TICK_NS / 1e9, target);
            continue;
        }
        if (target - at > COARSE_TICKS && g->script_at >= g->script_len) {
            int64_t coarse = (target - at - 1000) / 500;
            for (int k = 0; k < 500; k++, at += coarse)
                gpu_step(s, i, (double)coarse * TICK_NS / 1e9, at);
        }
        while (at < target)
            gpu_step(s, i, TICK_NS / 1e9, ++at);
    }
}

int counter_slot(const struct gpu *g, unsigned field)
{
    static const unsigned ids[CORE_COUNTERS] = {74, 75, 76, 77, 78, 79, 80, 81, 269, 270, 271};
    for (unsigned i = 0; i < g->board.n_counters; i++)
        if (g->board.counters[i] == field)
            for (int k = 0; k < CORE_COUNTERS; k++)
                if (ids[k] == field)
                    return k;
    return -1;
}
