/* A board made from what a real one answered. What a recording cannot tell (how it heats, what work costs) is assumed
 * from its limits; what it did answer is given word by word (answered.c). */
#include <ctype.h>
#include <string.h>
#include "answers.h"

#define SUPPORTED(call, value) (recorded(r, call, value) && recorded(r, call, value)->code == OK)

/* A recording says so itself; no other board file has this key. */
int is_recording(const char *path)
{
    char line[256];
    int found = 0;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, "probe = ", 8) == 0;
    if (f)
        fclose(f);
    return found;
}

static unsigned list(const struct answer *a, unsigned i)
{
    unsigned value = 0;
    if (a && a->n && a->word[a->n - 1].kind == '[' && a->word[a->n - 1].len >= 4 * (i + 1))
        memcpy(&value, a->word[a->n - 1].bytes + 4 * i, 4);
    return value;
}

static unsigned list_length(const struct answer *a)
{
    return a && a->code == OK && a->n && a->word[a->n - 1].kind == '[' ? a->word[a->n - 1].len / 4 : 0;
}

static void ladders(const struct recording *r, struct board *b)
{
    const struct answer *memory = recorded(r, "nvmlDeviceGetSupportedMemoryClocks", -1);
    for (unsigned i = 0; i < list_length(memory) && b->rungs < MEM_RUNGS; i++) {
        const struct answer *a = recorded(r, "nvmlDeviceGetSupportedGraphicsClocks", (int)list(memory, i));
        unsigned n = list_length(a), low = ~0u, high = 0;
        for (unsigned k = 0; k < n; k++) {
            low = list(a, k) < low ? list(a, k) : low;
            high = list(a, k) > high ? list(a, k) : high;
        }
        if (n)
            b->ladder[b->rungs++] = (struct ladder){list(memory, i), low, high, n > 1 ? (double)(high - low) / (n - 1) : 1};
    }
    if (!b->rungs) {
        unsigned most = recorded_uint(r, "nvmlDeviceGetMaxClockInfo", CLOCK_SM, 0, 1000);
        b->ladder[b->rungs++] = (struct ladder){recorded_uint(r, "nvmlDeviceGetMaxClockInfo", CLOCK_MEM, 0, 1000),
                                                most < 210 ? most : 210, most, 15};
    }
}

static unsigned megabytes(const struct answer *a, unsigned at)
{
    unsigned long long value = 0;
    if (a && a->code == OK && a->n && a->word[a->n - 1].kind == '{' && a->word[a->n - 1].len >= at + 8)
        memcpy(&value, a->word[a->n - 1].bytes + at, 8);
    return (unsigned)(value >> 20);
}

static enum appclocks app_clocks(const struct recording *r)
{
    const struct answer *a = recorded(r, "nvmlDeviceGetApplicationsClock", CLOCK_MEM);
    return !a ? APP_NOT_SUPPORTED : a->code == OK ? APP_SUPPORTED : a->code == ERR_DEPRECATED ? APP_DEPRECATED : APP_NOT_SUPPORTED;
}

static void power_and_heat(const struct recording *r, struct board *b)
{
    b->power_min_mw = recorded_uint(r, "nvmlDeviceGetPowerManagementLimitConstraints", -1, 0, 0);
    b->power_max_mw = recorded_uint(r, "nvmlDeviceGetPowerManagementLimitConstraints", -1, 1, 0);
    b->power_default_mw = recorded_uint(r, "nvmlDeviceGetPowerManagementDefaultLimit", -1, 0, b->power_max_mw);
    b->power_settable = b->power_max_mw > 0;
    if (!b->power_max_mw)
        b->power_max_mw = b->power_default_mw = 150000;
    b->power_step_mw = 1000;
    b->idle_w = recorded_uint(r, "nvmlDeviceGetPowerUsage", -1, 0, 20000) / 1000.0;
    b->open_w = b->idle_w * 1.5;
    b->load_w = b->power_max_mw / 1000.0 * 1.25 + b->open_w;
    b->power_exponent = 2.4;
    b->cap_margin = 0.988;
    b->r_fast = 20.0 / (b->power_max_mw / 1000.0);
    b->tau_fast_s = 0.3;
    b->r_slow = 10.0 / (b->power_max_mw / 1000.0);
    b->tau_slow_s = 15;
    b->ambient_c = recorded_uint(r, "nvmlDeviceGetTemperature", -1, 0, 35) + 0.5 - b->idle_w * (b->r_fast + b->r_slow);
    b->t_shutdown = recorded_uint(r, "nvmlDeviceGetTemperatureThreshold", 0, 0, 100);
    b->t_slowdown = recorded_uint(r, "nvmlDeviceGetTemperatureThreshold", 1, 0, 95);
    b->t_mem_max = recorded_uint(r, "nvmlDeviceGetTemperatureThreshold", 2, 0, 0);
    b->t_gpu_max = recorded_uint(r, "nvmlDeviceGetTemperatureThreshold", 3, 0, 90);
}

