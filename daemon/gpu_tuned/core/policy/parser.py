"""Parsed TOML to a policy, or to every problem found in it.

Nothing here reads a file: documents come in as mappings, and profiles are asked for by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_tuned.core.model import GPU_SETTINGS, Setting
from gpu_tuned.core.policy import DaemonOptions, Mode, OnStop, Policy, Rule
from gpu_tuned.core.policy.expected import accepted, lanes
from gpu_tuned.core.policy.numbers import Bounds, numeric, watts_of
from gpu_tuned.core.policy.values import MOST_BUDGET_W, Leave, numa_balancing, word
from gpu_tuned.core.policy.words import Problems, Reader, Spot, nearest, read_table, shown
from gpu_tuned.core.settings import ROWS
from gpu_tuned.core.wish import Match, MatchBy, Origin, Wish

REASON_AT_MOST = 300
"""Characters of a reason: it goes into one journal field and one line of status."""

MOST_GPUS = 1024

_UUID = re.compile(r"gpu-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PCI = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})(\.[0-7])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """One TOML file as parsed. `name` is how origins call it ("20-psu.toml", "profile quiet"), `path` how messages
    and `Policy.files` do; `shipped`: the file is ours and not the owner's."""

    name: str
    data: Mapping[str, Any]
    path: str = ""
    shipped: bool = False

    def spot(self, problems: Problems) -> Spot:
        return Spot(self.path or self.name, "", self.data, problems)

    def origin(self, path: str) -> Origin:
        return Origin(self.name, path, self.shipped)


Profiles = Callable[[str], "Document | None"]


def parse(
    documents: Sequence[Document],
    profiles: Profiles = lambda name: None,
    known_profiles: Collection[str] = (),
    digest: str = "",
    *,
    partial: bool = False,
) -> Policy:
    """The policy that these documents make, the first the main file and the others its drop-ins in order.

    `known_profiles` are the names to offer for one that `profiles` does not have. `partial`: the documents are a
    part of a policy (one drop-in), which needs neither a rule nor a value for all that it requires. Raises
    PolicyError with every problem found.
    """
    problems = Problems()
    parser = _Parser(problems, profiles, known_profiles)
    for document in documents:
        parser.read(document)
    if not partial:
        parser.check_whole(documents[0].spot(problems))
    problems.raise_if_any()
    used = [document.path or document.name for document in (*documents, *parser.used.values())]
    return parser.policy(tuple(used), digest)


