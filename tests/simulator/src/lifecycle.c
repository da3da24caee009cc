/* What happens to the driver as a whole: loaded, unloaded, resumed. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sim.h"

void driver_load(struct state *s)
{
    s->loaded = 1;
    s->load_seq++;
    s->loaded_sim_ns = sim_now_ns(s);
    s->advanced_ticks = s->loaded_sim_ns / TICK_NS;
    for (int i = 0; i < s->n_slots; i++) {
        struct gpu *g = &s->gpus[i];
        if (!g->present)
            continue;
        memset(g->counter_s, 0, sizeof g->counter_s);
        g->energy_mj = 0;
        g->replays = 0;
        g->recovery_action = 0;
        g->generation++;
        gpu_initialise(s, g);
        physics_start(g);
        system_event_push(s, i, SYSTEM_EVENT_BIND);
    }
}

void driver_unload(struct state *s)
{
    s->loaded = 0;
    for (int i = 0; i < s->n_slots; i++) {
        s->gpus[i].generation++;
        s->gpus[i].load = 0;
        s->gpus[i].open = 0;
        s->gpus[i].script_len = 0;
        if (s->gpus[i].present)
            system_event_push(s, i, SYSTEM_EVENT_UNBIND);
    }
}

static void forget_after_resume(struct state *s)
{
    for (int i = 0; i < s->n_slots; i++) {
        struct gpu *g = &s->gpus[i];
        g->set.gpu_lock.set = 0;
        g->set.mem_lock.set = 0;
        g->set.power_mw = g->board.power_default_mw;
        g->kept = g->set;
        physics_unsteady(g);
    }
}

void driver_resume(struct state *s, double seconds, double settle_s)
{
    __atomic_add_fetch(&s->asleep_ns, (int64_t)(seconds * 1e9), __ATOMIC_SEQ_CST);
    if (!s->loaded)
        return;
    forget_after_resume(s);
    s->settle_until_ns = now_ns(CLOCK_MONOTONIC) + (int64_t)(settle_s * 1e9);
}

/* A driver that has just come back goes on setting itself up: what was written meanwhile is lost. */
void settle_check(struct state *s)
{
    if (s->settle_until_ns && now_ns(CLOCK_MONOTONIC) >= s->settle_until_ns) {
        s->settle_until_ns = 0;
        forget_after_resume(s);
    }
}
