"""Which GPU a word means: its index, its PCI address, its UUID, or the beginning of one of these two."""

from __future__ import annotations

from gpu_tuned.core.errors import UsageError
from gpu_tuned.core.words import short_pci

TYPE_CHECKING = False  # `gpu-tunedctl status` comes by here, and `typing` would be dear
if TYPE_CHECKING:
    from collections.abc import Sequence


class Names:
    """How one GPU can be called: `index` counts from 0 (None or below: the driver does not list it), `pci` is
    "0000:01:00.0", `note` what whoever must choose is told of it."""

    __slots__ = ("index", "note", "pci", "uuid")

    def __init__(self, index: int | None, uuid: str, pci: str, note: str = "") -> None:
        self.index = None if index is None or index < 0 else index
        self.uuid, self.pci, self.note = uuid, pci, note


def meant(gpus: Sequence[Names], word: str) -> list[int]:
    """Where in `gpus` the GPUs stand that `word` means: one; none; or several, where it is no name but the beginning
    of several. A whole name comes before a beginning, and an index before both; an address is that of the GPU which
    the driver lists there, rather than of one that was there before."""
    text = _as_sysfs(word.lower())
    if not text:
        return []
    exact = [i for i, gpu in enumerate(gpus) if str(gpu.index) == text]
    exact = exact or [i for i, gpu in enumerate(gpus) if text in (gpu.uuid.lower(), gpu.pci, short_pci(gpu.pci))]
    if len(exact) > 1:
        exact = [i for i in exact if gpus[i].index is not None] or exact
    return exact or [i for i, gpu in enumerate(gpus) if _begins(gpu, text)]


def chosen(gpus: Sequence[Names], word: str | None) -> int:
    """Where in `gpus` the one GPU stands that `word` means; None means the only one there is. Raises UsageError,
    which names those there are, a line each."""
    if word is None:
        if len(gpus) == 1:
            return 0
        raise UsageError(f"which GPU? {_listed(gpus)}")
    found = meant(gpus, word)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{word!r} names more than one GPU. {_listed([gpus[i] for i in found])}")
    raise UsageError(f"no GPU {word!r} here. {_listed(gpus)}")


def _listed(gpus: Sequence[Names]) -> str:
    if not gpus:
        return "The driver sees none."
    return "\n".join(["There are:" if len(gpus) > 1 else "There is:", *map(_row, gpus)])


def _row(gpu: Names) -> str:
    index = "-" if gpu.index is None else gpu.index
    return f"  {index}  {short_pci(gpu.pci):7}  {gpu.uuid[:12]:12}  {gpu.note}".rstrip()


def _begins(gpu: Names, text: str) -> bool:
    pci = gpu.pci if text.startswith("0000:") else short_pci(gpu.pci)
    return gpu.uuid.lower().startswith((text, "gpu-" + text)) or pci.startswith(text)


def _as_sysfs(text: str) -> str:
    """An address as nvidia-smi prints it, "00000000:01:00.0", in the kernel's form; anything else as it is."""
    return text[4:] if text.startswith("0000") and text[8:9] == ":" else text
