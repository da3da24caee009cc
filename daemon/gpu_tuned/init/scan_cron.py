"""Crontabs: the jobs of each that set GPUs, at a boot or at times."""

from __future__ import annotations

from gpu_tuned.init import modes, places, tables
from gpu_tuned.init.commands import SHELLS
from gpu_tuned.init.model import Doubt, FileKind, Kind
from gpu_tuned.init.reading import COPY, Reading
from gpu_tuned.init.shell_values import Text
from gpu_tuned.init.starts import Units

MASKED = Doubt(Kind.NOT_STARTED, "cron's service is masked")


def crontabs(reading: Reading, units: Units) -> None:
    """Every crontab of the system and of its users."""
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
        masked = MASKED if any(map(units.masked, places.CRON_UNITS)) else None
        odd = masked or _odd(reading, path, text, shell, system=with_user)
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
    if system and modes.writable_by_others(reading.files, path):
        return Doubt(Kind.BRANCH, "cron passes over a crontab that others than root may write")
    if not text.endswith("\n"):
        return Doubt(Kind.BRANCH, "cron may pass over a crontab whose last line has no end")
    return None
