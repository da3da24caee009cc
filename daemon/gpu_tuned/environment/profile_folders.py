"""Where profiles lie."""

from __future__ import annotations

from pathlib import Path

import tomli

from gpu_tuned.core.errors import UsageError
from gpu_tuned.environment.profiles import Profile, profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = (
    Path("/etc/gpu-tuned/environment"),
    _PACKAGE.parents[1] / "environment",  # in the .deb and the .rpm
    _PACKAGE / "data" / "environment",  # in a wheel
    _PACKAGE.parents[1] / "etc" / "environment",  # in a source checkout
)
"""The first that has the name wins, so that a host can have its own `vllm`."""


class ProfileFolders:
    """The profiles of some folders."""

    def __init__(self, folders: tuple[Path, ...] = FOLDERS) -> None:
        self._folders = folders

    def names(self) -> list[str]:
        """Every profile there is."""
        return sorted(self._paths())

    def profile(self, name: str) -> Profile:
        """Raises UsageError for one that is not there (with the nearest), cannot be read, or has something wrong."""
        return profile(name, self._document, {known: str(path) for known, path in self._paths().items()})

    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            for path in folder.glob("*.toml"):
                found.setdefault(path.stem, path)
        return found

    def _document(self, name: str) -> dict[str, Any]:
        path = self._paths()[name]
        try:
            return tomli.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{path}: cannot be read: {said}") from None
