"""Hazards of power limits."""

from __future__ import annotations

from gpu_tuned.core.advice.case import Case
from gpu_tuned.core.model import PowerLimit, Setting, watts
from gpu_tuned.core.wish import Ceiling, Percent, Symbol


def out_of_range(case: Case) -> str | None:
    wish, power = case.wish(Setting.POWER_LIMIT), case.board.power
    if wish is None or power is None:
        return None
    if isinstance(wish.target, PowerLimit):
        wanted_mw = wish.target.limit_mw
    elif isinstance(wish.target, Ceiling):
        wanted_mw = min(wish.target.limit.limit_mw, power.max_mw)  # one above it holds nothing down, and is no harm
    elif isinstance(wish.target, Percent):
        wanted_mw = round(power.max_mw * wish.target.percent / 100)
    else:
        return None
    if power.min_mw <= wanted_mw <= power.max_mw:
        return None
    lower = "; to go lower, lock the GPU clock" if wanted_mw < power.min_mw else '; "max" is what each board allows'
    return (
        f"{watts(wanted_mw)} W is outside of {watts(power.min_mw)} to {watts(power.max_mw)} W and is refused{lower}"
    )


def share_above_default(case: Case) -> str | None:
    wish, power = case.wish(Setting.POWER_LIMIT), case.board.power
    if wish is None or power is None or not isinstance(wish.target, Percent):
        return None
    wanted_mw = round(power.max_mw * wish.target.percent / 100)
    if wanted_mw <= power.default_mw:
        return None
    return (
        f"{wish.target.percent:g} % of this board's maximum is {watts(wanted_mw)} W, above its default of "
        f"{watts(power.default_mw)} W: a share is one of the maximum"
    )


def max_above_default(case: Case) -> str | None:
    wish, power = case.wish(Setting.POWER_LIMIT), case.board.power
    if wish is None or power is None or wish.target is not Symbol.MAX or power.max_mw <= power.default_mw:
        return None
    return (
        f'"max" is {watts(power.max_mw)} W, above the default of {watts(power.default_mw)} W: for what the supply, '
        "the cable and the case were laid out is not known to the board"
    )


def cap_unreached(case: Case) -> str | None:
    wish, model = case.wish(Setting.POWER_LIMIT), case.model
    if wish is None or model is None or not model.decode_w or case.lock(Setting.GPU_CLOCK):
        return None
    target = wish.target
    if isinstance(target, Ceiling):
        target = target.limit
    limit_mw = target.limit_mw if isinstance(target, PowerLimit) else 0
    if isinstance(target, Percent) and case.board.power is not None:
        limit_mw = round(case.board.power.max_mw * target.percent / 100)
    default_mw = case.board.power.default_mw if case.board.power else 0
    if limit_mw < model.decode_w * 1000 or (default_mw and limit_mw >= default_mw):
        return None
    return (
        f"generating tokens draws up to about {model.decode_w} W here, so a cap of {watts(limit_mw)} W saves nothing "
        "then; a maximum of the GPU clock does"
    )


def laptop_limit(case: Case) -> str | None:
    if case.wish(Setting.POWER_LIMIT) is None or "Laptop" not in case.board.gpu.name:
        return None
    return "laptops name a range for the power limit and refuse to set it: the firmware shares the watts out"
