"""What an event runs: hooks in folders, programs that run commands from their own configuration, Slurm, udev."""

from __future__ import annotations

from gpu_tuned.init import places, tables
from gpu_tuned.init.commands import CALLED
from gpu_tuned.init.model import Doubt, Effect, FileKind, Kind
from gpu_tuned.init.reading import COPY, Reading
from gpu_tuned.init.shell_scripts import shell_of


def read(reading: Reading) -> None:
    """All of them."""
    _hooks(reading)
    _texts(reading)
    _slurm(reading)
    _events(reading)


def _hooks(reading: Reading) -> None:
    for hook in places.HOOKS:
        for path in reading.files.walk(hook.folder, hook.depth):
            _hook(reading, path, hook.when, "timer" if hook.timer else "hook")
    for path, when in places.HOOK_FILES.items():
        _hook(reading, path, when, "hook")
    for home in _homes(reading):
        for name in places.HOME_HOOKS:
            _hook(reading, f"{home}/{name}", "a login of this user runs it", "hook")
        for folder, when in places.HOME_FOLDERS.items():
            for path in reading.files.walk(f"{home}/{folder}", 1):
                _hook(reading, path, when, "hook")
    for path in [*reading.files.walk(places.AUTOSTART, 0), *reading.files.walk(places.USER_UNITS, 1)]:
        _hook(reading, path, "a login starts it", "hook")


def _homes(reading: Reading) -> list[str]:
    return [f"/home/{user}" for user in reading.files.names("/home")] + ["/root"]


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
            reading.run_text(walk, command, reading.here(where, {}, doubt, root=where.startswith("/root/")), line)
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
    for place, when in [
        (f"{home}/{name}", when) for home in _homes(reading) for name, when in places.HOME_TEXTS.items()
    ]:
        found += [(path, when) for path in [place, *reading.files.walk(place, 1)]]
    for path, when in [*found, *places.TEXT_FILES.items()]:
        text = reading.files.text(path) or ""
        reading.names_scripts(text)
        if not CALLED.search(text):
            continue
        where = reading.files.resolve(path) or path
        dead = places.DEAD_NAMES.search(path) and not path.startswith(places.FCRON)
        doubt = COPY if dead else Doubt(Kind.HOOK, when)
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
                for script in reading.globbed(found[2]):
                    _hook(reading, script, f"Slurm runs it with every job ({found[1]} in {path})", "hook")


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
