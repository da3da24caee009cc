"""Who may import whom inside gpu_tuned, and why.

Read from the source, not at run time: an import inside a function counts as well.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
PACKAGE = "gpu_tuned"

# What a module may import, by the first part of its name below gpu_tuned. Everything may import itself.
LAYERS: dict[str, tuple[frozenset[str], str]] = {
    "core": (frozenset(), "core decides; what it decides from is handed to it"),
    "ports": (frozenset({"core"}), "ports speak in the words of core, and know no implementation"),
    "adapters": (frozenset({"ports", "core"}), "one vendor to a file; no adapter leans on another part"),
    "loop": (
        frozenset({"ports", "core"}),
        "the reconciler sees ports alone, so that fakes can take their place",
    ),
    "control": (frozenset({"ports", "core"}), "the socket knows the last status and a queue, nothing else"),
    "environment": (
        frozenset({"ports", "core"}),
        "the container side runs without a daemon and without a GPU",
    ),
    "doctor": (frozenset({"ports", "core"}), "checks judge a view; adapters gather it"),
    "init": (frozenset({"ports", "core"}), "only `init` pays for it, and it needs neither the daemon nor its parts"),
    "ctl": (
        frozenset({"control.client", "core"}),
        "the command speaks through the socket, as any client does",
    ),
}
# main puts the parts together, so it may import all of them, and nobody imports main: verbs of gpu-tunedctl
# that read boards without a daemon are handed a way to get at them. The others are its further files, each for those
# before it alone: the daemon's life, what the doctor and `show` look at, and how ports are made.
COMPOSITION = ("main", "daemon", "looks", "composition")

# Third parties that belong to one place.
HOMES = {
    "pynvml": ("adapters.nvml", "no NVML type, constant or error leaves its adapter"),
    "varlink": ("control", "the read path of gpu-tunedctl does without: it quadruples its start"),
}

# What core must not touch: with one of these inside, a decision could not be tested by its arguments alone.
PURE = {
    "clock": {"time", "sched"},
    "file or host": {
        "os",
        "io",
        "pathlib",
        "shutil",
        "tempfile",
        "glob",
        "fcntl",
        "mmap",
        "platform",
        "pwd",
        "grp",
    },
    "socket": {"socket", "selectors", "select", "asyncio", "ssl", "http", "urllib"},
    "process": {"subprocess", "multiprocessing", "signal", "sys", "atexit"},
    "thread": {"threading", "concurrent", "queue", "_thread"},
    "vendor": {"pynvml", "systemd", "sdnotify", "varlink", "structlog", "tomli", "ctypes"},
    "chance": {"random", "secrets"},
    "log": {"logging"},
}


# The parts of `init` that touch the host; the others are as pure as core.
TOUCHING = {"init.rooted", "init.modes", "init.carry_out", "init.first"}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: its absolute name and its line."""

    name: str
    line: int


def imports_of(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """Every import in `source`, as an absolute name. `from a import b` yields a.b: b may be a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                yield Import(node.args[0].value, node.lineno)


def within(name: str, parent: str) -> bool:
    return name == parent or name.startswith(parent + ".")


def judge(module: str, found: Import) -> str | None:
    """Why `module` (its name below gpu_tuned, such as "core.plan") may not import this, or None."""
    layer = module.split(".")[0]
    if not within(found.name, PACKAGE):
        vendor = found.name.split(".")[0]
        home, why = HOMES.get(vendor, (module, ""))
        if not within(module, home):
            return why
        touched = [what for what, names in PURE.items() if vendor in names]
        if layer == "init" and touched and module not in TOUCHING:
            return f"init reads texts: its {touched[0]} lies in {', '.join(sorted(TOUCHING))}"
        return f"core knows no {touched[0]}: {LAYERS['core'][1]}" if layer == "core" and touched else None
    target = found.name.removeprefix(PACKAGE).lstrip(".")
    if within(target, layer) or target in {"", "__version__"}:
        return None
    for place, name in enumerate(COMPOSITION):
        if within(target, name) and layer not in COMPOSITION[:place]:
            return f"{name} knows all parts; no part knows {name}"
    if layer in COMPOSITION:
        return None
    if layer not in LAYERS:
        return f"{layer or PACKAGE} is in no layer: give it one in {Path(__file__).name}"
    allowed, why = LAYERS[layer]
    return None if any(within(target, name) for name in allowed) else why


def violations(root: Path) -> list[str]:
    """Every import below `root`, the package's folder, that breaks a rule, as "file:line: what: why"."""
    problems = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        is_package = relative.name == "__init__.py"
        parts = relative.parent.parts if is_package else relative.with_suffix("").parts
        for found in imports_of(path.read_text(), ".".join([PACKAGE, *parts]), is_package):
            why = judge(".".join(parts), found)
            if why:
                problems.append(f"{relative}:{found.line}: {found.name}: {why}")
    return problems


def circle(root: Path) -> list[str]:
    """Modules below `root`, the package's folder, that import each other, in a circle; [] where none do. What is
    imported for the type checker alone does not count."""
    sources = {}
    for path in root.rglob("*.py"):
        relative = path.relative_to(root)
        parts = relative.parent.parts if relative.name == "__init__.py" else relative.with_suffix("").parts
        sources[".".join([PACKAGE, *parts])] = path
    needs = {}
    for module, path in sources.items():
        tree = RunTime().visit(ast.parse(path.read_text()))
        names = [found.name for found in imports_of(ast.unparse(tree), module, path.name == "__init__.py")]
        needs[module] = {name if name in sources else name.rpartition(".")[0] for name in names} & set(sources)
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


class RunTime(ast.NodeTransformer):
    """Leaves out what a type checker alone sees."""

    def visit_If(self, node: ast.If) -> Any:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(each) for each in node.orelse] or ast.Pass()
        return self.generic_visit(node)


