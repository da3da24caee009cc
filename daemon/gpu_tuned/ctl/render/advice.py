"""Advice for a person: worst first, each with the id that silences it."""

from __future__ import annotations

from gpu_tuned.ctl.render.text import Colour, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpu_tuned.ctl.protocols import Json

_STYLES = {"harm": "bad", "caution": "warn"}


def advice_lines(advice: Iterable[Json], colour: Colour) -> list[str]:
    lines: list[str] = []
    for one in advice:
        where = f"{one['origin']}: " if one["origin"] else ""
        text = f"{one['severity']}: {where}{one['message']} [{one['id']}]"
        lines += [colour(_STYLES.get(one["severity"], "dim"), line) for line in wrap(text, "  ", "    ")]
    return lines
