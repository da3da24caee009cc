"""`gpu-tunedctl init`: a first policy for this host, and what it takes the place of."""

from __future__ import annotations

import sys

from gpu_tuned.core.leftover import Step
from gpu_tuned.ctl import judge
from gpu_tuned.ctl.render.ink import clean, say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.core.leftover import Change, FirstPolicy
    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl init            look: it prints a policy, and comments on it
  gpu-tunedctl init > new.toml && gpu-tunedctl plan --config new.toml
  gpu-tunedctl init --write    put it in place; prints how to undo it

It reads units, scripts, cron jobs and sysctl files, and runs none of them. No
GPU is written to.
"""
DONE = {Step.MOVE: "moved", Step.EDIT: "edited", Step.LEAVE: "left"}


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("--root", metavar="DIR", help="take the host's files from below DIR (default: /)")


def run(options: Options) -> int:
    first = options.first_policy(options.root, options.write, options.replace)
    say([*written(first)] if first.undo else [*first.policy.rstrip("\n").split("\n"), "", *proposed(first)])
    sys.stdout.flush()
    return judge.IN_ORDER


def proposed(first: FirstPolicy) -> list[str]:
    """What `--write` would do, as comments, so that all of the output is one policy file."""
    lines = ["# ---- `gpu-tunedctl init --write` would", "#"]
    lines += _row("write", first.target + (f" (there now: {first.present})" if first.present else ""))
    lines += _raises(first)
    for change in first.changes:
        if change.step is not Step.LEAVE:
            lines += _change(change.step.value, change)
    lines += _row("back up", "the originals to /var/backups/gpu-tuned, with a script that puts them back")
    left = [change for change in first.changes if change.step is Step.LEAVE]
    if left or first.unread:
        lines += ["#", "# and leave to you"]
        for change in left:
            lines += _change("look at", change)
    lines += _further(first)
    return lines


def written(first: FirstPolicy) -> list[str]:
    """What was done, how to undo it, and what comes next."""
    lines = [*_row("wrote", first.target, ""), *_raises(first, "raises", "")]
    for change in first.changes:
        if change.step is not Step.LEAVE:
            lines += _change(DONE[change.step], change, "")
    for change in first.changes:
        if change.step is Step.LEAVE:
            lines += _change("look at", change, "")
    lines += _further(first, "")
    lines += ["", "to undo all of it:", f"  {first.undo}", "", "next:"]
    lines += ["  gpu-tunedctl plan --offline           what will be written to the GPUs"]
    lines += ["  systemctl enable --now gpu-tuned      where it does not run yet"]
    lines += ["  gpu-tunedctl reload                   where it runs"]
    units = [change.unit for change in first.changes if change.step is Step.MOVE and change.unit]
    for unit in units:
        lines += [f"  systemctl stop {clean(unit)}", "      after that, so that the settings never lack a holder"]
    if units:
        lines += wrap(
            "systemd forgets the moved units at the next daemon-reload or boot. Where containers have GPUs by the "
            "legacy runtime, a daemon-reload can take the GPUs away from them (nvidia-container-toolkit#48): wait "
            "for the boot there.",
            "  ",
        )
    return lines


def _raises(first: FirstPolicy, verb: str = "raise", mark: str = "# ") -> list[str]:
    raised = [line for line in first.policy.splitlines() if line.startswith("power_limit_w") and "RAISE" in line]
    if not raised:
        return []
    return _row(verb, f"power limits above those in force: {len(raised)}, marked RAISES in the policy", mark)


def _further(first: FirstPolicy, mark: str = "# ") -> list[str]:
    lines: list[str] = []
    for path, why in first.unread.items():
        lines += _row("not read", f"{path}: {why}", mark)
    for path in first.drop_ins:
        lines += _row("keep", f"{path}, which is read after this policy and wins over it", mark)
    return lines


def _change(verb: str, change: Change, mark: str = "# ") -> list[str]:
    numbers = list(dict.fromkeys(change.lines))
    where = (
        f", line{'s' if len(numbers) > 1 else ''} {_ranges(numbers)}"
        if numbers and change.step is not Step.MOVE
        else ""
    )
    folders = [link.split("/")[-2] for link in change.links]
    links = f" with its link in {' and '.join(folders)}" if folders else ""
    return _row(verb, f"{change.file}{where}{links}: {change.why}", mark)


def _ranges(numbers: list[int]) -> str:
    """ "7, 10, 13-14" """
    parts: list[str] = []
    start = previous = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != previous + 1:
            parts.append(f"{start}" if start == previous else f"{start}-{previous}")
            start = number
        previous = number
    return ", ".join(parts)


def _row(verb: str, text: str, mark: str = "# ") -> list[str]:
    return wrap(text, f"{mark}{verb:<9}", f"{mark}{'':<9}")
