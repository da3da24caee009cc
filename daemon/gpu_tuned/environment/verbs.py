"""What `gpu-tunedctl env` may ask of this part; main hands it over (main.environment)."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_tuned.environment import explain as explaining
from gpu_tuned.environment.running import running
from gpu_tuned.environment.shipped import shipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def explain(name: str, components: Sequence[str]) -> dict[str, Any]:
    """See environment/explain.py. `components` are words as "vllm=0.33.0"; raises UsageError for an unknown one."""
    catalogue = shipped()
    return explaining.explain(catalogue, name, tuple(running(catalogue, word) for word in components))
