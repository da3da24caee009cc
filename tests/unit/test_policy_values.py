"""What each key takes, and the whole sentence for what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.model import (
    UNLOCKED,
    ApplicationClocks,
    ClockLock,
    ComputeMode,
    NumaBalancing,
    PowerLimit,
)
from gpu_tuned.core.policy import DaemonOptions, Mode, OnStop, Policy
from gpu_tuned.core.policy.parser import Document, parse
from gpu_tuned.core.wish import Auto, Ceiling, Match, MatchBy, Percent, Symbol

EVERY = {"name": "*"}
UUID = "GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11"


def policy(data: Mapping[str, Any]) -> Policy:
    return parse([Document("p.toml", data)])


def rule(**keys: Any) -> dict[str, Any]:
    return {"gpu": [{"match": EVERY, **keys}]}


def problems(data: Mapping[str, Any]) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as caught:
        policy(data)
    assert caught.value.exit_code == 2
    return caught.value.problems


VALUES = [
    ("persistence_mode", True, True),
    ("persistence_mode", False, False),
    ("persistence_mode", "auto", Auto.AUTO),
    ("persistence_mode", "original", Symbol.ORIGINAL),
    ("power_limit_w", 450, PowerLimit(450_000)),
    ("power_limit_w", 450.5, PowerLimit(450_500)),
    ("power_limit_w", 1.001, PowerLimit(1_001)),  # as a float times 1000 this is 1000.9999999999999
    ("power_limit_w", 1, PowerLimit(1_000)),
    ("power_limit_w", 10000, PowerLimit(10_000_000)),
    ("power_limit_w", "max", Symbol.MAX),
    ("power_limit_w", "default", Symbol.DEFAULT),
    ("power_limit_w", "original", Symbol.ORIGINAL),
    ("power_limit_w", "80%", Percent(80)),
    ("power_limit_w", "82.5%", Percent(82.5)),
    ("power_limit_w", {"max": 450}, Ceiling(PowerLimit(450_000))),
    ("gpu_clock_mhz", 2400, ClockLock(2400, 2400)),
    ("gpu_clock_mhz", {"min": 2400, "max": 2550}, ClockLock(2400, 2550)),
    ("gpu_clock_mhz", {"max": 2550}, ClockLock(0, 2550)),
    ("gpu_clock_mhz", {"min": 0, "max": 2550}, ClockLock(0, 2550)),
    ("gpu_clock_mhz", "unlocked", UNLOCKED),
    ("gpu_clock_mhz", "original", Symbol.ORIGINAL),
    ("memory_clock_mhz", 14001, ClockLock(14001, 14001)),
    ("application_clocks_mhz", {"memory": 2619, "gpu": 1755}, ApplicationClocks(2619, 1755)),
    ("application_clocks_mhz", "default", Symbol.DEFAULT),
    ("application_clocks_mhz", "original", Symbol.ORIGINAL),
    ("compute_mode", "default", ComputeMode.DEFAULT),
    ("compute_mode", "exclusive_process", ComputeMode.EXCLUSIVE_PROCESS),
    ("compute_mode", "prohibited", ComputeMode.PROHIBITED),
    ("compute_mode", "original", Symbol.ORIGINAL),
]


@pytest.mark.parametrize(("key", "raw", "target"), VALUES)
def test_a_legal_value_becomes_a_target(key: str, raw: Any, target: Any) -> None:
    (wish,) = policy(rule(**{key: raw})).rules[0].wishes
    assert (wish.setting.value, wish.target) == (key, target)
    assert type(wish.target) is type(target)
    assert str(wish.origin) == f"p.toml gpu[0].{key}"


POWER = (
    'must be a number of watts from 1 to 10000, "max", "default", "original", a share of the maximum such as "80%", '
    "or a ceiling such as { max = 450 }"
)
CLOCK = (
    "must be a whole number of MHz from 1 to 100000, a range such as { min = 2400, max = 2550 }, a maximum such as "
    '{ max = 2550 }, "unlocked" or "original"'
)
MODES = 'must be "default", "exclusive_process", "prohibited" or "original"'
SWITCH = 'must be true, false, "auto" (on where the machine has no battery) or "original"'
BOTH = "and the driver sets both clocks together"
PAIR = 'write a pair such as { memory = 2619, gpu = 1755 }, "default" or "original"'

REFUSED = [
    ("power_limit_w", "450W", f'= "450W": {POWER}; write 450, the unit is in the key'),
    ("power_limit_w", "0.45 kW", f'= "0.45 kW": {POWER}; write 450, the unit is in the key'),
    ("power_limit_w", "450", f'= "450": {POWER}; write 450 without quotes'),
    ("power_limit_w", "Max", f'= "Max": {POWER}; nearest: "max"'),
    ("power_limit_w", "fast", f'= "fast": {POWER}'),
    ("power_limit_w", "", f'= "": {POWER}'),
    ("power_limit_w", True, f"= true: {POWER}"),
    ("power_limit_w", -450, f"= -450: {POWER}; nearest: 1"),
    ("power_limit_w", 0, f"= 0: {POWER}; nearest: 1"),
    ("power_limit_w", 0.45, f"= 0.45: {POWER}; if that is kilowatts, write 450"),
    ("power_limit_w", 450_000, f"= 450000: {POWER}; if that is milliwatts, write 450"),
    ("power_limit_w", 1e300, f"= 1e+300: {POWER}; nearest: 10000"),
    ("power_limit_w", 10**90, f"= an integer of 299 bits: {POWER}; nearest: 10000"),
    ("power_limit_w", -(16**9999), f"= an integer of 39997 bits: {POWER}; nearest: 1"),
    ("power_limit_w", float("nan"), f"= nan: {POWER}"),
    ("power_limit_w", float("inf"), f"= inf: {POWER}"),
    ("power_limit_w", float("-inf"), f"= -inf: {POWER}"),
    ("power_limit_w", 450.0004, "= 450.0004: at most 3 decimals are allowed; nearest: 450"),
    ("power_limit_w", [450], f"= [450]: {POWER}"),
    ("power_limit_w", "120%", '= "120%": a share of the maximum is written "1%" to "100%"; nearest: "100%"'),
    ("power_limit_w", "0%", '= "0%": a share of the maximum is written "1%" to "100%"; nearest: "1%"'),
    ("power_limit_w", "80 %", '= "80 %": a share of the maximum is written "1%" to "100%"; nearest: "80%"'),
    ("power_limit_w", {}, "= {}: a ceiling needs max, such as { max = 450 }"),
    ("power_limit_w", {"max": True}, ".max = true: must be a number of watts from 1 to 10000"),
    ("power_limit_w", {"max": "450 W"}, '.max = "450 W": must be a number of watts from 1 to 10000; '
     "write 450, the unit is in the key"),
    ("power_limit_w", {"max": 450, "min": 400},
     ".min: a power limit is one number and has no minimum; leave min out"),
    ("power_limit_w", {"max": 450, "mx": 1}, ".mx: no such key; nearest: max"),
    ("gpu_clock_mhz", {"min": 2600, "max": 2550},
     "= { min = 2600, max = 2550 }: min is above max; write { min = 2550, max = 2600 }"),
    ("gpu_clock_mhz", {"min": 2400},
     "= { min = 2400 }: a range needs max, for the driver takes both ends; write { min = 2400, max = 2550 }"),
    ("gpu_clock_mhz", {"max": 2550, "avg": 3}, ".avg: no such key; known here: min, max"),
    ("gpu_clock_mhz", {"max": -2}, ".max = -2: must be a whole number of MHz from 1 to 100000; nearest: 1"),
    ("gpu_clock_mhz", [2400, 2550], f"= [2400, 2550]: {CLOCK}; write {{ min = 2400, max = 2550 }}"),
    ("gpu_clock_mhz", "2400,2550", f'= "2400,2550": {CLOCK}; write {{ min = 2400, max = 2550 }}'),
    ("gpu_clock_mhz", "2550 MHz", f'= "2550 MHz": {CLOCK}; write 2550, the unit is in the key'),
    ("gpu_clock_mhz", "default", f'= "default": {CLOCK}; nearest: "unlocked"'),
    ("gpu_clock_mhz", "unloked", f'= "unloked": {CLOCK}; nearest: "unlocked"'),
    ("gpu_clock_mhz", 2.55, "= 2.55: must be a whole number; if that is GHz, write 2550"),
    ("gpu_clock_mhz", 2392.5, "= 2392.5: must be a whole number; nearest: 2392"),
    ("gpu_clock_mhz", 2550000, f"= 2550000: {CLOCK}; if that is kHz, write 2550"),
    ("memory_clock_mhz", False, f"= false: {CLOCK}"),
    ("application_clocks_mhz", 1755,
     '= 1755: must be a pair such as { memory = 2619, gpu = 1755 }, "default" or "original", for the driver sets '
     "both clocks together"),
    ("application_clocks_mhz", {"memory": 2619}, f"= {{ memory = 2619 }}: gpu is missing, {BOTH}; {PAIR}"),
    ("application_clocks_mhz", {"gpu": 1, "memory": 2, "sm": 3}, ".sm: no such key; known here: memory, gpu"),
    ("compute_mode", "EXCLUSIVE_PROCESS", f'= "EXCLUSIVE_PROCESS": {MODES}; nearest: "exclusive_process"'),
    ("compute_mode", "exclusive", f'= "exclusive": {MODES}; nearest: "exclusive_process"'),
    ("compute_mode", 3, f'= 3: {MODES}; nearest: "exclusive_process"'),
    ("compute_mode", True, f"= true: {MODES}"),
    ("persistence_mode", "on", f'= "on": {SWITCH}; write true'),
    ("persistence_mode", 0, f"= 0: {SWITCH}; write false"),
    ("persistence_mode", "orignal", f'= "orignal": {SWITCH}; nearest: "original"'),
    ("reason", "", '= "": must be text of one line, 1 to 300 characters'),
    ("reason", "two\nlines", r'= "two\u000Alines": must be text of one line, 1 to 300 characters'),
    ("required", "power_limit_w",
     '= "power_limit_w": must be a list of settings such as ["power_limit_w"]; write ["power_limit_w"]'),
    ("watch", ["compute_mod"],
     '[0] = "compute_mod": must be "persistence_mode", "power_limit_w", "gpu_clock_mhz", "memory_clock_mhz", '
     '"application_clocks_mhz" or "compute_mode"; nearest: "compute_mode"'),
    ("required", ["power_limit_w"],
     '[0] = "power_limit_w": is required, but no rule gives it a value; write power_limit_w = ... as well'),
    ("power_limit", 450, ": no such key; write power_limit_w, the unit is in the key"),
    ("power_limit_mw", 450, ": no such key; write power_limit_w, its unit is watts"),
    ("gpu_clock_ghz", 2, ": no such key; write gpu_clock_mhz, its unit is MHz"),
    ("powr_limit_w", 450, ": no such key; nearest: power_limit_w"),
    ("frobnicate", 450,
     ": no such key; known here: match, profile, required, watch, reason, accept, persistence_mode, power_limit_w, "
     "gpu_clock_mhz, memory_clock_mhz, application_clocks_mhz, compute_mode"),
    ("numa_balancing", "off", ": does not belong here, but under [host]"),
    ("profile", 3, '= 3: must be the name of a profile, such as "rtx-5090-inference"'),
    ("profile", "quiet", '= "quiet": no such profile; none is installed'),
]  # fmt: skip


# pytest cannot name a case by an integer of ten thousand digits.
@pytest.mark.parametrize(("key", "raw", "said"), REFUSED, ids=[f"{key}-{i}" for i, (key, *_) in enumerate(REFUSED)])
def test_a_refused_value_is_one_sentence(key: str, raw: Any, said: str) -> None:
    (problem,) = problems(rule(**{key: raw}))
    space = " " if said.startswith("=") else ""
    assert problem == f"p.toml: gpu[0].{key}{space}{said}"


MATCHES = [
    ({"name": "NVIDIA GeForce RTX 5090"}, Match(MatchBy.NAME, "NVIDIA GeForce RTX 5090")),
    ({"uuid": UUID}, Match(MatchBy.UUID, UUID)),
    ({"pci": "00000000:01:00.0"}, Match(MatchBy.PCI, "0000:01:00.0")),
    ({"pci": "01:00.0"}, Match(MatchBy.PCI, "0000:01:00.0")),
    ({"pci": "01:00"}, Match(MatchBy.PCI, "0000:01:00.0")),
    ({"pci": "0000:C3:00.0"}, Match(MatchBy.PCI, "0000:c3:00.0")),
    ({"pci": "00010000:c3:00.0"}, Match(MatchBy.PCI, "10000:c3:00.0")),  # sysfs has as many digits as it needs
]


@pytest.mark.parametrize(("raw", "match"), MATCHES)
def test_a_match_is_normalised(raw: Any, match: Match) -> None:
    assert policy({"gpu": [{"match": raw}]}).rules[0].match == match


REFUSED_MATCHES = [
    ({"index": 0}, ".index = 0: a GPU is not matched by its index, for the driver may number GPUs anew at any start; "
     "write uuid, pci or name"),
    ({}, " = {}: must have exactly one of name, uuid and pci"),
    ({"name": "x", "pci": "01:00.0"},
     ' = { name = "x", pci = "01:00.0" }: must have exactly one of name, uuid and pci'),
    ("*", ' = "*": must be a table with one of name, uuid, pci, such as { name = "NVIDIA GeForce RTX 5090" }'),
    ({"uid": "x"}, ".uid: no such key; nearest: uuid"),
    ({"pci": "1:0:0"}, '.pci = "1:0:0": must be a PCI address such as "0000:01:00.0" or "01:00.0"'),
    ({"uuid": "GPU-5b1c9f2e"}, '.uuid = "GPU-5b1c9f2e": must be a whole UUID such as '
     f'"{UUID}"; nvidia-smi -L lists them; patterns are for names only'),
    ({"name": ""}, '.name = "": must be a name or pattern such as "NVIDIA GeForce RTX 5090" or "*H100*"'),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "said"), REFUSED_MATCHES)
def test_a_refused_match_is_one_sentence(raw: Any, said: str) -> None:
    assert problems({"gpu": [{"match": raw}]}) == (f"p.toml: gpu[0].match{said}",)


def test_daemon_and_host_options() -> None:
    found = policy(
        {
            "daemon": {"mode": "observe", "poll_interval_s": 0.5, "on_stop": "restore"},
            "host": {"numa_balancing": "auto", "gpu_power_budget_w": 1100},
            "gpu": [],
        }
    )
    assert found.daemon == DaemonOptions(Mode.OBSERVE, 0.5, OnStop.RESTORE)
    assert found.gpu_power_budget_mw == 1_100_000
    assert found.numa_balancing is not None
    assert found.numa_balancing.target is Auto.AUTO
    assert str(found.numa_balancing.origin) == "p.toml host.numa_balancing"


@pytest.mark.parametrize(
    ("raw", "target"), [("off", NumaBalancing.OFF), ("on", NumaBalancing.ON), ("original", Symbol.ORIGINAL)]
)
def test_numa_balancing_words(raw: str, target: Any) -> None:
    wish = policy({"host": {"numa_balancing": raw}, "gpu": []}).numa_balancing
    assert wish is not None
    assert wish.target is target


NUMA = 'must be "leave", "off", "on", "auto" or "original"'
INTERVAL = "must be a number of seconds from 0.1 to 3600"
REFUSED_TABLES = [
    ({"daemon": {"mode": "obsrve"}}, 'daemon.mode = "obsrve": must be "enforce" or "observe"; nearest: "observe"'),
    ({"daemon": {"on_stop": True}}, 'daemon.on_stop = true: must be "keep" or "restore"'),
    ({"daemon": {"poll_interval_s": "2s"}},
     f'daemon.poll_interval_s = "2s": {INTERVAL}; write 2, the unit is in the key'),
    ({"daemon": {"poll_interval_s": 0}}, f"daemon.poll_interval_s = 0: {INTERVAL}; nearest: 0.1"),
    ({"daemon": {"poll_interval_s": 5000}},
     f"daemon.poll_interval_s = 5000: {INTERVAL}; if that is milliseconds, write 5"),
    ({"daemon": {"poll_interval": 2}},
     "daemon.poll_interval: no such key; write poll_interval_s, the unit is in the key"),
    ({"daemon": 3}, "daemon = 3: must be a table"),
    ({"host": {"numa_balancing": False}}, f'host.numa_balancing = false: {NUMA}; nearest: "off"'),
    ({"host": {"pcie_width": 3}}, "host.pcie_width = 3: must be a PCIe width in lanes: 1, 2, 4, 8, 12, 16, 32"),
    ({"host": {"accept": "mps"}},
     'host.accept = "mps": must be a list of ids of advice such as ["memory-lock"]; write ["mps"]'),
    ({"host": {"gpu_power_budget_w": float("nan")}},
     "host.gpu_power_budget_w = nan: must be a number of watts from 1 to 1000000"),
    ({"power_limit_w": 450}, "power_limit_w: does not belong here, but in a [[gpu]] rule"),
    ({"gpus": []}, "gpus: no such key; nearest: gpu"),
    ({'a"b\n': 1}, r'"a\"b\u000A": no such key; known here: daemon, host, gpu'),
]  # fmt: skip


@pytest.mark.parametrize(("data", "said"), REFUSED_TABLES)
def test_refused_tables(data: Any, said: str) -> None:
    assert problems({"gpu": [], **data}) == (f"p.toml: {said}",)


def test_rules_are_a_list() -> None:
    said = "rules are a list; write [[gpu]] with two brackets above each rule"
    assert problems({"gpu": {}}) == (f"p.toml: gpu = {{}}: {said}",)
    assert problems({"gpu": [1]}) == ("p.toml: gpu[0] = 1: must be a table",)
    assert problems({"gpu": [{"compute_mode": "default"}]}) == (
        'p.toml: gpu[0]: has no match; for every board write match = { name = "*" }',
    )


def test_no_rules_must_be_said() -> None:
    assert problems({}) == ("p.toml: says nothing; for a policy without rules write gpu = []",)
    assert problems({"daemon": {}}) == ("p.toml: has no [[gpu]] rule; for a policy without rules write gpu = []",)
    assert policy({"gpu": []}).rules == ()
    assert parse([Document("drop-in.toml", {"daemon": {"mode": "observe"}})], partial=True).rules == ()


def test_a_file_wrong_throughout_is_reported_in_bounded_time_and_length() -> None:
    found = problems({f"power_limit_{i}_" + "x" * 10_000: 1 for i in range(5_000)})
    assert len(found) == 51
    assert found[-1] == "and 4951 more problems like these"
    assert max(map(len, found)) < 200
