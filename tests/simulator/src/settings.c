/* The writable settings: who may set what, what is accepted, and the record of every attempt. */
#include <string.h>
#include <stdlib.h>
#include <time.h>
#include "sim.h"

const char *return_name(nvmlReturn_t r)
{
    switch (r) {
    case OK: return "SUCCESS";
    case ERR_UNINITIALIZED: return "UNINITIALIZED";
    case ERR_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case ERR_NOT_SUPPORTED: return "NOT_SUPPORTED";
    case ERR_NO_PERMISSION: return "NO_PERMISSION";
    case ERR_NOT_FOUND: return "NOT_FOUND";
    case ERR_INSUFFICIENT_SIZE: return "INSUFFICIENT_SIZE";
    case ERR_DRIVER_NOT_LOADED: return "DRIVER_NOT_LOADED";
    case ERR_TIMEOUT: return "TIMEOUT";
    case ERR_GPU_IS_LOST: return "GPU_IS_LOST";
    case ERR_LIB_RM_VERSION_MISMATCH: return "LIB_RM_VERSION_MISMATCH";
    case ERR_IN_USE: return "IN_USE";
    case ERR_MEMORY: return "MEMORY";
    case ERR_ARGUMENT_VERSION_MISMATCH: return "ARGUMENT_VERSION_MISMATCH";
    case ERR_DEPRECATED: return "DEPRECATED";
    default: return "UNKNOWN";
    }
}

const char *return_text(nvmlReturn_t r)
{
    switch (r) {
    case OK: return "Success";
    case ERR_UNINITIALIZED: return "Uninitialized";
    case ERR_INVALID_ARGUMENT: return "Invalid Argument";
    case ERR_NOT_SUPPORTED: return "Not Supported";
    case ERR_NO_PERMISSION: return "Insufficient Permissions";
    case ERR_NOT_FOUND: return "Not Found";
    case ERR_INSUFFICIENT_SIZE: return "Insufficient Size";
    case ERR_DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case ERR_TIMEOUT: return "Timeout";
    case ERR_GPU_IS_LOST: return "GPU is lost";
    case ERR_LIB_RM_VERSION_MISMATCH: return "RM has detected an NVML/RM version mismatch.";
    case ERR_IN_USE: return "In use by another client";
    case ERR_MEMORY: return "Insufficient Memory";
    case ERR_ARGUMENT_VERSION_MISMATCH: return "The provided version is invalid/unsupported";
    case ERR_DEPRECATED: return "Requested functionality has been deprecated";
    default: return "Unknown Error";
    }
}

void log_write(struct state *s, const struct gpu *g, const struct caller *who, const char *fn, int n,
               const unsigned *args, nvmlReturn_t result)
{
    struct write_entry *w = &s->writes[s->n_writes++ % MAX_WRITES];
    memset(w, 0, sizeof *w);
    w->realtime_ns = now_ns(CLOCK_REALTIME);
    w->monotonic_ns = now_ns(CLOCK_MONOTONIC);
    w->pid = who->pid;
    w->stranger = who->stranger;
    w->nargs = n;
    for (int i = 0; i < n; i++)
        w->args[i] = args[i];
    snprintf(w->function, sizeof w->function, "%s", fn);
    snprintf(w->gpu, sizeof w->gpu, "%s", g->uuid);
    w->result = result;
}

void settings_default(struct state *s, struct gpu *g)
{
    (void)s;
    memset(&g->set, 0, sizeof g->set);
    g->set.power_mw = g->board.power_default_mw;
    g->set.app_mem_mhz = g->board.app_mem_mhz;
    g->set.app_gpu_mhz = g->board.app_gpu_mhz;
    g->kept = g->set;
    physics_unsteady(g);
}

void gpu_initialise(struct state *s, struct gpu *g)
{
    struct settings before = g->set;
    settings_default(s, g);
    g->init_seq++;
    g->touched |= memcmp(&before, &g->set, sizeof before) != 0;
}

