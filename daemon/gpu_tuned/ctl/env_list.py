"""`gpu-tunedctl env list`: the profiles, and what the catalogue of variables covers."""

from __future__ import annotations

import json
import sys

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import WIDTH, clean, colour_for, say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options
    from gpu_tuned.ctl.protocols import Json
    from gpu_tuned.ctl.render.text import Colour

HELP = "the profiles, and whose variables are known; names that match a pattern"
EXAMPLES = """\
examples:
  gpu-tunedctl env list
  gpu-tunedctl env list 'VLLM_*PROFILER*'    names, old ones too, and readers

Exit codes: 0; 1 where no name matches the pattern.
"""
NOW = {"renamed": "an old name", "fatal": "stops the program", "no-effect": "no effect"}
MOST_COMPONENTS = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", help="names that match it, as a shell would")
    parser.add_argument("--json", action="store_true", help="all of it, for programs")


def run(options: Options) -> int:
    found = options.looks.environment().listing(options.pattern)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif options.pattern is None:
        say(overview(found, colour_for(sys.stdout, no_color=options.no_color)))
    else:
        say(names(found) or [f"no known name matches {clean(options.pattern)}"])
    return verdict.IN_ORDER if options.pattern is None or found["names"] else verdict.DIFFERS


def overview(found: Json, colour: Colour) -> list[str]:
    """Profiles, one a line, then the components that read most."""
    lines = [colour("bold", "profiles") + "  gpu-tunedctl env show PROFILE --format FORMAT"]
    for row in found["profiles"]:
        counts = f"{len(row['set']) + len(row['options'])} set, {len(row['offered'])} offered"
        lines.append(f"  {row['name']:<13}{row['title']:<34}{counts:<20}{row['checked']}")
    known = sorted(found["components"], key=lambda row: -row["names"])
    lines += ["", colour("bold", "catalogue") + "  gpu-tunedctl env explain NAME, gpu-tunedctl env list PATTERN"]
    shown = ", ".join(_component(row) for row in known[:MOST_COMPONENTS])
    rest = len(known) - MOST_COMPONENTS
    told = f"{found['names_read']} names of {len(known)} components: {shown} and {rest} more (--json)."
    return [*lines, *wrap(told, "  ")]


def names(found: Json) -> list[str]:
    """One name a line where there is room, with who reads it, or what became of it."""
    rows = [(row["name"], _told(row)) for row in found["names"]]
    width = max((len(name) for name, _ in rows), default=0)
    if width <= WIDTH // 2 and all(len(text) + width + 2 <= WIDTH for _, text in rows):
        return [f"{name:<{width}}  {clean(text)}" for name, text in rows]
    return [line for name, text in rows for line in (name, *wrap(text, "    "))]


def _told(row: Json) -> str:
    if row["standing"] in ("read", "unknown", "unread"):
        return ", ".join(row["readers"]) or "nobody"
    instead = f": {row['replacement']}" if row["replacement"] else ""
    if row["standing"] == "removed":
        until = f"until {row['last']}" if row["last"] else "no longer"
        return f"{row['component']} {until}{instead}"
    return f"{row['component']}, {NOW.get(row['standing'], row['standing'])}{instead}"


def _component(row: Json) -> str:
    version = f" {row['looked_at']}" if row["looked_at"].strip("-") else ""
    return f"{row['label']}{version} ({row['names']})"
