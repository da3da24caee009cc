"""What people set up before gpu-tuned, found by reading a host: units, scripts, cron jobs, hooks, rivals.

Where it looks is places.py; how much it reads is limited (rooted.py); nothing is run.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase

from gpu_tuned.init import numa, places, programs, scan_units, tables
from gpu_tuned.init.commands import CALLED, SHELLS
from gpu_tuned.init.model import Doubt, Effect, FileKind, Kind, Scan
from gpu_tuned.init.reading import Reading
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.shell_scripts import shell_of
from gpu_tuned.init.shell_values import Text
from gpu_tuned.init.starts import Units

PERHAPS = Doubt(Kind.BRANCH, "something that starts runs a file of this name, which may be this one")
BY_HAND = Doubt(Kind.NOT_STARTED, "nothing runs it by itself")
DEAD = Doubt(Kind.NOT_STARTED, "nothing comes to this line")
COPY = Doubt(Kind.NOT_STARTED, "it is a copy that nothing reads")


def scan(files: Rooted) -> Scan:
    """Look through the host."""
    reading = Reading(files)
    units = Units(files)
    scan_units.read(reading, units)
    _boot_scripts(reading)
    _crontabs(reading)
    _hooks(reading)
    _texts(reading)
    _slurm(reading)
    _events(reading)
    _sysctl(reading)
    scan_units.by_commands(reading, units)
    _rivals(reading)
    scan_units.passive(reading, units)
    _by_hand(reading)
    _dead_lines(reading)
    nixos = any(files.resolve(path) for path in places.NIXOS) or any(
        path.startswith(places.NIXOS_MARK) for path in reading.kinds
    )
    return Scan(
        tuple(_numbered(reading.effects)),
        tuple(reading.kinds.values()),
        tuple(reading.writers.values()),
        tuple(files.unread.items()),
        reading.mps,
        nixos,
        frozenset(reading.others),
    )


_NOT_AT_BOOT = frozenset({Kind.HOOK, Kind.TIMER, Kind.RIVAL})


def sets_at_boot(found: Scan) -> tuple[str, ...]:
    """The files that set a GPU or the kernel's knob at a boot, for certain or not."""
    files = [
        effect.file
        for effect in found.effects
        if effect.setting is not None
        and effect.active
        and (effect.doubt is None or effect.doubt.kind not in _NOT_AT_BOOT)
    ]
    return tuple(dict.fromkeys(files))


def _numbered(effects: list[Effect]) -> list[Effect]:
    """One numbering over all starts; what an effect depends on is numbered with it."""
    offsets: dict[str, int] = {}
    for number, effect in enumerate(effects):
        offsets.setdefault(effect.start, number - effect.number)
    return [
        replace(
            effect,
            number=number,
            needs=frozenset(n + offsets[effect.start] for n in effect.needs),
            unless=frozenset(n + offsets[effect.start] for n in effect.unless),
        )
        for number, effect in enumerate(effects)
    ]


def _boot_scripts(reading: Reading) -> None:
    for path in places.RC_LOCAL:
        where = reading.files.resolve(path)
        if where and where not in reading.read:
            doubt = None if reading.files.executable(path) else Doubt(Kind.NOT_STARTED, "it may not be executed")
            reading.run_script(path, doubt, (Text("start"),) if "/rc.d/" not in path else ())
    linked = {
        reading.files.resolve(f"{folder}/{name}")
        for folder in places.RUN_LEVELS
        for name in reading.files.names(folder)
        if re.match(r"S[0-9]{2}", name)
    }
    links = any(linked)
    for folder in places.INIT_SCRIPTS:
        for path in reading.files.walk(folder, 0):
            text = reading.files.text(path) or ""
            where = reading.files.resolve(path)
            if places.DEAD_NAMES.search(path) or where in reading.read:
                continue
            level = re.search(r"^#\s*Default-Start:\s*(\S.*)$", text, re.MULTILINE)
            # Without a link its header alone starts nothing; a copy that lost its modes may have lost its links.
            starts = where in linked or bool(level and reading.files.bare(path) and not links)
            if starts or "nvidia-smi" in text:
                reading.run_script(path, None if starts else BY_HAND, (Text("start"),), passive=not starts)


