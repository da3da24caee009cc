"""`gpu-tunedctl env audit`: what is wrong with the environment in files, units and processes."""

from __future__ import annotations

import sys

from gpu_tuned.core.audit_request import AuditRequest
from gpu_tuned.core.errors import UsageError
from gpu_tuned.ctl.render.text import complain
from gpu_tuned.ctl.verdict import DIFFERS, IN_ORDER, USAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options

HELP = "what is not read, gone or wrong in Compose files, Dockerfiles, env files, units"
EXAMPLES = """\
examples:
  gpu-tunedctl env audit compose.yaml     with the env files that it names
  gpu-tunedctl env audit deploy/ --format github
  gpu-tunedctl env audit x.env --reader docker --component vllm=0.33
  sudo gpu-tunedctl env audit --gpu-processes

A comment `# gpu-tuned: ignore ID` silences a finding in its line or the next.
Exit codes: 0 nothing found, 1 findings, 2 usage, or something was unreadable.
"""
FORMATS = ("text", "json", "github", "sarif")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        metavar="FILE",
        nargs="*",
        help="env file, Dockerfile, Compose file, Kubernetes manifest, Helm values, unit or quadlet; a folder; "
        "- for standard input",
    )
    parser.add_argument(
        "--reader",
        metavar="READER",
        choices=("docker", "compose", "systemd"),
        help="who reads the env files: docker (run --env-file), compose, systemd; else judged by who refers to them",
    )
    parser.add_argument(
        "--component",
        metavar="NAME=VERSION",
        action="append",
        default=[],
        help="what runs there, where neither image nor command says it; may be given several times",
    )
    parser.add_argument(
        "--pid", metavar="PID", type=int, action="append", default=[], help="the environment of a running process"
    )
    parser.add_argument(
        "--gpu-processes", action="store_true", help="of every process that the driver lists on the GPUs (root)"
    )
    parser.add_argument("--all", action="store_true", help="also what is little more than a hint")
    parser.add_argument(
        "--format", metavar="FORMAT", choices=FORMATS, default="text", help="text, json, github or sarif"
    )


def run(options: Options) -> int:
    if not options.paths and not options.pid and not options.gpu_processes:
        raise UsageError("nothing to audit: name a file, a folder, --pid PID or --gpu-processes")
    pids = [*options.pid, *(options.looks.gpu_pids() if options.gpu_processes else ())]
    found = options.looks.environment().audit(
        AuditRequest(
            paths=tuple(options.paths),
            reader=options.reader,
            components=tuple(options.component),
            pids=tuple(pids),
            everything=options.all,
            standard_input=sys.stdin.buffer.read() if "-" in options.paths else None,
        )
    )
    from gpu_tuned.ctl.render import findings

    print(findings.FORMATS[options.format](found), end="")
    sys.stdout.flush()
    for reason in found["unreadable"]:
        complain(f"gpu-tunedctl: {reason}")
    if found["unreadable"]:
        return USAGE
    return DIFFERS if found["findings"] else IN_ORDER
