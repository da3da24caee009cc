/* nvsim set: what somebody else's tool does to a GPU, through the same rules and into the same record. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "nvsim.h"

static struct caller stranger;

static int answer(const char *key, nvmlReturn_t r)
{
    return r == OK ? 0 : fail("%s: the driver answers %s", key, return_name(r));
}

static int pair(const char *v, char separator, unsigned *a, unsigned *b)
{
    char *end;
    *a = *b = (unsigned)strtoul(v, &end, 10);
    if (*end == separator)
        *b = (unsigned)strtoul(end + 1, &end, 10);
    return *v && !*end;
}

static int set_clocks(struct gpu *g, const char *key, const char *v)
{
    unsigned a, b;
    int memory = strcmp(key, "memory_clock_mhz") == 0;
    if (strcmp(v, "unlocked") == 0)
        return answer(key, (memory ? reset_mem_lock : reset_gpu_lock)(st, g, &stranger));
    if (!pair(v, '-', &a, &b))
        return fail("%s=%s: give MIN-MAX in MHz, or unlocked", key, v);
    return answer(key, (memory ? set_mem_lock : set_gpu_lock)(st, g, &stranger, a, b));
}

static int set_app(struct gpu *g, const char *key, const char *v)
{
    unsigned a, b;
    if (strcmp(v, "default") == 0)
        return answer(key, reset_app_clocks(st, g, &stranger));
    if (!pair(v, ',', &a, &b))
        return fail("%s=%s: give MEMORY,GPU in MHz, or default", key, v);
    return answer(key, set_app_clocks(st, g, &stranger, a, b));
}

static int set_mode(struct gpu *g, const char *key, const char *v)
{
    unsigned mode = strcmp(v, "prohibited") == 0 ? COMPUTE_PROHIBITED
        : strcmp(v, "exclusive_process") == 0 ? COMPUTE_EXCLUSIVE_PROCESS : COMPUTE_DEFAULT;
    if (mode == COMPUTE_DEFAULT && strcmp(v, "default") != 0)
        return fail("%s=%s: default, exclusive_process or prohibited", key, v);
    return answer(key, set_compute_mode(st, g, &stranger, mode));
}

/* Knobs of the hardware itself; nothing of this is recorded as a write. */
static int knob(struct gpu *g, const char *key, const char *v)
{
    double d = 0;
    int none = strcmp(v, "none") == 0;
    if (!none && strcmp(key, "reasons") != 0 && !number(v, &d))
        return 1;
    if (strcmp(key, "temperature") == 0)
        g->forced_temp = none ? -1000 : (int)d;
    else if (strcmp(key, "reasons") == 0)
        g->forced_reasons = none ? 0 : (unsigned)strtoul(v, NULL, 0);
    else if (strcmp(key, "pcie_gen") == 0)
        g->forced_pcie_gen = (int)d;
    else if (strcmp(key, "pcie_width") == 0)
        g->forced_pcie_width = (int)d;
    else if (strcmp(key, "pcie_replay") == 0)
        g->replays = (unsigned long long)d;
    else if (strcmp(key, "enforced_limit_w") == 0)
        g->enforced_mw = none ? 0 : (unsigned)llround(d * 1000);
    else if (strcmp(key, "power_smoothing_mw_s") == 0)
        g->smoothing_mw_s = none ? 0 : (unsigned)d;
    else if (strcmp(key, "clock_offset_mhz") == 0)
        ladder_shift(g, none ? 0 : (int)d);
    else if (strcmp(key, "recovery_action") == 0)
        g->recovery_action = (unsigned)d;
    else
        return fail("no key \"%s\": persistence_mode, power_limit_w, gpu_clock_mhz, memory_clock_mhz, "
                    "application_clocks_mhz, compute_mode; of the hardware: temperature, reasons, pcie_gen, "
                    "pcie_width, pcie_replay, recovery_action, enforced_limit_w, clock_offset_mhz, power_smoothing_mw_s", key);
    g->touched = 1;
    physics_unsteady(g);
    return 0;
}

static int set_one(struct gpu *g, const char *key, const char *v)
{
    double d;
    int on;
    if (strcmp(key, "power_limit_w") == 0)
        return number(v, &d) ? answer(key, set_power_limit(st, g, &stranger, (unsigned)llround(d * 1000))) : 1;
    if (strcmp(key, "persistence_mode") == 0)
        return on_off(v, &on) ? answer(key, set_persistence(st, g, &stranger, (unsigned)on)) : 1;
    if (strcmp(key, "compute_mode") == 0)
        return set_mode(g, key, v);
    if (strcmp(key, "gpu_clock_mhz") == 0 || strcmp(key, "memory_clock_mhz") == 0)
        return set_clocks(g, key, v);
    if (strcmp(key, "application_clocks_mhz") == 0)
        return set_app(g, key, v);
    return knob(g, key, v);
}

static int verb_set(int argc, char **argv)
{
    if (argc < 2)
        return usage("set");
    int slot = find_gpu(argv[0]), rc = 0;
    if (slot < 0)
        return 1;
    struct gpu *g = &st->gpus[slot];
    if (!st->loaded || g->lost || !g->present)
        return answer(argv[0], st->loaded ? ERR_GPU_IS_LOST : ERR_DRIVER_NOT_LOADED);
    const char *played = getenv("NVSIM_CAP_SYS_ADMIN");
    stranger = (struct caller){getpid(), !played || *played != '0', 1};
    for (int i = 1; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq)
            return usage("set");
        *eq = 0;
        rc |= set_one(g, argv[i], eq + 1);
    }
    physics_advance(st);
    if (clients_count(st) == 0 && !g->set.persistence) {
        /* As with nvidia-smi: it was the only client, so its leaving ends this initialisation. */
        fprintf(stderr, "nvsim: nobody holds GPU %s and persistence is off: its settings are gone again\n", argv[0]);
        last_client_left(st);
    }
    return rc;
}

const struct verb set_verbs[] = {
    {"set", "GPU KEY=VALUE...", "keys as in the policy; also temperature, reasons, enforced_limit_w, clock_offset_mhz", verb_set},
    {NULL, NULL, NULL, NULL},
};
