"""A simulated nvidia-smi: its command line and what it does to the settings of a host's GPUs.

Written from nvidia-smi's own help, for tests alone; the product's table is another, so that one mistake is not made
twice. Values are as `status --json` has them. What real boards do with a value that is none of theirs is not known:
such a value is kept as `Odd` and equals nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.init.options import FLAGS, LONG, MODES, READS, SUBCOMMANDS, SWITCHES, VALUED

REFUSED, NO_DEVICE, NO_PERMISSION = 2, 6, 4
Value = object


@dataclass(frozen=True)
class Odd:
    """A value that the board may take and makes something of that is not known."""

    words: str


@dataclass(frozen=True)
class Model:
    """What a board allows, as far as these tests go."""

    name: str
    power_w: tuple[float, float, float]  # least, most, default
    gpu_mhz: frozenset[int]
    memory_mhz: frozenset[int]
    applications: tuple[int, int] | None = None  # what the board starts with, where it has such clocks


@dataclass
class Gpu:
    uuid: str
    pci: str
    model: Model
    settings: dict[str, Value] = field(default_factory=dict)


def factory(model: Model) -> dict[str, Value]:
    """The settings of a board after a boot."""
    found: dict[str, Value] = {
        "persistence_mode": False,
        "power_limit_w": model.power_w[2],
        "gpu_clock_mhz": "unlocked",
        "memory_clock_mhz": "unlocked",
        "compute_mode": "default",
    }
    if model.applications:
        found["application_clocks_mhz"] = usual(model.applications)
    return found


def usual(clocks: tuple[int, int]) -> Value:
    return {"memory": clocks[0], "gpu": clocks[1]}


@dataclass(frozen=True)
class Write:
    """One value that a call set, or would have set had it not failed."""

    gpu: int
    setting: str
    value: Value


class Refusal(Exception):
    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Smi:
    """One host's nvidia-smi. `call` answers exit status and output, and changes `gpus`."""

    gpus: list[Gpu]

    def call(self, words: Sequence[str], fails: bool = False) -> tuple[int, str, list[Write]]:
        """`fails`: the driver is not ready; nothing is set, and what would have been comes back all the same."""
        if words and words[0] in SUBCOMMANDS:
            return (1 if fails else 0), "", []
        try:
            if query := next((word for word in words if word.startswith("--query-")), None):
                return (1, "", []) if fails else (0, self._query(query, words), [])
            options = list(_options(words))
            names = [name for name, _ in options]
            if not set(names).isdisjoint(READS) or not options:
                return (1, "", []) if fails else (0, self._listing(names), [])
            chosen = self._chosen([value for name, value in options if name == "--id"])
            return self._set(options, chosen, fails)
        except Refusal as refusal:
            return refusal.status, f"{refusal}\n", []

    def _set(self, options: list[tuple[str, str]], chosen: list[int], fails: bool) -> tuple[int, str, list[Write]]:
        done: list[Write] = []
        status = 0
        module = ("--scope", "1") in options
        special = any(name == "--mode" and value != "0" for name, value in options)
        for at in chosen:
            for name, value in options:
                setting = {**VALUED, **FLAGS}[name][1]
                if name == "--gpu-reset" and not fails:
                    self.gpus[at].settings = factory(self.gpus[at].model)
                if setting is None or (setting == "power_limit_w" and module):
                    continue
                try:
                    found = _value(setting, value if name in VALUED else None, self.gpus[at].model)
                except Refusal as refusal:
                    status = refusal.status
                    continue
                found = Odd(f"{value} in a special mode") if special and setting == "gpu_clock_mhz" else found
                done.append(Write(at, setting, found))
                if not fails:
                    self.gpus[at].settings[setting] = found
        return (NO_PERMISSION if fails else status), "", done

    def _chosen(self, selectors: list[str]) -> list[int]:
        if not selectors:
            return list(range(len(self.gpus)))
        if len(selectors) > 1:
            raise Refusal(REFUSED, "-i is given twice")
        found = []
        for part in selectors[0].split(","):
            at = next((n for n, gpu in enumerate(self.gpus) if _is(gpu, n, part)), None)
            if at is None:
                raise Refusal(NO_DEVICE, "No devices were found")
            found.append(at)
        return found

    def _listing(self, names: list[str]) -> str:
        if "--list-gpus" in names:
            return "".join(f"GPU {n}: {gpu.model.name} (UUID: {gpu.uuid})\n" for n, gpu in enumerate(self.gpus))
        return "simulated\n"

    def _query(self, query: str, words: Sequence[str]) -> str:
        if not query.startswith("--query-gpu="):
            return ""
        forms = next((word.partition("=")[2] for word in words if word.startswith("--format=")), "")
        at = next((n for n, word in enumerate(words) if word in ("-i", "--id")), None)
        which = [words[at + 1]] if at is not None else [w.partition("=")[2] for w in words if w.startswith("--id=")]
        rows = [] if "noheader" in forms else [query.partition("=")[2]]
        for n in self._chosen(which):
            answers = [self._answer(n, item.strip(), "nounits" not in forms) for item in query[12:].split(",")]
            rows.append(", ".join(answers))
        return "".join(f"{row}\n" for row in rows)

    def _answer(self, at: int, item: str, units: bool) -> str:
        gpu = self.gpus[at]
        least, most, default = gpu.model.power_w
        watts = {"power.limit": gpu.settings["power_limit_w"], "power.default_limit": default}
        watts |= {"power.max_limit": most, "power.min_limit": least, "power.draw": 60.0}
        if item in watts:
            return f"{watts[item]:.2f}" + (" W" if units else "")
        plain = {
            "name": gpu.model.name,
            "uuid": gpu.uuid,
            "gpu_uuid": gpu.uuid,
            "index": f"{at}",
            "pci.bus_id": gpu.pci,
        }
        plain |= {"count": f"{len(self.gpus)}", "temperature.gpu": "45", "driver_version": "580.95.05"}
        plain |= {"persistence_mode": "Enabled" if gpu.settings["persistence_mode"] is True else "Disabled"}
        return plain.get(item, "[N/A]")


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    waiting = iter(words)
    for word in waiting:
        given, equals, value = word.partition("=")
        name = LONG.get(given, given)
        if name in VALUED:
            if not equals:
                value = next(waiting, "\0")
            if value in ("", "\0"):
                raise Refusal(REFUSED, f"{word} wants a value")
            yield name, value
        elif name in FLAGS and not equals:
            yield name, ""
        else:
            raise Refusal(REFUSED, f"Invalid combination of input arguments: {word}")


