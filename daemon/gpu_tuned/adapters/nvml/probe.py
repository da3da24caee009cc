"""`gpu-tunedctl probe`: what one GPU answers to every question that NVML has, as it lies in memory.

The binding asks, and what it asks for passes through `Recorder`, which sits where the binding finds the library's
functions: it lets nothing through but questions (`getters.allowed`), and notes name, code, microseconds and the bytes
of each argument. So a dump says what the *library* did, whatever the binding makes of it, and can be played back.

The form of a line is told by the simulated driver's src/answers.c, which reads it.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pynvml

from gpu_tuned.adapters.nvml.board import MOST_MEMORY_CLOCKS, address
from gpu_tuned.adapters.nvml.calls import GARBAGE, MOST_GPUS, VALUE_MEMBERS, alone, clocks, words
from gpu_tuned.adapters.nvml.errors import FUNCTION_NOT_FOUND, INSUFFICIENT_SIZE, translated
from gpu_tuned.adapters.nvml.getters import FIELDS, STRUCTURES, allowed, questions
from gpu_tuned.core.errors import DriverTrouble
from gpu_tuned.core.model import Unread
from gpu_tuned.core.which import Names, chosen

BATCH = "nvmlDeviceGetFieldValues"
HEAD = """\
# What one GPU answered to every question that NVML has. Only calls that read were made.
# No serial number, UUID, bus address, host name or process is in it.
#   call = FUNCTION CODE MICROSECONDS ARGUMENTS      field = ID SCOPE CODE MICROSECONDS KIND VALUE"""


class NotAQuestion(Exception):
    """A call was about to be made that is none of the probe's: a mistake in this program."""


class Recorder:
    """Stands in the place of the loaded library, and lets questions through."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.lines: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not allowed(name):
            raise NotAQuestion(name)
        function = getattr(self._library, name)  # AttributeError: the binding says FUNCTION_NOT_FOUND

        def asked(*arguments: Any) -> int:
            before = [_bytes(argument) for argument in arguments]
            began = time.perf_counter_ns()
            code: int = function(*arguments)
            took_us = (time.perf_counter_ns() - began) // 1000
            length_only = code == INSUFFICIENT_SIZE and arguments[-1] is None
            if name != BATCH and code != FUNCTION_NOT_FOUND and not length_only:
                told = [f"call = {name} {code} {took_us}", *_words(arguments[1:], before[1:])]
                numbers = " ".join(str(_inner(a).value) for a in arguments[1:] if _is_number(a))
                self.lines.append(" ".join([*told, *([f" # {numbers}"] if numbers and not code else [])]))
            return code

        return asked


def probe(word: str | None) -> Iterator[str]:
    """The lines of a dump of the one GPU that `word` means, see core/which.py; None where there is but one.

    Raises UsageError for a word that names none or several, DriverAbsent, DriverMismatch, DriverTrouble."""
    with translated():
        pynvml.nvmlInit()
    library = pynvml.nvmlLib
    try:
        with translated():
            handle = _handle(word)
        yield from (*HEAD.splitlines(), "probe = 1", *_whose(handle))
        recorder = Recorder(library)
        _through(recorder)
        yield from _answers(recorder, handle)
        yield from _fields(handle)
    finally:
        _through(library)
        with translated():
            pynvml.nvmlShutdown()


def _whose(handle: Any) -> Iterator[str]:
    """The driver, and what kind of board it is; what is not answered is left out."""
    for key, answer in (
        ("driver", alone(words, pynvml.nvmlSystemGetDriverVersion)),
        ("nvml", alone(words, pynvml.nvmlSystemGetNVMLVersion)),
        ("cuda", alone(pynvml.nvmlSystemGetCudaDriverVersion)),
    ):
        if not isinstance(answer, Unread):
            yield f"{key} = {quote(str(answer))}"
    info = alone(pynvml.nvmlDeviceGetPciInfo, handle)
    if not isinstance(info, Unread):
        yield f"pci_device_id = 0x{info.pciDeviceId:08x}"
        yield f"pci_subsystem_id = 0x{info.pciSubSystemId:08x}"


def _through(library: Any) -> None:
    """Let the binding find its functions there."""
    pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001  the binding has no other way to forget
    pynvml.nvmlLib = library


def _handle(word: str | None) -> Any:
    """One that cannot be reached is left out: it must not keep the others from being asked."""
    handles = {
        i: alone(pynvml.nvmlDeviceGetHandleByIndex, i) for i in range(min(pynvml.nvmlDeviceGetCount(), MOST_GPUS))
    }
    reached = {index: handle for index, handle in handles.items() if not isinstance(handle, Unread)}
    if not reached:
        raise DriverTrouble("the driver answers, and no GPU can be reached")
    return [*reached.values()][chosen([_names(index, handle) for index, handle in reached.items()], word)]


def _names(index: int, handle: Any) -> Names:
    uuid = alone(words, pynvml.nvmlDeviceGetUUID, handle)
    return Names(index, "" if isinstance(uuid, Unread) else uuid, address(handle))


def _answers(recorder: Recorder, handle: Any) -> Iterator[str]:
    memory = _answered(clocks, "nvmlDeviceGetSupportedMemoryClocks", handle) or []
    for clock in memory[:MOST_MEMORY_CLOCKS]:
        _answered(clocks, "nvmlDeviceGetSupportedGraphicsClocks", handle, ctypes.c_uint(clock))
    for name, arguments in questions():
        _ask(name, handle, *arguments)
    for name, kind, version, preset in STRUCTURES:
        make = getattr(pynvml, kind, None)
        if make is None:
            continue
        structure = make()
        for member, value in (({"version": version} if version else {}) | preset).items():
            setattr(structure, member, value)
        _ask(name, handle, ctypes.byref(structure))
    yield from recorder.lines


def _ask(name: str, *arguments: Any) -> Any:
    """`_answered` of one of the binding's calls; an older binding lacks the newest."""
    call = getattr(pynvml, name, None)
    return None if call is None else _answered(call, *arguments)


