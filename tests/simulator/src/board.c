/* Boards are data: `key = value` lines, `#` begins a comment. */
#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

enum kind { TEXT, UINT, REAL, WATTS_MW, FLAG, ULONG, APPCLK };

static const struct key { const char *name; enum kind kind; size_t at, size; int optional; } keys[] = {
#define K(name, kind, field) {name, kind, offsetof(struct board, field), sizeof(((struct board *)0)->field), 0}
#define O(name, kind, field) {name, kind, offsetof(struct board, field), sizeof(((struct board *)0)->field), 1}
    K("name", TEXT, name), K("vbios", TEXT, vbios), O("serial", TEXT, serial), O("part", TEXT, part),
    K("brand", UINT, brand), K("architecture", UINT, architecture), K("cc_major", UINT, cc_major),
    K("cc_minor", UINT, cc_minor), O("cores", UINT, cores), O("bus_width", UINT, bus_width),
    K("pci_device_id", UINT, pci_device_id), K("pci_subsystem_id", UINT, pci_subsystem_id),
    K("pci_class", UINT, pci_class),
    K("power_min_w", WATTS_MW, power_min_mw), K("power_max_w", WATTS_MW, power_max_mw),
    K("power_default_w", WATTS_MW, power_default_mw), K("power_step_w", WATTS_MW, power_step_mw),
    K("power_settable", FLAG, power_settable), K("power_average", FLAG, power_average), K("energy", FLAG, energy),
    K("ecc", FLAG, ecc), K("mig", FLAG, mig), K("gpu_lock", FLAG, gpu_lock), K("mem_lock", FLAG, mem_lock),
    K("app_clocks", APPCLK, app_clocks), K("app_clocks_r595", APPCLK, app_clocks_r595),
    O("app_mem_mhz", UINT, app_mem_mhz), O("app_gpu_mhz", UINT, app_gpu_mhz),
    K("boost_mhz", UINT, boost_mhz), K("base_mhz", UINT, base_mhz), K("video_mhz", UINT, video_mhz),
    K("idle_mhz", UINT, idle_mhz), K("idle_mem_mhz", UINT, idle_mem_mhz), K("load_mem_mhz", UINT, load_mem_mhz),
    K("idle_pstate", UINT, idle_pstate), K("load_pstate", UINT, load_pstate),
    K("idle_reasons", UINT, idle_reasons), K("supported_reasons", UINT, supported_reasons),
    K("supported_events", ULONG, supported_events),
    K("idle_w", REAL, idle_w), K("open_w", REAL, open_w), K("load_w", REAL, load_w),
    K("power_exponent", REAL, power_exponent), K("cap_margin", REAL, cap_margin),
    K("ambient_c", REAL, ambient_c), K("r_fast", REAL, r_fast), K("tau_fast_s", REAL, tau_fast_s),
    K("r_slow", REAL, r_slow), K("tau_slow_s", REAL, tau_slow_s),
    K("t_shutdown_c", UINT, t_shutdown), K("t_slowdown_c", UINT, t_slowdown), O("t_mem_max_c", UINT, t_mem_max),
    K("t_gpu_max_c", UINT, t_gpu_max), K("tlimit", FLAG, tlimit), K("memory_temp", FLAG, memory_temp),
    K("fan", FLAG, fan), K("memory_mib", UINT, memory_mib), K("reserved_mib", UINT, reserved_mib),
    K("bar1_mib", UINT, bar1_mib), K("pcie_gen", UINT, pcie_gen), K("pcie_width", UINT, pcie_width),
    K("pcie_idle_gen", UINT, pcie_idle_gen),
};
#define N_KEYS (sizeof keys / sizeof *keys)

