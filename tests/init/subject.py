"""`gpu-tunedctl init` on a generated host, in process: what it takes over, and what the policy would hold."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_tuned.core.model import ApplicationClocks, Board, ClockLock, PowerLimit, Setting
from gpu_tuned.core.policy import Policy
from tests.init.boards import HOSTS, described, uuid
from tests.init.layout import Layout
from tests.init.sandbox import KNOB
from tests.nvsim import Nvsim


@dataclass
class Answer:
    """`taken` and `held` are (GPU, setting) -> value as `status --json` has it; `held` is all that the policy says.
    `files` are the host's afterwards, where something was written."""

    taken: dict[tuple[int, str], object]
    held: dict[tuple[int, str], object]
    document: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] | None = None


class Subject:
    """Simulated hosts for all layouts of one session: two of each kind, so that what is in force on one need not be
    set anew for each question. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: dict[tuple[tuple[str, ...], str], Nvsim] = {}
        self.env: dict[tuple[tuple[str, ...], str], dict[str, str]] = {}
        self.in_force: dict[tuple[tuple[str, ...], str, int], list[str]] = {}
        self.boards: dict[tuple[str, ...], tuple[Board, ...]] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Subject:
        for (number, boards), place in itertools.product(enumerate(HOSTS), ("booted", "at-rest")):
            host = Nvsim.create(self.folder / f"nvsim{number}{place}", *described(boards))
            self.stack.enter_context(host.client())  # without one, settings are gone at once
            self.hosts[boards, place] = host
            self.env[boards, place] = host.simulator_env
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def ask(
        self, layout: Layout, now: list[Mapping[str, object]], *, write: bool = False, place: str = "booted"
    ) -> Answer:
        """What it makes of the layout while these settings are in force. `place`: which of the two hosts is asked."""
        host = self.hosts[layout.boards, place]
        for gpu, settings in enumerate(now):
            words = _words(settings)
            if self.in_force.get((layout.boards, place, gpu)) != words:
                host.run("set", gpu, *words)
                self.in_force[layout.boards, place, gpu] = words
        root = self.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        for path, text in layout.files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, newline="")
            file.chmod(layout.modes.get(path, 0o644))
        knob = root / KNOB.lstrip("/")
        knob.parent.mkdir(parents=True)
        knob.write_text("1\n")
        for path, target in layout.links.items():
            link = root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        os.environ.update(self.env[layout.boards, place])
        os.environ["NVSIM_CAP_SYS_ADMIN"] = "1"
        return self._first(layout, root, write)

    def _first(self, layout: Layout, root: Path, write: bool) -> Answer:
        from gpu_tuned.adapters import policy_file
        from gpu_tuned.main import first_policy, write_first_policy

        document = write_first_policy(str(root), replace=False) if write else first_policy(str(root))
        policy = policy_file.load_text(document["policy"], Path("/etc/gpu-tuned/gpu-tuned.toml"))
        numbers = {gpu["uuid"]: gpu["index"] for gpu in document["gpus"]}
        taken = {(numbers[row["gpu"]], row["setting"]): row["value"] for row in document["taken"] if row["gpu"]}
        if not write:
            return Answer(taken, self._held(policy, layout), document)
        found = {path: _text(root / path.lstrip("/")) for path in layout.files}
        files = {path: text for path, text in found.items() if text is not None}
        return Answer(taken, self._held(policy, layout), document, files)

    def _held(self, policy: Policy, layout: Layout) -> dict[tuple[int, str], object]:
        held: dict[tuple[int, str], object] = {}
        for gpu, board in enumerate(self._boards(layout.boards)):
            assert board.gpu.uuid == uuid(gpu)
            for setting, wish in policy.wishes_for(board.gpu).items():
                if not wish.watched:
                    held[gpu, setting.value] = _plain(setting, wish.target)
        return held

    def _boards(self, boards: tuple[str, ...]) -> tuple[Board, ...]:
        if boards not in self.boards:
            from gpu_tuned.adapters.nvml import Nvml

            gpus = Nvml()
            self.boards[boards] = gpus.attach()
            gpus.detach()
        return self.boards[boards]


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _words(settings: Mapping[str, object]) -> list[str]:
    words = []
    for name, value in settings.items():
        if isinstance(value, bool):
            words.append(f"{name}={str(value).lower()}")
        elif isinstance(value, dict):
            between = "," if name == "application_clocks_mhz" else "-"
            words.append(f"{name}={between.join(str(part) for part in value.values())}")
        elif isinstance(value, (str, float)):
            words.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}")
    return words


def _plain(setting: Setting, target: object) -> object:
    if isinstance(target, PowerLimit):
        return target.limit_mw / 1000
    if isinstance(target, ClockLock):
        return {"min": target.min_mhz, "max": target.max_mhz}
    if isinstance(target, ApplicationClocks):
        return {"memory": target.memory_mhz, "gpu": target.gpu_mhz}
    if isinstance(target, bool):
        return target
    if setting is Setting.PERSISTENCE_MODE:
        return True  # "auto" on a machine without a battery
    return getattr(target, "value", target)
