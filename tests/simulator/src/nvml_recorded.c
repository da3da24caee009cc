/* Entry points that the model has nothing to say to: a board made from a recording answers them as it was recorded, on
 * others they are not found, as in a driver that lacks them. */
#include "call.h"

#define ONLY_RECORDED(name)                                                       \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, uintptr_t a, uintptr_t b, uintptr_t d, uintptr_t e, uintptr_t f) \
    {                                                                             \
        DEVICE_CALL(c, device);                                                   \
        ANSWERED(c, a, b, d, e, f);                                               \
        return call_leave(&c, ERR_FUNCTION_NOT_FOUND);                            \
    }

ONLY_RECORDED(nvmlDeviceGetAPIRestriction)
ONLY_RECORDED(nvmlDeviceGetAdaptiveTgpModeInfo_v1)
ONLY_RECORDED(nvmlDeviceGetAddressingMode)
ONLY_RECORDED(nvmlDeviceGetAttributes_v2)
ONLY_RECORDED(nvmlDeviceGetBankRemapperStatus_v1)
ONLY_RECORDED(nvmlDeviceGetBridgeChipInfo)
ONLY_RECORDED(nvmlDeviceGetBusType)
ONLY_RECORDED(nvmlDeviceGetC2cModeInfoV)
ONLY_RECORDED(nvmlDeviceGetCapabilities)
ONLY_RECORDED(nvmlDeviceGetClkMonStatus)
ONLY_RECORDED(nvmlDeviceGetCoolerInfo)
ONLY_RECORDED(nvmlDeviceGetCurrentClockFreqs)
ONLY_RECORDED(nvmlDeviceGetDefaultEccMode)
ONLY_RECORDED(nvmlDeviceGetDramEncryptionMode)
ONLY_RECORDED(nvmlDeviceGetDynamicPstatesInfo)
ONLY_RECORDED(nvmlDeviceGetEncoderCapacity)
ONLY_RECORDED(nvmlDeviceGetEncoderStats)
ONLY_RECORDED(nvmlDeviceGetFBCStats)
ONLY_RECORDED(nvmlDeviceGetFanControlPolicy_v2)
ONLY_RECORDED(nvmlDeviceGetFanSpeedRPM)
ONLY_RECORDED(nvmlDeviceGetGpcClkMinMaxVfOffset)
ONLY_RECORDED(nvmlDeviceGetGspFirmwareMode)
ONLY_RECORDED(nvmlDeviceGetInforomVersion)
ONLY_RECORDED(nvmlDeviceGetMemClkMinMaxVfOffset)
ONLY_RECORDED(nvmlDeviceGetMemClkVfOffset)
ONLY_RECORDED(nvmlDeviceGetMemoryErrorCounter)
ONLY_RECORDED(nvmlDeviceGetMinMaxFanSpeed)
ONLY_RECORDED(nvmlDeviceGetNvLinkInfo)
ONLY_RECORDED(nvmlDeviceGetNvLinkState)
ONLY_RECORDED(nvmlDeviceGetNvLinkVersion)
ONLY_RECORDED(nvmlDeviceGetNvlinkBwMode)
ONLY_RECORDED(nvmlDeviceGetNvlinkSupportedBwModes)
ONLY_RECORDED(nvmlDeviceGetPerformanceModes)
ONLY_RECORDED(nvmlDeviceGetPowerMizerMode_v1)
ONLY_RECORDED(nvmlDeviceGetRemappedRows_v2)
ONLY_RECORDED(nvmlDeviceGetRepairStatus)
ONLY_RECORDED(nvmlDeviceGetRowRemapperHistogram)
ONLY_RECORDED(nvmlDeviceGetSramEccErrorStatus)
ONLY_RECORDED(nvmlDeviceGetSupportedPerformanceStates)
ONLY_RECORDED(nvmlDeviceGetTargetFanSpeed)
ONLY_RECORDED(nvmlDeviceGetThermalSettings)
ONLY_RECORDED(nvmlDeviceGetUnrepairableMemoryFlag_v1)
ONLY_RECORDED(nvmlDeviceWorkloadPowerProfileGetCurrentProfiles)
ONLY_RECORDED(nvmlDeviceWorkloadPowerProfileGetProfilesInfo)
ONLY_RECORDED(nvmlGpmQueryDeviceSupport)
