/* Utilisation, memory, PCIe, processes, ECC, MIG, and what no simulated board has. */
#include <math.h>
#include <string.h>
#include "call.h"

#define MIB 1048576ull
#define LINK_BUSY(g) ((g)->load > 0 || (g)->open)

static unsigned long long used_bytes(const struct gpu *g)
{
    double busy = g->open || g->load > 0 ? 0.25 + 0.5 * g->load : 0;    /* assumed: a model and its cache */
    return (unsigned long long)(busy * g->board.memory_mib) * MIB;
}

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    REFUSE(c, c.g->mig_on, ERR_NOT_SUPPORTED);
    out->gpu = (unsigned)floor(c.g->util * 100 + 0.4);
    out->memory = (unsigned)floor(c.g->util * 40);
    return call_leave(&c, OK);
}

#define ENGINE_IDLE(name)                                                         \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned *out, unsigned *period_us) \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, out, period_us);                                              \
        REFUSE(c, !out || !period_us, ERR_INVALID_ARGUMENT);                      \
        *out = 0;                                                                 \
        *period_us = 167000;                                                      \
        return call_leave(&c, OK);                                                \
    }
ENGINE_IDLE(nvmlDeviceGetEncoderUtilization)
ENGINE_IDLE(nvmlDeviceGetDecoderUtilization)
ENGINE_IDLE(nvmlDeviceGetJpgUtilization)
ENGINE_IDLE(nvmlDeviceGetOfaUtilization)

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    out->total = c.g->board.memory_mib * MIB;
    out->used = used_bytes(c.g) + c.g->board.reserved_mib * MIB;
    out->free = out->total - out->used;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    REFUSE(c, out->version != 0x02000028u, ERR_ARGUMENT_VERSION_MISMATCH);
    out->total = c.g->board.memory_mib * MIB;
    out->reserved = c.g->board.reserved_mib * MIB;
    out->used = used_bytes(c.g);
    out->free = out->total - out->used - out->reserved;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out);
    REFUSE(c, !out, ERR_INVALID_ARGUMENT);
    out->total = c.g->board.bar1_mib * MIB;
    out->used = MIB;
    out->free = out->total - out->used;
    return call_leave(&c, OK);
}

static unsigned link_gen(const struct gpu *g)
{
    unsigned gen = LINK_BUSY(g) ? g->board.pcie_gen : g->board.pcie_idle_gen;
    return g->forced_pcie_gen && (unsigned)g->forced_pcie_gen < gen ? (unsigned)g->forced_pcie_gen : gen;
}

static unsigned link_width(const struct gpu *g)
{
    return g->forced_pcie_width ? (unsigned)g->forced_pcie_width : g->board.pcie_width;
}

static unsigned gen_mbps(unsigned gen)
{
    static const unsigned mbps[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};
    return gen < 7 ? mbps[gen] : 0;
}

GETTER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, link_gen(c.g))
GETTER(nvmlDeviceGetCurrPcieLinkWidth, unsigned, link_width(c.g))
GETTER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, c.g->board.pcie_gen)
GETTER(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned, c.g->board.pcie_gen)
GETTER(nvmlDeviceGetMaxPcieLinkWidth, unsigned, c.g->board.pcie_width)
GETTER(nvmlDeviceGetPcieSpeed, unsigned, gen_mbps(link_gen(c.g)))
GETTER(nvmlDeviceGetPcieLinkMaxSpeed, unsigned, c.g->board.pcie_gen)
GETTER(nvmlDeviceGetPcieReplayCounter, unsigned, c.g->replays)

EXPORT nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned which, unsigned *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, which, out);
    REFUSE(c, !out || which > 1, ERR_INVALID_ARGUMENT);
    *out = (unsigned)(500 + c.g->load * 200000);
    return call_leave(&c, OK);
}

enum process_list {GRAPHICS_LIST, COMPUTE_LIST, MPS_LIST};

