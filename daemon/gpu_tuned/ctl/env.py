"""`gpu-tunedctl env`: the environment variables of programs on GPUs. Each of its verbs is a module of its own.

A sub-verb's module has HELP (a line), EXAMPLES, `arguments(parser)` and `run(options)`; its row in SUBVERBS is all
that it takes to be one.
"""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl env list                          the profiles, the catalogue
  gpu-tunedctl env show vllm --format compose    a profile, as Compose takes it
  gpu-tunedctl env explain VLLM_USE_V1           who reads it, and what instead
  gpu-tunedctl env explain VLLM_USE_V1 --component vllm=0.10.0
  gpu-tunedctl env audit compose.yaml            what is not read, gone or wrong

`gpu-tunedctl env VERB --help` tells the options of each. None of them needs a
GPU, the daemon, or root.
"""

SUBVERBS = {"list": "env_list", "explain": "env_explain", "show": "env_show", "audit": "env_audit"}
"""Sub-verb -> its module beside this one."""


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    verbs = parser.add_subparsers(dest="subverb", metavar="VERB", required=True)
    for name in SUBVERBS:
        module = _module_of(name)
        part = verbs.add_parser(
            name,
            help=module.HELP,
            description=module.HELP[0].upper() + module.HELP[1:] + ".",
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(part)
        # Said behind the sub-verb as well; without a default it would undo the one that stands before it.
        part.add_argument("--no-color", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(options: Options) -> int:
    code: int = _module_of(options.subverb).run(options)
    return code


def _module_of(subverb: str) -> ModuleType:
    module: ModuleType = __import__(f"gpu_tuned.ctl.{SUBVERBS[subverb]}", fromlist=["run"])
    return module
