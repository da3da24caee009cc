"""Other services known to set what this daemon holds. Of two writers the later one wins: the owner has to choose."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gpu_tuned.core.model import GPU_SETTINGS, Setting
from gpu_tuned.core.words import listed


class Rival(NamedTuple):
    """A service that can set GPUs. `unit`: as its own package names it. `settings`: what it can write.
    `by_itself`: when it writes without being asked, "" for one that writes only when somebody asks it to."""

    unit: str
    name: str
    settings: frozenset[Setting]
    by_itself: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.unit})"


_LIMIT_AND_LOCKS = frozenset({Setting.POWER_LIMIT, Setting.GPU_CLOCK, Setting.MEMORY_CLOCK})
_DCGM = frozenset({Setting.POWER_LIMIT, Setting.APPLICATION_CLOCKS, Setting.COMPUTE_MODE})

# From each one's own documentation and unit files. nvidia-persistenced is none: what it holds open suits us.
RIVALS = (
    Rival(
        "lactd.service",
        "LACT",
        _LIMIT_AND_LOCKS,
        "at its start and after a resume what its configuration says, when it stops the board's defaults",
    ),
    Rival("nvidia-dcgm.service", "DCGM", _DCGM),
    Rival("dcgm.service", "DCGM", _DCGM),
    Rival("zeusd.service", "Zeus", _LIMIT_AND_LOCKS | {Setting.PERSISTENCE_MODE}),
    Rival("geopm.service", "GEOPM", frozenset({Setting.POWER_LIMIT, Setting.GPU_CLOCK})),
)
UNITS = tuple(rival.unit for rival in RIVALS)


class Overlap(NamedTuple):
    """A rival that runs, and those of our settings that it sets too, in the order of the policy's keys."""

    rival: Rival
    settings: tuple[Setting, ...]

    def __str__(self) -> str:
        labels = listed(setting.label for setting in self.settings)
        keys = ", ".join(f'"{setting.value}"' for setting in self.settings)
        return (
            f"{self.rival} runs here and can set {labels} too ({self.rival.by_itself}); of two writers the later one "
            f"wins. Leave that to {self.rival.name} with watch = [{keys}], or end it: systemctl disable --now "
            f"{self.rival.unit}"
        )


def overlaps(running: Collection[str], held: Collection[Setting]) -> tuple[Overlap, ...]:
    """Who among the `running` units may set by itself what we hold."""
    found = [
        Overlap(rival, tuple(setting for setting in GPU_SETTINGS if setting in rival.settings and setting in held))
        for rival in RIVALS
        if rival.by_itself and rival.unit in running
    ]
    return tuple(overlap for overlap in found if overlap.settings)


def suspects(running: Collection[str], setting: Setting) -> str | None:
    """Who among the `running` units could be the one that sets this, in words; None for nobody known."""
    able = [str(rival) for rival in RIVALS if rival.unit in running and setting in rival.settings]
    if not able:
        return None
    return f"{listed(able)} {'runs' if len(able) == 1 else 'run'} here and can set it"
