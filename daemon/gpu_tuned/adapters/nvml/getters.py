"""The calls that `gpu-tunedctl probe` makes: every getter of a board that NVML has, by the names of the binding.

Left out, so that a dump can be shown to anybody: serial number, UUID, module and board id, bus address, host name,
processes and their accounting, InfoROM checksums and time stamps, retired pages by their address, platform and fabric
information, certificates. Left out as well: vGPU and MIG instances (things with handles of their own), samples (their
answer never comes twice), and everything that is not a plain question: `allowed` says which names of the library may
be called at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

CLOCKS, CLOCK_IDS = range(4), range(4)
LINKS = range(18)
VIOLATIONS = (*range(6), 10, 11)

_QUESTION = re.compile(r"nvml(?:Device|System|DeviceWorkloadPowerProfile)Get[A-Z0-9]\w*|nvmlGpmQueryDeviceSupport")
# "Get" stands in the name of no call that does one of these; should one come, it is none of ours.
_DEED = re.compile(r"Set(?![a-z])|Reset|Clear|Update|Modify|Write|Create|Destroy|Enable(?!d)|Activate|Freeze|Remove")
_IDENTITY = re.compile(
    r"Serial|UUID|ModuleId|BoardId|Hostname|Pdi$|Process|Accounting|Checksum|BBX|RetiredPages(?!Pending)|Platform|Fabric|"
    r"Certificate|Attestation|Remote|Sessions|CPER"
)


def allowed(function: str) -> bool:
    """Whether this function of the library may be called: it asks, does nothing, and tells nobody's identity."""
    asks = _QUESTION.fullmatch(function) is not None
    return asks and not _DEED.search(function) and not _IDENTITY.search(function)


# One argument, the GPU.
_PLAIN = """
Name Brand Architecture BusType BoardPartNumber VbiosVersion InforomImageVersion GspFirmwareVersion GspFirmwareMode
CudaComputeCapability NumGpuCores MemoryBusWidth MultiGpuBoard VirtualizationMode IrqNum NumaNodeId DisplayMode
DisplayActive DriverModel_v2 AddressingMode C2cModeInfoV Attributes_v2
PersistenceMode ComputeMode MigMode MaxMigDeviceCount
PowerManagementMode PowerManagementLimit PowerManagementDefaultLimit PowerManagementLimitConstraints
EnforcedPowerLimit PowerUsage TotalEnergyConsumption PowerSource PowerState PerformanceState
SupportedPerformanceStates PerformanceModes
CurrentClockFreqs CurrentClocksEventReasons SupportedClocksEventReasons CurrentClocksThrottleReasons
SupportedClocksThrottleReasons AutoBoostedClocksEnabled AdaptiveClockInfoStatus ClkMonStatus DynamicPstatesInfo
GpcClkVfOffset MemClkVfOffset GpcClkMinMaxVfOffset MemClkMinMaxVfOffset
MarginTemperature NumFans FanSpeed FanSpeedRPM MinMaxFanSpeed CoolerInfo
UtilizationRates EncoderUtilization DecoderUtilization JpgUtilization OfaUtilization EncoderStats FBCStats
MemoryInfo BAR1MemoryInfo EccMode DefaultEccMode RemappedRows RowRemapperHistogram RetiredPagesPendingStatus
DramEncryptionMode RepairStatus UnrepairableMemoryFlag_v1 ConfComputeMemSizeInfo
CurrPcieLinkGeneration MaxPcieLinkGeneration GpuMaxPcieLinkGeneration CurrPcieLinkWidth MaxPcieLinkWidth
PcieLinkMaxSpeed PcieSpeed PcieReplayCounter SupportedEventTypes BridgeChipInfo
"""
PLAIN = _PLAIN.split()

