"""A recorded load replayed: same reasons at the same phases, power within 10 %, counters within 5 %."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from statistics import mean

import pytest

from tests.nvsim import NVSIM, SIMULATOR, Nvsim

COUNTERS = (74, 75, 76, 77, 78, 79, 80, 81, 269, 270, 271)
TRACE = SIMULATOR / "data" / "h200_load_trace.csv"
REPLAY = SIMULATOR / "data" / "h200_load.replay"

# Time stands still and is moved to each recorded sample in turn: exact, and as fast as the machine.
SAMPLER = """
import json, subprocess, sys
import pynvml as n
nvsim, replay, ids, times = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
def run(*args):
    subprocess.run([nvsim, *map(str, args)], check=True)
n.nvmlInit()
h = n.nvmlDeviceGetHandleByIndex(0)
run("speed", 0)
run("advance", 20)
run("replay", 0, replay)
at, first, out = 0.0, None, []
for t in times:
    run("advance", t - at)
    at = t
    counters = [v.value.ullVal for v in n.nvmlDeviceGetFieldValues(h, ids)]
    first = first or counters
    out.append({
        "t": t, "reasons": n.nvmlDeviceGetCurrentClocksEventReasons(h),
        "sm": n.nvmlDeviceGetClockInfo(h, 1), "mem": n.nvmlDeviceGetClockInfo(h, 2),
        "temp": n.nvmlDeviceGetTemperature(h, 0), "power": n.nvmlDeviceGetPowerUsage(h) / 1000,
        "counters": [(a - b) / 1e9 for a, b in zip(counters, first)],
    })
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, float]]:
    lines = [line for line in TRACE.read_text().splitlines() if not line.startswith("#")]
    return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]


@pytest.fixture(scope="module")
def simulated(
    recorded: list[dict[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, float | list[float]]]:
    host = Nvsim.create(tmp_path_factory.mktemp("trace") / "host", "h200")
    times = json.dumps([r["t_s"] for r in recorded])
    out: list[dict[str, float | list[float]]] = json.loads(
        host.python(SAMPLER, str(NVSIM), str(REPLAY), json.dumps(COUNTERS), times)
    )
    return out


def test_reasons_are_those_of_the_recording(recorded: list, simulated: list) -> None:
    assert [(s["t"], s["reasons"]) for s in simulated] == [(r["t_s"], r["reasons"]) for r in recorded]


def test_power_is_within_a_tenth(recorded: list, simulated: list) -> None:
    off = [
        (r["t_s"], r["power_w"], s["power"])
        for r, s in zip(recorded, simulated, strict=True)
        if abs(s["power"] - r["power_w"]) > 0.1 * r["power_w"]
    ]
    assert off == []


def test_counters_end_within_a_twentieth(recorded: list, simulated: list) -> None:
    for i, field in enumerate(COUNTERS):
        wanted, got = recorded[-1][f"c{field}"] / 1000, simulated[-1]["counters"][i]
        assert got == pytest.approx(wanted, rel=0.05, abs=0.001), f"field {field}"
    assert simulated[-1]["counters"][0] == pytest.approx(15.36, abs=0.05)


@pytest.mark.parametrize(("start", "end"), [(0, 5.1), (8, 20.5), (21.1, 26)])
def test_clocks_and_temperature_have_its_shape(recorded: list, simulated: list, start: float, end: float) -> None:
    phase = [i for i, r in enumerate(recorded) if start <= r["t_s"] <= end]
    for ours, theirs, tolerance in (("sm", "sm_mhz", 30), ("mem", "mem_mhz", 1), ("temp", "temp_c", 2)):
        wanted, got = mean(recorded[i][theirs] for i in phase), mean(simulated[i][ours] for i in phase)
        assert got == pytest.approx(wanted, abs=tolerance), ours


def test_clock_events_arrive_about_as_often_as_recorded(nvsim: Callable[..., Nvsim]) -> None:
    """About 60 a second while the power cap holds the clocks down."""
    host = nvsim("h200")
    host.load(0, 100)
    seen = host.python(
        "import pynvml as n, time\n"
        "n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0); s = n.nvmlEventSetCreate()\n"
        "n.nvmlDeviceRegisterEvents(h, 0x10, s); seen = 0; end = time.monotonic() + 1\n"
        "while time.monotonic() < end:\n"
        "    seen += n.nvmlEventSetWait_v2(s, 200).eventType == 0x10\n"
        "print(seen)"
    )
    assert 30 <= int(seen) <= 90


@pytest.mark.parametrize("board", ["h100", "h200"])
def test_a_board_answers_what_a_real_one_answered(nvsim: Callable[..., Nvsim], board: str) -> None:
    recording = json.loads((SIMULATOR / "data" / f"{board}_answers.json").read_text())
    answers = nvsim(board).python(
        "import json, sys, pynvml as n\n"
        "n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0); out = []\n"
        "for name, args, _ in json.loads(sys.argv[1]):\n"
        "    try: out.append(getattr(n, name)(h, *args))\n"
        "    except n.NVMLError as e: out.append(type(e).__name__)\n"
        "fields = {i: n.nvmlDeviceGetFieldValues(h, [i])[0].nvmlReturn for i in json.loads(sys.argv[2])}\n"
        "clocks = {m: n.nvmlDeviceGetSupportedGraphicsClocks(h, int(m)) for m in sys.argv[3:]}\n"
        "print(json.dumps([out, fields, clocks]))",
        json.dumps(recording["calls"]),
        json.dumps(ids := [i for rs in recording["fields"].values() for a, b in rs for i in range(a, b + 1)]),
        *recording["graphics_clocks"],
    )
    calls, fields, clocks = json.loads(answers)
    wanted = {i: int(r) for r, rs in recording["fields"].items() for a, b in rs for i in range(a, b + 1)}
    assert [[c[0], c[1], got] for c, got in zip(recording["calls"], calls, strict=True)] == recording["calls"]
    assert {i: r for i in ids if (r := fields[str(i)]) != wanted[i]} == {}
    assert clocks == recording["graphics_clocks"]
