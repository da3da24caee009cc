"""A GPU in pure Python, for judging what can be inferred from it: clocks from load, locks, power cap and heat.

The same shape as the simulated driver's (tests/simulator/src/physics.c), one look at a time, and less well behaved:
chips boost more or less than their board's figure, and a little less when warm; readings lie a step off, or are
leftovers; reason bits come late; a lock takes a moment; the utilisation lags; little work runs at any clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random

from gpu_tuned.core.model import ApplicationClocks, Board, ClockLock, Gpu, PowerRange, Telemetry

BOARDS = Path(__file__).parents[1] / "simulator" / "boards"
SW_POWER_CAP, SW_THERMAL, HW_SLOWDOWN, HW_THERMAL, APPLICATION_CLOCKS = 0x4, 0x20, 0x8, 0x40, 0x2


@lru_cache
def read_board(path: Path) -> dict[str, str]:
    """The keys of a board file; its ladders under their memory clock, as "clocks 14001"."""
    keys: dict[str, str] = {}
    for line in path.read_text().splitlines():
        key, equals, text = line.partition("#")[0].partition("=")
        if not equals:
            continue
        key, text = key.strip(), text.strip()
        if key == "clocks_mhz":
            memory, _, rungs = text.partition(":")
            keys[f"clocks {memory.strip()}"] = rungs.strip()
        else:
            keys[key] = text
    return keys


def board_paths() -> list[Path]:
    return sorted(BOARDS.glob("*.board"))


@dataclass(frozen=True)
class Model:
    """One chip: what its board file says, moved about by chance. Watts, MHz, degrees C, seconds."""

    board: Board
    ladder: tuple[float, float, float]  # lowest, highest, step
    boost_mhz: float
    idle_mhz: float
    memory_mhz: int
    idle_memory_mhz: int
    idle_pstate: int
    load_pstate: int
    idle_reasons: int
    idle_w: float
    open_w: float
    load_w: float
    exponent: float
    limit_w: float
    ambient_c: float
    heat_c_per_w: float
    heat_tau_s: float
    max_c: float
    slowdown_c: float
    application_mhz: int | None
    warm_steps: float  # how many ladder steps the boost loses from cold to its maximum temperature
    jitter_steps: float  # how far a reading may lie off
    reason_delay_s: float
    lock_delay_s: float
    leftover_s: float  # how long an idle GPU may show the clock of its last work
    little_work_share: float  # of its boost, at which a GPU with little to do runs
    utilization_lag_s: float
    tells_utilization: bool
    odd_bits: int

    def power_w(self, mhz: float, load: float) -> float:
        up = min(1.0, max(0.0, (mhz - self.idle_mhz) / max(1.0, self.boost_mhz - self.idle_mhz)))
        still = self.idle_w + (self.open_w - self.idle_w) * up
        return still + load * (self.load_w - self.open_w) * (mhz / self.boost_mhz) ** self.exponent

    def floor(self, mhz: float) -> int:
        low, high, step = self.ladder
        if mhz < low:
            return int(mhz)
        return int(low + math.floor((min(mhz, high) - low + 1e-6) / step) * step + 1e-6)


def draw_model(path: Path, rng: Random, hot: bool, capped: bool) -> Model:
    """A chip of this board. `hot`: cooled so badly that its temperature limits matter; `capped`: its limit does."""
    keys = read_board(path)
    number = {key: float(text) for key, text in keys.items() if text.replace(".", "", 1).isdigit()}
    ladders = {int(key.split()[1]): _ladder(text) for key, text in keys.items() if key.startswith("clocks ")}
    memory = sorted(ladders, reverse=True)
    low, high, step = ladders[memory[0]]
    mobile = "Laptop" in keys["name"]
    share = number["boost_mhz"] / high
    # Chips differ. The simulator's figure is one; a desktop's below 0.86 of the board's highest was never seen.
    least = 0.61 if mobile else max(0.86, share - 0.08)
    share = rng.uniform(least, max(least, min(1.0, share + 0.08)))
    rungs = {m: _rungs(*ladder) for m, ladder in ladders.items()}
    default = None
    if keys["app_clocks"] == "supported":
        default = ApplicationClocks(int(number["app_mem_mhz"]), int(number["app_gpu_mhz"]))
    limits = [int(number[f"power_{key}_w"] * 1000) for key in ("min", "max", "default")]
    load_w = number["load_w"] * rng.uniform(0.6, 1.3)
    limit_w = limits[2] / 1000
    if capped:
        limit_w = rng.uniform(limits[0] / 1000, limit_w)
    heat = (number["r_fast"] + number["r_slow"]) * rng.uniform(0.7, 1.2)
    if hot:
        heat = (number["t_slowdown_c"] - number["ambient_c"]) / min(load_w, limit_w) * rng.uniform(0.9, 1.4)
    board = Board(
        Gpu("GPU-1", "0000:01:00.0", keys["name"]),
        0,
        PowerRange(*limits),
        tuple(memory),
        rungs[memory[0]],
        rungs,
        default,
        int(high),
        memory[0],
    )
    return Model(
        board=board,
        ladder=(low, high, step),
        boost_mhz=high * share,
        idle_mhz=number["idle_mhz"],
        memory_mhz=int(number["load_mem_mhz"]),
        idle_memory_mhz=int(number["idle_mem_mhz"]),
        idle_pstate=int(number["idle_pstate"]),
        load_pstate=rng.choice([int(number["load_pstate"]), 0, 1, 2]),
        idle_reasons=int(keys["idle_reasons"], 0),
        idle_w=number["idle_w"],
        open_w=number["open_w"],
        load_w=load_w,
        exponent=rng.uniform(1.6, 3.0),
        limit_w=limit_w,
        ambient_c=rng.uniform(15, 45),
        heat_c_per_w=heat,
        heat_tau_s=rng.uniform(1, 60),
        max_c=number["t_gpu_max_c"],
        slowdown_c=number["t_slowdown_c"],
        application_mhz=default.gpu_mhz if default else None,
        warm_steps=rng.uniform(0, 6 * 15 / step),
        jitter_steps=rng.choice([0, 0, 15 / step]),
        reason_delay_s=rng.uniform(0, 0.5),
        lock_delay_s=rng.uniform(0, 2.9),
        leftover_s=rng.uniform(0.1, 60),
        little_work_share=1.0 if number["idle_pstate"] == 0 else rng.uniform(0.5, 1.0),
        utilization_lag_s=rng.uniform(0.1, 1.0),
        tells_utilization=rng.random() > 0.05,
        odd_bits=rng.choice([0, 0, 0, APPLICATION_CLOCKS]),
    )


def _ladder(text: str) -> tuple[float, float, float]:
    words = text.split()
    return float(words[0]), float(words[2]), float(words[4])


def _rungs(low: float, high: float, step: float) -> tuple[int, ...]:
    return tuple(int(high - i * step + 1e-6) for i in range(int((high - low) / step + 1e-6) + 1))


@dataclass
class Chip:
    """A model in motion. `load`: share of full work by time in seconds. Locks are requested of it, by whomever."""

    model: Model
    load: Callable[[float], float]
    rng: Random
    lock: ClockLock | None = None
    memory_lock: ClockLock | None = None
    now_s: float = 0.0
    temperature_c: float = 0.0
    capped_for_s: float = 0.0
    clock_mhz: float = 0.0
    utilization: float = 0.0
    stale_until_s: float = 0.0
    _delayed: list[tuple[float, ClockLock | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temperature_c = self.model.ambient_c + self.model.idle_w * self.model.heat_c_per_w
        self.clock_mhz = self.model.idle_mhz

    def request(self, lock: ClockLock | None) -> None:
        """Ask for a lock, or with None for none. It shows a moment later."""
        self._delayed.append((self.now_s + self.model.lock_delay_s, lock))

    def awaits(self, lock: ClockLock) -> bool:
        return any(wanted == lock for _, wanted in self._delayed)

    def look(self, at_s: float) -> Telemetry:
        """Let the time pass, and read."""
        model, passed_s, self.now_s = self.model, at_s - self.now_s, at_s
        while self._delayed and self._delayed[0][0] <= at_s:
            self.lock = self._delayed.pop(0)[1]
        load = self.load(at_s)
        self._follow_utilization(at_s, load)
        power_w, reasons = self._run(load, passed_s)
        warm_c = model.ambient_c + power_w * model.heat_c_per_w
        self.temperature_c += (warm_c - self.temperature_c) * (1 - math.exp(-passed_s / model.heat_tau_s))
        active = load > 0
        return Telemetry(
            power_mw=int(power_w * 1000),
            enforced_limit_mw=int(model.limit_w * 1000),
            gpu_clock_mhz=self._reading() if active else int(self.clock_mhz),
            memory_clock_mhz=self._memory_mhz(active),
            temperature_c=int(self.temperature_c),
            utilization_percent=round(100 * self.utilization) if model.tells_utilization else None,
            pstate=model.load_pstate if active else model.idle_pstate,
            reasons=reasons | (model.odd_bits if active else 0),
        )

    def _follow_utilization(self, at_s: float, load: float) -> None:
        """An average over the last moment, as the driver gives one."""
        lag_s = self.model.utilization_lag_s
        samples = [self.load(max(0.0, at_s - lag_s * i / 8)) for i in range(8)]
        mean = sum(samples) / len(samples)
        self.utilization = min(1.0, max(0.0, mean + self.rng.uniform(-0.02, 0.02))) if mean else 0.0

    def _run(self, load: float, passed_s: float) -> tuple[float, int]:
        """Set the clock; hand back the power that it draws and the reason bits."""
        model = self.model
        if load <= 0:
            # The clock of an idle GPU is a leftover until it is set anew, which nobody hurries to do.
            if self.utilization and self.lock is not None:  # it worked since the last look, and obeyed then
                self.clock_mhz = min(self.clock_mhz, self.lock.max_mhz)
            if self.rng.random() < min(1.0, passed_s / model.leftover_s):
                self.clock_mhz = model.idle_mhz
            self.capped_for_s = 0.0
            return model.power_w(min(self.clock_mhz, model.idle_mhz), 0.0), model.idle_reasons
        low, _, step = model.ladder
        warm = min(1.0, max(0.0, (self.temperature_c - 30) / (model.max_c - 30)))
        target = model.boost_mhz - warm * model.warm_steps * step
        if load < 0.45:
            target *= model.little_work_share
        if model.application_mhz:
            target = min(target, model.application_mhz)
        if self.lock is not None:
            target = max(min(target, self.lock.max_mhz), self.lock.min_mhz)
        clock, reasons = target, 0
        if model.power_w(target, load) > model.limit_w * 0.988:
            clock = self._capped(target, load)
            self.capped_for_s += passed_s
            clock += self.rng.choice([2, 1, 0, 0, 0, -1, -1]) * 15
            clock = min(clock, target)
        elif self.capped_for_s:
            self.capped_for_s = 0.0
        if clock < target - 1 and self.capped_for_s > model.reason_delay_s:
            reasons |= SW_POWER_CAP
        if self.temperature_c >= model.slowdown_c:
            clock, reasons = min(clock, model.boost_mhz / 2), reasons | HW_SLOWDOWN | HW_THERMAL
        elif self.temperature_c >= model.max_c:
            clock, reasons = clock * self.rng.uniform(0.8, 0.97), reasons | SW_THERMAL
        self.clock_mhz = max(low, clock)
        return model.power_w(self.clock_mhz, load), reasons

    def _capped(self, target: float, load: float) -> float:
        low, high = self.model.ladder[0], target
        for _ in range(12):
            middle = (low + high) / 2
            if self.model.power_w(middle, load) > self.model.limit_w * 0.988:
                high = middle
            else:
                low = middle
        return low

    def _reading(self) -> int:
        if self.rng.random() < 0.003:  # a reading that is up to a second old
            self.stale_until_s = self.now_s + self.rng.uniform(0, 1)
        if self.now_s < self.stale_until_s:
            return self.model.floor(self.model.boost_mhz)
        off = self.rng.choice([-1, 0, 0, 1]) * self.model.jitter_steps * self.model.ladder[2]
        return self.model.floor(self.clock_mhz + off)

    def _memory_mhz(self, active: bool) -> int:
        mhz = self.model.memory_mhz if active else self.model.idle_memory_mhz
        if self.memory_lock is not None:
            mhz = max(min(mhz, self.memory_lock.max_mhz), self.memory_lock.min_mhz)
        return mhz
