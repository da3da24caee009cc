"""Every document in documents/ follows the schema in the package, and the schema can say no."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gpu_tuned.core.model import Setting
from gpu_tuned.core.policy import OnStop
from gpu_tuned.core.throttle import Kind
from gpu_tuned.core.track import State
from gpu_tuned.loop.driver import DriverState
from tests.golden.kept import document, documents

SCHEMA = json.loads((files("gpu_tuned.ctl") / "status.schema.json").read_text())
Draft202012Validator.check_schema(SCHEMA)
VALIDATOR = Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", documents())
def test_documents_follow_the_schema(name: str) -> None:
    assert [f"{list(e.absolute_path)}: {e.message}" for e in VALIDATOR.iter_errors(document(name))] == []


def test_fields_of_a_newer_daemon_are_allowed() -> None:
    newer = document("one")
    newer["gpus"][0]["settings"][0]["newer"] = newer["newer"] = {"x": 1}
    assert VALIDATOR.is_valid(newer)


def test_words_of_a_newer_daemon_are_allowed() -> None:
    """The interface promises that new words may come."""
    newer = document("one")
    newer["driver"]["state"] = newer["gpus"][0]["settings"][0]["state"] = newer["gpus"][0]["state"] = "newer"
    newer["host"]["settings"] = [{**newer["gpus"][0]["settings"][0], "setting": "newer_w"}]
    assert VALIDATOR.is_valid(newer)


@pytest.mark.parametrize("name", documents())
def test_words_of_today_are_told_by_the_schema(name: str) -> None:
    found = document(name)
    settings = [*found["host"]["settings"], *(row for gpu in found["gpus"] for row in gpu["settings"])]
    reasons = [reason for gpu in found["gpus"] for reason in gpu["throttle"]["reasons"]]
    for kind, rows, fields in (
        ("Policy", [found["policy"]], ("state", "mode", "on_stop")),
        ("Driver", [found["driver"]], ("state",)),
        ("Gpu", found["gpus"], ("state",)),
        ("Setting", settings, ("setting", "state")),
        ("Reason", reasons, ("kind",)),
    ):
        for field in fields:
            known = SCHEMA["$defs"][kind]["properties"][field]["examples"]
            assert {row[field] for row in rows} <= set(known)


def test_every_word_of_ours_is_told_by_the_schema() -> None:
    def told(kind: str, field: str) -> set[str]:
        return set(SCHEMA["$defs"][kind]["properties"][field]["examples"])

    assert told("Setting", "setting") == {setting.value for setting in Setting}
    assert told("Setting", "state") >= {state.value for state in State}
    assert told("Reason", "kind") == {kind.value for kind in Kind}
    assert told("Driver", "state") >= {state.value for state in DriverState}
    assert told("Policy", "on_stop") == {word.value for word in OnStop}


def _without(found: dict[str, Any]) -> None:
    del found["gpus"][0]["settings"][0]["origin"]


def _milliwatts_as_text(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][0]["observed"] = "450 W"


def _lock_that_was_read(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][1]["observed"] = {"min": 0, "max": 2550}


def _no_word(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][0]["state"] = None


def _local_time(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][0]["since"] = "2026-11-22 14:02:11"


@pytest.mark.parametrize("spoil", [_without, _milliwatts_as_text, _lock_that_was_read, _no_word, _local_time])
def test_the_schema_refuses(spoil: Any) -> None:
    found = document("one")
    spoil(found)
    assert not VALIDATOR.is_valid(found)
