"""nvidia-smi's command line: what each spelling sets, what sets nothing, and what is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.core.model import UNLOCKED, ApplicationClocks, ClockLock, ComputeMode, PowerLimit, Setting
from gpu_tuned.core.wish import Symbol
from gpu_tuned.init.grammar import OPTIONS, READING, SUBCOMMANDS
from gpu_tuned.init.model import UNKNOWN, Kind
from gpu_tuned.init.nvidia_smi import Said, call

HELP = Path(__file__).parent / "data" / "nvidia_smi"
LIMIT, CLOCK, MEMORY = Setting.POWER_LIMIT, Setting.GPU_CLOCK, Setting.MEMORY_CLOCK
P450 = PowerLimit(450_000)

SETS = {
    "-pl 450": (LIMIT, P450, ()),
    "-pl=450": (LIMIT, P450, ()),
    "--power-limit 450": (LIMIT, P450, ()),
    "--power-limit=450.0": (LIMIT, P450, ()),
    "-pl 312.5": (LIMIT, PowerLimit(312_500), ()),
    "-pl 450 -sc 0": (LIMIT, P450, ()),
    "-pl 450 --scope=GPU -eow": (LIMIT, P450, ()),
    "-i 1 -pl 450": (LIMIT, P450, ("1",)),
    "-i=1 -pl=450": (LIMIT, P450, ("1",)),
    "-pl 450 --id=0,2": (LIMIT, P450, ("0", "2")),
    "--id GPU-5b1c9f2e -pl 450": (LIMIT, P450, ("GPU-5b1c9f2e",)),
    "-pm 1": (Setting.PERSISTENCE_MODE, True, ()),
    "-pm ENABLED": (Setting.PERSISTENCE_MODE, True, ()),
    "--persistence-mode=0": (Setting.PERSISTENCE_MODE, False, ()),
    "-lgc 2400,2550": (CLOCK, ClockLock(2400, 2550), ()),
    "--lock-gpu-clocks=1410 --mode=0": (CLOCK, ClockLock(1410, 1410), ()),
    "-rgc": (CLOCK, UNLOCKED, ()),
    "-lmc 810,14001": (MEMORY, ClockLock(810, 14001), ()),
    "--reset-memory-clocks": (MEMORY, UNLOCKED, ()),
    "-ac 3002,2550": (Setting.APPLICATION_CLOCKS, ApplicationClocks(3002, 2550), ()),
    "-rac": (Setting.APPLICATION_CLOCKS, Symbol.DEFAULT, ()),
    "-c EXCLUSIVE_PROCESS": (Setting.COMPUTE_MODE, ComputeMode.EXCLUSIVE_PROCESS, ()),
    "--compute-mode=3": (Setting.COMPUTE_MODE, ComputeMode.EXCLUSIVE_PROCESS, ()),
    "-c 2": (Setting.COMPUTE_MODE, ComputeMode.PROHIBITED, ()),
}


@pytest.mark.parametrize("words", SETS)
def test_every_spelling_of_a_setting(words: str) -> None:
    (said,) = call(words.split())
    assert (said.setting, said.target, said.gpus) == SETS[words]
    assert said.doubt is None


@pytest.mark.parametrize(
    "words",
    [
        "",
        "-q",
        "-q -d POWER",
        "-L",
        "--query-gpu=clocks.gr --format=csv -l 1",
        "dmon -c 2",
        "pmon -c 2 -i 0",
        "topo -c 3",
        "stats -c 1",
        "-i 0 -q -x -f /tmp/q.xml",
        "mig",
        "vgpu",
    ],
)
def test_what_only_reads_says_nothing(words: str) -> None:
    assert call(words.split()) == ()


DOUBTS = {
    "-pl lots": (LIMIT, Kind.UNREADABLE),
    "-pl 250W": (LIMIT, Kind.UNREADABLE),
    "-ac 3002": (Setting.APPLICATION_CLOCKS, Kind.UNREADABLE),
    "-c 1": (Setting.COMPUTE_MODE, Kind.UNREADABLE),
    "-c 9": (Setting.COMPUTE_MODE, Kind.UNREADABLE),
    "-pl": (LIMIT, Kind.UNREADABLE),
    "-pl 450 -sc 1": (LIMIT, Kind.UNSUPPORTED),
    "-lgc 1410 -m 1": (CLOCK, Kind.UNSUPPORTED),
    "-lgc 1410 --new-option": (CLOCK, Kind.UNREADABLE),
    "-q -pl 450": (LIMIT, Kind.UNREADABLE),
    "-rgc=1": (CLOCK, Kind.UNREADABLE),
    "-i 0 -i 1 -pl 450": (LIMIT, Kind.GPU_UNKNOWN),
    f"-pl {UNKNOWN}": (LIMIT, Kind.COMPUTED),
    f"--power-limit={UNKNOWN}": (LIMIT, Kind.COMPUTED),
    f"-lgc 0,{UNKNOWN}": (CLOCK, Kind.COMPUTED),
    f"{UNKNOWN}": (None, Kind.COMPUTED),
    "-pl450": (None, Kind.UNREADABLE),
    "-lmcd 810": (None, Kind.UNSUPPORTED),
    "-gtt 80": (None, Kind.UNSUPPORTED),
    "--gom=0": (None, Kind.UNSUPPORTED),
    "-e 0": (None, Kind.UNSUPPORTED),
    "-mig 1": (None, Kind.UNSUPPORTED),
    "-r": (None, Kind.UNSUPPORTED),
    "mig -cgi 9,9 -C": (None, Kind.SUBCOMMAND),
    "nvlink -c -i 0": (None, Kind.SUBCOMMAND),
    "vgpu -c": (None, Kind.SUBCOMMAND),
    "boost-slider --vboost 1": (None, Kind.SUBCOMMAND),
    "some-new-thing -c 2": (None, Kind.SUBCOMMAND),
}


@pytest.mark.parametrize("words", DOUBTS)
def test_what_is_no_value_or_no_setting_of_ours_is_left(words: str) -> None:
    (said,) = call(words.split())
    assert said.doubt is not None
    assert (said.setting, said.doubt.kind) == DOUBTS[words]
    assert said.target is None or said.doubt.kind is Kind.UNSUPPORTED


@pytest.mark.parametrize("selector", [UNKNOWN, "%i", "0,", f"0,{UNKNOWN}"])
def test_which_gpu_is_meant_may_not_be_known(selector: str) -> None:
    (said,) = call(["-i", selector, "-pl", "450"])
    assert said.gpus is None


def test_several_options_in_one_call() -> None:
    said = call(["-i", "0", "-pm", "1", "-pl", "450", "-gtt", "80"])
    assert [(each.setting, each.gpus) for each in said] == [
        (Setting.PERSISTENCE_MODE, ("0",)),
        (LIMIT, ("0",)),
        (None, ("0",)),
    ]


def test_a_value_of_a_loop_over_several_is_a_loop_s() -> None:
    said: Said = call(["-pl", "300"], frozenset({1}))[0]
    assert said.doubt is not None and said.doubt.kind is Kind.LOOP
    assert call(["-i", "0", "-pl", "300"], frozenset({1}))[0].doubt is None


@pytest.mark.parametrize("generation", ["418.67", "520", "550"])
def test_every_option_of_the_driver_s_own_help_is_known(generation: str) -> None:
    for row in (HELP / f"{generation}.txt").read_text().splitlines():
        names = row.split()
        if not names[0].startswith("-"):
            assert [name for name in names if name not in SUBCOMMANDS] == []
            continue
        if names[0].startswith(READING):
            continue
        takes = names[-1].endswith("=")
        options = {id(OPTIONS[name.rstrip("=")]) for name in names}
        assert len(options) == 1, row
        assert OPTIONS[names[0].rstrip("=")].takes is takes, row
