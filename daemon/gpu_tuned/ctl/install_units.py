"""`gpu-tunedctl install-units`: the systemd units for those who installed with pip or pipx."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from gpu_tuned.core.errors import NotPermitted, UsageError
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.ctl.options import Options

EXAMPLES = """\
examples:
  gpu-tunedctl install-units                     after `pipx install --global`,
                                                 or pip in a venv under /opt
  gpu-tunedctl install-units --root /tmp/look    the same files below another
                                                 folder, to look at

It starts and enables nothing, and leaves an existing policy alone. The .deb
and the .rpm bring their own.
"""

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the service does not see: ProtectHome=yes and PrivateTmp=yes in gpu-tuned.service."""

_PACKAGE = Path(__file__).resolve().parents[1]
_DATA = _PACKAGE / "data"  # in a wheel
_CHECKOUT = _PACKAGE.parents[1]
PACKAGED = "usr/lib/systemd/system/gpu-tuned.service"
PLACES = {"": "systemd/system", "catalog": "systemd/catalog", "system-preset": "systemd/system-preset"}
"""Folder of units/ -> below /usr/local/lib, where systemd looks for an administrator's; others keep their name."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+-]+")
"""What needs no quoting in a unit file."""


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument("--root", metavar="DIR", default="/", help="put the files below DIR (default: /)")


def run(options: Options) -> int:
    root = Path(options.root or "/")
    program = _program()
    refuse_hidden([program, program.resolve(), Path(sys.prefix), Path(sys.base_prefix), _PACKAGE])
    if (root / PACKAGED).exists():
        raise UsageError(
            f"{root / PACKAGED} is there: the package brought the units along, and takes them away again"
        )
    written = [_write(root / target, text) for target, text in files(program)]
    policy = root / "etc/gpu-tuned/gpu-tuned.toml"
    there = policy.exists()
    if not there:
        _write(policy, _source("gpu-tuned.toml", "etc/gpu-tuned.toml").read_text())
    say([f"wrote {path}" for path in (written if there else [*written, policy])])
    say(further(root, written, "was there and is left alone" if there else "is a first one"))
    return verdict.IN_ORDER


def further(root: Path, written: list[Path], policy: str) -> list[str]:
    """What comes next on this host, whose policy `policy`, and how to undo it. Below another root nothing starts."""
    undo = f"  rm {' '.join(map(str, written))}"
    if root != Path("/"):
        return ["", "To undo it; the policy stays:", "", undo]
    return [
        "",
        f"The policy, /etc/gpu-tuned/gpu-tuned.toml, {policy};",
        "`gpu-tunedctl plan` says what it would write.",
        "",
        "To make the service's group and folder known, and to start it:",
        "",
        "  systemd-sysusers gpu-tuned.conf && systemd-tmpfiles --create gpu-tuned.conf",
        "  journalctl --update-catalog",
        "  systemctl enable --now gpu-tuned",
        "",
        "To undo it; the policy stays:",
        "",
        "  systemctl disable --now gpu-tuned",
        undo,
    ]


def refuse_hidden(paths: list[Path]) -> None:
    """Raises UsageError where the service could not see one of these: it would fail with "No such file"."""
    for path in paths:
        hidden = next((place for place in HIDDEN if path == Path(place) or Path(place) in path.parents), None)
        if hidden is not None:
            raise UsageError(
                f"{path} is under {hidden}, which the service does not see (ProtectHome=, PrivateTmp=); install "
                "gpu-tuned elsewhere: in a venv under /opt, or with pipx and PIPX_HOME=/opt/pipx "
                "PIPX_BIN_DIR=/usr/local/bin, with the distribution's own Python"
            )
        if not _PLAIN_PATH.fullmatch(str(path)):
            raise UsageError(
                f"{path} holds characters that a unit file would have to quote; install gpu-tuned elsewhere"
            )


def files(program: Path) -> Iterator[tuple[str, str]]:
    """Every file as (path below the root, text), the programs named as they are installed."""
    units = _source("units", "units")
    for path in sorted(path for path in units.rglob("*") if path.is_file() and path.suffix not in ("", ".md")):
        folder = str(path.parent.relative_to(units)).replace(".", "", 1) if path.parent == units else path.parent.name
        text = re.sub(r"/usr/bin/(gpu-tuned(?:ctl)?)(?![\w.-])", rf"{program.parent}/\1", path.read_text())
        yield f"usr/local/lib/{PLACES.get(folder, folder)}/{path.name}", text


def _program() -> Path:
    """The daemon beside the gpu-tunedctl that runs; not resolved, since pipx's links outlive its upgrades."""
    program = Path(os.path.abspath(sys.argv[0])).with_name("gpu-tuned")
    if not os.access(program, os.X_OK):
        raise UsageError(f"there is no {program}; run this with the gpu-tunedctl that pip or pipx installed")
    return program


def _source(in_wheel: str, in_checkout: str) -> Path:
    for path in (_DATA / in_wheel, _CHECKOUT / in_checkout):
        if path.exists():
            return path
    raise UsageError(f"there is no {_DATA / in_wheel}; this is not what pip or pipx installs")


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    except OSError as error:
        if isinstance(error, PermissionError):
            raise NotPermitted(f"{path}: only root may write there; the group gpu-tuned is not enough") from None
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    return path