static void counters(const struct recording *r, struct board *b)
{
    for (int i = 0; i < r->n_fields; i++) {
        unsigned id = r->fields[i].field;
        int mine = (id >= 74 && id <= 81) || (id >= 269 && id <= 271);
        if (mine && r->fields[i].code == OK && b->n_counters < CORE_COUNTERS)
            b->counters[b->n_counters++] = id;
    }
}

void board_from_recording(const struct recording *r, struct board *b)
{
    memset(b, 0, sizeof *b);
    b->recorded = 1;
    b->otherwise = r->otherwise;
    snprintf(b->driver, sizeof b->driver, "%s", r->driver);
    snprintf(b->name, sizeof b->name, "%.95s", recorded_text(r, "nvmlDeviceGetName"));
    snprintf(b->vbios, sizeof b->vbios, "%.31s", recorded_text(r, "nvmlDeviceGetVbiosVersion"));
    snprintf(b->part, sizeof b->part, "%.31s", recorded_text(r, "nvmlDeviceGetBoardPartNumber"));
    b->brand = recorded_uint(r, "nvmlDeviceGetBrand", -1, 0, 0);
    b->architecture = recorded_uint(r, "nvmlDeviceGetArchitecture", -1, 0, 0xffffffffu);
    b->cc_major = recorded_uint(r, "nvmlDeviceGetCudaComputeCapability", -1, 0, 0);
    b->cc_minor = recorded_uint(r, "nvmlDeviceGetCudaComputeCapability", -1, 1, 0);
    b->cores = recorded_uint(r, "nvmlDeviceGetNumGpuCores", -1, 0, 0);
    b->bus_width = recorded_uint(r, "nvmlDeviceGetMemoryBusWidth", -1, 0, 0);
    b->pci_device_id = r->pci_device_id;
    b->pci_subsystem_id = r->pci_subsystem_id;
    b->pci_class = 0x030200;
    ladders(r, b);
    power_and_heat(r, b);
    b->power_average = recorded_field(r, 185, 0) && recorded_field(r, 185, 0)->code == OK;
    b->energy = SUPPORTED("nvmlDeviceGetTotalEnergyConsumption", -1);
    b->ecc = SUPPORTED("nvmlDeviceGetEccMode", -1);
    b->mig = SUPPORTED("nvmlDeviceGetMigMode", -1);
    b->gpu_lock = b->architecture >= 5;         /* Volta */
    b->mem_lock = b->architecture >= 7;         /* Ampere; unknown ones are new ones */
    b->app_clocks = app_clocks(r);
    b->app_clocks_r595 = b->app_clocks == APP_SUPPORTED ? APP_DEPRECATED : b->app_clocks;
    b->app_mem_mhz = recorded_uint(r, "nvmlDeviceGetDefaultApplicationsClock", CLOCK_MEM, 0, b->ladder[0].mem_mhz);
    b->app_gpu_mhz = recorded_uint(r, "nvmlDeviceGetDefaultApplicationsClock", CLOCK_GRAPHICS, 0, 0);
    b->boost_mhz = b->app_gpu_mhz ? b->app_gpu_mhz : (unsigned)(gpu_max_mhz(b) * 0.93);
    b->base_mhz = (unsigned)(b->boost_mhz * 0.75);
    b->video_mhz = recorded_uint(r, "nvmlDeviceGetMaxClockInfo", CLOCK_VIDEO, 0, 0);
    b->idle_mhz = recorded_uint(r, "nvmlDeviceGetClockInfo", CLOCK_SM, 0, (unsigned)b->ladder[0].low_mhz);
    b->idle_mem_mhz = recorded_uint(r, "nvmlDeviceGetClockInfo", CLOCK_MEM, 0, b->ladder[0].mem_mhz);
    b->load_mem_mhz = b->app_clocks == APP_SUPPORTED ? b->app_mem_mhz : b->ladder[b->rungs > 2].mem_mhz;
    b->idle_pstate = recorded_uint(r, "nvmlDeviceGetPerformanceState", -1, 0, 8);
    b->idle_reasons = recorded_uint(r, "nvmlDeviceGetCurrentClocksEventReasons", -1, 0, 1);
    b->supported_reasons = recorded_uint(r, "nvmlDeviceGetSupportedClocksEventReasons", -1, 0, 0x1ff);
    b->supported_events = recorded_uint(r, "nvmlDeviceGetSupportedEventTypes", -1, 0, 0);
    b->tlimit = SUPPORTED("nvmlDeviceGetMarginTemperature", -1);
    b->memory_temp = recorded_field(r, 82, 0) && recorded_field(r, 82, 0)->code == OK;
    b->fan = recorded_uint(r, "nvmlDeviceGetNumFans", -1, 0, 0) > 0;
    b->memory_mib = megabytes(recorded(r, "nvmlDeviceGetMemoryInfo", -1), 0);
    b->reserved_mib = megabytes(recorded(r, "nvmlDeviceGetMemoryInfo_v2", -1), 16);
    b->bar1_mib = megabytes(recorded(r, "nvmlDeviceGetBAR1MemoryInfo", -1), 0);
    b->pcie_gen = recorded_uint(r, "nvmlDeviceGetMaxPcieLinkGeneration", -1, 0, 4);
    b->pcie_gen = b->pcie_gen > 6 ? 6 : b->pcie_gen;
    b->pcie_width = recorded_uint(r, "nvmlDeviceGetMaxPcieLinkWidth", -1, 0, 16);
    b->pcie_idle_gen = recorded_uint(r, "nvmlDeviceGetCurrPcieLinkGeneration", -1, 0, 1);
    counters(r, b);
}

