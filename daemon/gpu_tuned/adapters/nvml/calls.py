"""The few ways in which NVML is asked, one failure handled as one failure."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.errors import (
    FUNCTION_NOT_FOUND,
    INSUFFICIENT_SIZE,
    SUCCESS,
    UNKNOWN,
    WHOLE,
    meaning,
    unread,
)
from gpu_tuned.adapters.nvml.plausible import whole
from gpu_tuned.core.model import Unread

# nvmlClockType_t
GRAPHICS, SM, MEMORY = 0, 1, 2
# nvmlTemperatureThresholds_t
SHUTDOWN, SLOWDOWN, MAX_OPERATING = 0, 1, 3
MIB = 1 << 20
MOST_GPUS = 256
"""GPUs that are looked at; a driver that counts more is not believed."""
MOST_CLOCKS = 4096
"""In one list of clocks; an RTX 5090 names 389."""

# nvmlValueType_t -> the member of the union that holds it
VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")

NONSENSE = Unread("the driver's answer makes no sense")
# What the binding raises by itself over an answer: a text that is no UTF-8, a list of four thousand million.
GARBAGE = (UnicodeError, OverflowError, MemoryError)


def ask(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call answers; `Unread` where this call alone failed. Raises GpuLost, DriverAbsent,
    DriverMismatch."""
    try:
        return call(*arguments)
    except pynvml.NVMLError as error:
        code = error.value
    except pynvml.NVMLLibraryMismatchError:
        code = FUNCTION_NOT_FOUND
    except GARBAGE:
        return NONSENSE
    return unread(code)


def alone(call: Callable[..., Any], *arguments: Any) -> Any:
    """`ask`, where one call's failure is that call's also when its code speaks of the whole GPU or driver: one getter
    was seen to answer so for ever while all others went on. Raises nothing."""
    try:
        return ask(call, *arguments)
    except WHOLE as error:
        return Unread(str(error))


def words(call: Callable[..., Any], *arguments: Any) -> str:
    """A text that the driver hands out, fit for a terminal and a log: what is no UTF-8, and what no letter, becomes a
    replacement character. Raises NVML's own errors."""
    # The binding decodes strictly, and a name that is no UTF-8 would be an error of Python's.
    raw = getattr(call, "__wrapped__", call)(*arguments)
    return clean(raw)


def clean(raw: str | bytes) -> str:
    """Text without what is no UTF-8 and what no terminal can show, a replacement character for each."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text).strip()


def number(call: Callable[..., Any], *arguments: Any) -> int | None:
    """`alone` where it does not matter why a number could not be had."""
    answer = alone(call, *arguments)
    return None if isinstance(answer, Unread) else int(answer)


def first(names: Sequence[str], *arguments: Any) -> tuple[Callable[..., Any] | None, Any]:
    """The first call of `names` that both the binding and the driver library have, with its answer.

    NVML renames calls: an older library lacks the newer name, and a later one is announced to lack the older.
    """
    answer: Any = unread(FUNCTION_NOT_FOUND)
    for name in names:
        call = getattr(pynvml, name, None)
        if call is None:
            continue
        try:
            return call, call(*arguments)
        except pynvml.NVMLError as error:
            code = error.value
        except pynvml.NVMLLibraryMismatchError:
            code = FUNCTION_NOT_FOUND  # a name of the binding's own, behind which stands one that is missing
        except GARBAGE:
            return call, NONSENSE
        answer = Unread(meaning(code)[1])  # also where the code speaks of the whole GPU: see `alone`
        if code != FUNCTION_NOT_FOUND:
            return call, answer
    return None, answer


def clocks(name: str, *arguments: Any) -> list[int]:
    """The clocks that a call named `name` lists, MHz. Raises NVML's own errors, for a list longer than
    `MOST_CLOCKS` that of too little room."""
    # The binding asks first how many there are, and makes room for whatever number it is told.
    count, room = ctypes.c_uint(MOST_CLOCKS), (ctypes.c_uint * MOST_CLOCKS)()
    call = pynvml._nvmlGetFunctionPointer(name)  # noqa: SLF001  the binding has no other way to a function
    code = call(*arguments, ctypes.byref(count), room)
    if not code and count.value > MOST_CLOCKS:
        code = INSUFFICIENT_SIZE
    if code:
        raise pynvml.NVMLError(code)
    return room[: count.value]


def fields(handle: Any, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Field id -> (nvmlReturn of that element, its value): one call to the driver for all of them.

    Raises GpuLost, DriverAbsent, DriverMismatch where the whole call is answered so; one element's code is its own.
    """
    if not ids:
        return {}
    code = SUCCESS
    try:
        values = pynvml.nvmlDeviceGetFieldValues(handle, ids)
    except pynvml.NVMLError as error:
        code = error.value
    if code:
        unread(code)
        return dict.fromkeys(ids, (code, 0))
    answers = {}
    for field_id, element in zip(ids, values, strict=True):
        # They come back in the order in which they were asked for; one that names another field is no answer.
        code, value = element.nvmlReturn, 0
        if element.fieldId != field_id:
            code = UNKNOWN
        if not code:
            found = _value(element)
            code, value = (SUCCESS, found) if found is not None else (UNKNOWN, 0)
        answers[field_id] = (code, value)
    return answers


def _value(element: Any) -> int | None:
    """None for a kind of value that is not known here, and for NaN and infinity."""
    kind = element.valueType
    return whole(getattr(element.value, VALUE_MEMBERS[kind])) if 0 <= kind < len(VALUE_MEMBERS) else None