def _crontabs(reading: Reading) -> None:
    tabs = [(path, True, "") for path in places.SYSTEM_CRONTABS]
    tabs += [(path, True, "") for path in reading.files.walk(places.CRON_FOLDER, 0)]
    for folder in places.USER_CRONTABS:
        tabs += [(path, False, path.rpartition("/")[2]) for path in reading.files.walk(folder, 0)]
    for path, with_user, owner in tabs:
        where = reading.files.resolve(path)
        text = reading.files.text(path)
        # cron passes over files in cron.d with a dot in their names.
        dead = places.DEAD_NAMES.search(path) or (
            path.startswith(places.CRON_FOLDER) and "." in path.rpartition("/")[2]
        )
        if text is None or where is None or where in reading.read:
            continue
        reading.read.add(where)
        known = {name: Text(value) for name, value in tables.assignments(text).items()}
        shell = known["SHELL"].text.rpartition("/")[2] if "SHELL" in known else "sh"
        odd = _odd(reading, path, text, shell, system=with_user)
        for job in tables.jobs(text, with_user=with_user):
            doubt = None if job.at_boot else Doubt(Kind.TIMER, "cron runs it at times, not only at boot")
            doubt = COPY if dead else doubt or odd
            root = (job.user or owner) in ("root", "")
            walk = reading.walk(f"{where}:{job.line}", known)
            count = len(walk.seen.effects)
            reading.run_text(
                walk, job.command, reading.here(where, known, doubt, root=root), job.line, bash=shell == "bash"
            )
            if len(walk.seen.effects) > count:
                reading.file(where, FileKind.TABLE)
                if doubt and not dead:
                    reading.writer(where, "timer", f"cron runs line {job.line} at times")
            reading.add(walk.seen, passive=bool(dead))


def _odd(reading: Reading, path: str, text: str, shell: str, *, system: bool) -> Doubt | None:
    """Why cron may not run what a crontab says."""
    if shell not in SHELLS:
        return Doubt(Kind.BRANCH, f"its jobs are run by {shell}, which is no shell that is understood here")
    if system and reading.files.writable_by_others(path):
        return Doubt(Kind.BRANCH, "cron passes over a crontab that others than root may write")
    if not text.endswith("\n"):
        return Doubt(Kind.BRANCH, "cron may pass over a crontab whose last line has no end")
    return None


def _hooks(reading: Reading) -> None:
    for hook in places.HOOKS:
        for path in reading.files.walk(hook.folder, hook.depth):
            _hook(reading, path, hook.when, "timer" if hook.timer else "hook")
    for path, when in places.HOOK_FILES.items():
        _hook(reading, path, when, "hook")
    for user in reading.files.names("/home"):
        for name in places.HOME_HOOKS:
            _hook(reading, f"/home/{user}/{name}", "a login of this user runs it", "hook")
        for folder, when in places.HOME_FOLDERS.items():
            for path in reading.files.walk(f"/home/{user}/{folder}", 1):
                _hook(reading, path, when, "hook")
    for path in [*reading.files.walk(places.AUTOSTART, 0), *reading.files.walk(places.USER_UNITS, 1)]:
        _hook(reading, path, "a login starts it", "hook")


def _hook(reading: Reading, path: str, when: str, kind: str) -> None:
    where = reading.files.resolve(path)
    text = reading.files.text(path)
    if where is None or text is None or where in reading.read:
        return
    doubt = COPY if places.DEAD_NAMES.search(path) else Doubt(Kind.TIMER if kind == "timer" else Kind.HOOK, when)
    before = len(reading.effects)
    if path.endswith((".desktop", ".service", ".timer")):
        for line, command in tables.desktop_commands(text):
            walk = reading.walk(f"{where}:{line}")
            reading.run_text(walk, command, reading.here(where, {}, doubt, root=False), line)
            reading.add(walk.seen)
        if not path.endswith(".desktop"):
            reading.scan_lines(where, doubt)
    elif shell_of(text) is not None and (text.startswith("#!") or "nvidia-smi" in text):
        reading.run_script(path, doubt)
    elif text.startswith("#!"):
        reading.program(where, doubt, where)
    if len(reading.effects) > before and doubt is not COPY:
        reading.file(where, FileKind.OTHER)
        reading.writer(where, kind, when)


def _texts(reading: Reading) -> None:
    """Configurations of programs that run commands."""
    found = [(path, when) for folder, when in places.TEXTS.items() for path in reading.files.walk(folder, 2)]
    for path, when in [*found, *places.TEXT_FILES.items()]:
        text = reading.files.text(path) or ""
        if not CALLED.search(text):
            continue
        where = reading.files.resolve(path) or path
        doubt = COPY if places.DEAD_NAMES.search(path) else Doubt(Kind.HOOK, when)
        if reading.scan_lines(where, doubt) and doubt is not COPY:
            reading.writer(where, "hook", when)


def _slurm(reading: Reading) -> None:
    for path in places.SLURM:
        where, text = reading.files.resolve(path), reading.files.text(path)
        for number, row in enumerate((text or "").split("\n"), 1):
            if where and (found := places.SLURM_CLOCKS.match(row)):
                doubt = Doubt(Kind.HOOK, "Slurm sets it for every job that asks for nothing else")
                reading.effects.append(Effect(where, number, row.strip(), None, None, None, doubt, start=where))
                reading.file(where, FileKind.OTHER)
                reading.writer(where, "hook", "Slurm sets GPU clocks for jobs (GpuFreqDef)")
            elif found := places.SLURM_SCRIPTS.match(row):
                for script in _globbed(reading, found[2]):
                    _hook(reading, script, f"Slurm runs it with every job ({found[1]} in {path})", "hook")


