/* Verbs about one GPU: load, presence, mode. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "nvsim.h"

static int slot_of(int argc, char **argv, int want)
{
    return argc < want ? -1 : find_gpu(argv[0]);
}

static void set_load(struct gpu *g, double percent, int open)
{
    g->load = percent / 100;
    g->open = open;
    g->touched = 1;
    physics_unsteady(g);
}

/* "open": a process has a context but no work: clocks up, utilisation 0. */
static int verb_load(int argc, char **argv)
{
    double percent = 0;
    int slot = slot_of(argc, argv, 2), open;
    if (slot < 0)
        return argc == 0 ? fail("load what? GPU PERCENT; the driver: load-driver") : argc < 2 ? usage("load") : 1;
    struct gpu *g = &st->gpus[slot];
    open = strcmp(argv[1], "open") == 0;
    if (!open && (!number(argv[1], &percent) || percent < 0 || percent > 100))
        return fail("load is 0 to 100, or \"open\"");
    g->mps_pid = 0;
    for (int i = 2; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--pid") == 0)
            g->process_pid = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--mps-client") == 0)
            g->mps_pid = (unsigned)atoi(argv[i + 1]);
    g->script_len = 0;
    set_load(g, percent, open || percent > 0);
    return 0;
}

/* Lines "SECONDS LOAD" or "SECONDS open", seconds from now in simulated time. */
static int verb_replay(int argc, char **argv)
{
    char line[256], what[32];
    int slot = slot_of(argc, argv, 2);
    if (slot < 0)
        return argc < 2 ? usage("replay") : 1;
    struct gpu *g = &st->gpus[slot];
    FILE *f = fopen(argv[1], "re");
    if (!f)
        return fail("%s: cannot read", argv[1]);
    g->script_len = g->script_at = 0;
    while (fgets(line, sizeof line, f) && g->script_len < MAX_SCRIPT) {
        struct script_step step = {0, 0, 0};
        if (line[0] == '#' || sscanf(line, "%lf %31s", &step.at_s, what) != 2)
            continue;
        step.open = strcmp(what, "open") == 0;
        step.load = atof(what) / 100;
        step.open = step.open || step.load > 0;
        g->script[g->script_len++] = step;
    }
    fclose(f);
    g->touched = 1;
    g->script_start_s = (double)st->advanced_ticks * TICK_NS / 1e9;
    physics_unsteady(g);
    return 0;
}

static void push_xid(int slot, unsigned xid)
{
    event_push(st, slot, EVENT_XID, xid);
}

static int verb_lose(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 1);
    if (slot < 0)
        return argc < 1 ? usage("lose") : 1;
    struct gpu *g = &st->gpus[slot];
    push_xid(slot, 79);
    event_push(st, slot, EVENT_GPU_UNAVAILABLE, 0);
    g->lost = 1;
    g->recovery_action = 2;
    set_load(g, 0, 0);
    sysroot_write(st, state_dir);
    return 0;
}

/* Back on the bus: another initialisation, which clients attached before do not see. */
static void come_back(struct gpu *g)
{
    g->lost = 0;
    g->present = 1;
    g->recovery_action = 0;
    g->generation++;
    memset(g->counter_s, 0, sizeof g->counter_s);
    g->energy_mj = 0;
    g->replays = 0;
    gpu_initialise(st, g);
    physics_start(g);
}

static int verb_restore(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 1);
    if (slot < 0)
        return argc < 1 ? usage("restore") : 1;
    struct gpu *g = &st->gpus[slot];
    if (!g->lost && g->present)
        return fail("GPU %s is not lost", argv[0]);
    int was_absent = !g->present;
    come_back(g);
    if (was_absent)
        st->order[st->n_order++] = slot;
    system_event_push(st, slot, SYSTEM_EVENT_BIND);
    sysroot_write(st, state_dir);
    return 0;
}

static int verb_reset(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 1), force = argc == 2 && strcmp(argv[1], "--force") == 0;
    if (slot < 0)
        return argc < 1 ? usage("reset") : 1;
    int n = clients_count(st);
    if (n && !force)
        return fail("reset refused: %d client%s attached (see nvsim clients)", n, n == 1 ? " is" : "s are");
    set_load(&st->gpus[slot], 0, 0);
    come_back(&st->gpus[slot]);
    sysroot_write(st, state_dir);
    return 0;
}

