"""The interface file as the tests' yardstick: is a reply of the types that it promises?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import varlink

from gpu_tuned import control

FILE = Path(control.__file__).parent / "io.gputuned.Control.varlink"
INTERFACE = varlink.Interface(FILE.read_text())
scanner = varlink.scanner


def misfits(kind: Any, value: Any, where: str) -> list[str]:
    """Where `value` is not of the interface file's type `kind`: missing, surplus and mistyped fields."""
    if isinstance(kind, scanner._Maybe):
        return [] if value is None else misfits(kind.element_type, value, where)
    if isinstance(kind, scanner._CustomType):
        return misfits(INTERFACE.members[kind.name].type, value, where)
    if isinstance(kind, scanner._Object):
        return [] if value is not None else [f"{where}: null"]
    if isinstance(kind, scanner._Array):
        if not isinstance(value, list):
            return [f"{where}: no array"]
        return [m for i, item in enumerate(value) for m in misfits(kind.element_type, item, f"{where}[{i}]")]
    if isinstance(kind, scanner._Struct):
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        problems = [f"{where}.{name}: missing" for name in kind.fields if name not in value]
        problems += [f"{where}.{name}: not in the interface" for name in value if name not in kind.fields]
        for name in kind.fields.keys() & value.keys():
            problems += misfits(kind.fields[name], value[name], f"{where}.{name}")
        return problems
    wanted = (int, float) if isinstance(kind, float) else type(kind)
    fits = isinstance(value, wanted) and (isinstance(kind, bool) or not isinstance(value, bool))
    return [] if fits else [f"{where}: {value!r} is no {type(kind).__name__}"]


def held_to_the_file(method: str, reply: dict[str, Any] | None) -> dict[str, Any]:
    assert reply is not None
    assert "error" not in reply, reply
    parameters = reply["parameters"]
    problems = misfits(INTERFACE.get_method(method).out_type, parameters, method)
    assert not problems, "\n".join(problems)
    assert parameters["format"] == 1
    assert isinstance(parameters, dict)
    return parameters
