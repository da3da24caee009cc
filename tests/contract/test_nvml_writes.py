"""What the NVML adapter writes and what it refuses; the simulator, not the adapter, is asked what arrived."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import MakeHost
from tests.contract.nvml_child import play

WRITTEN = [
    ("h200", "POWER_LIMIT", "PowerLimit(450000)", 450, "nvmlDeviceSetPowerManagementLimit", [450000]),
    ("rtx-5090-575", "POWER_LIMIT", "PowerLimit(500000)", 500, "nvmlDeviceSetPowerManagementLimit", [500000]),
    ("h200", "PERSISTENCE_MODE", "True", True, "nvmlDeviceSetPersistenceMode", [1]),
    (
        "h200",
        "COMPUTE_MODE",
        "ComputeMode.EXCLUSIVE_PROCESS",
        "exclusive_process",
        "nvmlDeviceSetComputeMode",
        [3],
    ),
    ("h200", "COMPUTE_MODE", "ComputeMode.PROHIBITED", "prohibited", "nvmlDeviceSetComputeMode", [2]),
    (
        "h200",
        "APPLICATION_CLOCKS",
        "ApplicationClocks(3201, 1200)",
        {"memory": 3201, "gpu": 1200},
        "nvmlDeviceSetApplicationsClocks",
        [3201, 1200],
    ),
    (
        "rtx-5090-575",
        "GPU_CLOCK",
        "ClockLock(2400, 2550)",
        {"min": 2400, "max": 2550},
        "nvmlDeviceSetGpuLockedClocks",
        [2400, 2550],
    ),
    (
        "rtx-5090-575",
        "GPU_CLOCK",
        "ClockLock(0, 2550)",
        {"min": 180, "max": 2550},
        "nvmlDeviceSetGpuLockedClocks",
        [180, 2550],
    ),
    (
        "rtx-5090-575",
        "MEMORY_CLOCK",
        "ClockLock(0, 14001)",
        {"min": 405, "max": 14001},
        "nvmlDeviceSetMemoryLockedClocks",
        [405, 14001],
    ),
]


@pytest.mark.parametrize(("board", "setting", "value", "shown", "function", "arguments"), WRITTEN)
def test_a_value_is_written_once_and_read_back(
    nvsim: MakeHost, board: str, setting: str, value: str, shown: Any, function: str, arguments: list[int]
) -> None:
    host = nvsim(board)
    out = play(
        host,
        f"""
uuid = nvml.attach()[0].gpu.uuid
nvml.write(uuid, Setting.{setting}, {value})
out["key"] = Setting.{setting}.value
out["read"] = plain(nvml.read(uuid, Setting.{setting}))
out["seen"] = readings(nvml.see(uuid, Look(application_clocks=True)))[out["key"]]
out["shown"] = host.gpu()[out["key"]]
""",
    )
    lock = setting in ("GPU_CLOCK", "MEMORY_CLOCK")
    assert out["shown"] == shown
    assert out["read"] == out["seen"] == ("no getter" if lock else shown)
    assert [(write["function"], write["args"]) for write in host.writes()] == [(function, arguments)]


def test_unlocked_is_a_reset_and_a_new_lock_is_none(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    play(
        host,
        """
uuid = nvml.attach()[0].gpu.uuid
for value in (ClockLock(2400, 2550), ClockLock(0, 2400), UNLOCKED):
    nvml.write(uuid, Setting.GPU_CLOCK, value)
    nvml.write(uuid, Setting.MEMORY_CLOCK, UNLOCKED)
""",
    )
    assert [w["function"] for w in host.writes() if "Gpu" in w["function"]] == [
        "nvmlDeviceSetGpuLockedClocks",
        "nvmlDeviceSetGpuLockedClocks",
        "nvmlDeviceResetGpuLockedClocks",
    ]
    assert [w["function"] for w in host.writes() if "Memory" in w["function"]] == [
        "nvmlDeviceResetMemoryLockedClocks"
    ] * 3


def test_what_the_driver_made_of_a_value_is_what_is_read(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
uuid = nvml.attach()[0].gpu.uuid
nvml.write(uuid, Setting.POWER_LIMIT, PowerLimit(450500))
out["read"] = plain(nvml.read(uuid, Setting.POWER_LIMIT))
""",
    )
    assert out["read"] == 450