/* Not seen by any client: what happens to settings when the driver starts a GPU anew behind one's back. */
static int verb_reinit(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 1);
    if (slot < 0)
        return argc < 1 ? usage("reinit") : 1;
    struct gpu *g = &st->gpus[slot];
    memset(g->counter_s, 0, sizeof g->counter_s);
    g->energy_mj = 0;
    gpu_initialise(st, g);
    return 0;
}

static int verb_add(int argc, char **argv)
{
    if (argc != 1)
        return usage("add");
    if (host_add_gpu(argv[0]) != 0)
        return 1;
    system_event_push(st, st->n_slots - 1, SYSTEM_EVENT_BIND);
    sysroot_write(st, state_dir);
    return 0;
}

static int verb_remove(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 1), n = 0;
    if (slot < 0)
        return argc < 1 ? usage("remove") : 1;
    struct gpu *g = &st->gpus[slot];
    g->present = 0;
    g->generation++;
    set_load(g, 0, 0);
    for (int i = 0; i < st->n_order; i++)
        if (st->order[i] != slot)
            st->order[n++] = st->order[i];
    st->n_order = n;
    event_push(st, slot, EVENT_GPU_UNAVAILABLE, 0);
    system_event_push(st, slot, SYSTEM_EVENT_UNBIND);
    sysroot_write(st, state_dir);
    return 0;
}

/* Takes effect at each client's next init, as indices do. */
static int verb_order(int argc, char **argv)
{
    int order[MAX_GPUS], used[MAX_GPUS] = {0};
    if (argc == 0) {
        for (int i = 0, j = st->n_order - 1; i < j; i++, j--) {
            int t = st->order[i];
            st->order[i] = st->order[j];
            st->order[j] = t;
        }
        return 0;
    }
    if (argc != st->n_order)
        return fail("order wants all %d GPUs, or none to turn the order round", st->n_order);
    for (int i = 0; i < argc; i++) {
        order[i] = find_gpu(argv[i]);
        if (order[i] < 0 || used[order[i]]++)
            return order[i] < 0 ? 1 : fail("GPU %s twice", argv[i]);
    }
    memcpy(st->order, order, sizeof *order * (size_t)argc);
    return 0;
}

static int verb_mig(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 2), on;
    if (slot < 0 || !on_off(argv[1], &on))
        return argc < 2 ? usage("mig") : 1;
    struct gpu *g = &st->gpus[slot];
    if (!g->board.mig)
        return fail("%s has no MIG", g->board.name);
    g->mig_on = on;
    g->set.compute_mode = COMPUTE_DEFAULT;
    event_push(st, slot, EVENT_MIG, 0);
    return 0;
}

static int verb_runtime(int argc, char **argv)
{
    int slot = slot_of(argc, argv, 2);
    if (slot < 0)
        return argc < 2 ? usage("runtime") : 1;
    st->gpus[slot].asleep = strcmp(argv[1], "suspended") == 0;
    st->gpus[slot].runtime_auto = strcmp(argv[1], "auto") == 0;
    runtime_power(st);
    sysroot_write(st, state_dir);
    return 0;
}

const struct verb gpu_verbs[] = {
    {"load", "GPU PERCENT|open [--pid N] [--mps-client N]", "work for it; open: a context without work; 0: idle", verb_load},
    {"replay", "GPU FILE", "a load over time: lines \"SECONDS PERCENT|open\"", verb_replay},
    {"lose", "GPU", "falls off the bus: Xid 79, every call GPU_IS_LOST", verb_lose},
    {"restore", "GPU", "is back; clients see it after shutdown and init", verb_restore},
    {"reset", "GPU [--force]", "GPU reset; refused while somebody is attached", verb_reset},
    {"reinit", "GPU", "settings and counters start anew, unnoticed by clients", verb_reinit},
    {"add", "BOARD[,uuid=U][,pci=P]", "plug one in", verb_add},
    {"remove", "GPU", "take it out (restore by UUID puts it back)", verb_remove},
    {"order", "[GPU GPU ...]", "another index order (none: turned round)", verb_order},
    {"mig", "GPU on|off", "MIG mode", verb_mig},
    {"runtime", "GPU suspended|active|auto", "what power/runtime_status says; auto: asleep while nobody is attached", verb_runtime},
    {NULL, NULL, NULL, NULL},
};
