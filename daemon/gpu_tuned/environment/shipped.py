"""The catalogue that came with the package, read from its files when something is first asked of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache

from gpu_tuned.environment.catalogue import Catalogue

_DATA = os.path.join(os.path.dirname(__file__), "data")  # pathlib would cost more than the catalogue


class _Files(Mapping[str, str]):
    """The texts of a folder by file name, each read when it is asked for."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> str:
        with open(os.path.join(self._folder, name), encoding="utf-8", newline="\n") as file:
            return file.read()

    def __iter__(self) -> Iterator[str]:
        return iter(os.listdir(self._folder))

    def __len__(self) -> int:
        return len(os.listdir(self._folder))


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The one catalogue of this process. Raises OSError where a data file is not there: a broken install."""
    return Catalogue(_Files(_DATA))
