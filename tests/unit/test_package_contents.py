"""What is installed is what lies in the tree: no file is left out of the wheel, and bytecode is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import gpu_tuned

TOP = Path(__file__).parents[2]
INSTALLED = Path(gpu_tuned.__file__).parent


def files(root: Path, pattern: str = "*") -> set[str]:
    found = (path.relative_to(root) for path in root.rglob(pattern) if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


def test_every_file_travels() -> None:
    profiles = {f"data/profiles/{name}" for name in files(TOP / "etc" / "profiles")}
    environment = {f"data/environment/{name}" for name in files(TOP / "etc" / "environment")}
    units = {f"data/units/{name}" for name in files(TOP / "units")}
    assert profiles and environment and units
    beside = profiles | environment | units | {"data/gpu-tuned.toml"}
    assert files(INSTALLED) == files(TOP / "daemon" / "gpu_tuned") | beside


def test_every_module_is_compiled() -> None:
    sources = [INSTALLED / name for name in files(INSTALLED, "*.py")]
    assert [path for path in sources if not Path(importlib.util.cache_from_source(path)).exists()] == []
