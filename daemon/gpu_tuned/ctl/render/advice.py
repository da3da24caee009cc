"""Advice for a person: a line each, with how bad it is and the id that silences it."""

from __future__ import annotations

from gpu_tuned.ctl.render.text import Colour, wrap
from gpu_tuned.ctl.render.values import label, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpu_tuned.core.wire import Advice
    from gpu_tuned.ctl.protocols import Json

_STYLES = {"harm": "bad", "caution": "warn"}


def of_board(advice: Iterable[Json], colour: Colour) -> list[str]:
    """What is known of the settings of one board, each with where it is wished."""
    lines = []
    for one in advice:
        lines += _lines(one["severity"], one["origin"] or "", one["message"], one["id"], colour, "  ")
    return lines


def of_gpus(rows: Iterable[Advice], colour: Colour) -> list[str]:
    """The same of many: what goes for several GPUs is told once."""
    told: dict[tuple[str, str], list[Advice]] = {}
    for row in rows:
        told.setdefault((row["id"], row["message"]), []).append(row)
    lines = []
    for (name, message), where in told.items():
        who = place(where[0]["pci"], where[0]["gpu"]) if len(where) == 1 else f"{len(where)} GPUs"
        about = f"{who} {label(where[0]['setting'])}"
        lines += _lines(where[0]["severity"], about, message, name, colour)
    return lines


def _lines(  # noqa: PLR0913 - the fields of one piece of advice
    severity: str, about: str, message: str, name: str, colour: Colour, indent: str = ""
) -> list[str]:
    text = f"{severity}: {about}{': ' if about else ''}{message} [{name}]"
    return [colour(_STYLES.get(severity, "dim"), line) for line in wrap(text, indent, "    ")]