def _is(gpu: Gpu, at: int, selector: str) -> bool:
    if re.fullmatch(r"[0-9]+", selector):
        return int(selector) == at
    if selector.lower().startswith("gpu-"):
        return selector.lower() == gpu.uuid.lower()
    parts = re.fullmatch(r"(?:([0-9a-f]+):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])", selector.lower())
    if not parts:
        return False
    own = re.fullmatch(r"([0-9a-f]+):([0-9a-f]+):([0-9a-f]+)\.([0-7])", gpu.pci.lower())
    assert own
    return [int(p or "0", 16) for p in parts.groups()] == [int(p, 16) for p in own.groups()]


def _value(setting: str, words: str | None, model: Model) -> Value:
    if words is None:
        if setting != "application_clocks_mhz":
            return "unlocked"
        if not model.applications:
            raise Refusal(3, "Not Supported")
        return usual(model.applications)
    text = words.strip().lower()
    if setting == "persistence_mode":
        return _of(SWITCHES, text)
    if setting == "compute_mode":
        return Odd("exclusive thread") if text in ("1", "exclusive_thread") else _of(MODES, text)
    if setting == "power_limit_w":
        return _watts(text, model)
    clocks = re.fullmatch(r"([0-9]+)(?:\s*,\s*([0-9]+))?", text)
    if clocks is None:
        raise Refusal(REFUSED, f"{words} is no clock")
    low, high = int(clocks[1]), int(clocks[2] or clocks[1])
    if setting == "application_clocks_mhz":
        if not model.applications or not clocks[2] or low not in model.memory_mhz or high not in model.gpu_mhz:
            raise Refusal(3, "Not Supported")
        return {"memory": low, "gpu": high}
    if low > high:
        raise Refusal(REFUSED, "the minimum is above the maximum")
    ladder = model.gpu_mhz if setting == "gpu_clock_mhz" else model.memory_mhz
    odd = [clock for clock in (low, high) if clock and clock not in ladder]
    if odd and low == high:
        return Odd(f"{low} MHz, which is no rung")
    # A range whose ends lie between two rungs is known to within one rung; see `judge.same`.
    return {"min": low, "max": high}


def _of(table: Mapping[str, Value], text: str) -> Value:
    if text not in table:
        raise Refusal(REFUSED, f"{text} is no such value")
    return table[text]


def _watts(text: str, model: Model) -> float:
    try:
        watts = float(text)
    except ValueError:
        raise Refusal(REFUSED, f"{text} is no number") from None
    if not model.power_w[0] <= watts <= model.power_w[1]:
        raise Refusal(REFUSED, f"{text} W is outside of the board's range")
    return watts
