"""`gpu-tunedctl doctor`: what on this host keeps its GPUs from running as they could. Looks; changes nothing."""

from __future__ import annotations

import json
import re
import sys

from gpu_tuned.core.verdict import Verdict
from gpu_tuned.core.words import counted, listed
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import WIDTH, Colour, clean, colour_for, say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from gpu_tuned.core.verdict import Diagnosis, Finding
    from gpu_tuned.ctl.options import Options
    from gpu_tuned.ctl.protocols import Json

FORMAT = 1
EXAMPLES = """\
examples:
  gpu-tunedctl doctor                     two seconds at most, without a daemon
  gpu-tunedctl doctor --fix               commands that would help; runs none
  gpu-tunedctl doctor --container NAME    a container, from within
  gpu-tunedctl doctor --json | jq '.findings[] | [.verdict, .id, .seen]'

Run it as root to see all, and under load: an idle PCIe link tells nothing of
its speed. A check that you live with: [host] accept = ["ID"] in the policy.
Exit code 1: trouble. With warnings, and what could not be seen, it is 0.
"""
STYLES = {Verdict.TROUBLE: "bad", Verdict.WARNING: "warn", Verdict.UNKNOWN: "dim", Verdict.OK: "good"}
_WORDS = 9  # columns of the longest verdict and two more
_TITLES = 24
_WORD = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+|\S""")
"""A word of a shell's command line, its quoted parts whole."""


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("--container", metavar="NAME", help="look into a running container instead (docker, podman)")
    parser.add_argument("--root", metavar="DIR", help="take the host's files from below DIR (default: /)")


def run(options: Options) -> int:
    found = options.looks.examine(options.root, options.container)
    if options.json:
        json.dump(document(found), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif options.fix:
        say(script(found))
    else:
        say(page(found, colour_for(sys.stdout, no_color=options.no_color), quiet=options.quiet))
    return verdict.DIFFERS if found.verdict is Verdict.TROUBLE else verdict.IN_ORDER


def document(found: Diagnosis) -> Json:
    """As doctor.schema.json promises."""
    return {
        "format": FORMAT,
        "verdict": found.verdict.value,
        "took_s": round(found.took_s, 3),
        "findings": [
            {
                "id": finding.check,
                "title": finding.title,
                "verdict": finding.verdict.value,
                "seen": finding.seen,
                "why": finding.why,
                "advice": finding.advice,
                "commands": list(finding.commands),
                "gpus": list(finding.gpus),
            }
            for finding in found.findings
        ],
    }


def page(found: Diagnosis, colour: Colour, *, quiet: bool = False) -> list[str]:
    """What is wrong first, with what to do; then a line each for what is unknown and what is ok."""
    ranked = sorted(found.findings, key=lambda finding: finding.verdict.rank)
    lines = [_head(found, colour)]
    for finding in ranked:
        if finding.verdict in (Verdict.TROUBLE, Verdict.WARNING):
            lines += ["", *_in_full(finding, colour)]
    if len(lines) > 1:
        lines.append("")
    unknown: dict[str, list[Finding]] = {}
    for finding in ranked:
        if finding.verdict is Verdict.UNKNOWN:
            unknown.setdefault(finding.seen, []).append(finding)
    for findings in unknown.values():
        lines += _in_short(findings[0], colour) if len(findings) == 1 else _together(findings, colour)
    for finding in ranked:
        if finding.verdict is Verdict.OK and not quiet:
            lines += _in_short(finding, colour)
    return lines


def _head(found: Diagnosis, colour: Colour) -> str:
    counts = {verdict: sum(f.verdict is verdict for f in found.findings) for verdict in Verdict}
    plural = {Verdict.TROUBLE: "s", Verdict.WARNING: "s"}
    parts = [f"{n} {verdict.value}{plural.get(verdict, '') if n > 1 else ''}" for verdict, n in counts.items() if n]
    warnings = "WARNING" if counts[Verdict.WARNING] == 1 else "WARNINGS"
    word = {Verdict.TROUBLE: "TROUBLE", Verdict.WARNING: warnings}.get(found.verdict)
    if word is None:
        ok, every = counts[Verdict.OK], len(found.findings)
        # Not "nothing wrong": what nobody could see may be wrong.
        word = "HEALTHY" if ok == every else f"{ok} OF {every} CHECKS OK"
        parts = parts if ok == every else [f"{counts[Verdict.UNKNOWN]} could not see enough"]
    return colour(STYLES[found.verdict], word) + f"  {', '.join(parts)}; in {found.took_s:.1f} s"


def _in_full(finding: Finding, colour: Colour) -> list[str]:
    lines = [colour(STYLES[finding.verdict], finding.verdict.value) + f"  {finding.title}  [{finding.check}]"]
    for name, text in (("seen", finding.seen), ("why", finding.why), ("do", finding.advice)):
        if text:
            lines += wrap(text, f"  {name:<6}")
    for command in finding.commands:
        lines += _typed(command)
    return lines


def _typed(command: str) -> list[str]:
    """A command in lines that a shell takes for one when they are pasted: broken between words alone, with the
    backslash; a comment stays one."""
    if command.startswith("#"):
        return wrap(command, "         ", "         # ")
    line, lines, words = "         $", [], _WORD.findall(clean(command))
    for left, word in zip(range(len(words) - 1, -1, -1), words, strict=True):
        backslash = 2 if left else 0
        if len(line) + 1 + len(word) + backslash > WIDTH and not line.endswith("$"):
            lines.append(f"{line} \\")
            line = " " * 12
        line += f" {word}"
    return [*lines, line]


def _in_short(finding: Finding, colour: Colour) -> list[str]:
    because = "because: " if finding.verdict is Verdict.UNKNOWN else ""
    word = f"{finding.verdict.value:<{_WORDS}}"
    first, *rest = wrap(f"{because}{finding.seen}", f"{word}{finding.title:<{_TITLES}}  ", " " * (_WORDS + 2))
    return [colour(STYLES[finding.verdict], first[:_WORDS]) + first[_WORDS:], *rest]


def _together(findings: Sequence[Finding], colour: Colour) -> list[str]:
    """Checks that could not see for the same reason, which stands there once."""
    indent = " " * (_WORDS + 2)
    word = Verdict.UNKNOWN.value
    first, *rest = wrap(listed(finding.title for finding in findings), f"{word:<{_WORDS}}", indent)
    because = wrap(f"because: {findings[0].seen}", indent)
    return [colour(STYLES[Verdict.UNKNOWN], first[:_WORDS]) + first[_WORDS:], *rest, *because]


def script(found: Diagnosis) -> list[str]:
    """Every command with what it is for, as a shell script that a person reads before running any of it."""
    lines = ["# What would help here; nothing was run. Read it, and fill in the CAPITALS."]
    for finding in sorted(found.findings, key=lambda finding: finding.verdict.rank):
        if finding.verdict in (Verdict.TROUBLE, Verdict.WARNING):
            lines += ["", *wrap(f"{finding.verdict.value}: {finding.title}: {finding.seen}", "# ", "#   ")]
            lines += wrap(finding.advice, "# ", "# ") if finding.advice else []
            lines += [clean(command) for command in finding.commands] or ["# no command does this"]
    unknown = sum(finding.verdict is Verdict.UNKNOWN for finding in found.findings)
    if len(lines) == 1:
        lines = ["# Nothing to mend was seen." if unknown else "# Nothing is to be mended: every check is ok."]
    if unknown:
        lines += ["", f"# {counted(unknown, 'check')} could not see enough: gpu-tunedctl doctor says why."]
    return lines
