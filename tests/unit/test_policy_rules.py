"""Rules in order: which value wins, what is required, what is watched, and where each came from."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.model import ClockLock, ComputeMode, Gpu, PowerLimit, Setting
from gpu_tuned.core.policy import DaemonOptions, Mode, Policy
from gpu_tuned.core.policy.parser import Document, parse
from gpu_tuned.core.wish import Symbol, Wish

BOARD = Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 5090")
LAPTOP = Gpu("GPU-00000000-0000-0000-0000-000000000001", "0000:02:00.0", "NVIDIA GeForce RTX 5090 Laptop GPU")
EVERY = {"name": "*"}
THIS = {"name": "NVIDIA GeForce RTX 5090"}
POWER, MODE, CLOCK = Setting.POWER_LIMIT, Setting.COMPUTE_MODE, Setting.GPU_CLOCK

QUIET = Document(
    "profile quiet", {"description": "few watts", "power_limit_w": 400, "compute_mode": "default"}, "/q.toml", True
)


def policy(*rules: dict[str, Any], more: Document | None = None) -> Policy:
    documents = [Document("a.toml", {"gpu": list(rules)}, "/etc/a.toml")]
    return parse([*documents, more] if more else documents, {"quiet": QUIET}.get, ["quiet"])


def wishes(*rules: dict[str, Any], gpu: Gpu = BOARD) -> dict[Setting, Wish]:
    return policy(*rules).wishes_for(gpu)


def test_a_later_rule_wins_key_by_key() -> None:
    found = wishes(
        {"match": EVERY, "power_limit_w": 450, "compute_mode": "prohibited", "reason": "fleet"},
        {"match": THIS, "power_limit_w": 500},
    )
    assert found[POWER].target == PowerLimit(500_000)
    assert str(found[POWER].origin) == "a.toml gpu[1].power_limit_w"
    assert found[POWER].reason is None
    assert found[MODE].target is ComputeMode.PROHIBITED
    assert found[MODE].reason == "fleet"


def test_a_name_matches_whole() -> None:
    rules = ({"match": THIS, "power_limit_w": 500},)
    assert wishes(*rules, gpu=LAPTOP) == {}
    assert POWER in wishes(*rules)


def test_a_drop_in_wins_over_the_main_file() -> None:
    drop_in = Document("20-psu.toml", {"gpu": [{"match": THIS, "power_limit_w": 300}], "daemon": {"mode": "observe"}})
    found = policy({"match": THIS, "power_limit_w": 500}, more=drop_in)
    assert str(found.wishes_for(BOARD)[POWER].origin) == "20-psu.toml gpu[0].power_limit_w"
    assert found.daemon == DaemonOptions(Mode.OBSERVE)
    assert found.files == ("/etc/a.toml", "20-psu.toml")


def test_leave_takes_numa_balancing_back() -> None:
    main = Document("a.toml", {"host": {"numa_balancing": "off"}, "gpu": []})
    drop_in = Document("b.toml", {"host": {"numa_balancing": "leave"}})
    assert parse([main]).numa_balancing is not None
    assert parse([main, drop_in]).numa_balancing is None


def test_required_adds_up() -> None:
    found = wishes(
        {"match": EVERY, "power_limit_w": 450, "required": ["power_limit_w"]},
        {"match": THIS, "power_limit_w": 500, "compute_mode": "default"},
    )
    assert found[POWER].required
    assert not found[MODE].required


def test_required_reaches_a_value_of_another_rule() -> None:
    found = wishes({"match": EVERY, "power_limit_w": 450}, {"match": THIS, "required": ["power_limit_w"]})
    assert found[POWER].required
    assert not wishes(
        {"match": EVERY, "power_limit_w": 450}, {"match": THIS, "required": ["power_limit_w"]}, gpu=LAPTOP
    )[POWER].required


def test_watch_alone_has_no_value() -> None:
    found = wishes({"match": EVERY, "watch": ["compute_mode"], "reason": "the scheduler owns it"})[MODE]
    assert (found.target, found.watched, found.reason) == (None, True, "the scheduler owns it")
    assert str(found.origin) == "a.toml gpu[0].watch"


def test_watch_keeps_an_earlier_value_for_comparison() -> None:
    found = wishes({"match": EVERY, "compute_mode": "prohibited"}, {"match": THIS, "watch": ["compute_mode"]})[MODE]
    assert (found.target, found.watched) == (ComputeMode.PROHIBITED, True)
    assert str(found.origin) == "a.toml gpu[0].compute_mode"


def test_a_later_value_takes_a_watched_key_back() -> None:
    found = wishes({"match": EVERY, "watch": ["compute_mode"]}, {"match": THIS, "compute_mode": "default"})[MODE]
    assert (found.target, found.watched) == (ComputeMode.DEFAULT, False)


def test_a_value_watched_in_its_own_rule_is_watched() -> None:
    found = wishes({"match": EVERY, "profile": "quiet", "watch": ["compute_mode"]})
    assert (found[MODE].target, found[MODE].watched) == (ComputeMode.DEFAULT, True)
    assert not found[POWER].watched


def test_a_rule_overrides_its_profile() -> None:
    found = wishes({"match": EVERY, "profile": "quiet", "power_limit_w": "max"})
    assert found[POWER].target is Symbol.MAX
    assert (str(found[POWER].origin), found[POWER].origin.shipped) == ("a.toml gpu[0].power_limit_w", False)
    assert (str(found[MODE].origin), found[MODE].origin.shipped) == ("profile quiet compute_mode", True)


def test_a_later_profile_wins_over_an_earlier_value() -> None:
    found = wishes({"match": EVERY, "power_limit_w": 500}, {"match": THIS, "profile": "quiet"})
    assert found[POWER].target == PowerLimit(400_000)


def test_rules_that_match_nothing_are_named() -> None:
    found = policy({"match": EVERY}, {"match": THIS, "gpu_clock_mhz": 2400}, {"match": {"pci": "09:00.0"}})
    assert [str(rule.origin) for rule in found.unmatched([LAPTOP])] == ["a.toml gpu[1]", "a.toml gpu[2]"]
    assert [str(rule.origin) for rule in found.unmatched([LAPTOP, BOARD])] == ["a.toml gpu[2]"]
    assert len(found.unmatched([])) == 3
    assert found.wishes_for(BOARD)[CLOCK].target == ClockLock(2400, 2400)


def test_an_unknown_profile_names_the_nearest_and_all() -> None:
    with pytest.raises(PolicyError) as caught:
        policy({"match": EVERY, "profile": "quite"})
    assert caught.value.problems == (
        '/etc/a.toml: gpu[0].profile = "quite": no such profile; nearest: "quiet"; known: quiet',
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"match": EVERY}, "match: does not belong here, but in a [[gpu]] rule"),
        ({"required": []}, "required: does not belong here, but in a [[gpu]] rule"),
        ({"power_limit": 3}, "power_limit: no such key; write power_limit_w, the unit is in the key"),
        ({"power_limit_w": -3}, None),
    ],
)
def test_a_bad_profile_is_told_once_under_its_own_name(data: Any, said: str | None) -> None:
    rules = {"gpu": [{"match": EVERY, "profile": "bad"}, {"match": THIS, "profile": "bad"}]}
    with pytest.raises(PolicyError) as caught:
        parse([Document("a.toml", rules)], {"bad": Document("profile bad", data, "/bad.toml")}.get)
    (problem,) = caught.value.problems
    assert problem == f"/bad.toml: {said}" if said else problem.startswith("/bad.toml: power_limit_w = -3: must be")


def test_every_problem_is_found_in_one_go() -> None:
    with pytest.raises(PolicyError) as caught:
        policy(
            {"match": {"index": 0}, "power_limit_w": True, "compute_mode": "x"},
            {"power_limit_w": {"min": 1, "max": -1}},
            more=Document("b.toml", {"daemon": {"mode": 3}}),
        )
    where = [problem.split(" = ")[0].split(": has")[0] for problem in caught.value.problems]
    assert where == [
        "/etc/a.toml: gpu[0].match.index",
        "/etc/a.toml: gpu[0].power_limit_w",
        "/etc/a.toml: gpu[0].compute_mode",
        "/etc/a.toml: gpu[1].power_limit_w.min: a power limit is one number and has no minimum; leave min out",
        "/etc/a.toml: gpu[1].power_limit_w.max",
        "/etc/a.toml: gpu[1]",
        "b.toml: daemon.mode",
    ]
