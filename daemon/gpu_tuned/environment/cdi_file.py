"""A CDI specification where container engines look for one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gpu_tuned.core.errors import NotPermitted, UsageError


def write(folder: str, profile: str, text: str) -> str:
    """Write FOLDER/gpu-tuned-PROFILE.yaml and return its path.

    An engine that reads meanwhile sees the old file or the new one, never half of one: it is renamed into place.
    Raises NotPermitted or UsageError; the folder then holds what it held.
    """
    path = Path(folder) / f"gpu-tuned-{profile}.yaml"
    made = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not *.yaml or *.json, which an engine would read.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            made = file.name
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(made, 0o644)
        os.replace(made, path)
    except OSError as error:
        if made:
            Path(made).unlink(missing_ok=True)
        if isinstance(error, PermissionError):
            raise NotPermitted(f"{path}: only root may write there; the group gpu-tuned is not enough") from None
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    return str(path)
