"""Which GPU a person means: index, PCI address, UUID, or the beginning of one of these two."""

from __future__ import annotations

from gpu_tuned.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.ctl.kinds import Json


def pick(gpus: list[Json], wanted: str) -> Json:
    """The one GPU that `wanted` names. Raises UsageError where it names none, or more than one."""
    text = wanted.lower()
    for names in (
        lambda gpu: str(gpu["index"]) == text,
        lambda gpu: text in (gpu["uuid"].lower(), gpu["pci"], gpu["pci"].removeprefix("0000:")),
        lambda gpu: (
            gpu["uuid"].lower().startswith((text, "gpu-" + text)) or gpu["pci"].removeprefix("0000:").startswith(text)
        ),
    ):
        found = [gpu for gpu in gpus if names(gpu)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{wanted!r} names more than one GPU: {_list(found)}")
    raise UsageError(f"no GPU {wanted!r} here; there is {_list(gpus) if gpus else 'none at all'}")


def _list(gpus: list[Json]) -> str:
    return ", ".join(f"{gpu['index']} ({gpu['pci'].removeprefix('0000:')}, {gpu['uuid'][:12]})" for gpu in gpus)
