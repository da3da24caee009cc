"""Every budget held against what is measured here and now, on the simulated driver, with the installed package.

    .venv/bin/python -m tests.benchmarks                  all of it, about twenty minutes
    .venv/bin/python -m tests.benchmarks --quick          fewer runs
    .venv/bin/python -m tests.benchmarks start status     these alone

Exit: 0 every budget met, 1 one missed, 2 usage, or not the simulated driver.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.benchmarks import at_rest, growth, in_time, of_audit, of_command, of_unit
from tests.benchmarks.measure import Report, Row
from tests.marker import NotTheSimulator, require_simulator
from tests.nvsim import SIMULATOR, build

ALL = {**at_rest.ALL, **in_time.ALL, **of_audit.ALL, **of_command.ALL, **of_unit.ALL, **growth.ALL}
NOT_MEASURED = (
    "Effect on running work (budget: none to be measured): not measured here, it takes a GPU. In a recorded trace of "
    "an H200, asking everything 100 times a second left a matrix product unchanged within 0.2 %.",
)
HEAD = ("what", "budget", "measured: median (least to most)", "peers, same run", "verdict")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", metavar="WHICH", help=f"any of: {', '.join(ALL)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer runs: figures to look at, not to quote")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.which) - set(ALL))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}")
    build()
    before = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = f"{SIMULATOR / 'build'}:{before}" if before else str(SIMULATOR / "build")
    try:
        require_simulator()
    except NotTheSimulator as refusal:
        print(refusal, file=sys.stderr)
        return 2
    whole = Report()
    for name in options.which or ALL:
        began = time.monotonic()
        print(f"{name} ...", end="", file=sys.stderr, flush=True)
        report = ALL[name](options.quick)
        print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
        whole.rows += report.rows
        whole.notes += report.notes
    print(page(whole))
    return 1 if any(row.verdict == "missed" for row in whole.rows) else 0


def page(report: Report) -> str:
    """Markdown: where it ran, the table, the notes."""
    lines = [f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}", ""]
    lines += ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
    lines += [line(row) for row in report.rows]
    lines += ["", *(f"- {note}" for note in (*report.notes, *(r.note for r in report.rows if r.note), *NOT_MEASURED))]
    return "\n".join(lines)


def line(row: Row) -> str:
    return "| " + " | ".join(row.cells) + " |"


def machine() -> str:
    """The machine in general words, and how busy it was with other things."""
    python = ".".join(map(str, sys.version_info[:3]))
    load = os.getloadavg()[1]
    return f"{os.cpu_count()} processors, load average over 5 minutes {load:.1f}, Linux, Python {python}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
