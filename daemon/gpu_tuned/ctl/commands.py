"""The verbs that ask the daemon to do something: apply, reload, restore, release, resume."""

from __future__ import annotations

import json
import sys

from gpu_tuned.control import client
from gpu_tuned.core.errors import UsageError
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.duration import duration_s
from gpu_tuned.ctl.render.text import say, wrap
from gpu_tuned.ctl.render.values import LABELS
from gpu_tuned.ctl.which import one_gpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options
    from gpu_tuned.ctl.protocols import Json

_WHO = "It needs root or membership in the group gpu-tuned."
EXAMPLES = {
    "apply": f"""\
examples:
  gpu-tunedctl apply && gpu-tunedctl verify

It takes up again what `restore` put back, tries at once what waits for a pause,
and asks for a GPU that is away.
{_WHO}
""",
    "reload": f"""\
examples:
  gpu-tunedctl check /etc/gpu-tuned/gpu-tuned.toml && gpu-tunedctl reload

A bad file changes nothing: every problem is named, and the policy that runs
stays in force.
{_WHO}
""",
    "restore": f"""\
examples:
  gpu-tunedctl restore 01:00.0 power_limit_w    one setting, as it was found
  gpu-tunedctl restore numa_balancing           the same of the host
  gpu-tunedctl restore                          everything
  gpu-tunedctl apply                            take it up again

What was put back is left alone until `apply`, a changed rule, or the next
start of the daemon.
{_WHO}
Root alone may restore a setting that is marked `required`.
""",
    "release": f"""\
examples:
  gpu-tunedctl release 0 --for 10m    let go for ten minutes
  gpu-tunedctl release --all          until `gpu-tunedctl resume`

NVML cannot let go of one GPU alone: while one is released, none is watched.
{_WHO}
Root alone may release where a setting is marked `required`.
""",
    "resume": f"""\
examples:
  gpu-tunedctl resume    take back what was released, now

NVML takes all GPUs or none: the others come back with the one that is named.
{_WHO}
""",
}
_SETTINGS = tuple(LABELS)


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    if verb == "restore":
        names = ", ".join(_SETTINGS)
        parser.add_argument("setting", nargs="?", metavar="SETTING", help=f"this setting alone: {names}")
    else:
        parser.add_argument(
            "--for", dest="for_s", metavar="TIME", type=duration_s, help="and take it back after 10m, 1h ..."
        )


def run(options: Options) -> int:
    method = options.verb.capitalize()
    reply = client.call(options.socket, method, parameters(options), options.timeout)
    if options.json:
        json.dump(reply, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        say([line for part in reply["message"].splitlines() for line in wrap(part)])
    if reply.get("in_order") is not False:
        return verdict.IN_ORDER
    # What `status` would end with: trouble of the driver or a GPU is more than a difference.
    return verdict.exit_code(client.call(options.socket, "Status", {}, options.timeout)) or verdict.DIFFERS


def parameters(options: Options) -> Json:
    """What the method takes. Raises UsageError for a GPU that is none."""
    wanted, everything = getattr(options, "gpu", None), getattr(options, "all", False)
    if options.verb == "release" and not wanted and not everything:
        # Nobody should let go of a rack because a shell variable was empty.
        raise UsageError("release takes a GPU, or --all for every one")
    if wanted and everything:
        raise UsageError("a GPU and --all contradict each other")
    if wanted == "":
        raise UsageError("an empty GPU names none")
    setting = getattr(options, "setting", None)
    if options.verb == "restore" and setting is None and wanted in _SETTINGS:
        wanted, setting = None, wanted  # no GPU is called that
    given: Json = {"gpu": _uuid(options, wanted) if wanted else None}
    given |= {"setting": setting, "for_s": getattr(options, "for_s", None)}
    return {key: value for key, value in given.items() if value is not None}


def _uuid(options: Options, wanted: str) -> str:
    """What a person calls a GPU as the UUID that it is on the socket, so that 0 cannot come to mean another one."""
    document = client.call(options.socket, "Status", {}, options.timeout)
    return str(one_gpu(document["gpus"], wanted, document["driver"])["uuid"])
