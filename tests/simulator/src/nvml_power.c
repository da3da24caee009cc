/* Power, temperature, reasons. */
#include <math.h>
#include <string.h>
#include <time.h>
#include "call.h"

static unsigned average_mw(const struct gpu *g)
{
    double w = g->board.power_average ? g->ring_sum / POWER_RING : g->power_w;
    return (unsigned)(w * 1000);
}

GETTER(nvmlDeviceGetPersistenceMode, unsigned, c.g->set.persistence)
GETTER(nvmlDeviceGetComputeMode, unsigned, c.g->set.compute_mode)
GETTER(nvmlDeviceGetPowerManagementMode, unsigned, 1)
GETTER(nvmlDeviceGetPowerManagementLimit, unsigned, c.g->set.power_mw)
GETTER(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, c.g->board.power_default_mw)
GETTER(nvmlDeviceGetEnforcedPowerLimit, unsigned, enforced_mw(c.g))
GETTER(nvmlDeviceGetPowerUsage, unsigned, average_mw(c.g))
GETTER_IF(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, c.g->board.energy, c.g->energy_mj)
GETTER(nvmlDeviceGetPowerSource, unsigned, 0)
GETTER(nvmlDeviceGetPerformanceState, unsigned, c.g->pstate)
GETTER(nvmlDeviceGetPowerState, unsigned, c.g->pstate)
GETTER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, c.g->reasons)
GETTER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, c.g->reasons)
GETTER(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, c.g->board.supported_reasons)
GETTER(nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, c.g->board.supported_reasons)

EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned *min, unsigned *max)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, min, max);
    REFUSE(c, !min || !max, ERR_INVALID_ARGUMENT);
    *min = c.g->board.power_min_mw;
    *max = c.g->board.power_max_mw;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, sensor, out);
    REFUSE(c, !out || sensor != 0, ERR_INVALID_ARGUMENT);
    *out = (unsigned)floor(c.g->temp_c);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *t)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, t);
    REFUSE(c, !t, ERR_INVALID_ARGUMENT);
    REFUSE(c, t->version != 0x0100000cu, ERR_ARGUMENT_VERSION_MISMATCH);
    REFUSE(c, t->sensorType != 0, ERR_INVALID_ARGUMENT);
    t->temperature = (int)floor(c.g->temp_c);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_t *t)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, t);
    REFUSE(c, !t, ERR_INVALID_ARGUMENT);
    REFUSE(c, t->version != 0x01000008u, ERR_ARGUMENT_VERSION_MISMATCH);
    REFUSE(c, !c.g->board.tlimit, ERR_NOT_SUPPORTED);
    t->marginTemperature = (int)c.g->board.t_gpu_max - (int)floor(c.g->temp_c);
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned which, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, which, out);
    const struct board *b = &c.g->board;
    const unsigned known[4] = {b->t_shutdown, b->t_slowdown, b->t_mem_max, b->t_gpu_max};
    REFUSE(c, !out || which > 7, ERR_INVALID_ARGUMENT);
    REFUSE(c, which > 3 || known[which] == 0, ERR_NOT_SUPPORTED);
    *out = known[which];
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, unsigned policy, nvmlViolationTime_t *out)
{
    static const int field[12] = {74, 75, 76, 77, 78, 79, -1, -1, -1, -1, 80, 81};
    DEVICE_CALL(c, device);
    ANSWERED(c, policy, out);
    REFUSE(c, !out || policy > 11 || field[policy] < 0, ERR_INVALID_ARGUMENT);
    int k = counter_slot(c.g, (unsigned)field[policy]);
    REFUSE(c, k < 0, ERR_NOT_SUPPORTED);
    out->referenceTime = (unsigned long long)(now_ns(CLOCK_REALTIME) / 1000);
    out->violationTime = (unsigned long long)(c.g->counter_s[k] * 1e9);
    return call_leave(&c, OK);
}

/* --- setters --- */

/* A board whose recording answers everything else with one refusal refuses to be set as well. */
#define UNLESS_NOTHING_IS_SUPPORTED(c)                                            \
    if (c.g->board.otherwise) {                                                   \
        log_write(c.s, c.g, &c.who, __func__, 0, NULL, c.g->board.otherwise);     \
        return call_leave(&c, c.g->board.otherwise);                              \
    }

#define SETTER1(name, function)                                                   \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned value)                 \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        c.who.root = has_admin();                                                 \
        UNLESS_NOTHING_IS_SUPPORTED(c);                                           \
        return call_leave(&c, function(c.s, c.g, &c.who, value));                 \
    }
#define SETTER2(name, function)                                                   \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned a, unsigned b)         \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        c.who.root = has_admin();                                                 \
        UNLESS_NOTHING_IS_SUPPORTED(c);                                           \
        return call_leave(&c, function(c.s, c.g, &c.who, a, b));                  \
    }
#define RESETTER(name, function)                                                  \
    EXPORT nvmlReturn_t name(nvmlDevice_t device)                                 \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        c.who.root = has_admin();                                                 \
        UNLESS_NOTHING_IS_SUPPORTED(c);                                           \
        return call_leave(&c, function(c.s, c.g, &c.who));                        \
    }

SETTER1(nvmlDeviceSetPersistenceMode, set_persistence)
SETTER1(nvmlDeviceSetPowerManagementLimit, set_power_limit)
SETTER1(nvmlDeviceSetComputeMode, set_compute_mode)
SETTER2(nvmlDeviceSetGpuLockedClocks, set_gpu_lock)
RESETTER(nvmlDeviceResetGpuLockedClocks, reset_gpu_lock)
SETTER2(nvmlDeviceSetMemoryLockedClocks, set_mem_lock)
RESETTER(nvmlDeviceResetMemoryLockedClocks, reset_mem_lock)
SETTER2(nvmlDeviceSetApplicationsClocks, set_app_clocks)
RESETTER(nvmlDeviceResetApplicationsClocks, reset_app_clocks)