def _answered(call: Callable[..., Any], *arguments: Any) -> Any:
    """What is made of the answer, None where the call fails; the recorder has noted what the library said. No code
    ends the dump: which call says that the GPU is lost is worth knowing."""
    with contextlib.suppress(pynvml.NVMLError, pynvml.NVMLLibraryMismatchError, *GARBAGE):
        return call(*arguments)
    return None


def _fields(handle: Any) -> Iterator[str]:
    for field in FIELDS:
        began = time.perf_counter_ns()
        values = _ask(BATCH, handle, [field])
        took_us = (time.perf_counter_ns() - began) // 1000
        for value in values or ():
            told = "" if value.nvmlReturn else f" {bytes(value.value).hex()}  # {_number(value)}"
            yield f"field = {field} 0 {value.nvmlReturn} {took_us} {value.valueType}{told}"


def _number(value: Any) -> Any:
    kind = value.valueType
    return getattr(value.value, VALUE_MEMBERS[kind]) if 0 <= kind < len(VALUE_MEMBERS) else "?"


def _inner(argument: Any) -> Any:
    """What a pointer points to; the argument itself where it is handed over by value."""
    return getattr(argument, "_obj", argument)


def _bytes(argument: Any) -> bytes:
    inner = _inner(argument)
    return bytes(inner) if isinstance(inner, (ctypes.Structure, ctypes.Array)) else b""


def _words(arguments: tuple[Any, ...], before: list[bytes]) -> Iterator[str]:
    """A word for each argument after the device, as the simulated driver reads them."""
    count = None
    for index, argument in enumerate(arguments):
        inner, text_before = _inner(argument), index and _is_text(arguments[index - 1])
        if argument is None:
            yield "-"
        elif _is_text(argument):
            yield '"' + quote(argument.value, safe=" ").replace(" ", "%20")
        elif isinstance(inner, ctypes.Array):
            yield "[" + _hex(bytes(inner)[: ctypes.sizeof(inner._type_) * (len(inner) if count is None else count)])
        elif isinstance(inner, ctypes.Structure):
            yield "{" + _hex(before[index]) + ":" + _hex(bytes(inner))
        elif _is_number(argument):
            following = arguments[index + 1] if index + 1 < len(arguments) else 0
            if following is None or isinstance(_inner(following), ctypes.Array):
                count = int(inner.value)
                yield f"@{count}"
            else:
                yield ">" + bytes(inner).hex()
        else:
            value = argument if isinstance(argument, int) else argument.value
            yield f"{'~' if text_before else '='}{value & 0xFFFFFFFF}"


def _is_number(argument: Any) -> bool:
    """Whether it is a pointer to one."""
    # What byref() points to, and the class of plain numbers, have no public names.
    return hasattr(argument, "_obj") and isinstance(argument._obj, ctypes._SimpleCData)  # noqa: SLF001


def _is_text(argument: Any) -> bool:
    return isinstance(argument, ctypes.Array) and argument._type_ is ctypes.c_char


def _hex(raw: bytes) -> str:
    """Hexadecimal, runs of zeros as their number."""
    out, at = [], 0
    while at < len(raw):
        zeros = len(raw[at:]) - len(raw[at:].lstrip(b"\0"))
        if zeros > 3:
            out.append(f"({zeros})")
            at += zeros
        else:
            out.append(f"{raw[at]:02x}")
            at += 1
    return "".join(out)
