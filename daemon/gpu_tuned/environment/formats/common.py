"""What every format says in its comments: where a line comes from, what it takes the place of, what is left alone."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment.profiles import Line, Profile

WIDTH = 80

CONTAINER = {"cache": "/var/cache/gpu", "models": "/models"}
"""Where the two folders are mounted inside of a container."""
VOLUMES = {"cache": "gpu-cache", "models": "models"}


def comment(text: str, mark: str = "# ", rest: str = "") -> list[str]:
    """`text` as comment lines; `rest` is put before every line but the first, behind the mark."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=mark + rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def head(profile: Profile, label: str, *use: str) -> list[str]:
    """The first lines of a file: what it is for, what it was held against, and how it is used (one line each)."""
    lines = comment(f"For {profile.title}; held against {label} {profile.checked}.")
    lines += comment(f"Made by gpu-tunedctl env show {profile.name}; what is behind # is only offered.")
    return [*lines, "#", *(f"#   {line}" for line in use)]


def run_flags(profile: Profile) -> list[str]:
    """What `docker run` and `podman run` need besides, for a command over several lines."""
    flags = [f"-v {volume}:{path}" for volume, path in mounts(profile)]
    return flags + (["--ipc=host"] if profile.ipc else [])


def reason(line: Line, mark: str = "# ") -> list[str]:
    """Why a line is there, since when it is read, where that is known from, and what it takes the place of."""
    known = "; ".join(filter(None, (f"since {line.since}" if line.since else "", line.source)))
    instead = f" In place of {', '.join(line.instead_of)}." if line.instead_of else ""
    why = line.why[0].upper() + line.why[1:]
    return comment(f"{why}{f' ({known})' if known else ''}.{instead}", mark)


def options(profile: Profile, mark: str = "# ") -> list[str]:
    """The options of the program's command line: no variable does what they do."""
    found = [line for line in profile.lines if not line.name]
    if not found:
        return []
    lines = [mark.rstrip(), *comment("Options of the command line, which no variable takes the place of:", mark)]
    for line in found:
        offered = "" if line.active else " (an offer)"
        lines += [f"{mark}  {line.value}{offered}", *reason(line, f"{mark}    ")]
    return lines


def left(profile: Profile, mark: str = "# ") -> list[str]:
    """Names to leave alone."""
    lines = [mark.rstrip(), *comment("Left alone:", mark)] if profile.left else []
    for row in profile.left:
        lines += comment(f"{', '.join(row.names)}: {row.why}.", f"{mark}  ", "  ")
    return lines


def assignments(
    profile: Profile, places: dict[str, str], write: Callable[[str, str], str], mark: str = "# ", off: str = "#"
) -> list[str]:
    """Every variable under its reason, as `write(name, value)` has it; an offer behind `off`."""
    lines: list[str] = []
    for line in variables(profile, places):
        written = write(line.name, filled(line, places))
        lines += ["", *reason(line, mark), written if line.active else off + written]
    return lines


def variables(profile: Profile, places: dict[str, str], *, container: bool = True) -> Iterator[Line]:
    """The variables whose folders `places` knows; those for containers alone only where it is one."""
    for line in profile.lines:
        if line.name and all(place in places for place in line.places) and (container or not line.container):
            yield line


def filled(line: Line, places: dict[str, str]) -> str:
    """The value, with its folders."""
    value = line.value
    for place, path in places.items():
        value = value.replace(f"{{{place}}}", path)
    return value


def mounts(profile: Profile) -> list[tuple[str, str]]:
    """(volume or folder of the host, path in the container) of what a container needs."""
    found = [(VOLUMES[place], CONTAINER[place]) for place in profile.places]
    return found + ([(profile.mount, profile.mount)] if profile.mount else [])


def refuse(letters: str, name: str, value: str, where: str) -> None:
    """Raises UsageError for a value with one of `letters`, which `where` has no way to write."""
    bad = sorted({letter for letter in value if letter in letters})
    if bad:
        raise UsageError(f"{name}: {where} cannot say a value with {' or '.join(bad)}, found {value!r}")
