"""`gpu-tunedctl env show PROFILE`: a profile as a file that its reader takes."""

from __future__ import annotations

import sys

from gpu_tuned.core.errors import UsageError
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options

HELP = "a profile of variables as a file, each line with its reason and since when"
FORMATS = ("env", "docker-env", "dockerfile", "compose", "systemd", "quadlet", "shell", "kubernetes", "cdi")
"""Those of environment/formats/table.py, which is not imported for a line of help; a test holds them together."""
EXAMPLES = """\
examples:
  gpu-tunedctl env show vllm                          a .env file, for Compose
  gpu-tunedctl env show vllm --format docker-env > vllm.env
  gpu-tunedctl env show llama-cpp --format systemd --bare
  gpu-tunedctl env show mps-client --format cdi --write    into /etc/cdi

A profile of your own is /etc/gpu-tuned/environment/NAME.toml, and may include
those that ship. Only --write writes.
"""
CDI_FOLDER = "/etc/cdi"
WINS = (
    "What it sets wins over the image's ENV and over -e of docker run. A container that is to have another value "
    "goes without this device."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="PROFILE", help="its name (gpu-tunedctl env list)")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="env",
        metavar="FORMAT",
        help=f"who is to read it: {', '.join(FORMATS)} (default: env; docker-env is for docker run --env-file)",
    )
    parser.add_argument("--bare", action="store_true", help="without comments")
    parser.add_argument("--write", action="store_true", help="with --format cdi: put it in place, for --device")
    parser.add_argument("--folder", metavar="DIR", help=f"where --write puts it ({CDI_FOLDER})")


def run(options: Options) -> int:
    environment = options.looks.environment()
    if not options.write:
        if options.folder is not None:
            raise UsageError("--folder says where --write puts it; without --write nothing is written")
        sys.stdout.write(environment.show(options.profile, options.format, bare=options.bare))
        return verdict.IN_ORDER
    if options.format != "cdi":
        raise UsageError(f"--write is for --format cdi; for {options.format}, redirect the output to your file")
    if options.bare:
        raise UsageError("--bare is for what is printed; --write keeps the comments")
    if options.folder == "":
        raise UsageError("--folder: an empty name is no folder")
    written = environment.write_cdi(options.profile, options.folder or CDI_FOLDER)
    say([f"wrote {written['path']}", ""])
    say([f"  docker run --device nvidia.com/gpu=all --device {written['device']} ...", ""])
    say(wrap(WINS))
    say([f"To undo it: rm {written['path']}"])
    return verdict.IN_ORDER
