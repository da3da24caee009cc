"""The one line for the service manager, which `systemctl status` shows: how many settings are as wished, and whatever
else keeps the host from being in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gpu_tuned.core.in_order import NONE_OF_REQUIRED
from gpu_tuned.core.words import counted

if TYPE_CHECKING:
    from gpu_tuned.core.wire import Policy as PolicyRow
    from gpu_tuned.core.wire import Setting as SettingRow


class Told(NamedTuple):
    """What the line tells of. `driver`: its state and message; `missing`: why the number of GPUs is not in order;
    `gpus`: the rows of each that is here or ought to be; `away`: how many of these cannot be looked at; `resting`:
    how many others sleep, or were let go of on purpose, whose settings nobody knows; `host`: the host's own rows."""

    policy: PolicyRow
    driver: tuple[str, str | None]
    missing: str | None
    gpus: Sequence[Sequence[SettingRow]]
    away: int
    resting: int
    host: Sequence[SettingRow]


def one_line(told: Told) -> str:
    """STATUS= of this. ASCII. Never "held": some settings cannot be read."""
    policy = told.policy
    if policy["state"] == "none":
        return "No policy in force: nothing is written"
    settings = [row for rows in told.gpus for row in rows if row["origin"] is not None]
    good = sum(row["in_order"] for row in settings)
    where = f"{good} of {len(settings)} settings in order on {counted(len(told.gpus), 'GPU')}"
    unread = sum(row["state"] == "requested" for row in settings)
    where += f", {unread} of them requested: no driver call can read a clock lock" if unread else ""
    if told.missing:
        where = f"{told.missing}; {where}"
    state, message = told.driver
    if state != "ok":
        where = f"driver {state}: {message or 'it was not asked yet'}; {where}"
    elif told.away:  # also one without a setting, of which not even the name is known
        where = f"{counted(told.away, 'GPU')} cannot be looked at; {where}"
    elif not told.gpus and not told.resting and policy["required"]:
        where = f"{NONE_OF_REQUIRED}; {where}"
    where += f"; {counted(told.resting, 'GPU')} asleep or let go of" if told.resting else ""
    for row in told.host:
        where += "" if row["in_order"] else f"; of the host, {row['setting']} is {row['state']}"
    if policy["misfit"]:
        where += "; the policy does not suit the boards"
    if any(rule["fails"] for rule in policy["unmatched"]):
        where += "; a rule matches no GPU"
    if policy["error"] not in (None, policy["misfit"]):
        where += "; newest policy file refused, the one before is in force"
    how = "observing, " if policy["mode"] == "observe" else ""
    return (how + where).encode("ascii", "replace").decode()
