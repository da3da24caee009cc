"""Numbers, lists and addresses of things in words, and what somebody may have meant."""

from __future__ import annotations

TYPE_CHECKING = False  # verbs that are typed all day come by here, and `typing` would be dear
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def counted(number: int, thing: str) -> str:
    """ "1 GPU", "2 GPUs", "0 processes"."""
    plural = "es" if thing.endswith("s") else "s"
    return f"{number} {thing}" if number == 1 else f"{number} {thing}{plural}"


def listed(words: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"; "" of none."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def duration(seconds: float) -> str:
    """ "10m", "1h30m", "0.5s": as a command line takes it."""
    parts = []
    for unit, length_s in (("d", 86400), ("h", 3600), ("m", 60)):
        whole, seconds = divmod(seconds, length_s)
        parts += [f"{int(whole)}{unit}"] if whole else []
    return "".join([*parts, f"{round(seconds, 3):g}s"] if seconds or not parts else parts)


def short_pci(pci: str) -> str:
    """A PCI address without its domain where that is the first one, as lspci prints it."""
    return pci.removeprefix("0000:")


def did_you_mean(word: str, known: Collection[str], otherwise: str = "") -> str:
    """ "did you mean 'status'?"; where nothing known is near, `otherwise`, or what there is: "there are a, b"."""
    from difflib import get_close_matches  # nobody pays for it who makes no mistake

    near = get_close_matches(word, known, 1)
    return f"did you mean {near[0]!r}?" if near else otherwise or f"there are {', '.join(known) or 'none'}"


def watched_word(*, fits: bool | None) -> str:
    """What is said of a setting that is only watched and not in order; `fits` None: nobody knows whether it is."""
    return "unknown" if fits is None else "differs"
