"""Golden files: what was printed when somebody last looked at it and found it good.

To take the output of today as good: UPDATE_GOLDEN=1 python -m pytest tests/golden; then read the diff.
"""

from __future__ import annotations

import json
import os
from calendar import timegm
from pathlib import Path
from typing import Any

from gpu_tuned.main import environment

HERE = Path(__file__).parent
NOW = float(timegm((2026, 11, 22, 14, 2, 49)))
"""Seconds since the epoch: a second after what the documents say was seen."""


def document(name: str) -> Any:
    loaded = json.loads((HERE / "documents" / f"{name}.json").read_text())
    return loaded


def reply(name: str) -> Any:
    loaded = json.loads((HERE / "replies" / f"{name}.json").read_text())
    return loaded


def documents() -> list[str]:
    return sorted(path.stem for path in (HERE / "documents").glob("*.json"))


def compare(name: str, lines: list[str]) -> None:
    """Hold lines against expected/NAME.txt, or write them there when UPDATE_GOLDEN is set."""
    path = HERE / "expected" / f"{name}.txt"
    text = "".join(f"{line}\n" for line in lines)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path.name} is missing: run once with UPDATE_GOLDEN=1"
    assert text == path.read_text(), f"{path.name} differs; if that is meant, run with UPDATE_GOLDEN=1"


class OfEnv:
    """`ctl.protocols.Looks` for `env`, which asks for nothing else."""

    environment = staticmethod(environment)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"env asks for {name}")
