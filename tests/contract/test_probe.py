"""`gpu-tunedctl probe`: it reads and does nothing else, names nobody, and its dump answers as the board did."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pynvml
import pytest

from gpu_tuned.adapters.nvml.getters import allowed
from gpu_tuned.adapters.nvml.probe import NotAQuestion, Recorder
from gpu_tuned.core.model import NO_ADDRESS
from tests.conftest import MakeHost
from tests.contract.nvml_child import play
from tests.contract.test_nvml_garbage import IN_A_GIBIBYTE
from tests.nvsim import SIMULATOR, Nvsim, handed_out

BOARDS = sorted(
    path.name.split(".")[0] for ending in ("board", "probe") for path in SIMULATOR.glob(f"boards/*.{ending}")
)
DUMP = """
from gpu_tuned.adapters.nvml.probe import probe
out = {index: list(probe(str(index))) for index in range(%d)}
"""


def timeless(lines: list[str]) -> list[str]:
    """Without the microseconds of each call."""
    patterns = (r"^(call = \S+ \S+) \d+", r"^(field = \d+ \d+ \d+) \d+")
    for pattern in patterns:
        lines = [re.sub(pattern, r"\1", line) for line in lines]
    return lines


def dumped(host: Nvsim, count: int = 1) -> list[list[str]]:
    return list(play(host, DUMP % count).values())


def replayed(tmp_path: Path, dumps: list[list[str]], driver: str | None = None) -> Nvsim:
    for index, lines in enumerate(dumps):
        (tmp_path / f"{index}.probe").write_text("\n".join(lines) + "\n")
    files = [str(tmp_path / f"{index}.probe") for index in range(len(dumps))]
    return Nvsim.create(tmp_path / "replay", *files, driver=driver)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nvsim, list[list[str]], list[list[str]]]:
    """A host with every board, what each answered, and what its replay did."""
    place = tmp_path_factory.mktemp("probe")
    host = Nvsim.create(place / "host", *BOARDS, driver="580.159.04")
    dumps = dumped(host, len(BOARDS))
    return host, dumps, dumped(replayed(place, dumps), len(BOARDS))


@pytest.mark.parametrize("board", BOARDS)
def test_the_replay_answers_what_the_board_did(board: str, every: Any) -> None:
    _, dumps, again = every
    first, second = dumps[BOARDS.index(board)], again[BOARDS.index(board)]
    assert sum(line.startswith("call = ") for line in first) > 100
    assert sum(line.startswith("field = ") for line in first) == 330
    assert timeless(first) == timeless(second)


def test_the_replay_of_a_gpu_on_no_bus_is_on_none(every: Any) -> None:
    """An address is in no dump; that there is none, is: a Jetson's vendor and device are 0."""
    host, _, _ = every
    asks = "out = {board.gpu.name: board.gpu.pci for board in nvml.attach()}"
    told = play(host, asks)
    assert {name for name, pci in told.items() if pci == NO_ADDRESS} == {"Orin (nvgpu)"}
    replay = Nvsim(host.directory.parent / "replay")
    assert {name: pci == NO_ADDRESS for name, pci in play(replay, asks).items()} == {
        name: pci == NO_ADDRESS for name, pci in told.items()
    }


@pytest.mark.parametrize(
    ("driver", "board"), [("418.226.00", "t4"), ("470.256.02", "a100"), ("580.65.06", "h200"), ("610.43.02", "h200")]
)
def test_the_replay_is_of_the_same_driver(nvsim: MakeHost, tmp_path: Path, driver: str, board: str) -> None:
    dumps = dumped(nvsim(board, driver=driver))
    host = replayed(tmp_path, dumps)
    assert host.show()["driver"]["version"] == driver
    assert timeless(dumped(host)[0]) == timeless(dumps[0])


