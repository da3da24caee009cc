"""What people set up before gpu-tuned, found by reading a host: units, scripts, cron jobs, hooks, rivals.

Where it looks is places.py; how much it reads is limited (rooted.py); nothing is run.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import islice

from gpu_tuned.init import modes, numa, places, programs, scan_cron, scan_hooks, scan_units
from gpu_tuned.init.model import Doubt, Effect, FileKind, Kind, Scan
from gpu_tuned.init.reading import COPY, Reading
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.shell_scripts import shell_of
from gpu_tuned.init.shell_values import Text
from gpu_tuned.init.starts import Units
from gpu_tuned.init.units import PATTERN

PERHAPS = Doubt(Kind.BRANCH, "something that starts runs a file of this name, which may be this one")
PERHAPS_HERE = Doubt(Kind.BRANCH, "something that starts runs what lies in this folder, or a part of it")
MOST_OF_A_FOLDER = 100
"""Files that are looked into where something runs a part of a folder: no folder of scripts holds more."""
NOT_EXECUTABLE = Doubt(Kind.NOT_STARTED, "it may not be executed")
ON_SUSE = Doubt(Kind.BRANCH, "the boot of some versions of SUSE runs it, and no other")
BY_HAND = Doubt(Kind.NOT_STARTED, "nothing runs it by itself")
DEAD = Doubt(Kind.NOT_STARTED, "nothing comes to this line")


def scan(files: Rooted) -> Scan:
    """Look through the host."""
    reading = Reading(files)
    units = Units(files)
    scan_units.read(reading, units)
    _boot_scripts(reading, units)
    scan_cron.crontabs(reading, units)
    scan_hooks.read(reading)
    _sysctl(reading)
    scan_units.by_commands(reading, units)
    _rivals(reading)
    scan_units.passive(reading, units)
    _by_pattern(reading)
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


def _boot_scripts(reading: Reading, units: Units) -> None:
    for path in places.RC_LOCAL:
        where = reading.files.resolve(path)
        if where and where not in reading.read:
            runs = modes.executable(reading.files, path)
            doubt = None if runs else NOT_EXECUTABLE
            if units.masked("rc-local.service"):
                doubt = Doubt(Kind.NOT_STARTED, "rc-local.service is masked")
            reading.run_script(path, doubt, (Text("start"),) if "/rc.d/" not in path else ())
    for path in places.SUSE_LOCAL:
        if reading.files.resolve(path) not in reading.read:
            runs = modes.executable(reading.files, path)
            reading.run_script(path, ON_SUSE if runs else NOT_EXECUTABLE, (Text("start"),))
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
            told = where in reading.read or path in places.SUSE_LOCAL or path in places.HOOK_FILES
            if told or places.DEAD_NAMES.search(path):
                continue
            level = re.search(r"^#\s*Default-Start:\s*(\S.*)$", text, re.MULTILINE)
            # Without a link its header alone starts nothing; a copy that lost its modes may have lost its links.
            starts = where in linked or bool(level and modes.bare(reading.files, path) and not links)
            native = f"{path.rpartition('/')[2]}.service"
            if units.masked(native) or native in units.every():
                starts = False  # systemd has its own unit for it
            if starts or "nvidia-smi" in text:
                reading.run_script(path, None if starts else BY_HAND, (Text("start"),), passive=not starts)


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


def _by_pattern(reading: Reading) -> None:
    """Files in folders of which something runs one, or all."""
    for pattern in sorted(reading.patterns):
        fixed = pattern[: found.start()] if (found := PATTERN.search(pattern)) else pattern
        folder = fixed.rpartition("/")[0]
        found_here = reading.files.walk(folder, pattern.count("/", len(folder) + 1)) if folder else iter(())
        for path in islice((path for path in found_here if fnmatchcase(path, pattern)), MOST_OF_A_FOLDER):
            where = reading.files.resolve(path)
            if where and where not in reading.read:
                _perhaps(reading, where)


def _perhaps(reading: Reading, where: str) -> None:
    text = reading.files.text(where) or ""
    if places.DEAD_NAMES.search(where) or not sets_gpus(text):
        return
    if shell_of(text) is not None and (text.startswith("#!") or where.endswith("sh")):
        reading.run_script(where, PERHAPS_HERE)
    elif reading.scan_lines(where, PERHAPS_HERE):
        reading.writer(where, "program", PERHAPS_HERE.why)


def sets_gpus(text: str) -> bool:
    """Whether a text may set a GPU or the kernel's knob at all."""
    return "nvidia" in text or "numa_balancing" in text or "nvml" in text


def _by_hand(reading: Reading) -> None:
    """Scripts that lie around, and that nothing was seen to start."""
    for folder, depth in places.SCRIPTS.items():
        # What a container is made of names scripts that lie beside it.
        for path in sorted(reading.files.walk(folder, depth), key=lambda each: not places.COMPOSE.search(each)):
            name = path.rpartition("/")[2]
            where = reading.files.resolve(path)
            if where is None or where in reading.read:
                continue
            if places.COMPOSE.search(name):
                reading.names_scripts(reading.files.text(where) or "")
                if reading.scan_lines(where, Doubt(Kind.PROGRAM, "a container does it, when it is started")):
                    reading.writer(where, "program", "a container sets GPUs when it is started")
                continue
            if not (places.SCRIPT_NAMES.search(name) or places.DEAD_NAMES.search(name)):
                continue
            text = reading.files.text(where) or ""
            if not sets_gpus(text):
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
