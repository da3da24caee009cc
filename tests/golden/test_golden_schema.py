"""Every document in documents/ follows the schema in the package, and the schema can say no."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

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


def _without(found: dict[str, Any]) -> None:
    del found["gpus"][0]["settings"][0]["origin"]


def _milliwatts_as_text(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][0]["observed"] = "450 W"


def _lock_that_was_read(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][1]["observed"] = {"min": 0, "max": 2550}


def _a_word_of_nobodys(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][0]["state"] = "fine"


def _local_time(found: dict[str, Any]) -> None:
    found["gpus"][0]["settings"][0]["since"] = "2026-11-22 14:02:11"


@pytest.mark.parametrize(
    "spoil", [_without, _milliwatts_as_text, _lock_that_was_read, _a_word_of_nobodys, _local_time]
)
def test_the_schema_refuses(spoil: Any) -> None:
    found = document("one")
    spoil(found)
    assert not VALIDATOR.is_valid(found)
