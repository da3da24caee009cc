"""`gpu-tunedctl wait`: what it waits for, and what makes gpu-tuned.target fail."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gpu_tuned.control import client
from gpu_tuned.core.errors import NotReachable
from gpu_tuned.ctl import wait
from gpu_tuned.ctl.options import Options

SETTING = {
    "setting": "power_limit_w",
    "wished": 450,
    "observed": 450,
    "state": "held",
    "origin": "gpu-tuned.toml gpu[0].power_limit_w",
    "required": False,
    "in_order": True,
    "message": None,
}
DOCUMENT: Any = {
    "policy": {"state": "in_force", "error": None, "unmatched": [], "required": []},
    "driver": {"state": "ok", "message": None},
    "gpus": [
        {"name": "NVIDIA GeForce RTX 5090", "uuid": "GPU-5b1c9f2e", "pci": "0000:01:00.0", "settings": [SETTING]}
    ],
    "host": {"settings": []},
}


def document(setting: dict[str, Any] | None = None, **parts: dict[str, Any]) -> Any:
    """DOCUMENT with other values: `setting`'s for the one setting, and for the parts named."""
    found = copy.deepcopy(DOCUMENT)
    found["gpus"][0]["settings"][0].update(setting or {})
    for name, values in parts.items():
        found[name].update(values)
    return found


def test_it_does_not_give_up_where_the_daemon_is_busy_or_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[dict[str, Any] | Exception] = [
        NotReachable("no daemon"),
        client.Busy("Busy", {}, "the daemon: too many connections"),
        document(),
    ]

    def call(path: str, method: str, parameters: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(client, "call", call)
    options = Options()
    options.socket, options.timeout, options.for_s = "/nowhere", 1.0, 30.0
    assert wait.run(options) == 0
    assert not answers


LOST = {"observed": 575, "in_order": False}
MISSING: Any = copy.deepcopy(DOCUMENT)
MISSING["gpus"][0]["settings"][0].update({"state": "waiting", **LOST})


def ends_with(monkeypatch: pytest.MonkeyPatch, *answers: Any, took_s: float = 1.0) -> int:
    """What a wait of four seconds ends with, each call taking `took_s`; the last answer comes again and again."""
    now_s, left = [0.0], list(answers)

    def call(path: str, method: str, parameters: dict[str, Any], timeout_s: float) -> Any:
        now_s[0] += took_s
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(client, "call", call)
    monkeypatch.setattr("gpu_tuned.ctl.wait.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("gpu_tuned.ctl.wait.time.sleep", lambda seconds: None)
    options = Options()
    options.socket, options.timeout, options.for_s = "/nowhere", 1.0, 4.0
    return wait.run(options)


@pytest.mark.parametrize("crowd", [client.Busy("Busy", {}, "too many connections"), client.Late("not within 0.5 s")])
def test_in_a_crowd_what_the_daemon_said_last_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], crowd: Exception
) -> None:
    """A hundred waits of one user share its requests for a second: the last question of each may get no answer."""
    assert ends_with(monkeypatch, MISSING, crowd) == 0
    assert "power limit 450 W (gpu-tuned.toml gpu[0]) is not in force, waiting" in capsys.readouterr().err


def test_what_was_said_long_ago_or_by_a_daemon_that_is_gone_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReachable, match="nothing is known of the GPUs: not within"):
        ends_with(monkeypatch, MISSING, client.Late("not within 0.5 s"), took_s=3.0)
    with pytest.raises(NotReachable, match="nothing is known of the GPUs: not within"):
        ends_with(monkeypatch, MISSING, NotReachable("nobody listens"), client.Late("not within 0.5 s"))


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        (document(), True),
        (document({"state": "requested", "observed": None}), True),
        (document({"state": "refused", **LOST}), True),
        (document({"state": "watched", **LOST}), True),
        (document({"state": "drifted", **LOST}), False),
        (document({"state": "waiting", **LOST}), False),
        (document({"state": "contested", **LOST}), False),
        (document(driver={"state": "absent"}), False),
        (document(driver={"state": "starting"}), False),
        (document({"state": "drifted", "origin": None, **LOST}), True),  # no rule's, so nobody waits for it
        (document(policy={"state": "none", "error": "line 3"}), True),
    ],
)
def test_what_it_waits_for(found: Any, settled: bool) -> None:
    assert wait.settled(found) is settled


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (document(), 0, ""),
        (document({"state": "refused", **LOST}), 0, "power limit 450 W"),
        (document({"state": "refused", "required": True, **LOST}), 1, "required, and not in force"),
        (document({"state": "watched", "required": True, **LOST}), 1, "required, and not in force"),
        (document({"state": "contested", "required": True, **LOST}), 1, "required, and not kept"),
        (document({"required": True}), 0, ""),
        (document(driver={"state": "absent", "message": "the driver is not loaded"}), 0, "driver absent"),
        (document(driver={"state": "absent"}, policy={"required": ["a gpu[0].power_limit_w"]}), 1, "a gpu[0]"),
        (document(policy={"state": "none", "error": "line 3"}), 1, "line 3"),
        (
            document(
                policy={"unmatched": [{"origin": "a gpu[1]", "match": "pci 1", "fails": True, "required": True}]}
            ),
            1,
            "matches no GPU",
        ),
        (
            document(
                policy={"unmatched": [{"origin": "a gpu[1]", "match": "pci 1", "fails": True, "required": False}]}
            ),
            0,
            "matches no GPU",
        ),
    ],
)
def test_what_it_says_and_ends_with(found: Any, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert wait.tell(found) == code
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) is bool(said)


def test_in_the_journal_a_failure_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    wait.tell(document({"state": "refused", "required": True, **LOST}))
    assert capsys.readouterr().err.startswith("<3>gpu-tunedctl: ")