static unsigned long long long_value(const struct answer *a)
{
    unsigned long long value = 0;
    if (a && a->code == OK && a->n && a->word[0].kind == '>' && a->word[0].len >= sizeof value)
        memcpy(&value, a->word[0].bytes, sizeof value);
    return value;
}

/* The settings and counters that it had then: nothing jumps when the model takes over. */
void gpu_as_recorded(const struct recording *r, struct gpu *g)
{
    g->set.persistence = (int)recorded_uint(r, "nvmlDeviceGetPersistenceMode", -1, 0, 0);
    g->set.compute_mode = recorded_uint(r, "nvmlDeviceGetComputeMode", -1, 0, 0);
    g->set.power_mw = recorded_uint(r, "nvmlDeviceGetPowerManagementLimit", -1, 0, g->set.power_mw);
    g->set.app_mem_mhz = recorded_uint(r, "nvmlDeviceGetApplicationsClock", CLOCK_MEM, 0, g->set.app_mem_mhz);
    g->set.app_gpu_mhz = recorded_uint(r, "nvmlDeviceGetApplicationsClock", CLOCK_GRAPHICS, 0, g->set.app_gpu_mhz);
    unsigned enforced = recorded_uint(r, "nvmlDeviceGetEnforcedPowerLimit", -1, 0, g->set.power_mw);
    g->enforced_mw = enforced < g->set.power_mw ? enforced : 0;
    g->kept = g->set;
    g->energy_mj = (double)long_value(recorded(r, "nvmlDeviceGetTotalEnergyConsumption", -1));
    for (int i = 0; i < r->n_fields; i++) {
        int k = counter_slot(g, r->fields[i].field);
        if (k >= 0 && r->fields[i].code == OK)
            g->counter_s[k] = (double)r->fields[i].value.ull / 1e9;
    }
    g->touched = 0;
}
