"""The keys of each table of a policy, with the reader of each: what a file may say."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_tuned.core.model import GPU_SETTINGS, Setting
from gpu_tuned.core.policy import Mode, OnStop
from gpu_tuned.core.policy.expected import accepted, lanes
from gpu_tuned.core.policy.match import match
from gpu_tuned.core.policy.numbers import Bounds, numeric, watts_of
from gpu_tuned.core.policy.values import MOST_BUDGET_W, numa_balancing, word
from gpu_tuned.core.policy.words import Reader, Spot, shown
from gpu_tuned.core.settings import ROWS

REASON_AT_MOST = 300
"""Characters of a reason: it goes into one journal field and one line of status."""

MOST_GPUS = 1024


def _settings(spot: Spot) -> list[Setting] | None:
    """A list of settings' names. All or nothing, so that positions in it stay true."""
    known = {setting.value: setting for setting in GPU_SETTINGS}
    if not isinstance(spot.raw, list):
        hint = f"write [{shown(spot.raw)}]" if isinstance(spot.raw, str) and spot.raw in known else None
        spot.bad('must be a list of settings such as ["power_limit_w"]', hint)
        return None
    good = True
    for index, name in enumerate(spot.raw):
        if not isinstance(name, str) or name not in known:
            spot.item(index).bad_word(known)
            good = False
    return [known[name] for name in spot.raw] if good else None


def _reason(spot: Spot) -> str | None:
    raw = spot.raw
    if isinstance(raw, str) and 0 < len(raw) <= REASON_AT_MOST and raw.isprintable():
        return raw
    spot.bad(f"must be text of one line, 1 to {REASON_AT_MOST} characters")
    return None


def _poll_interval(spot: Spot) -> float | None:
    allowed = "a number of seconds from 0.1 to 3600"
    value = numeric(spot, Bounds(0.1, 3600, allowed, unit="milliseconds"))
    return None if value is None else float(value)


def _gpu_count(spot: Spot) -> int | None:
    value = numeric(spot, Bounds(1, MOST_GPUS, f"a whole number of GPUs from 1 to {MOST_GPUS}", places=0))
    return None if value is None else int(value)


SETTINGS: Mapping[str, Reader] = {setting.value: ROWS[setting].read_toml for setting in GPU_SETTINGS}
DAEMON: Mapping[str, Reader] = {
    "mode": lambda spot: word(spot, Mode),
    "poll_interval_s": _poll_interval,
    "on_stop": lambda spot: word(spot, OnStop),
}
HOST: Mapping[str, Reader] = {
    "numa_balancing": numa_balancing,
    "gpu_power_budget_w": lambda spot: watts_of(spot, MOST_BUDGET_W, f"a number of watts from 1 to {MOST_BUDGET_W}"),
    "gpus": _gpu_count,
    "pcie_width": lanes,
    "accept": accepted,
}
RULE: Mapping[str, Reader] = {
    "match": match,
    "profile": lambda spot: None,  # bound to the parser, which knows the profiles
    "required": _settings,
    "watch": _settings,
    "reason": _reason,
    "accept": accepted,
    **SETTINGS,
}
PROFILE: Mapping[str, Reader] = {"description": _reason, **SETTINGS}


def elsewhere(here: Mapping[str, Reader]) -> dict[str, str]:
    """Where a key belongs, for every key that is known, and not in the table `here`."""
    homes = {"under [daemon]": DAEMON, "under [host]": HOST, "in a [[gpu]] rule": RULE}
    keys = {key: home for home, readers in homes.items() for key in readers if key not in here}
    return {**keys, "description": "in a profile; a rule has reason"} if here is RULE else keys
