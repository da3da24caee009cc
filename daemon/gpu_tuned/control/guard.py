"""What only root may let go of: settings that the policy marks as required."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gpu_tuned.core.model import Setting
from gpu_tuned.core.which import Names, meant

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Gpu, StatusReply
    from gpu_tuned.core.wire import Setting as SettingRow

LETS_GO = ("Restore", "Release")
"""Methods after which a setting is no longer held."""


def guarded(document: StatusReply, method: str, parameters: Mapping[str, Any]) -> str | None:
    """Why this call, one of `LETS_GO`, needs root: what it would let go of, by the last published document; None
    where nothing of that is required. The whole driver is let go of by a Release, whichever GPU it names."""
    if method == "Release":
        rules = [f"{_who(gpu)}{_label(row)} ({row['origin']})" for gpu, row in _required(document)]
        rules = rules or list(document["policy"]["required"])  # no GPU can be seen at the moment
    else:
        gpus = _meant(document["gpus"], parameters.get("gpu"))
        rules = [
            f"{_who(gpu)}{_label(row)} ({row['origin']})"
            for gpu, row in _required(document)
            if (gpu in gpus if gpu else parameters.get("gpu") is None)
            and parameters.get("setting") in (None, row["setting"], _label(row))
        ]
    if not rules:
        return None
    more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
    return f"the policy marks {rules[0]}{more} as required"


def _required(document: StatusReply) -> Iterator[tuple[Gpu | None, SettingRow]]:
    """Every required row, with its GPU (None: the host's)."""
    for gpu in document["gpus"]:
        yield from ((gpu, row) for row in gpu["settings"] if row["required"])
    yield from ((None, row) for row in document["host"]["settings"] if row["required"])


def _meant(gpus: list[Gpu], word: str | None) -> list[Gpu]:
    if word is None:
        return gpus
    return [gpus[i] for i in meant([Names(gpu["index"], gpu["uuid"], gpu["pci"]) for gpu in gpus], word)]


def _who(gpu: Gpu | None) -> str:
    return f"{gpu['name']} {gpu['pci']} " if gpu else ""


def _label(row: SettingRow) -> str:
    known = {setting.value: setting.label for setting in Setting}
    return known.get(row["setting"], str(row["setting"]))