static nvmlReturn_t processes(struct call *c, unsigned *count, nvmlProcessInfo_t *out, enum process_list list)
{
    REFUSE((*c), !count, ERR_INVALID_ARGUMENT);
    unsigned pid = list == COMPUTE_LIST ? c->g->process_pid : list == MPS_LIST ? c->g->mps_pid : 0;
    unsigned n = pid && (c->g->open || c->g->load > 0), room = *count;
    *count = n;
    REFUSE((*c), room < n, ERR_INSUFFICIENT_SIZE);
    REFUSE((*c), n && !out, ERR_INVALID_ARGUMENT);
    if (n)
        out[0] = (nvmlProcessInfo_t){pid, used_bytes(c->g), 0xffffffffu, 0xffffffffu};
    return call_leave(c, OK);
}

#define PROCESS_LIST(name, list)                                                  \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *out) \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, count, out);                                                  \
        return processes(&c, count, out, list);                                   \
    }
PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v3, COMPUTE_LIST)
PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v2, COMPUTE_LIST)
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, GRAPHICS_LIST)
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, GRAPHICS_LIST)
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, MPS_LIST)
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, MPS_LIST)

EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned *current, unsigned *pending)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, current, pending);
    REFUSE(c, !current || !pending, ERR_INVALID_ARGUMENT);
    REFUSE(c, !c.g->board.ecc, ERR_NOT_SUPPORTED);
    *current = *pending = 1;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned type, unsigned counter, unsigned long long *out)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, type, counter, out);
    REFUSE(c, !out || type > 1 || counter > 1, ERR_INVALID_ARGUMENT);
    REFUSE(c, !c.g->board.ecc, ERR_NOT_SUPPORTED);
    *out = 0;
    return call_leave(&c, OK);
}

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, current, pending);
    REFUSE(c, !current || !pending, ERR_INVALID_ARGUMENT);
    REFUSE(c, !c.g->board.mig, ERR_NOT_SUPPORTED);
    *current = *pending = (unsigned)c.g->mig_on;
    return call_leave(&c, OK);
}

GETTER_IF(nvmlDeviceGetMaxMigDeviceCount, unsigned, c.g->board.mig, 7)
GETTER(nvmlDeviceIsMigDeviceHandle, unsigned, 0)
GETTER(nvmlDeviceGetSupportedEventTypes, unsigned long long, c.g->board.supported_events)
GETTER_IF(nvmlDeviceGetFanSpeed, unsigned, c.g->board.fan, c.g->temp_c < 50 ? 0 : c.g->temp_c - 20)
GETTER(nvmlDeviceGetNumFans, unsigned, c.g->board.fan ? 2 : 0)
GETTER_IF(nvmlDeviceGetAdaptiveClockInfoStatus, unsigned, 1, 1)

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *cor, unsigned *unc, unsigned *pending, unsigned *failed)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, cor, unc, pending, failed);
    REFUSE(c, !c.g->board.ecc, ERR_NOT_SUPPORTED);
    REFUSE(c, !cor || !unc || !pending || !failed, ERR_INVALID_ARGUMENT);
    *cor = *unc = *pending = *failed = 0;
    return call_leave(&c, OK);
}

ABSENT_ON_BOARDS(nvmlDeviceGetRetiredPagesPendingStatus)
ABSENT_ON_BOARDS(nvmlDeviceGetRunningProcessDetailList)
ABSENT_ON_BOARDS(nvmlDeviceGetMigDeviceHandleByIndex)
ABSENT_ON_BOARDS(nvmlDeviceGetGpuInstanceId)
ABSENT_ON_BOARDS(nvmlDeviceGetComputeInstanceId)
ABSENT_ON_BOARDS(nvmlDeviceGetConfComputeMemSizeInfo)
ABSENT_ON_BOARDS(nvmlDeviceGetDriverModel)
ABSENT_ON_BOARDS(nvmlDeviceGetDriverModel_v2)
ABSENT_ON_BOARDS(nvmlDeviceGetDeviceHandleFromMigDeviceHandle)
ABSENT_ON_BOARDS(nvmlDeviceGetFanSpeed_v2)

EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, void *out, unsigned *count, unsigned long long since)
{
    DEVICE_CALL(c, device);
    ANSWERED(c, out, count, since);
    (void)out, (void)since;
    REFUSE(c, !count, ERR_INVALID_ARGUMENT);
    *count = 0;
    return call_leave(&c, ERR_NOT_FOUND);
}
