"""The clocks that a board names: of all memory clocks together, and read again when they moved."""

from __future__ import annotations

import pytest

from tests.conftest import MakeHost
from tests.contract.nvml_child import play

ATTACH = """
board = nvml.attach()[0]
uuid = board.gpu.uuid
def ends(board):
    return board and [board.gpu_ladder_mhz[0], board.gpu_ladder_mhz[-1], len(board.gpu_ladder_mhz)]
def calls():
    return host.calls().get("nvmlDeviceGetSupportedMemoryClocks", 0)
out["first"] = ends(board)
"""


def test_the_range_is_that_of_every_memory_clock(nvsim: MakeHost) -> None:
    """As on an RTX 2080, whose ladder at 810 MHz reaches lower than those above."""
    host = nvsim("rtx-4090")
    host.set(0, clock_offset_mhz=960)
    out = play(
        host,
        ATTACH
        + """
out["lock"] = outcome(nvml.write, uuid, Setting.GPU_CLOCK, ClockLock(0, 1005))
out["shown"] = host.gpu()["gpu_clock_mhz"]
""",
    )
    assert out["first"] == [4080, 210, 259]
    assert out["lock"] == "None"
    assert out["shown"] == {"min": 210, "max": 1005}


def test_a_clock_above_all_rungs_has_the_ladders_read_again(nvsim: MakeHost) -> None:
    host = nvsim("rtx-4090")
    out = play(
        host,
        ATTACH
        + """
host.load(0, 5)
host.advance(1)
out["quiet"] = ends(nvml.see(uuid, Look()).board)
host.set(0, clock_offset_mhz=600)
host.advance(1)
before = calls()
out["moved"] = [ends(nvml.see(uuid, Look()).board) for _ in range(40)]
out["reads"] = calls() - before
out["lock"] = outcome(nvml.write, uuid, Setting.GPU_CLOCK, ClockLock(0, 3720))
""",
    )
    assert out["first"] == [3120, 210, 195]
    assert out["quiet"] is None
    assert out["moved"] == [[3720, 210, 235]] + [None] * 39
    assert out["reads"] == 1
    assert out["lock"] == "None"


def test_a_clock_between_two_rungs_has_the_ladders_read_again(nvsim: MakeHost) -> None:
    """Below a lock the clocks never come to lie above all rungs, and still they show that the ladder moved."""
    host = nvsim("rtx-4090")
    out = play(
        host,
        ATTACH
        + """
nvml.write(uuid, Setting.GPU_CLOCK, ClockLock(0, 1995))
host.load(0, 100)
host.advance(5)
before = calls()
out["quiet"] = [ends(nvml.see(uuid, Look()).board) for _ in range(40)]
out["reads"] = calls() - before
host.set(0, clock_offset_mhz=200)
host.advance(5)
out["moved"] = [ends(nvml.see(uuid, Look()).board) for _ in range(3)]
""",
    )
    assert out["quiet"] == [None] * 40
    assert out["reads"] == 0
    assert [ends and ends[0] for ends in out["moved"]] == [3320, None, None]


def test_ladders_that_did_not_move_are_not_read_at_every_look(nvsim: MakeHost) -> None:
    host = nvsim("rtx-4090")
    host.override(0, "nvmlDeviceGetClockInfo", 0, "=1", ">a00f0000")
    out = play(host, ATTACH + "before = calls(); [nvml.see(uuid, Look()) for _ in range(60)]; out = calls() - before")
    assert out == 2


def test_a_refused_clock_has_the_ladders_read_again(nvsim: MakeHost) -> None:
    out = play(
        nvsim("rtx-4090"),
        ATTACH
        + """
host.answer("nvmlDeviceSetGpuLockedClocks", 2, times=1)
host.set(0, clock_offset_mhz=-60)
out["quiet"] = ends(nvml.see(uuid, Look()).board)
out["lock"] = outcome(nvml.write, uuid, Setting.GPU_CLOCK, ClockLock(0, 3120))
out["moved"] = [ends(nvml.see(uuid, Look()).board) for _ in range(3)]
out["now"] = outcome(nvml.write, uuid, Setting.GPU_CLOCK, ClockLock(0, 165))
""",
    )
    assert out["quiet"] is None
    assert out["lock"].startswith("DriverRefused")
    assert out["moved"] == [[3120, 150, 199], None, None]
    assert out["now"] == "None", "the range that is written is the one of now"


@pytest.mark.parametrize("call", ["nvmlDeviceGetSupportedMemoryClocks", "nvmlDeviceGetSupportedGraphicsClocks"])
def test_clocks_that_are_not_known_for_the_moment_are_waited_for(nvsim: MakeHost, call: str) -> None:
    """A lock on a guessed ladder would begin at 1 MHz, which is no clock of the board's."""
    host = nvsim("rtx-4090")
    host.answer(call, 999)
    out = play(
        host,
        ATTACH.replace('out["first"] = ends(board)', "")
        + f"""
out["unknown"] = sorted((setting.value, why) for setting, why in board.unknown.items())
host.answer("{call}", "none")
board = nvml.describe(uuid)
out["then"] = [ends(board), sorted(board.unknown)]
host.answer("{call}", 999)
nvml.write(uuid, Setting.GPU_CLOCK, ClockLock(0, 1005))
host.answer("nvmlDeviceSetGpuLockedClocks", 2, times=1)
outcome(nvml.write, uuid, Setting.GPU_CLOCK, ClockLock(0, 1500))
out["doubted"] = ends(nvml.see(uuid, Look()).board)
out["shown"] = host.gpu()["gpu_clock_mhz"]
""",
    )
    assert out["unknown"] == [
        [key, "its clocks are not known: the driver reports an unknown error"]
        for key in ("gpu_clock_mhz", "memory_clock_mhz")
    ]
    assert out["then"] == [[3120, 210, 195], []]
    assert out["doubted"] is None, "a list that fails is no other list"
    assert out["shown"] == {"min": 210, "max": 1005}


def test_a_board_that_names_no_clocks_is_left_to_the_driver(nvsim: MakeHost) -> None:
    host = nvsim("rtx-4090")
    host.answer("nvmlDeviceGetSupportedMemoryClocks", 3)
    assert play(host, ATTACH.replace('out["first"] = ends(board)', "out = sorted(board.unknown)")) == []