enum appclocks app_clocks_state(const struct state *s, const struct gpu *g)
{
    return atoi(s->driver) >= 595 ? g->board.app_clocks_r595 : g->board.app_clocks;
}

static nvmlReturn_t done(struct state *s, struct gpu *g, const struct caller *who, const char *fn, int n,
                         const unsigned *args, nvmlReturn_t r)
{
    log_write(s, g, who, fn, n, args, r);
    if (g->deaf)
        g->set = g->kept;       /* the answer says SUCCESS all the same */
    g->kept = g->set;
    if (r == OK) {
        g->touched = 1;
        physics_unsteady(g);
    }
    return r;
}

nvmlReturn_t set_persistence(struct state *s, struct gpu *g, const struct caller *who, unsigned mode)
{
    nvmlReturn_t r = OK;
    if (!who->root)
        r = ERR_NO_PERMISSION;
    else if (mode > 1)
        r = ERR_INVALID_ARGUMENT;
    else
        g->set.persistence = (int)mode;
    return done(s, g, who, "nvmlDeviceSetPersistenceMode", 1, &mode, r);
}

nvmlReturn_t set_power_limit(struct state *s, struct gpu *g, const struct caller *who, unsigned mw)
{
    const struct board *b = &g->board;
    nvmlReturn_t r = OK;
    if (!b->power_settable)
        r = ERR_NOT_SUPPORTED;
    else if (!who->root)
        r = ERR_NO_PERMISSION;
    else if (mw < b->power_min_mw || mw > b->power_max_mw)
        r = ERR_INVALID_ARGUMENT;
    else if (mw == b->power_max_mw || mw == b->power_default_mw)
        g->set.power_mw = mw;
    else
        g->set.power_mw = mw - (mw - b->power_min_mw) % b->power_step_mw;
    return done(s, g, who, "nvmlDeviceSetPowerManagementLimit", 1, &mw, r);
}

nvmlReturn_t set_compute_mode(struct state *s, struct gpu *g, const struct caller *who, unsigned mode)
{
    nvmlReturn_t r = OK;
    if (g->mig_on)
        r = ERR_NOT_SUPPORTED;
    else if (!who->root)
        r = ERR_NO_PERMISSION;
    else if (mode != COMPUTE_DEFAULT && mode != COMPUTE_PROHIBITED && mode != COMPUTE_EXCLUSIVE_PROCESS)
        r = ERR_INVALID_ARGUMENT;
    else
        g->set.compute_mode = mode;
    return done(s, g, who, "nvmlDeviceSetComputeMode", 1, &mode, r);
}

static int is_limit_id(unsigned v)
{
    return v == CLOCK_LIMIT_ID_TDP || v == CLOCK_LIMIT_ID_UNLIMITED;
}

static double limit_mhz(const struct board *b, unsigned v)
{
    return v == CLOCK_LIMIT_ID_TDP ? b->base_mhz : v == CLOCK_LIMIT_ID_UNLIMITED ? gpu_max_mhz(b) : v;
}

/* On the ladder of the highest memory clock that reaches so far. */
static unsigned nearest_rung(const struct board *b, double mhz)
{
    for (unsigned i = 0; i < b->rungs; i++)
        if (b->ladder[i].low_mhz <= mhz && mhz <= b->ladder[i].high_mhz)
            return ladder_nearest(&b->ladder[i], mhz);
    return ladder_nearest(&b->ladder[0], mhz);
}