def test_no_modules_import_each_other() -> None:
    assert circle(TOP / "daemon" / PACKAGE) == []


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.py").write_text("def f():\n    from gpu_tuned.core import b\n")
    (tmp_path / "core" / "b.py").write_text("from gpu_tuned.core.c import g\n")
    (tmp_path / "core" / "c.py").write_text("if TYPE_CHECKING:\n    from gpu_tuned.core import a\n")
    assert circle(tmp_path) == []
    (tmp_path / "core" / "c.py").write_text("from gpu_tuned.core import a\n")
    assert set(circle(tmp_path)) == {"gpu_tuned.core.a", "gpu_tuned.core.b", "gpu_tuned.core.c"}


def test_every_import_keeps_the_direction() -> None:
    assert not violations(TOP / "daemon" / PACKAGE)


PLANTED = [
    ("core/plan.py", "import time", "core knows no clock"),
    ("core/plan.py", "from os import path", "core knows no file"),
    ("core/plan.py", "def f():\n    import threading", "core knows no thread"),
    ("core/plan.py", "from gpu_tuned.ports import Clock", "core decides"),
    ("core/plan.py", "from .. import ports", "core decides"),
    ("core/deep/er.py", "from ...loop import Loop", "core decides"),
    ("ports.py", "from .adapters import nvml", "ports speak"),
    ("loop.py", "import gpu_tuned.adapters.nvml", "the reconciler sees ports alone"),
    ("loop.py", "import importlib\nimportlib.import_module('gpu_tuned.control.server')", "the reconciler"),
    ("adapters/kernel.py", "from pynvml import nvmlInit", "no NVML type"),
    ("control/server.py", "from gpu_tuned.loop import Loop", "the socket knows"),
    ("control/server.py", "from gpu_tuned.ctl import status", "the socket knows"),
    ("ctl/status.py", "from gpu_tuned.control.server import Server", "the command speaks"),
    ("ctl/status.py", "from gpu_tuned.adapters import nvml", "the command speaks"),
    ("doctor/pcie.py", "from gpu_tuned.adapters.pci_files import text", "checks judge"),
    ("init/scan.py", "import os", "init reads texts"),
    ("doctor/services.py", "from gpu_tuned.init.units import entries", "checks judge"),
    ("ctl/status.py", "import varlink", "the read path"),
    ("ctl/plan.py", "from gpu_tuned.main import boards", "no part knows main"),
    ("loop.py", "def f():\n    from gpu_tuned import main", "no part knows main"),
    ("looks.py", "from gpu_tuned.main import control", "no part knows main"),
    ("composition.py", "from gpu_tuned.daemon import hold", "no part knows daemon"),
    ("ctl/doctor.py", "from gpu_tuned import looks", "no part knows looks"),
    ("ctl/plan.py", "from gpu_tuned.composition import CONFIG", "no part knows composition"),
    ("newcomer.py", "from gpu_tuned.core import model", "is in no layer"),
]


@pytest.mark.parametrize(("file", "source", "why"), PLANTED)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, source: str, why: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    (found,) = violations(tmp_path)
    assert found.startswith(f"{file}:")
    assert why in found


ALLOWED = [
    ("looks.py", "from gpu_tuned.adapters import kernel\nfrom gpu_tuned.doctor import examine"),
    ("main.py", "from gpu_tuned import looks"),
    ("daemon.py", "from gpu_tuned.composition import CONFIG\nfrom gpu_tuned.loop import run"),
    ("core/plan.py", "import math\nfrom .model import Gpu\nfrom gpu_tuned.core import errors"),
    ("core/__init__.py", "from . import model\nfrom .model import Gpu"),
    ("adapters/nvml.py", "import pynvml, time\nfrom gpu_tuned.ports import Gpus"),
    ("control/server.py", "import varlink, socket\nfrom gpu_tuned import __version__"),
    ("ctl/status.py", "from gpu_tuned.control.client import Client\nfrom gpu_tuned.core import model"),
    (
        "main.py",
        "from gpu_tuned import adapters, control, ctl, loop, ports\nfrom gpu_tuned.core import model",
    ),
]


@pytest.mark.parametrize(("file", "source"), ALLOWED)
def test_what_the_rules_allow_is_let_through(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert not violations(tmp_path)
