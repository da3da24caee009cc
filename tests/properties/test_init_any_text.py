"""Scripts, units and tables with anything in them: reading ends, and an edit takes out what it says and no more."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_tuned.host import shell, tables, units
from gpu_tuned.host.shell import Line

SHELL = [
    "sudo ",
    "echo ",
    "sh -c ",
    '"',
    "'",
    ";",
    "&&",
    "||",
    "|",
    "(",
    ")",
    ">",
    "<<EOF",
    "EOF",
    "\\",
    "\n",
    " ",
    "#",
]
SHELL += ["$", "${A}", "A=1", "for i in 0 1; do", "done", "if ", "fi", "{", "}", "`", "\r", "\t", "tee "]
CALLS = ["nvidia-smi", " -pl", " 450", " -pm 1", " -lgc 1,2", " -i 0", " -q", "nvidia-persistenced", "sysctl -w "]
PLACES = ["kernel.numa_balancing=0", "/proc/sys/kernel/numa_balancing", "ExecStart=", "ExecStartPre=-", "[Service]\n"]
PLACES += ["@reboot ", "* * * * * ", "root "]
PIECES = st.sampled_from([*SHELL, *CALLS, "nvidia-smi -pl 450", "\nnvidia-smi -pm 1", *PLACES])
TEXTS = st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=80))
FORMATS: dict[str, tuple[Callable[[str], list[Line]], Callable[[str, list[Line], str], str]]] = {
    "script": (shell.read, shell.commented),
    "unit": (lambda text: list(units.read(text).lines), units.commented),
    "crontab": (lambda text: tables.cron(text, True), tables.commented),
    "sysctl": (tables.sysctl, tables.commented),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_an_edit_takes_out_what_it_says_and_no_more(name: str, text: str) -> None:
    read, commented = FORMATS[name]
    going = [line for line in read(text) if line.whole]
    after = commented(text, going, "gone")
    rows, kept = text.split("\n"), after.split("\n")
    assert len(rows) == len(kept)
    touched = {number for line in going for number in range(line.first, line.last + 1)}
    for number, (row, now) in enumerate(zip(rows, kept, strict=True), 1):
        assert now == row or number in touched
    assert [line for line in read(after) if line.whole and line.said] == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "text",
    [
        "for x in a" + " " * 250_000 + "y",
        "nvidia-smi -pl 1 " + "'" * 250_001,
        "nvidia-smi -pl $" + "A" * 250_000,
        "A=" + '"' * 250_000,
        "* " * 125_000,
        "ExecStart=" + "/" * 250_000,
        "x\\\n" * 80_000,
        "<<E\n" * 60_000,
    ],
    ids=["loop", "quotes", "variable", "assignment", "stars", "slashes", "continued", "documents"],
)
def test_no_text_takes_long(name: str, text: str) -> None:
    started_s = time.process_time()
    FORMATS[name][0](text)
    assert time.process_time() - started_s < 2