def test_nothing_but_questions_reached_the_driver(every: Any) -> None:
    host = every[0]
    assert host.writes(strangers=True) == []
    attach = {"nvmlInitWithFlags", "nvmlShutdown", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"}
    # To find the GPU that was named, before the recorder is in place; none of this is written down.
    find = {"nvmlDeviceGetUUID", "nvmlDeviceGetPciInfo_v3", "nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion"}
    called = {name for name, times in host.calls().items() if times}
    assert {name for name in called - attach - find if not allowed(name)} == set()
    assert all("Get" in name or name in attach | {"nvmlGpmQueryDeviceSupport"} for name in called)
    assert len(called) > 70


def functions() -> list[str]:
    """Every function of the library that the binding knows."""
    source = Path(pynvml.__file__).read_text()
    return sorted(set(re.findall(r"_nvmlGetFunctionPointer\(\"(\w+)\"\)", source)))


DEEDS = ("Set", "Reset", "Clear", "Create", "Destroy", "Remove", "Modify", "Write", "Update", "Activate", "Discover")


def test_no_function_that_does_something_may_be_called() -> None:
    every = functions()
    assert len(every) > 300
    doing = [name for name in every if re.search(rf"({'|'.join(DEEDS)})(?![a-z])", name)]
    assert len(doing) > 60
    assert [name for name in doing if allowed(name)] == []
    assert all(re.match(r"nvml(Device\w*|System)Get|nvmlGpmQuery", name) for name in every if allowed(name))


@pytest.mark.parametrize(
    "name",
    [
        "nvmlDeviceSetPersistenceMode",
        "nvmlDeviceResetGpuLockedClocks",
        "nvmlDeviceClearEccErrorCounts",
        "nvmlSystemSetNvlinkBwMode",
        "nvmlDeviceGetUUID",
        "nvmlDeviceGetSerial",
        "nvmlDeviceGetHostname_v1",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetAccountingPids",
        "nvmlDeviceGetConfComputeGpuCertificate",
        "nvmlDeviceGetFooAndResetIt",
        "nvmlShutdown",
        "cuInit",
    ],
)
def test_the_recorder_lets_none_but_questions_through(name: str) -> None:
    """Whatever the library has under that name: it is not even looked up."""

    class Library:
        def __getattr__(self, wanted: str) -> Any:
            raise AssertionError(f"{wanted} was looked up")

    with pytest.raises(NotAQuestion):
        getattr(Recorder(Library()), name)


def test_a_dump_names_nobody(nvsim: MakeHost) -> None:
    host = nvsim("h200,uuid=GPU-aaaabbbb-cccc-dddd-eeee-ffff00001111,pci=00ab:cd:1e.0")
    host.override(0, "nvmlDeviceGetSerial", 0, handed_out("1650099887766"), "~30")
    host.load(0, 50)
    (lines,) = dumped(host)
    text = "\n".join(lines).lower()
    for identity in ("aaaabbbb", "1650099887766", "cd:1e", "00ab", b"aaaabbbb".hex(), b"16500998".hex()):
        assert identity not in text


def test_what_was_refused_is_refused_in_the_replay(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("h200")
    host.answer("nvmlDeviceGetPowerUsage", 999)
    host.field(0, 186, "error=15")
    host.field(0, 185, "double=nan")
    host.override(0, "nvmlDeviceGetName", 0, handed_out(b"\xff# %\x1b \n"), "~96")
    (lines,) = dumped(host)
    assert any(line.startswith("call = nvmlDeviceGetPowerUsage 999 ") for line in lines)
    assert all(line.isprintable() and line.isascii() for line in lines)
    again = replayed(tmp_path, [lines])
    assert timeless(dumped(again)[0]) == timeless(lines)
    assert again.ask("n.nvmlDeviceGetName.__wrapped__(h).hex()") == b"\xff# %\x1b \n".hex()


def test_a_replayed_board_lives_on_from_where_it_was_recorded(nvsim: MakeHost, tmp_path: Path) -> None:
    first = nvsim("h200")
    first.set(0, persistence_mode=True, power_limit_w=500, compute_mode="prohibited")
    first.load(0, 100)
    first.advance(100)
    first.load(0, 0)
    first.advance(100)
    counted = "n.nvmlDeviceGetFieldValues(h, [74])[0].value.ullVal"
    capped = first.ask(counted)
    assert capped > 90 * 10**9
    host = replayed(tmp_path, dumped(first))
    read = (
        "[n.nvmlDeviceGetPersistenceMode(h), n.nvmlDeviceGetPowerManagementLimit(h), n.nvmlDeviceGetComputeMode(h)]"
    )
    assert host.ask(read) == [1, 500000, 2]
    assert host.ask(counted) == capped
    host.speed(0)
    host.set(0, power_limit_w=450)
    host.load(0, 100)
    host.advance(10)
    assert host.ask(read) == [1, 450000, 2]
    assert host.ask("n.nvmlDeviceGetClockInfo(h, 1)") < 1980
    assert host.gpu()["reasons"] == 4
    assert capped + 8 * 10**9 < host.ask(counted) < capped + 11 * 10**9


def test_a_recordings_costs_are_those_of_its_calls(nvsim: MakeHost, tmp_path: Path) -> None:
    (lines,) = dumped(nvsim("h200"))
    line = next(line for line in lines if line.startswith("call = nvmlDeviceGetBrand "))
    slow = [re.sub(r"^(call = nvmlDeviceGetBrand 0) \d+", r"\1 30000", line) for line in lines]
    assert slow != lines and line in lines
    host = replayed(tmp_path, [slow])
    host.run("costs", "on")
    took = "(lambda t: (n.nvmlDeviceGetBrand(h), time.monotonic() - t)[1])(time.monotonic())"
    assert 0.03 <= host.ask(took) < 1


def test_a_real_h100_is_read_as_its_recording_says(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h100-recorded"),
        """
board = nvml.attach()[0]
seen = nvml.see(board.gpu.uuid, Look(application_clocks=True, counters=True))
t = seen.telemetry
out["board"] = [board.gpu.name, board.power.min_mw, board.power.max_mw, board.memory_ladder_mhz,
                len(board.gpu_ladder_mhz), board.reasons_mask, board.absent, board.no_xids]
out["readings"] = readings(seen)
out["counters"] = seen.counters_ns
out["telemetry"] = [t.power_mw, t.enforced_limit_mw, t.gpu_clock_mhz, t.memory_clock_mhz, t.pstate, t.reasons]
""",
    )
    assert out["board"] == ["NVIDIA H100 80GB HBM3", 200000, 700000, [2619, 1593], 110, 0x1FF, {}, None]
    assert out["readings"] == {
        "persistence_mode": True,
        "power_limit_w": 700,
        "compute_mode": "default",
        "application_clocks_mhz": {"memory": 2619, "gpu": 1980},
        "gpu_clock_mhz": "no getter",
        "memory_clock_mhz": "no getter",
    }
    assert out["counters"]["78"] == 16178708384
    assert set(out["counters"]) == {"74", "76", "77", "78", "79", "269", "270", "271"}
    assert out["telemetry"] == [74521, 700000, 390, 2619, 0, 1]


@pytest.mark.parametrize(
    "line", ["call = x", "call = nvmlDeviceGetName 0 1 ?", "field = 1 2", "colour = red", "call = a 0 0 >0"]
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(AssertionError, match=r"0\.probe:2: cannot use"):
        replayed(tmp_path, [["probe = 1", line]])


def test_the_simulator_has_every_function_that_a_dump_may_name(nvsim: MakeHost) -> None:
    asked = play(
        nvsim("h200", driver="999.0"),
        """
from gpu_tuned.adapters.nvml import probe
asked, found = set(), probe.Recorder.__getattr__
def noting(self, name):
    asked.add(name)
    return found(self, name)
probe.Recorder.__getattr__ = noting
list(probe.probe(None))
out = sorted(asked)
""",
    )
    library = ctypes.CDLL(str(SIMULATOR / "build" / "libnvidia-ml.so.1"))
    assert len(asked) > 100
    assert [name for name in asked if not hasattr(library, name)] == []


def ctl(host: Nvsim, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "gpu-tunedctl"), "probe", *words]
    return subprocess.run(command, env=host.env, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_prints_a_dump_of_the_only_gpu(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    done = ctl(host)
    assert done.returncode == 0
    lines, wanted = (timeless(dump) for dump in (done.stdout.splitlines(), dumped(host)[0]))
    moving = ("TotalEnergyConsumption", "ViolationStatus", "field = ")  # time goes on between the two
    assert [line for line in lines if not any(word in line for word in moving)] == [
        line for line in wanted if not any(word in line for word in moving)
    ]
    assert len(lines) == len(wanted)
    assert re.fullmatch(r"gpu-tunedctl: \d+ calls and 330 fields asked for, nothing written\n", done.stderr)


def test_the_command_wants_one_gpu_named(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    rows = [f"  {i}  0{i + 1}:00.0  {host.gpu(i)['uuid'][:12]}" for i in range(2)]
    wrong: tuple[tuple[list[str], str], ...] = (
        ([], "which GPU?"),
        (["7"], "no GPU '7' here."),
        (["GPU-"], "'GPU-' names more than one GPU."),
    )
    for words, said in wrong:
        done = ctl(host, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [f"gpu-tunedctl: {line}" for line in (f"{said} There are:", *rows)]
    for word in ("1", "0000:02:00.0", "00000000:02:00.0", "02", host.gpu(1)["uuid"][4:8]):
        assert '"NVIDIA%20GeForce%20RTX%205090' in ctl(host, word).stdout


def test_without_a_driver_the_command_says_so(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.run("unload")
    done = ctl(host)
    assert (done.returncode, done.stderr) == (5, "gpu-tunedctl: the NVIDIA driver is not loaded\n")


def test_a_gpu_that_cannot_be_reached_does_not_keep_the_others_from_being_asked(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    host.lose(0)
    assert '"NVIDIA%20GeForce%20RTX%205090' in ctl(host).stdout
    host.lose(1)
    done = ctl(host)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "gpu-tunedctl: the driver answers, and no GPU can be reached\n"


def test_a_call_that_says_the_gpu_is_lost_is_a_line_like_any(nvsim: MakeHost, tmp_path: Path) -> None:
    host = nvsim("h200")
    host.answer("nvmlDeviceGetPciInfo_v3", 3)
    host.answer("nvmlDeviceGetPowerUsage", 15)
    (lines,) = dumped(host)
    assert any(line.startswith("call = nvmlDeviceGetPowerUsage 15 ") for line in lines)
    assert not any("pci" in line for line in lines)
    again = dumped(replayed(tmp_path, [lines]))[0]
    assert [line for line in timeless(again) if " = nvml" in line] == [
        line for line in timeless(lines) if " = nvml" in line
    ]


def test_a_list_without_end_does_not_keep_the_dump(nvsim: MakeHost, tmp_path: Path) -> None:
    """And its replay says the same."""
    host = nvsim("h200")
    host.override(0, "nvmlDeviceGetSupportedMemoryClocks", 0, f"@{2**32 - 1}", "[810c0000")
    lines = play(host, IN_A_GIBIBYTE + DUMP % 1)["0"]
    (told,) = [line for line in lines if "nvmlDeviceGetSupportedMemoryClocks" in line]
    assert f"@{2**32 - 1} " in told
    (again,) = dumped(replayed(tmp_path, [lines]))
    assert timeless(again) == timeless(lines)