def _globbed(reading: Reading, pattern: str) -> list[str]:
    if not re.search(r"[*?\[]", pattern):
        return [pattern]
    folder, _, names = pattern.rpartition("/")
    return [f"{folder}/{name}" for name in reading.files.names(folder) if fnmatchcase(name, names)]


def _events(reading: Reading) -> None:
    """udev's rules, and commands in the kernel modules' options."""
    doubt = Doubt(Kind.HOOK, "udev runs it when a device appears")
    for path in [path for folder in places.UDEV for path in reading.files.walk(folder, 0) if path.endswith(".rules")]:
        where, text = reading.files.resolve(path), reading.files.text(path)
        reading.units += [(name, doubt) for name in tables.udev_wants(text or "")]
        for line, command in tables.udev_commands(text or ""):
            walk = reading.walk(f"{where}:{line}")
            reading.run_text(walk, command, reading.here(where or path, {}, doubt), line)
            if walk.seen.effects or walk.seen.programs:
                reading.file(where or path, FileKind.OTHER)
                reading.writer(where or path, "hook", doubt.why)
            reading.add(walk.seen)
    doubt = Doubt(Kind.HOOK, "modprobe runs it when the module is loaded")
    for path in [path for folder in places.MODPROBE for path in reading.files.walk(folder, 0)]:
        if "nvidia-smi" in (reading.files.text(path) or "") and reading.scan_lines(path, doubt):
            reading.writer(path, "hook", doubt.why)


def _sysctl(reading: Reading) -> None:
    by_name: dict[str, str] = {}
    for folder in reversed(places.SYSCTL):
        for name in reading.files.names(folder):
            if name.endswith(".conf"):
                by_name[name] = f"{folder}/{name}"
    for path in [*(by_name[name] for name in sorted(by_name)), places.SYSCTL_FILE]:
        where, text = reading.files.resolve(path), reading.files.text(path)
        if where is None or where in reading.read:
            continue
        for number, row in enumerate((text or "").split("\n"), 1):
            if said := numa.said(row):
                reading.effects.append(Effect(where, number, said.words, said.setting, said.target, start="sysctl"))
                reading.reached.add((where, number))
                reading.file(where, FileKind.TABLE)
        reading.read.add(where)


def _rivals(reading: Reading) -> None:
    for rival, path in programs.rivals():
        where, text = reading.files.resolve(path), reading.files.text(path)
        found = programs.rival_effects(rival, where, text) if where and text else []
        if found and where:
            reading.effects += [replace(effect, start=where) for effect in found]
            reading.file(where, FileKind.OTHER)
            reading.writer(
                where,
                "rival",
                f"{rival.name} sets GPUs from it: leave those settings to it with `watch`, "
                f"or end it: systemctl disable --now {rival.unit}",
            )


def _by_hand(reading: Reading) -> None:
    """Scripts that lie around, and that nothing was seen to start."""
    for folder, depth in places.SCRIPTS.items():
        for path in reading.files.walk(folder, depth):
            name = path.rpartition("/")[2]
            where = reading.files.resolve(path)
            if where is None or where in reading.read:
                continue
            if places.COMPOSE.search(name):
                if reading.scan_lines(where, Doubt(Kind.PROGRAM, "a container does it, when it is started")):
                    reading.writer(where, "program", "a container sets GPUs when it is started")
                continue
            if not (places.SCRIPT_NAMES.search(name) or places.DEAD_NAMES.search(name)):
                continue
            text = reading.files.text(where) or ""
            if "nvidia" not in text and "numa_balancing" not in text and "nvml" not in text:
                continue
            named = {name, name.removesuffix(".py"), *(where.split("/")[-2:-1] if name == "__main__.py" else ())}
            perhaps = bool(named & reading.perhaps)
            if places.DEAD_NAMES.search(name):
                reading.scan_lines(where, COPY)
            elif text.startswith("#!") or where.endswith("sh"):
                reading.run_script(where, PERHAPS if perhaps else BY_HAND, passive=not perhaps)
            elif where.endswith(".py"):
                reading.scan_lines(where, PERHAPS if perhaps else BY_HAND)


def _dead_lines(reading: Reading) -> None:
    """Lines of scripts that were read and never come to: they set nothing, and keep a file from being edited."""
    known = {(effect.file, effect.line) for effect in reading.effects}
    for path, file in list(reading.kinds.items()):
        if file.kind is FileKind.SCRIPT:
            for line, words in scan_units.calls(file.text):
                if (path, line) not in known:
                    for said in words:
                        reading.effects.append(
                            Effect(
                                path, line, said.words, said.setting, said.target, said.gpus, DEAD, start=path + "#"
                            )
                        )