# More arguments, each combination once.
WITH_ARGUMENTS: dict[str, list[tuple[int, ...]]] = {
    "ClockInfo": [(clock,) for clock in CLOCKS],
    "MaxClockInfo": [(clock,) for clock in CLOCKS],
    "ApplicationsClock": [(clock,) for clock in CLOCKS],
    "DefaultApplicationsClock": [(clock,) for clock in CLOCKS],
    "MaxCustomerBoostClock": [(clock,) for clock in CLOCKS],
    "Clock": [(clock, which) for clock in CLOCKS for which in CLOCK_IDS],
    "Temperature": [(0,)],
    "TemperatureV": [(0,)],
    "TemperatureThreshold": [(which,) for which in range(8)],
    "ThermalSettings": [(15,)],
    "TotalEccErrors": [(kind, counter) for kind in range(2) for counter in range(2)],
    "MemoryErrorCounter": [(kind, 0, place) for kind in range(2) for place in range(9)],
    "ViolationStatus": [(policy,) for policy in VIOLATIONS],
    "PcieThroughput": [(0,), (1,)],
    "InforomVersion": [(item,) for item in range(4)],
    "APIRestriction": [(0,), (1,)],
    "EncoderCapacity": [(0,), (1,), (2,)],
    "NvLinkState": [(link,) for link in LINKS],
    "NvLinkVersion": [(link,) for link in LINKS],
    "FanSpeed_v2": [(0,), (1,)],
    "TargetFanSpeed": [(0,), (1,)],
    "FanControlPolicy_v2": [(0,), (1,)],
}

# A structure to fill in: function, the binding's type of it, its version, and what is asked for in it.
STRUCTURES: list[tuple[str, str, int, dict[str, int]]] = [
    *(
        ("nvmlDeviceGetClockOffsets", "c_nvmlClockOffset_t", 0x1000018, {"type": clock, "pstate": pstate})
        for clock in (0, 2)
        for pstate in (0, 1, 2, 3, 5, 8)
    ),
    ("nvmlDeviceGetPowerMizerMode_v1", "c_nvmlDevicePowerMizerModes_v1_t", 0, {}),
    ("nvmlDeviceGetSramEccErrorStatus", "c_nvmlEccSramErrorStatus_v1_t", 0x1000068, {}),
    ("nvmlDeviceGetCapabilities", "c_nvmlDeviceCapabilities_v1_t", 0x1000008, {}),
    ("nvmlDeviceGetNvlinkSupportedBwModes", "c_nvmlNvlinkSupportedBwModes_v1_t", 0x100001C, {}),
    ("nvmlDeviceGetNvlinkBwMode", "c_nvmlNvlinkGetBwMode_v1_t", 0x100000C, {}),
    ("nvmlDeviceGetNvLinkInfo", "c_nvmlNvLinkInfo_v1_t", 0x1000008, {}),
    (
        "nvmlDeviceWorkloadPowerProfileGetProfilesInfo",
        "c_nvmlWorkloadPowerProfileProfilesInfo_v1_t",
        0x1002BF8,
        {},
    ),
    (
        "nvmlDeviceWorkloadPowerProfileGetCurrentProfiles",
        "c_nvmlWorkloadPowerProfileCurrentProfiles_v1_t",
        0x1000064,
        {},
    ),
    ("nvmlDeviceGetAdaptiveTgpModeInfo_v1", "c_nvmlAdaptiveTgpModeInfo_v1_t", 0, {}),
    ("nvmlDeviceGetRemappedRows_v2", "c_nvmlRemappedRowsInfo_v2_t", 0, {}),
    ("nvmlDeviceGetBankRemapperStatus_v1", "c_nvmlEccBankRemapperStatus_v1_t", 0, {}),
]

FIELDS = range(1, 331)
"""nvml.h of R615 ends at 307; a driver says INVALID_ARGUMENT to what it does not know."""


def questions() -> Iterator[tuple[str, tuple[int, ...]]]:
    """The binding's functions and their arguments after the GPU, but for those with structures and ladders."""
    for name in PLAIN:
        yield f"nvmlDeviceGet{name}", ()
    yield "nvmlDeviceGetMemoryInfo", (0x02000028,)
    for name, every in WITH_ARGUMENTS.items():
        for arguments in every:
            yield f"nvmlDeviceGet{name}", arguments
    for clock in (0, 1, 2, 3):
        for pstate in (0, 1, 2, 3, 5, 8):
            yield "nvmlDeviceGetMinMaxClockOfPState", (clock, pstate)
    yield "nvmlGpmQueryDeviceSupport", ()
