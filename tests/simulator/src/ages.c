/* Which driver branch brought a function, as nvidia-ml-py's releases of 10.418 to 13.615 have them: a function that
 * is not named here is as old as 418. An older driver's library lacks it (preload.c). The binding names some later than
 * drivers have them: where a recording shows that, the recording counts. */
#include <stdlib.h>
#include <string.h>
#include "sim.h"

static const struct { unsigned since; const char *names; } ages[] = {
    {450, " nvmlDeviceGetArchitecture nvmlDeviceGetComputeInstanceId nvmlDeviceGetDeviceHandleFromMigDeviceHandle"
          " nvmlDeviceGetGpuInstanceId nvmlDeviceGetMaxMigDeviceCount nvmlDeviceGetMigDeviceHandleByIndex"
          " nvmlDeviceGetMigMode nvmlDeviceGetRemappedRows nvmlDeviceIsMigDeviceHandle nvmlEventSetWait_v2 "},
    {460, " nvmlDeviceGetComputeRunningProcesses_v2 nvmlDeviceGetGraphicsRunningProcesses_v2 "},
    {470, " nvmlDeviceGetMPSComputeRunningProcesses_v2 nvmlDeviceResetMemoryLockedClocks"
          " nvmlDeviceSetMemoryLockedClocks "},
    {510, " nvmlDeviceGetAdaptiveClockInfoStatus nvmlDeviceGetComputeRunningProcesses_v3"
          " nvmlDeviceGetGraphicsRunningProcesses_v3 nvmlDeviceGetGspFirmwareVersion nvmlDeviceGetIrqNum"
          " nvmlDeviceGetMPSComputeRunningProcesses_v3 nvmlDeviceGetMemoryBusWidth nvmlDeviceGetMemoryInfo_v2"
          " nvmlDeviceGetNumFans nvmlDeviceGetNumGpuCores nvmlDeviceGetPcieLinkMaxSpeed nvmlDeviceGetPowerSource "},
    {525, " nvmlDeviceGetGpuMaxPcieLinkGeneration nvmlDeviceGetMinMaxClockOfPState nvmlDeviceGetPcieSpeed"
          " nvmlDeviceGetGpcClkVfOffset "},
    {535, " nvmlDeviceGetConfComputeMemSizeInfo nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetJpgUtilization"
          " nvmlDeviceGetOfaUtilization nvmlDeviceGetSupportedClocksEventReasons "},
    {550, " nvmlDeviceGetNumaNodeId nvmlDeviceGetRunningProcessDetailList "},
    {555, " nvmlDeviceGetClockOffsets "},
    {570, " nvmlDeviceGetMarginTemperature nvmlDeviceGetTemperatureV "},
    {575, " nvmlSystemEventSetCreate nvmlSystemEventSetFree nvmlSystemEventSetWait nvmlSystemRegisterEvents "},
    {580, " nvmlDeviceGetDriverModel_v2 "},    /* the binding: 610 */
};

unsigned function_since(const char *name)
{
    char word[CALL_NAME + 2];
    snprintf(word, sizeof word, " %s ", name);
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        if (strstr(ages[i].names, word))
            return ages[i].since;
    return 0;
}

int driver_before(const struct state *s, int major, int minor)
{
    int a = 0, b = 0;
    sscanf(s->driver, "%d.%d", &a, &b);
    return a < major || (a == major && b < minor);
}
