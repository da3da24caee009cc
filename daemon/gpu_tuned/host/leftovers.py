"""What people set up before gpu-tuned: units, scripts, cron jobs and sysctl lines that set a GPU, found by reading.

Where it looks is a closed list; how much it reads is limited (tree.py). A file is changed only where all that goes
is understood: everything else is shown to a person, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from gpu_tuned.core.leftover import Ask, Change, Place, Scan, Step
from gpu_tuned.host import shell, tables, units
from gpu_tuned.host.nvidia_smi import SETS, Said
from gpu_tuned.host.shell import Line
from gpu_tuned.host.tree import Tree

MARK = "gpu-tuned holds this now"
UNITS = "/etc/systemd/system"
SHIPPED_UNITS = ("/usr/lib/systemd/system", "/lib/systemd/system")
PERSISTENCED = "nvidia-persistenced.service"
AT_BOOT = ("/etc/rc.local", "/etc/rc.d/rc.local")
CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")
# Where people put scripts of their own, and how many folders deep they are looked for.
SCRIPTS = {"/scripts": 3, "/root": 2, "/usr/local/bin": 1, "/usr/local/sbin": 1}
SCRIPTS |= dict.fromkeys(("/etc/init.d", "/etc/profile.d", "/etc/cron.hourly", "/etc/cron.daily"), 0)
SCRIPTS |= {"/etc/udev/rules.d": 0, "/home": 3, "/srv": 2, "/opt": 3}  # the large ones last: reading has a limit
NAMED = re.compile(r"(\.(?:ba)?sh|\.rules)$|^[^.]+$|gpu")
"""Names of files that can be such scripts: *.sh, no ending, or a word about GPUs; the first bytes decide."""
OWN = "gpu-tuned"


Stays = Callable[[Said], bool]


class Kind(str, Enum):
    """What a file is, which decides how its lines become comments."""

    UNIT = "unit"
    SCRIPT = "script"
    TABLE = "table"


_COMMENTED: dict[Kind, Callable[[str, list[Line], str], str]] = {
    Kind.UNIT: units.commented,
    Kind.SCRIPT: shell.commented,
    Kind.TABLE: tables.commented,
}


@dataclass(slots=True)
class _Found:
    path: str
    text: str
    kind: Kind
    lines: list[Line]
    at_boot: bool = False


@dataclass(slots=True)
class _Finder:
    """One scan."""

    tree: Tree
    stays: Stays
    found: list[_Found] = field(default_factory=list)
    moved: list[Change] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    mps: bool = False

    def read_units(self) -> None:
        paths = [path for path in self.tree.walk(UNITS, 2) if path.endswith((".service", ".conf"))]
        for name in self.tree.names(UNITS):  # `systemctl link` leaves a link to a unit elsewhere
            linked = self.tree.resolve(f"{UNITS}/{name}") if name.endswith(".service") else None
            if linked and not linked.startswith((f"{UNITS}/", *SHIPPED_UNITS)) and linked not in paths:
                paths.append(linked)
        for path in paths:
            text = self._new(path)
            if text is None or path.rpartition("/")[2].startswith(OWN):
                continue
            unit = units.read(text)
            self.mps = self.mps or unit.mps
            enabled = self._links(path)
            at_boot = bool(enabled) or path.endswith(".conf")
            self.called += unit.programs
            if not unit.lines:
                continue
            part_stays = any(self.stays(said) for line in unit.lines for said in line.said)
            if unit.only and path.endswith(".service") and not part_stays:
                self._whole_unit(path, text, unit, enabled)
            else:
                self.found.append(_Found(path, text, Kind.UNIT, list(unit.lines), at_boot))

        folders = [folder for folder in self.tree.names(UNITS) if folder.endswith(".wants")]
        self.mps = self.mps or any("-mps" in name for f in folders for name in self.tree.names(f"{UNITS}/{f}"))

    def _whole_unit(self, path: str, text: str, unit: units.Unit, links: tuple[str, ...]) -> None:
        name = path.rpartition("/")[2]
        self._ask(path, unit.lines, bool(links))
        if not path.startswith(f"{UNITS}/"):
            links = (*links, f"{UNITS}/{name}")  # `systemctl link`
        if name == PERSISTENCED:
            why = "persistence mode is a setting that gpu-tuned holds, without a second daemon"
            if shipped := next((s for s in SHIPPED_UNITS if self.tree.resolve(f"{s}/{name}")), None):
                why += f"; the distribution's own unit in {shipped} is then the one that systemd sees"
        else:
            why = "it does nothing but set GPUs"
        refused = self.tree.ours_to_change(path)
        if refused:
            lines = tuple(line.first for line in unit.lines)
            self.moved.append(Change(Step.LEAVE, path, f"{refused}: disable {name} yourself", lines))
        else:
            self.moved.append(Change(Step.MOVE, path, why, links=links, unit=name))

    def _links(self, path: str) -> tuple[str, ...]:
        """The links by which a unit is enabled: NAME in any *.wants, *.requires or *.upholds folder."""
        name = path.rpartition("/")[2]
        folders = [f for f in self.tree.names(UNITS) if f.endswith((".wants", ".requires", ".upholds"))]
        return tuple(f"{UNITS}/{folder}/{name}" for folder in folders if name in self.tree.names(f"{UNITS}/{folder}"))

    def read_tables(self) -> None:
        crontabs = [("/etc/crontab", True), *((path, True) for path in self.tree.walk("/etc/cron.d", 0))]
        crontabs += [(path, False) for folder in CRONTABS for path in self.tree.walk(folder, 0)]
        for path, with_user in crontabs:
            text = self._new(path)
            if text is not None:
                jobs = [job for _, job in tables.jobs(text, with_user)]
                self.called += [word for job in jobs for word in job.split() if word.startswith("/")]
                self._add(path, text, Kind.TABLE, tables.cron(text, with_user), at_boot=True)
        sysctls = ["/etc/sysctl.conf", *(p for p in self.tree.walk("/etc/sysctl.d", 0) if p.endswith(".conf"))]
        for path in sysctls:
            if (text := self._new(path)) is not None:
                self._add(path, text, Kind.TABLE, tables.sysctl(text), at_boot=True)

    def read_scripts(self) -> None:
        for path in AT_BOOT:
            if (text := self._new(path)) is not None:
                self.called += re.findall(r"(?:^|[\s'\";&|])(/[\w./+@-]+)", text)
                self._add(path, text, Kind.SCRIPT, shell.read(text), at_boot=True)
        for path in dict.fromkeys(self.called):
            self._script(path, at_boot=True)
        for folder, depth in SCRIPTS.items():
            for path in self.tree.walk(folder, depth):
                if NAMED.search(path.rpartition("/")[2]):
                    self._script(path, at_boot=folder in ("/etc/init.d", "/etc/udev/rules.d"))

    def _script(self, path: str, at_boot: bool) -> None:
        where = self.tree.resolve(path)
        if where is None or where in self.seen:
            return
        text = self._new(where)
        if text is None:
            return
        if where.endswith(".rules"):
            rows = enumerate(text.split("\n"), 1)
            rules = [n for n, row in rows if "nvidia-smi" in row and SETS.search(row) and not row.startswith("#")]
            lines = [Line(n, n, (), False, "udev runs it") for n in rules]
            self._add(where, text, Kind.SCRIPT, lines, at_boot)
        elif text.startswith("#!") or where.endswith("sh") or at_boot:
            self.mps = self.mps or (at_boot and "nvidia-cuda-mps-control -d" in text)
            self._add(where, text, Kind.SCRIPT, shell.read(text), at_boot)

    def _new(self, path: str) -> str | None:
        where = self.tree.resolve(path)
        if where is None or where in self.seen:
            return None
        self.seen.add(where)
        return self.tree.text(where)

    def _add(self, path: str, text: str, kind: Kind, lines: list[Line], at_boot: bool) -> None:
        if lines:
            self.found.append(_Found(path, text, kind, lines, at_boot))

    def _ask(self, path: str, lines: Iterable[Line], at_boot: bool) -> None:
        for line in lines:
            place = Place(path, line.first, at_boot)
            self.asks += [Ask(s.setting, s.target, s.words, place, s.gpus, line.unclear) for s in line.said]

    def _change(self, found: _Found) -> list[Change]:
        """What becomes of one file. Lines that set nothing but what stays with the host are left alone."""
        lines = [line for line in found.lines if not line.said or not all(map(self.stays, line.said))]
        mixed = [line for line in lines if any(map(self.stays, line.said))]
        going = [line for line in lines if line.whole and line not in mixed]
        staying = [line for line in lines if line not in going]
        changes = []
        refused = self.tree.ours_to_change(found.path) if going else None
        if refused:
            numbers = tuple(line.first for line in going)
            changes.append(Change(Step.LEAVE, found.path, f"{refused}: take these lines out yourself", numbers))
        elif going:
            content = _COMMENTED[found.kind](found.text, going, MARK).encode("utf-8", "surrogateescape")
            why = "commented out; nothing else in the file changes"
            numbers = tuple(n for line in going for n in range(line.first, line.last + 1))
            changes.append(Change(Step.EDIT, found.path, why, numbers, content))
        for line in staying:
            why = line.unclear or "the line does more than set what gpu-tuned holds"
            changes.append(Change(Step.LEAVE, found.path, f"{why}; take it out yourself", (line.first,)))
        return changes

    def result(self) -> Scan:
        # What runs at boot is read last: of two values for one setting it is the one that comes about.
        for found in sorted(self.found, key=lambda f: f.at_boot):
            self._ask(found.path, found.lines, found.at_boot)
        self.asks.sort(key=lambda ask: ask.place.at_boot)
        changes = [*self.moved, *(change for found in self.found for change in self._change(found))]
        return Scan(tuple(self.asks), tuple(changes), self.tree.unread, self.mps)


def scan(root: str, stays: Stays = lambda said: False) -> Scan:
    """Look through the host below `root`. `stays` tells what is left as it is, for gpu-tuned cannot hold it here."""
    finder = _Finder(Tree(root), stays)
    finder.read_units()
    finder.read_tables()
    finder.read_scripts()
    return finder.result()
