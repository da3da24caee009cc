"""`gpu-tunedctl status`: what is, at a glance."""

from __future__ import annotations

import json
import sys
import time

from gpu_tuned.control import client
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import Colour, colour_for, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import StatusReply
    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl status             one GPU in full, many as one line each
  gpu-tunedctl status 01:00.0     this one in full: index, PCI address, UUID
                                  or the beginning of one of these
  gpu-tunedctl status --json | jq '.gpus[].settings[].state'
"""


def run(options: Options) -> int:
    document = client.call(options.socket, "Status", {}, options.timeout)
    if options.gpu is not None:
        from gpu_tuned.ctl.which import one_gpu

        document = {**document, "gpus": [one_gpu(document["gpus"], options.gpu, document["driver"])]}
    if options.json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        colour = colour_for(sys.stdout, no_color=options.no_color)
        lines = page(document, time.time(), colour, in_full=options.all or options.gpu is not None)
        rows = [row for gpu in document["gpus"] for row in gpu["settings"] if row["setting"] == "compute_mode"]
        modes = [row["observed"] for row in rows]
        if "exclusive_process" in modes:
            from gpu_tuned.ctl.mps import warning
            from gpu_tuned.ctl.render.text import wrap

            told = warning(modes)
            lines += ["", *(colour("warn", line) for line in wrap(told))] if told else []
        if options.advice:
            from gpu_tuned.ctl.render.advice import of_gpus

            plan = client.call(options.socket, "Plan", {}, options.timeout)
            shown = {gpu["uuid"] for gpu in document["gpus"]}
            advised = of_gpus([one for one in plan["advice"] if one["gpu"] in shown], colour)
            lines += ["", *(advised or ["no advice on what the policy files wish"])]
        say(lines)
    return verdict.exit_code(document)


def page(document: StatusReply, now: float, colour: Colour, *, in_full: bool = False) -> list[str]:
    """The whole of `status` as lines. `now`: seconds since the epoch, which ages are counted from."""
    from gpu_tuned.ctl.render.head import head

    lines = head(document, now, colour)
    gpus = document["gpus"]
    if not gpus:
        if document["driver"]["state"] == "ok":
            lines.append("  the driver sees no GPU")
    elif len(gpus) == 1 or in_full:
        from gpu_tuned.ctl.render.full import gpu_in_full

        for gpu in gpus:
            lines += ["", *gpu_in_full(document, gpu, now, colour, every=in_full)]
    else:
        from gpu_tuned.ctl.render.fleet import fleet

        lines += fleet(document, now, colour)
    if document["host"]["settings"]:
        from gpu_tuned.ctl.render.rows import setting_table

        host, observing = document["host"], document["policy"]["mode"] == "observe"
        lines += [
            "",
            colour("bold", f"host {host['name']}"),
            *setting_table(host["settings"], now, colour, observing=observing),
        ]
    return lines
