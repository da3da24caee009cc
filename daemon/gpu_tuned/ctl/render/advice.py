"""Advice for a person: worst first, each with the id that silences it."""

from __future__ import annotations

from gpu_tuned.ctl.render.ink import Ink, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpu_tuned.ctl.kinds import Json

_STYLES = {"harm": "bad", "caution": "warn"}


def advice_lines(advice: Iterable[Json], ink: Ink, names: dict[str, str] | None = None) -> list[str]:
    """`names`: UUID -> what to call the GPU, where there are several."""
    lines: list[str] = []
    for one in advice:
        who = f"{names[one['gpu']]}: " if names and one["gpu"] in names else ""
        where = f"{one['origin']}: " if one["origin"] else ""
        text = f"{one['severity']}: {who}{where}{one['says']} [{one['id']}]"
        lines += [ink(_STYLES.get(one["severity"], "dim"), line) for line in wrap(text, "  ", "    ")]
    return lines


def grouped(advice: list[Json], pci: dict[str, str]) -> tuple[list[Json], dict[str, str]]:
    """The same said of several GPUs once, and what to call those that it is said of. `pci`: UUID -> address."""
    together: dict[tuple[str, str, str], list[Json]] = {}
    for one in advice:
        together.setdefault((one["id"], one["origin"], one["says"]), []).append(one)
    names: dict[str, str] = {}
    first = []
    for rows in together.values():
        head = dict(rows[0])
        if len(rows) > 1 or len(pci) > 1:
            every = len(rows) == len(pci)
            head["gpu"] = "+".join(row["gpu"] for row in rows)
            names[head["gpu"]] = f"all {len(rows)} GPUs" if every else ", ".join(pci.get(r["gpu"], "?") for r in rows)
        first.append(head)
    return first, names
