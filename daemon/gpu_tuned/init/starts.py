"""Which units a boot starts, and who else needs a unit: read from links and files, as systemd would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gpu_tuned.init.model import Doubt, Kind
from gpu_tuned.init.places import BOOT_TARGETS, BUS_NAMES, NOT_BY_ITSELF, OWN_UNITS, SLEEP_TARGETS, UNIT_PATHS
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.units import Unit, entries

PULLS = ("Wants", "Requires", "BindsTo", "Upholds")
NEEDS = (*PULLS, "Requisite", "PartOf", "After", "OnSuccess", "OnFailure", "JoinsNamespaceOf", "PropagatesReloadTo")
FOLDERS = (".wants", ".requires", ".upholds")
SERVICE = ".service"


@dataclass(frozen=True, slots=True)
class Start:
    """A service that starts by itself, `doubt` saying why that is not certain at every boot. `links` enable it."""

    name: str
    doubt: Doubt | None
    links: tuple[str, ...] = ()
    timer: str = ""


def _prefixes(name: str) -> list[str]:
    """Folders of drop-ins for all units whose names begin alike: `gpu-.service.d` is also for gpu-limit.service."""
    stem, _, kind = name.rpartition(".")
    parts = stem.split("-")
    return [f"{'-'.join(parts[:count])}-.{kind}.d" for count in range(1, len(parts))]


@dataclass(slots=True)
class Units:
    """The units of one host."""

    files: Rooted
    _loaded: dict[str, Unit | None] = field(default_factory=dict)
    _folders: dict[str, list[str]] = field(default_factory=dict)
    _started: dict[str, Start] | None = None
    _with_drop_ins: dict[str, list[str]] | None = None
    """A unit's file -> those of its names that a folder of drop-ins is for."""

    def load(self, name: str) -> Unit | None:
        """A unit with its drop-ins; None where there is none, or it is masked."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Unit | None:
        template = re.sub(r"@[^.]*(?=\.)", "@", name)
        unit = Unit(name, "")
        for candidate in dict.fromkeys((name, template)):
            found = next(
                (f"{path}/{candidate}" for path in UNIT_PATHS if self.files.there(f"{path}/{candidate}")), None
            )
            if found is None:
                continue
            where = self.files.resolve(found)
            text = self.files.text(found) if where else None
            if not text or where is None or where == "/dev/null":
                return None  # masked: a link to /dev/null, or an empty file
            unit.file = where
            unit.entries += entries(text, where)
            break
        kind = name.rpartition(".")[2]
        drop_ins: dict[str, str] = {}
        names = dict.fromkeys((name, *self._aliases(unit.file)))
        for folder in dict.fromkeys(
            (f"{kind}.d", *_prefixes(name), f"{template}.d", *(f"{each}.d" for each in names))
        ):
            for path in reversed(UNIT_PATHS):
                for file in self.files.names(f"{path}/{folder}"):
                    if file.endswith(".conf") and not path.startswith("/run/"):  # which is empty after a boot
                        drop_ins[file] = f"{path}/{folder}/{file}"
        for file in sorted(drop_ins):
            where = self.files.resolve(drop_ins[file])
            text = self.files.text(drop_ins[file]) if where else None
            if where and text:
                unit.entries += entries(text, where)
                unit.drop_ins.append(where)
        return unit if unit.file or unit.drop_ins else None

    def _aliases(self, file: str) -> Iterator[str]:
        """The other names of a unit that have drop-ins: its file's own, and those of links to it."""
        folder, _, own = file.rpartition("/")
        if folder in UNIT_PATHS:
            yield own
        if self._with_drop_ins is None:
            self._with_drop_ins = {}
            for name in sorted(
                {each.removesuffix(".d") for path in UNIT_PATHS for each in self.names(path) if each.endswith(".d")}
            ):
                place = next((f"{path}/{name}" for path in UNIT_PATHS if name in self.names(path)), "")
                if place and (where := self.files.resolve(place)):
                    self._with_drop_ins.setdefault(where, []).append(name)
        yield from self._with_drop_ins.get(file, ())

    def masked(self, name: str) -> bool:
        """Whether a unit of this name is a link to /dev/null, or empty."""
        found = next((f"{path}/{name}" for path in UNIT_PATHS if self.files.there(f"{path}/{name}")), None)
        return found is not None and (self.files.target(found) == "/dev/null" or self.files.text(found) == "")

    def names(self, folder: str) -> list[str]:
        if folder not in self._folders:
            self._folders[folder] = self.files.names(folder)
        return self._folders[folder]

    def every(self, kind: str = SERVICE) -> list[str]:
        """The names of all units of one kind that lie in a folder for units."""
        return list(dict.fromkeys(n for path in UNIT_PATHS for n in self.names(path) if n.endswith(kind)))

    def linked(self, owner: str) -> list[tuple[str, str]]:
        """(unit, link) of every unit that a target or another unit pulls in by a folder."""
        found = []
        for path in UNIT_PATHS:
            if path.startswith("/run/"):
                continue  # `enable --runtime` ends with the boot
            for ending in FOLDERS:
                if f"{owner}{ending}" in self.names(path):
                    folder = f"{path}/{owner}{ending}"
                    found += [(name, f"{folder}/{name}") for name in self.names(folder)]
        return found

    def links(self, name: str) -> tuple[str, ...]:
        """Every link below /etc that enables a unit."""
        folders = [f for f in self.names(OWN_UNITS) if f.endswith(FOLDERS)]
        return tuple(f"{OWN_UNITS}/{f}/{name}" for f in folders if name in self.names(f"{OWN_UNITS}/{f}"))

    def missing(self, name: str) -> bool:
        """Whether a service is not there, on a host whose packages' units are: systemd's own are among them."""
        known = self.load("systemd-journald.service") is not None
        script = self.files.there(f"/etc/init.d/{name.removesuffix(SERVICE)}")
        return known and name.endswith(SERVICE) and not script and self.load(name) is None

    def against(self, unit: Unit) -> list[str]:
        """The services that a boot starts as well, and that stop this one by starting, or it them."""
        others = [start for start in self.started().values() if start.name != unit.name and start.doubt is None]
        named = unit.names("Conflicts")
        loaded = [(start.name, self.load(start.name)) for start in others]
        return [name for name, other in loaded if name in named or (other and unit.name in other.names("Conflicts"))]

    def started(self) -> dict[str, Start]:
        """Every service that a boot starts, or that an event does."""
        if self._started is None:
            self._started = self._all_started()
        return self._started

    def _all_started(self) -> dict[str, Start]:
        targets = set(BOOT_TARGETS)
        default = self.files.target(f"{OWN_UNITS}/default.target")
        default_name = (default or "graphical.target").rpartition("/")[2]
        targets |= {default_name, *(("graphical.target",) if default is None else ())}
        found: dict[str, Start] = {}
        self._pull(targets, None, found)
        sleeping = Doubt(Kind.HOOK, "systemd starts it before or after a sleep")
        self._pull(set(SLEEP_TARGETS), sleeping, found)
        self._pull_timers(found)
        self._pull_by_others(found)
        self._pull_timers(found)
        return {name: start for name, start in found.items() if name.endswith(SERVICE)}

    def _pull(self, owners: set[str], doubt: Doubt | None, found: dict[str, Start]) -> None:
        """Everything that these pull in, and what that pulls in."""
        todo = sorted(owners)
        seen = set(owners)
        while todo:
            owner = todo.pop()
            unit = self.load(owner)
            pulled = [name for name, _ in self.linked(owner)]
            pulled += sorted(unit.names(*PULLS)) if unit else []
            for name in pulled:
                if name in seen:
                    continue
                seen.add(name)
                if self.load(name) is not None and name not in found:
                    found[name] = Start(name, doubt, self.links(name))
                todo.append(name)

    def _pull_by_others(self, found: dict[str, Start]) -> None:
        """What something else than a boot pulls in: a device, a target that a person chooses, a unit that fails."""
        owners = {f.rpartition(".")[0] for path in UNIT_PATHS for f in self.names(path) if f.endswith(FOLDERS)}
        for owner in sorted(owners - NOT_BY_ITSELF):
            if owner.endswith((".target", ".device")) or self.load(owner) is None or owner in found:
                self._hook([name for name, _ in self.linked(owner)], f"{owner} pulls it in", found)
        for path in [path for folder in BUS_NAMES for path in self.files.walk(folder, 0)]:
            named = re.findall(r"^SystemdService\s*=\s*(\S+)", self.files.text(path) or "", re.MULTILINE)
            self._hook(named, f"D-Bus starts it when somebody asks for {path.rpartition('/')[2]}", found)
        for start in list(found.values()):
            if (unit := self.load(start.name)) is not None and start.doubt is None:
                self._hook(unit.names("OnFailure", "OnSuccess"), f"it starts where {start.name} fails or ends", found)

    def _hook(self, names: Iterable[str], why: str, found: dict[str, Start]) -> None:
        for name in names:
            if name not in found and self.load(name) is not None:
                found[name] = Start(name, Doubt(Kind.HOOK, why), self.links(name))

    def _pull_timers(self, found: dict[str, Start]) -> None:
        for name in [name for name in found if name.endswith((".timer", ".path", ".socket"))]:
            unit = self.load(name)
            stem, _, kind = name.rpartition(".")
            target = unit.last("Unit") if unit else ""
            each = kind == "socket" and unit is not None and unit.last("Accept").lower() in ("yes", "true", "1", "on")
            service = target or f"{stem}{'@' if each else ''}{SERVICE}"
            if unit is None or service in found or self.load(service) is None:
                continue
            doubt: Doubt | None
            if kind != "timer":
                doubt = Doubt(Kind.HOOK, f"{name} starts it when something happens")
            elif any(e.key.startswith(("Condition", "Assert")) and e.value for e in unit.entries):
                doubt = Doubt(Kind.BRANCH, f"a condition of {name} decides whether it runs")
            elif unit.last("OnCalendar") or not (unit.last("OnBootSec") or unit.last("OnStartupSec")):
                doubt = Doubt(Kind.TIMER, f"{name} decides when it runs")
            else:
                doubt = None
            found[service] = Start(service, found[name].doubt or doubt, timer=name)

    def needed_by(self, name: str) -> str:
        """Who needs this unit, as a sentence; "" for nobody."""
        for other in self.every(""):
            if other == name or "." not in other or other.endswith((".d", *FOLDERS)):
                continue
            unit = self.load(other)
            for entry in unit.entries if unit else ():
                if entry.key in NEEDS and name in entry.value.split():
                    return f"{other} needs it ({entry.key}=, {entry.file} line {entry.first})"
        for path in UNIT_PATHS:
            for folder in self.names(path):
                owner = next((folder.removesuffix(end) for end in FOLDERS if folder.endswith(end)), "")
                if owner and not owner.endswith(".target") and name in self.names(f"{path}/{folder}"):
                    return f"{owner} needs it ({path}/{folder})"
        for ending in (".timer", ".path", ".socket"):
            if self.load(name.removesuffix(SERVICE) + ending) is not None:
                return f"{name.removesuffix(SERVICE)}{ending} starts it"
        return ""