REFUSED = [
    ("POWER_LIMIT", "PowerLimit(-1)", "200 to 700 W"),
    ("POWER_LIMIT", "PowerLimit(0)", "200 to 700 W"),
    ("POWER_LIMIT", "PowerLimit(700001)", "200 to 700 W"),
    ("POWER_LIMIT", "PowerLimit(2**32 + 450000)", "200 to 700 W"),
    ("GPU_CLOCK", "ClockLock(1500, 1400)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(-5, 1400)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(0, 344)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(0, 2**32 + 1400)", "345 to 1980 MHz"),
    ("GPU_CLOCK", "ClockLock(0xffffff01, 0xffffff02)", "345 to 1980 MHz"),
    ("MEMORY_CLOCK", "ClockLock(0, 3202)", "2201 to 3201 MHz"),
    ("APPLICATION_CLOCKS", "ApplicationClocks(1200, 3201)", "2201 to 3201 MHz"),
    ("APPLICATION_CLOCKS", "ApplicationClocks(3201, 2**32 + 1200)", "345 to 1980 MHz"),
    ("APPLICATION_CLOCKS", "ClockLock(3201, 1200)", "no value"),
    ("PERSISTENCE_MODE", "ComputeMode.DEFAULT", "no value"),
    ("COMPUTE_MODE", "True", "no value"),
    ("POWER_LIMIT", "UNLOCKED", "no value"),
    ("NUMA_BALANCING", "NumaBalancing.OFF", "no setting of a GPU"),
]


def test_what_a_board_cannot_take_never_reaches_the_driver(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    tries = ", ".join(f"(Setting.{setting}, {value})" for setting, value, _ in REFUSED)
    out = play(
        host,
        f"""
uuid = nvml.attach()[0].gpu.uuid
out = [outcome(nvml.write, uuid, setting, value) for setting, value in [{tries}]]
""",
    )
    for (setting, value, words), said in zip(REFUSED, out, strict=True):
        assert said.startswith(("DriverRefused: ", "NotSupported: ")), (setting, value)
        assert words in said
    assert host.writes() == []


def test_a_setting_that_the_board_does_not_have(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-laptop", "t4")
    out = play(
        host,
        """
laptop, t4 = [board.gpu.uuid for board in nvml.attach()]
out["clocks"] = outcome(nvml.write, laptop, Setting.APPLICATION_CLOCKS, ApplicationClocks(14001, 2400))
out["memory"] = outcome(nvml.write, t4, Setting.MEMORY_CLOCK, ClockLock(0, 5001))
out["before"] = len(host.writes())
out["power"] = outcome(nvml.write, laptop, Setting.POWER_LIMIT, PowerLimit(100000))
out["see"] = readings(nvml.see(laptop, Look()))["power_limit_w"]
""",
    )
    assert out["clocks"] == "NotSupported: this GPU has no application clocks"
    assert out["memory"].startswith("NotSupported: ")
    assert out["before"] == 0
    # A laptop names a range and refuses all the same: that is known from the write alone.
    assert out["power"] == "NotSupported: the power limit cannot be set to 100 W: not supported by this GPU"
    assert out["see"] == 150


def test_without_the_capability_every_setter_is_refused_and_reading_goes_on(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    out = play(
        host,
        """
uuid = nvml.attach()[0].gpu.uuid
out["said"] = [outcome(nvml.write, uuid, setting, value) for setting, value in (
    (Setting.POWER_LIMIT, PowerLimit(450000)), (Setting.PERSISTENCE_MODE, True),
    (Setting.GPU_CLOCK, ClockLock(0, 1755)), (Setting.GPU_CLOCK, UNLOCKED),
    (Setting.COMPUTE_MODE, ComputeMode.PROHIBITED))]
out["limit"] = plain(nvml.read(uuid, Setting.POWER_LIMIT))
""",
        NVSIM_CAP_SYS_ADMIN="0",
    )
    assert all(said.startswith("DriverPermission: ") and "CAP_SYS_ADMIN" in said for said in out["said"])
    assert out["limit"] == 700


def test_mig_takes_the_compute_mode_away(nvsim: MakeHost) -> None:
    host = nvsim("h100")
    host.run("mig", 0, "on")
    out = play(
        host,
        """
board = nvml.attach()[0]
out["mig"] = board.mig
out["said"] = outcome(nvml.write, board.gpu.uuid, Setting.COMPUTE_MODE, ComputeMode.PROHIBITED)
out["power"] = outcome(nvml.write, board.gpu.uuid, Setting.POWER_LIMIT, PowerLimit(400000))
""",
    )
    assert out["mig"] is True
    assert out["said"].startswith("NotSupported: MIG is on")
    assert out["power"] == "None"
