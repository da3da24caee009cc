"""What gpu-tunedctl prints for a given document: kept as text, with and without colour, in 80 columns."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from gpu_tuned.ctl import plan, status, throttle, verify
from gpu_tuned.ctl.render.text import WIDTH, Colour
from tests.golden.kept import NOW, compare, document, documents, reply

PLAIN, COLOURED = Colour(on=False), Colour(on=True)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", documents())
def test_status(name: str) -> None:
    compare(f"status_{name}", status.page(document(name), NOW, PLAIN))


def test_among_many_gpus_it_is_told_what_the_driver_asks_for_and_whose_xids_are_not_heard() -> None:
    found = document("eight")
    found["gpus"][2]["telemetry"]["recovery_action"] = "drain the GPU, then reset it"
    for gpu in found["gpus"][:2]:
        gpu["no_xids"] = "this GPU does not hand out Xid errors as events"
    compare("status_eight_unheard", status.page(found, NOW, PLAIN))
    for gpu in found["gpus"]:
        gpu["no_xids"] = "this driver's library is too old"
    assert status.page(found, NOW, PLAIN)[-1] == "Xid errors are not heard of: this driver's library is too old"


@pytest.mark.parametrize("name", ["two", "eight", "undeclared"])
def test_status_all_in_full(name: str) -> None:
    compare(f"status_{name}_all", status.page(document(name), NOW, PLAIN, in_full=True))


@pytest.mark.parametrize("name", ["one", "eight", "troubles", "hang"])
def test_status_in_colour(name: str) -> None:
    lines = status.page(document(name), NOW, COLOURED)
    compare(f"status_{name}_colour", lines)


@pytest.mark.parametrize("name", ["one", "eight", "troubles", "unmatched", "hang", "observe", "none"])
def test_verify(name: str) -> None:
    found = document(name)
    compare(f"verify_{name}", verify.page(found, verify.compare(found), PLAIN))


def test_plan_tells_many_boards_with_the_same_rows_once() -> None:
    """Each change is counted, and a board with another row stands by itself, in its place."""
    planned = reply("plan_nothing")
    for number in range(1, 9):
        gpu = {"gpu": f"GPU-{number:08x}-0000", "pci": f"0000:0{number}:00.0", "name": "NVIDIA H100 80GB HBM3"}
        for setting, found, wanted in (("persistence_mode", False, True), ("power_limit_w", 700, 600)):
            wanted = 500 if number == 3 and setting == "power_limit_w" else wanted
            change = {"setting": setting, "found": found, "wanted": wanted, "origin": "gpu-tuned.toml gpu[0]"}
            planned["changes"].append({**gpu, **change, "why": "differs from the policy"})
    compare("plan_eight", plan.page(planned, PLAIN, NOW))


def test_plan_does_not_take_a_gpu_without_a_uuid_for_the_host() -> None:
    planned = reply("plan_nothing")
    row = {"setting": "power_limit_w", "wanted": 600, "why": "it cannot be looked at", "nearest": None}
    for pci in ("0000:02:00.0", "0000:03:00.0"):
        planned["refusals"].append({**row, "gpu": "", "pci": pci, "name": "", "origin": "gpu-tuned.toml gpu[0]"})
    page = plan.page(planned, PLAIN, NOW)
    assert "02:00.0" in page
    assert "03:00.0" in page
    assert "host" not in page


@pytest.mark.parametrize("name", ["plan_nothing", "plan_changes", "plan_observe", "plan_away"])
def test_plan(name: str) -> None:
    compare(name, plan.page(reply(name), PLAIN, NOW))


@pytest.mark.parametrize("name", ["throttle", "throttle_another_limit"])
def test_throttle(name: str) -> None:
    compare(name, throttle.page(reply(name), PLAIN, NOW))


def test_what_was_seen_before_the_driver_fell_silent_is_told_as_such() -> None:
    planned, counted = reply("plan_changes"), reply("throttle")
    planned["not_answering_since"] = counted["not_answering_since"] = "2026-11-22T14:02:11Z"
    compare("plan_hang", plan.page(planned, PLAIN, NOW))
    compare("throttle_hang", throttle.page(counted, PLAIN, NOW))


@pytest.mark.parametrize("name", documents())
@pytest.mark.parametrize("in_full", [False, True])
def test_colour_changes_no_letter_and_80_columns_suffice(name: str, in_full: bool) -> None:
    plain = status.page(document(name), NOW, PLAIN, in_full=in_full)
    coloured = status.page(document(name), NOW, COLOURED, in_full=in_full)
    assert [ANSI.sub("", line) for line in coloured] == plain
    assert any(ANSI.search(line) for line in coloured)
    assert [line for line in plain if len(line) > WIDTH] == []


@pytest.mark.parametrize("name", documents())
def test_the_other_pages_stay_in_80_columns(name: str) -> None:
    found = document(name)
    pages = [verify.page(found, verify.compare(found), PLAIN), throttle.page(found, PLAIN, NOW)]
    pages += [plan.page(reply(f"plan_{which}"), PLAIN, NOW) for which in ("changes", "observe", "away")]
    assert [line for page in pages for line in page if len(line) > WIDTH] == []
