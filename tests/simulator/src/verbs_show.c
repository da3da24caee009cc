/* Verbs that look: show, clients, writes, calls. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "nvsim.h"

static const char *mode_name(unsigned mode)
{
    return mode == COMPUTE_PROHIBITED ? "prohibited" : mode == COMPUTE_EXCLUSIVE_PROCESS ? "exclusive_process" : "default";
}

static void json_range(const char *key, const struct range *r)
{
    if (!r->set) {
        json_null(key);
        return;
    }
    json_open(key, '{');
    json_integer("min", r->min);
    json_integer("max", r->max);
    json_close('}');
}

void json_settings(const struct gpu *g, const struct settings *s)
{
    json_flag("persistence_mode", s->persistence);
    json_number("power_limit_w", s->power_mw / 1000.0);
    json_integer("power_limit_mw", s->power_mw);
    json_text("compute_mode", mode_name(s->compute_mode));
    json_range("gpu_clock_mhz", &s->gpu_lock);
    json_range("memory_clock_mhz", &s->mem_lock);
    if (app_clocks_state(st, g) == APP_SUPPORTED) {
        json_open("application_clocks_mhz", '{');
        json_integer("memory", s->app_mem_mhz);
        json_integer("gpu", s->app_gpu_mhz);
        json_close('}');
    } else
        json_null("application_clocks_mhz");
}

static void json_gpu(int slot)
{
    const struct gpu *g = &st->gpus[slot];
    char id[16];
    int index = -1;
    for (int i = 0; i < st->n_order; i++)
        if (st->order[i] == slot)
            index = i;
    json_open(NULL, '{');
    json_integer("index", index);
    json_text("uuid", g->uuid);
    json_text("pci", g->pci);
    json_text("board", g->board.id);
    json_text("name", g->board.name);
    json_flag("present", g->present);
    json_flag("lost", g->lost);
    json_integer("initialisation", g->init_seq);
    json_flag("mig", g->mig_on);
    json_flag("asleep", g->asleep);
    json_integer("wakes", g->wakes);
    json_number("enforced_limit_w", enforced_mw(g) / 1000.0);
    json_settings(g, &g->set);
    json_number("power_min_w", g->board.power_min_mw / 1000.0);
    json_number("power_max_w", g->board.power_max_mw / 1000.0);
    json_number("power_default_w", g->board.power_default_mw / 1000.0);
    json_number("load", g->load);
    json_flag("open", g->open || g->load > 0);
    json_integer("sm_clock_mhz", g->sm_read_mhz);
    json_integer("mem_clock_mhz", g->mem_mhz);
    json_integer("pstate", g->pstate);
    json_number("power_w", g->power_w);
    json_number("power_average_w", g->ring_sum / POWER_RING);
    json_number("temperature_c", g->temp_c);
    json_number("utilization", g->util);
    json_integer("reasons", g->reasons);
    json_integer("energy_mj", (long long)g->energy_mj);
    json_open("counters_ns", '{');
    for (unsigned i = 0; i < g->board.n_counters; i++) {
        int k = counter_slot(g, g->board.counters[i]);
        snprintf(id, sizeof id, "%u", g->board.counters[i]);
        if (k >= 0)
            json_integer(id, (long long)(g->counter_s[k] * 1e9));
    }
    json_close('}');
    json_close('}');
}

static void json_clients(const char *key)
{
    json_open(key, '[');
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (st->clients[i].pid) {
            json_open(NULL, '{');
            json_integer("pid", st->clients[i].pid);
            json_text("comm", st->clients[i].comm);
            json_number("since", (double)st->clients[i].since_ns / 1e9);
            json_close('}');
        }
    json_close(']');
}

static void range_text(char *out, size_t len, const struct range *r)
{
    if (r->set)
        snprintf(out, len, "%u-%u", r->min, r->max);
    else
        snprintf(out, len, "unlocked");
}

static void print_gpu(int index)
{
    const struct gpu *g = &st->gpus[st->order[index]];
    char gpu[32], mem[32];
    range_text(gpu, sizeof gpu, &g->set.gpu_lock);
    range_text(mem, sizeof mem, &g->set.mem_lock);
    printf("%d  %s  %s  %s%s\n", index, g->board.name, g->pci, g->uuid, g->lost ? "  LOST" : "");
    printf("   limit %.3g W (%.3g to %.3g)   persistence %s   compute %s   gpu clock %s   memory clock %s\n",
           g->set.power_mw / 1000.0, g->board.power_min_mw / 1000.0, g->board.power_max_mw / 1000.0,
           g->set.persistence ? "on" : "off", mode_name(g->set.compute_mode), gpu, mem);
    printf("   load %.0f %%   %u MHz   memory %u MHz   %.1f W   %.0f C   reasons 0x%x\n", g->load * 100,
           g->sm_read_mhz, g->mem_mhz, g->power_w, g->temp_c, g->reasons);
}

static int wants_json(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            return 1;
    return 0;
}

static int verb_show(int argc, char **argv)
{
    if (!wants_json(argc, argv)) {
        printf("driver %s %s, %d client%s, speed %g\n", st->driver, st->loaded ? "loaded" : "NOT LOADED",
               clients_count(st), clients_count(st) == 1 ? "" : "s", st->speed);
        for (int i = 0; i < st->n_order; i++)
            print_gpu(i);
        return 0;
    }
    json_open(NULL, '{');
    json_open("driver", '{');
    json_text("version", st->driver);
    json_flag("loaded", st->loaded);
    json_flag("mismatch", st->mismatch);
    json_integer("loads", st->load_seq);
    json_close('}');
    json_text("boot_id", st->boot_id);
    json_number("speed", st->speed);
    json_number("simulated_s", (double)sim_now_ns(st) / 1e9);
    json_number("asleep_s", (double)st->asleep_ns / 1e9);
    json_clients("clients");
    json_open("gpus", '[');
    for (int i = 0; i < st->n_order; i++)
        json_gpu(st->order[i]);
    for (int i = 0; i < st->n_slots; i++)
        if (!st->gpus[i].present)
            json_gpu(i);
    json_close(']');
    json_close('}');
    json_end();
    return 0;
}

static int verb_clients(int argc, char **argv)
{
    if (wants_json(argc, argv)) {
        json_clients(NULL);
        json_end();
    } else
        for (int i = 0; i < MAX_CLIENTS; i++)
            if (st->clients[i].pid)
                printf("%d %s\n", st->clients[i].pid, st->clients[i].comm);
    return 0;
}

static int verb_writes(int argc, char **argv)
{
    int json = wants_json(argc, argv);
    if (argc == 1 && strcmp(argv[0], "--clear") == 0) {
        st->n_writes = 0;
        return 0;
    }
    uint64_t from = st->n_writes > MAX_WRITES ? st->n_writes - MAX_WRITES : 0;
    if (json)
        json_open(NULL, '[');
    for (uint64_t i = from; i < st->n_writes; i++) {
        const struct write_entry *w = &st->writes[i % MAX_WRITES];
        if (json) {
            json_open(NULL, '{');
            json_number("time", (double)w->realtime_ns / 1e9);
            json_integer("monotonic_ns", w->monotonic_ns);
            json_integer("pid", w->pid);
            json_flag("stranger", w->stranger);
            json_text("function", w->function);
            json_text("gpu", w->gpu);
            json_open("args", '[');
            for (int k = 0; k < w->nargs; k++)
                json_integer(NULL, w->args[k]);
            json_close(']');
            json_text("result", return_name(w->result));
            json_close('}');
            continue;
        }
        time_t t = (time_t)(w->realtime_ns / 1000000000);
        struct tm tm;
        localtime_r(&t, &tm);
        printf("%02d:%02d:%02d.%03d  pid %d%s  %s  %s(", tm.tm_hour, tm.tm_min, tm.tm_sec,
               (int)(w->realtime_ns / 1000000 % 1000), w->pid, w->stranger ? " (stranger)" : "", w->gpu, w->function);
        for (int k = 0; k < w->nargs; k++)
            printf("%s%u", k ? ", " : "", w->args[k]);
        printf(")  %s\n", return_name(w->result));
    }
    if (json) {
        json_close(']');
        json_end();
    }
    return 0;
}

static int verb_calls(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--clear") == 0) {
        for (int i = 0; i < st->n_calls; i++)
            st->calls[i].count = 0;
        return 0;
    }
    if (wants_json(argc, argv))
        json_open(NULL, '{');
    for (int i = 0; i < st->n_calls; i++)
        if (wants_json(argc, argv))
            json_integer(st->calls[i].name, (long long)st->calls[i].count);
        else
            printf("%8llu  %s\n", st->calls[i].count, st->calls[i].name);
    if (wants_json(argc, argv)) {
        json_close('}');
        json_end();
    }
    return 0;
}

const struct verb show_verbs[] = {
    {"show", "[--json]", "everything, locks (which NVML cannot read) too", verb_show},
    {"watch", "GPU", "look every 5 ms until SIGTERM, attached to nothing; JSON lines, the last sums up", verb_watch},
    {"clients", "[--json]", "who has the GPUs open", verb_clients},
    {"writes", "[--json] | --clear", "every set call that reached the driver, in order", verb_writes},
    {"calls", "[--json] | --clear", "how often each function was called", verb_calls},
    {NULL, NULL, NULL, NULL},
};