nvmlReturn_t set_gpu_lock(struct state *s, struct gpu *g, const struct caller *who, unsigned min, unsigned max)
{
    double low = limit_mhz(&g->board, min), high = limit_mhz(&g->board, max);
    double least = 1e9;
    for (unsigned i = 0; i < g->board.rungs; i++)
        least = g->board.ladder[i].low_mhz < least ? g->board.ladder[i].low_mhz : least;
    unsigned args[2] = {min, max};
    nvmlReturn_t r = OK;
    if (!g->board.gpu_lock)
        r = ERR_NOT_SUPPORTED;
    else if (!who->root)
        r = ERR_NO_PERMISSION;
    else if (is_limit_id(min) != is_limit_id(max) || low > high || high < least
             || low > gpu_max_mhz(&g->board))
        r = ERR_INVALID_ARGUMENT;
    else
        g->set.gpu_lock = (struct range){nearest_rung(&g->board, low), nearest_rung(&g->board, high), 1};
    return done(s, g, who, "nvmlDeviceSetGpuLockedClocks", 2, args, r);
}

nvmlReturn_t reset_gpu_lock(struct state *s, struct gpu *g, const struct caller *who)
{
    nvmlReturn_t r = !g->board.gpu_lock ? ERR_NOT_SUPPORTED : !who->root ? ERR_NO_PERMISSION : OK;
    if (r == OK)
        g->set.gpu_lock.set = 0;
    return done(s, g, who, "nvmlDeviceResetGpuLockedClocks", 0, NULL, r);
}

nvmlReturn_t set_mem_lock(struct state *s, struct gpu *g, const struct caller *who, unsigned min, unsigned max)
{
    const struct board *b = &g->board;
    unsigned args[2] = {min, max};
    nvmlReturn_t r = OK;
    if (!b->mem_lock)
        r = ERR_NOT_SUPPORTED;
    else if (!who->root)
        r = ERR_NO_PERMISSION;
    else if (min > max || max < b->ladder[b->rungs - 1].mem_mhz || min > b->ladder[0].mem_mhz)
        r = ERR_INVALID_ARGUMENT;
    else
        g->set.mem_lock = (struct range){mem_snap_up(b, min), mem_snap_up(b, max), 1};
    return done(s, g, who, "nvmlDeviceSetMemoryLockedClocks", 2, args, r);
}

nvmlReturn_t reset_mem_lock(struct state *s, struct gpu *g, const struct caller *who)
{
    nvmlReturn_t r = !g->board.mem_lock ? ERR_NOT_SUPPORTED : !who->root ? ERR_NO_PERMISSION : OK;
    if (r == OK)
        g->set.mem_lock.set = 0;
    return done(s, g, who, "nvmlDeviceResetMemoryLockedClocks", 0, NULL, r);
}

static nvmlReturn_t app_refusal(const struct state *s, const struct gpu *g, const struct caller *who)
{
    enum appclocks a = app_clocks_state(s, g);
    if (a != APP_SUPPORTED)
        return a == APP_DEPRECATED ? ERR_DEPRECATED : ERR_NOT_SUPPORTED;
    return who->root ? OK : ERR_NO_PERMISSION;
}

nvmlReturn_t set_app_clocks(struct state *s, struct gpu *g, const struct caller *who, unsigned mem, unsigned gpu_mhz)
{
    unsigned args[2] = {mem, gpu_mhz};
    nvmlReturn_t r = app_refusal(s, g, who);
    if (r == OK) {
        const struct ladder *l = ladder_of(&g->board, mem);
        if (!l || gpu_mhz < l->low_mhz || ladder_nearest(l, gpu_mhz) != gpu_mhz)
            r = ERR_INVALID_ARGUMENT;
        else
            g->set.app_mem_mhz = mem, g->set.app_gpu_mhz = gpu_mhz;
    }
    return done(s, g, who, "nvmlDeviceSetApplicationsClocks", 2, args, r);
}

nvmlReturn_t reset_app_clocks(struct state *s, struct gpu *g, const struct caller *who)
{
    nvmlReturn_t r = app_refusal(s, g, who);
    if (r == OK)
        g->set.app_mem_mhz = g->board.app_mem_mhz, g->set.app_gpu_mhz = g->board.app_gpu_mhz;
    return done(s, g, who, "nvmlDeviceResetApplicationsClocks", 0, NULL, r);
}
