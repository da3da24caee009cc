"""`gpu-tunedctl probe`: what one GPU answers to every question that NVML has, to be shown to somebody else.

Reads, and nothing else; needs no daemon and no root. What comes out can be played back by the simulated driver of
this project's source, so that a board which nobody here has can be tested against all the same.
"""

from __future__ import annotations

import sys

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl probe > my-board.probe
  gpu-tunedctl probe 1 > second-board.probe

Only calls that read are made: nothing is set, reset or cleared. The dump has
no serial number, UUID, bus address, host name or process in it; read it before
you send it. With this project's source:

  tests/simulator/nvsim create --state DIR --gpu ./my-board.probe
"""


def run(options: Options) -> int:
    calls = fields = 0
    for line in options.looks.probe(options.gpu):
        print(line)
        calls += line.startswith("call = ")
        fields += line.startswith("field = ")
    sys.stdout.flush()
    complain(f"gpu-tunedctl: {calls} calls and {fields} fields asked for, nothing written")
    return verdict.IN_ORDER