def profile_names(data: Mapping[str, Any]) -> list[str]:
    """The profiles that a document asks for, as far as it can be understood."""
    rules = data.get("gpu")
    tables = [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []
    return [rule["profile"] for rule in tables if isinstance(rule.get("profile"), str)]


class _Parser:
    """Gathers what the documents say, one after the other."""

    def __init__(self, problems: Problems, profiles: Profiles, known_profiles: Collection[str]) -> None:
        self.used: dict[str, Document] = {}
        self.has_rules = False
        self._problems = problems
        self._profiles = profiles
        self._known = known_profiles
        self._profile_values: dict[str, dict[str, Any]] = {}
        self._daemon: dict[str, Any] = {}
        self._host: dict[str, Any] = {}
        self._numa_origin = Origin("", "")
        self._accepted: set[str] = set()
        self._rules: list[Rule] = []
        self._written: set[str] = set()  # also keys whose value is bad: that is told where it stands
        self._required: list[tuple[Spot, Setting]] = []

    def read(self, document: Document) -> None:
        top = document.spot(self._problems)
        if not document.data:
            top.missing("says nothing; for a policy without rules write gpu = []")
            return
        for key in document.data:
            if key == "daemon":
                self._daemon |= read_table(top.at(key), _DAEMON, _WHERE_NOT_DAEMON)
            elif key == "host":
                values = read_table(top.at(key), _HOST, _WHERE_NOT_HOST)
                self._host |= values
                self._accepted |= values.get("accept", frozenset())
                if "numa_balancing" in values:
                    self._numa_origin = document.origin("host.numa_balancing")
            elif key == "gpu":
                self.has_rules = True
                self._read_rules(document, top.at(key))
            else:
                top.at(key).unknown(("daemon", "host", "gpu"), _WHERE)

    def _read_rules(self, document: Document, spot: Spot) -> None:
        if not isinstance(spot.raw, list):
            spot.bad("rules are a list", "write [[gpu]] with two brackets above each rule")
            return
        for index in range(len(spot.raw)):
            self._read_rule(document, spot.item(index))

    def _read_rule(self, document: Document, spot: Spot) -> None:
        values = read_table(spot, {**_RULE, "profile": self._profile}, _WHERE_NOT_RULE)
        if not isinstance(spot.raw, Mapping):
            return
        self._written |= spot.raw.keys()
        if "match" not in spot.raw:
            spot.missing('has no match; for every board write match = { name = "*" }')
        profile: str | None = values.get("profile")
        required: list[Setting] = values.get("required", [])
        watched: list[Setting] = values.get("watch", [])
        for index, setting in enumerate(required):
            self._required.append((spot.at("required").item(index), setting))
        wishes = []
        for setting in GPU_SETTINGS:
            key = setting.value
            target, origin = values.get(key), document.origin(f"{spot.where}.{key}")
            if target is None and profile is not None:
                target = self._profile_values[profile].get(key)
                if target is not None:
                    origin = self.used[profile].origin(key)
            if target is not None or setting in watched:
                if target is None:
                    origin = document.origin(f"{spot.where}.watch")
                reason = values.get("reason")
                wishes.append(Wish(setting, target, origin, setting in required, setting in watched, reason))
        match = values.get("match")
        if match is not None:
            accept = values.get("accept", frozenset())
            self._rules.append(Rule(match, tuple(wishes), document.origin(spot.where), frozenset(required), accept))

    def _profile(self, spot: Spot) -> str | None:
        name = spot.raw
        if not isinstance(name, str):
            spot.bad('must be the name of a profile, such as "rtx-5090-inference"')
            return None
        if name in self._profile_values:
            return name
        document = self._profiles(name)
        if document is None:
            near = nearest(name.removesuffix(".toml"), self._known)
            known = "known: " + ", ".join(sorted(self._known)) if self._known else "none is installed"
            spot.bad("no such profile", f'nearest: "{near}"; {known}' if near else known)
            return None
        self.used[name] = document
        self._written |= document.data.keys()
        self._profile_values[name] = read_table(document.spot(self._problems), _PROFILE, _WHERE_NOT_PROFILE)
        return name

    def check_whole(self, top: Spot) -> None:
        """Report what only the whole can lack: any rule, and a value for each setting that is required."""
        if not self.has_rules and top.raw:
            top.missing("has no [[gpu]] rule; for a policy without rules write gpu = []")
        for spot, setting in self._required:
            if setting.value not in self._written:
                spot.bad("is required, but no rule gives it a value", f"write {setting.value} = ... as well")

    def policy(self, files: tuple[str, ...], digest: str) -> Policy:
        numa = self._host.get("numa_balancing", Leave.LEAVE)
        wish = None if numa is Leave.LEAVE else Wish(Setting.NUMA_BALANCING, numa, self._numa_origin)
        budget_mw = self._host.get("gpu_power_budget_w")
        expected = (self._host.get("gpus"), self._host.get("pcie_width"), frozenset(self._accepted))
        rules = tuple(self._rules)
        return Policy(DaemonOptions(**self._daemon), wish, budget_mw, *expected, rules, files, digest)


def _match(spot: Spot) -> Match | None:
    kinds = {kind.value: kind for kind in (MatchBy.NAME, MatchBy.UUID, MatchBy.PCI)}
    if not isinstance(spot.raw, Mapping):
        spot.bad('must be a table with one of name, uuid, pci, such as { name = "NVIDIA GeForce RTX 5090" }')
        return None
    for key in spot.raw:
        if key == "index":
            spot.at(key).bad(
                "a GPU is not matched by its index, for the driver may number GPUs anew at any start",
                "write uuid, pci or name",
            )
        elif key not in kinds:
            spot.at(key).unknown(tuple(kinds), {})
    named = [key for key in kinds if key in spot.raw]
    if len(named) > 1 or not spot.raw:
        spot.bad("must have exactly one of name, uuid and pci")
    if len(named) != 1 or len(spot.raw) != 1:
        return None
    pattern = _PATTERNS[kinds[named[0]]](spot.at(named[0]))
    return None if pattern is None else Match(kinds[named[0]], pattern)


def _name(spot: Spot) -> str | None:
    if isinstance(spot.raw, str) and spot.raw.strip() and spot.raw.isprintable():
        return spot.raw
    spot.bad('must be a name or pattern such as "NVIDIA GeForce RTX 5090" or "*H100*"')
    return None


def _uuid(spot: Spot) -> str | None:
    if isinstance(spot.raw, str) and _UUID.fullmatch(spot.raw):
        return spot.raw
    hint = "nvidia-smi -L lists them; patterns are for names only"
    spot.bad('must be a whole UUID such as "GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11"', hint)
    return None


def _pci(spot: Spot) -> str | None:
    found = _PCI.fullmatch(spot.raw.strip()) if isinstance(spot.raw, str) else None
    if found is None:
        spot.bad('must be a PCI address such as "0000:01:00.0" or "01:00.0"')
        return None
    domain, bus, device, function = found.groups(default="")
    return f"{int(domain or '0', 16):04x}:{bus}:{device}{function or '.0'}".lower()


_PATTERNS = {MatchBy.NAME: _name, MatchBy.UUID: _uuid, MatchBy.PCI: _pci}


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


_SETTINGS: Mapping[str, Reader] = {setting.value: ROWS[setting].read_toml for setting in GPU_SETTINGS}
_DAEMON: Mapping[str, Reader] = {
    "mode": lambda spot: word(spot, Mode),
    "poll_interval_s": _poll_interval,
    "on_stop": lambda spot: word(spot, OnStop),
}
_HOST: Mapping[str, Reader] = {
    "numa_balancing": numa_balancing,
    "gpu_power_budget_w": lambda spot: watts_of(spot, MOST_BUDGET_W, f"a number of watts from 1 to {MOST_BUDGET_W}"),
    "gpus": _gpu_count,
    "pcie_width": lanes,
    "accept": accepted,
}
_RULE: Mapping[str, Reader] = {
    "match": _match,
    "profile": lambda spot: None,  # bound to the parser, which knows the profiles
    "required": _settings,
    "watch": _settings,
    "reason": _reason,
    "accept": accepted,
    **_SETTINGS,
}
_PROFILE: Mapping[str, Reader] = {"description": _reason, **_SETTINGS}


def _elsewhere(*here: Mapping[str, Reader]) -> dict[str, str]:
    """Where a key belongs, for every key that is known but not here."""
    homes = {"under [daemon]": _DAEMON, "under [host]": _HOST, "in a [[gpu]] rule": _RULE}
    keys = {key: home for home, readers in homes.items() for key in readers}
    return {key: home for key, home in keys.items() if not any(key in readers for readers in here)}


_WHERE = {key: home for key, home in _elsewhere().items() if key != "gpus"}  # there it is a misspelled [[gpu]]
_WHERE_NOT_DAEMON = _elsewhere(_DAEMON)
_WHERE_NOT_HOST = _elsewhere(_HOST)
_WHERE_NOT_RULE = {**_elsewhere(_RULE), "description": "in a profile; a rule has reason"}
_WHERE_NOT_PROFILE = _elsewhere(_PROFILE)
