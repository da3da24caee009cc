"""Parsed TOML to a policy, or to every problem found in it.

Nothing here reads a file: documents come in as mappings, and profiles are asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_tuned.core.model import GPU_SETTINGS, Setting
from gpu_tuned.core.policy import DaemonOptions, Policy, Rule
from gpu_tuned.core.policy.keys import DAEMON, HOST, PROFILE, RULE, elsewhere
from gpu_tuned.core.policy.values import Leave
from gpu_tuned.core.policy.words import Problems, Spot, nearest, read_table
from gpu_tuned.core.wish import Origin, Wish


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
                self._daemon |= read_table(top.at(key), DAEMON, elsewhere(DAEMON))
            elif key == "host":
                values = read_table(top.at(key), HOST, elsewhere(HOST))
                self._host |= values
                self._accepted |= values.get("accept", frozenset())
                if "numa_balancing" in values:
                    self._numa_origin = document.origin("host.numa_balancing")
            elif key == "gpu":
                self.has_rules = True
                self._read_rules(document, top.at(key))
            else:
                homes = {name: home for name, home in elsewhere({}).items() if name != "gpus"}  # a misspelled [[gpu]]
                top.at(key).unknown(("daemon", "host", "gpu"), homes)

    def _read_rules(self, document: Document, spot: Spot) -> None:
        if not isinstance(spot.raw, list):
            spot.bad("rules are a list", "write [[gpu]] with two brackets above each rule")
            return
        for index in range(len(spot.raw)):
            self._read_rule(document, spot.item(index))

    def _read_rule(self, document: Document, spot: Spot) -> None:
        values = read_table(spot, {**RULE, "profile": self._profile}, elsewhere(RULE))
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
        self._profile_values[name] = read_table(document.spot(self._problems), PROFILE, elsewhere(PROFILE))
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
