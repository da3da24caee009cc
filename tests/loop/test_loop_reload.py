"""What is told of a reload when the service manager hears that it is over: nothing of the policy before."""

from __future__ import annotations

import pytest

from tests.loop.stage import CAP, Stage, policy


@pytest.mark.parametrize("text", [policy("power_limit_w = 500", 'required = ["power_limit_w"]'), "nonsense"])
def test_who_waits_for_a_reload_reads_nothing_of_the_policy_before(text: str) -> None:
    stage = Stage(CAP).turn(2)
    assert (stage.exit_code, stage.wait_code) == (0, 0)
    told: list[tuple[int, bool]] = []
    stage.service.ready = lambda status: told.append((stage.exit_code, stage.settled))  # type: ignore[method-assign]
    stage.load(text)
    assert [code for code, _ in told] == [1], "systemctl reload && gpu-tunedctl verify"
    if text != "nonsense":
        assert [settled for _, settled in told] == [False], "systemctl reload && gpu-tunedctl wait"
        assert (stage.exit_code, stage.limit_w()) == (0, 500)
