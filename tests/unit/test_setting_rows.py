"""A setting is a key and two rows: no third place has to know it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.adapters.nvml import reads
from gpu_tuned.adapters.nvml import settings as nvml
from gpu_tuned.core import settings as core
from gpu_tuned.core.model import GPU_SETTINGS, LOCKS, Board, Gpu, Reading, Setting, Telemetry, Unread
from gpu_tuned.core.policy.keys import SETTINGS
from gpu_tuned.ports import Look

PACKAGE = Path(core.__file__).parents[1]


def test_every_setting_has_its_rows() -> None:
    assert set(core.ROWS) == set(Setting)
    assert set(nvml.ROWS) == set(GPU_SETTINGS)
    assert set(SETTINGS) == {setting.value for setting in GPU_SETTINGS}


@pytest.mark.parametrize("dear", [False, True])
def test_a_look_reads_what_has_a_row(monkeypatch: pytest.MonkeyPatch, dear: bool) -> None:
    """Which settings a look reads is what the rows say, and no list beside them."""
    asked: list[Setting] = []

    def answers(setting: Setting) -> nvml.Row:
        def read(ask: Any, handle: Any) -> Reading:
            asked.append(setting)
            return Unread(setting.value)

        return nvml.ROWS[setting]._replace(read=read)

    class Bare(reads.Reader):
        def __init__(self) -> None:
            self._board, self._handle = Board(Gpu("GPU-0", "0000:01:00.0", "a board"), 0), None

        def _fields(self) -> dict[int, int]:
            return {}

        def _trusted(self, batch: dict[int, int]) -> dict[int, int]:
            return batch

        def _telemetry(self, batch: Mapping[int, int]) -> Telemetry:
            return Telemetry(power_mw=1)

        def _moved_board(self, telemetry: Telemetry) -> None:
            return None

    monkeypatch.setattr(reads, "ROWS", {setting: answers(setting) for setting in nvml.ROWS})
    seen = Bare().see(Look(application_clocks=dear))
    cheap = {setting for setting, row in nvml.ROWS.items() if not row.dear}
    assert set(seen.readings) == set(asked) == (set(GPU_SETTINGS) if dear else cheap)


def test_no_table_beside_the_rows_has_to_have_every_setting() -> None:
    """Whoever looks a setting up in a table of its own fails at the first new one."""
    found: list[Any] = []
    for path in PACKAGE.rglob("*.py"):
        for table in re.findall(r"\b([A-Z][A-Z_]+)\[(?:wish\.|self\.)?setting\]", path.read_text()):
            found += [] if table == "ROWS" else [f"{path.name}: {table}"]
    assert found == []
    assert set(reads.EACH_LOOK).isdisjoint(LOCKS)