static int put_value(struct board *b, const struct key *k, const char *v)
{
    char *at = (char *)b + k->at, *end;
    switch (k->kind) {
    case TEXT:
        snprintf(at, k->size, "%s", v);
        return 1;
    case UINT:
        *(unsigned *)at = (unsigned)strtoul(v, &end, 0);
        return *end == 0;
    case ULONG:
        *(unsigned long long *)at = strtoull(v, &end, 0);
        return *end == 0;
    case REAL:
        *(double *)at = strtod(v, &end);
        return *end == 0;
    case WATTS_MW:
        *(unsigned *)at = (unsigned)(strtod(v, &end) * 1000 + 0.5);
        return *end == 0;
    case FLAG:
        *(int *)at = strcmp(v, "yes") == 0;
        return *(int *)at || strcmp(v, "no") == 0;
    case APPCLK:
        *(enum appclocks *)at = strcmp(v, "supported") == 0 ? APP_SUPPORTED
            : strcmp(v, "deprecated") == 0 ? APP_DEPRECATED : APP_NOT_SUPPORTED;
        return 1;
    }
    return 0;
}

static int put_ladder(struct board *b, const char *v)
{
    struct ladder l;
    if (b->rungs == MEM_RUNGS || sscanf(v, "%u: %lf to %lf by %lf", &l.mem_mhz, &l.low_mhz, &l.high_mhz, &l.step_mhz) != 4)
        return 0;
    b->ladder[b->rungs++] = l;
    return 1;
}

static int put_counters(struct board *b, const char *v)
{
    for (char *end; *v; v = end) {
        unsigned long id = strtoul(v, &end, 10);
        if (end == v)
            return strcmp(v, "none") == 0;
        b->counters[b->n_counters++] = (unsigned)id;
        end += strspn(end, ", ");
        if (b->n_counters == sizeof b->counters / sizeof *b->counters)
            break;
    }
    return 1;
}

static char *trim(char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    for (char *e = p + strlen(p); e > p && isspace((unsigned char)e[-1]);)
        *--e = 0;
    return p;
}

int board_read(const char *path, struct board *b, char *why, size_t whylen)
{
    char line[512];
    int seen[N_KEYS] = {0}, number = 0;
    FILE *f = fopen(path, "re");
    memset(b, 0, sizeof *b);
    if (!f) {
        snprintf(why, whylen, "%s: no such board", path);
        return 0;
    }
    while (fgets(line, sizeof line, f)) {
        number++;
        line[strcspn(line, "#")] = 0;
        char *key = trim(line), *eq = strchr(key, '=');
        int good = 0;
        if (!*key)
            continue;
        if (eq) {
            *eq = 0;
            char *value = trim(eq + 1);
            key = trim(key);
            if (strcmp(key, "clocks_mhz") == 0)
                good = put_ladder(b, value);
            else if (strcmp(key, "counters") == 0)
                good = put_counters(b, value);
            else
                for (size_t i = 0; i < N_KEYS; i++)
                    if (strcmp(key, keys[i].name) == 0)
                        good = seen[i] = put_value(b, &keys[i], value);
        }
        if (!good) {
            snprintf(why, whylen, "%s:%d: cannot use \"%s\"", path, number, key);
            fclose(f);
            return 0;
        }
    }
    fclose(f);
    for (size_t i = 0; i < N_KEYS; i++)
        if (!seen[i] && !keys[i].optional) {
            snprintf(why, whylen, "%s: key \"%s\" is missing", path, keys[i].name);
            return 0;
        }
    if (!b->rungs)
        snprintf(why, whylen, "%s: no clocks_mhz line", path);
    return b->rungs > 0;
}

/* Lines "NAME MICROSECONDS" or "field ID MICROSECONDS". */
int costs_read(struct state *s, const char *path)
{
    char line[256];
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    s->n_costs = 0;
    while (fgets(line, sizeof line, f) && s->n_costs < MAX_COSTS) {
        struct cost c = {{0}, 0, 0};
        if (line[0] == '#')
            continue;
        if (sscanf(line, "field %u %u", &c.field, &c.us) == 2 || sscanf(line, "%63s %u", c.name, &c.us) == 2)
            s->costs[s->n_costs++] = c;
    }
    fclose(f);
    return 1;
}
