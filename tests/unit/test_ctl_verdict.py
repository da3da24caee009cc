"""What a status document amounts to: one in order, and what each change makes of the exit code and of the first words
of `status`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpu_tuned.ctl.verdict import exit_code, verdict
from tests.golden.kept import document

Change = Callable[[dict[str, Any]], object]


def gpu(**fields: object) -> Change:
    return lambda found: found["gpus"][0].update(fields)


def policy(**fields: object) -> Change:
    return lambda found: found["policy"].update(fields)


def host(**fields: object) -> Change:
    return lambda found: found["host"].update(fields)


def driver(state: str) -> Change:
    return lambda found: found["driver"].update(state=state)


def no_gpu(found: dict[str, Any]) -> None:
    found["gpus"] = []


def slowed(reason: str) -> Change:
    fault = {"reason": reason, "since": "2026-11-22T14:02:11Z"}
    return lambda found: found["gpus"][0]["throttle"].update(fault=fault)


UNMATCHED = {"rule": "gpu[1]", "by": "pci", "pattern": "0000:61:00.0"}
CASES: list[tuple[str, list[Change], int, str, str]] = [
    ("as it is", [], 0, "IN ORDER", "good"),
    ("a GPU differs", [gpu(in_order=False)], 1, "NOT IN ORDER", "bad"),
    ("lost", [gpu(in_order=False, state="lost")], 5, "NOT IN ORDER", "bad"),
    ("away as somebody wanted", [gpu(state="absent")], 0, "IN ORDER", "good"),
    ("heat", [slowed("hw_thermal")], 0, "IN ORDER, 1 HOT", "warn"),
    ("a power brake", [slowed("hw_power_brake")], 0, "IN ORDER, 1 SLOWED BY A FAULT", "warn"),
    ("the host differs", [host(in_order=False)], 1, "HOST NOT IN ORDER", "warn"),
    ("too few GPUs", [host(in_order=False, message="1 of 2")], 5, "HOST NOT IN ORDER", "bad"),
    ("bad files", [policy(error="line 3")], 1, "IN ORDER, NEW POLICY REFUSED", "warn"),
    ("over the budget", [policy(error="1200 W", misfit="1200 W")], 1, "OVER THE POWER BUDGET", "warn"),
    ("no policy", [policy(state="none")], 1, "NO POLICY", "warn"),
    ("a board's rule", [policy(unmatched=[{**UNMATCHED, "fails": True}])], 1, "A RULE MATCHES NO GPU", "warn"),
    ("a name's rule", [policy(unmatched=[{**UNMATCHED, "fails": False}])], 0, "IN ORDER", "good"),
    ("no GPU", [no_gpu, policy(required=[])], 0, "NO GPU", "warn"),
    ("no GPU, one required", [no_gpu, policy(required=["x"])], 1, "NO GPU, AND SOME IS REQUIRED", "warn"),
    ("one required, and it is here", [policy(required=["x"])], 0, "IN ORDER", "good"),
    ("no GPU, released", [no_gpu, policy(required=["x"]), driver("released")], 1, "RELEASED", "warn"),
    ("no GPU yet", [no_gpu, policy(required=["x"]), driver("starting")], 1, "STARTING", "warn"),
    ("no driver", [driver("absent")], 5, "NO DRIVER", "bad"),
    ("released as asked for", [driver("released")], 0, "RELEASED", "warn"),
    ("a driver's new word", [driver("dreaming")], 1, "DREAMING", "warn"),
]


@pytest.mark.parametrize(
    ("changes", "code", "words", "style"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_what_a_document_amounts_to(changes: list[Change], code: int, words: str, style: str) -> None:
    found: Any = document("one")
    for change in changes:
        change(found)
    assert exit_code(found) == code
    assert verdict(found) == (words, style)
