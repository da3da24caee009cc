"""Makes from the interface file what repeats it: the types in core/wire.py, for the type checker, and the JSON schema
of `gpu-tunedctl status --json`.

make.py        (needs varlink importable)

What JSON Schema can say and Varlink cannot (patterns, bounds, the values of each setting, what daemons of an earlier
date leave out) is in schema.json beside this file. Words for states stay open, as the interface promises: those that
a comment names in quotation marks become `examples`.
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import varlink
from varlink import scanner

TOP = Path(__file__).parents[2]
SOURCE = TOP / "daemon/gpu_tuned/control/io.gputuned.Control.varlink"
TYPES = TOP / "daemon/gpu_tuned/core/wire.py"
SCHEMA = TOP / "daemon/gpu_tuned/ctl/status.schema.json"
MORE = Path(__file__).with_name("schema.json")

Docs = dict[tuple[str, str], str]
"""Comments, by member and field; the field is "" for the member's own."""

HEAD = f'''"""What goes over the socket, for the type checker: a TypedDict for each type and reply of the interface.

Made by packaging/wire/make.py from {SOURCE.name}: change that file. Import this under TYPE_CHECKING
alone; at run time a document is a dict. A daemon that is older than its client may leave out what came later.
"""

from __future__ import annotations

from typing import TypedDict
'''
_MEMBER = re.compile(r"(?:type|method|error) (\w+)")
_FIELD = re.compile(r"  (\w+): ")
_WORD = re.compile(r'"(\w+)"')
_PYTHON = {str: "str", int: "int", float: "float", bool: "bool"}
_JSON = {str: "string", int: "integer", float: "number", bool: "boolean"}


def docs_of(source: str) -> Docs:
    """The comment above each member and each field that has a line of its own; the library joins all of them."""
    docs: Docs = {}
    above: list[str] = []
    member = ""
    for line in source.splitlines():
        text = line.strip()
        if text.startswith("#"):
            above.append(text[1:].strip())
            continue
        at_member, at_field = _MEMBER.match(line), _FIELD.match(line)
        if at_member:
            member = at_member[1]
            docs[member, ""] = " ".join(above)
        elif at_field:
            docs[member, at_field[1]] = " ".join(above)
        above = []
    return docs


# --- types for the checker -------------------------------------------------------------------------------------


def types_of(interface: Any, docs: Docs) -> str:
    """The text of core/wire.py."""
    parts = [HEAD]
    for name, member in interface.members.items():
        if isinstance(member, scanner._Alias):
            parts.append(_class(name, name, member.type, docs))
        elif isinstance(member, scanner._Method):
            parts.append(_class(f"{name}Reply", name, member.out_type, docs))
    return "\n\n".join(parts)


def _class(title: str, member: str, struct: Any, docs: Docs) -> str:
    lines = [f"class {title}(TypedDict):"]
    lines += [*_filled(docs[member, ""], '    """', "    ", '"""'), ""] if docs[member, ""] else []
    for field, kind in struct.fields.items():
        lines += _filled(docs.get((member, field), ""), "    # ", "    # ", "")
        lines.append(f"    {field}: {_python(kind)}")
    return "\n".join(lines) + "\n"


def _filled(text: str, first: str, rest: str, end: str) -> list[str]:
    lines, line = [], first
    for word in text.split():
        if len(line) + 1 + len(word) + len(end) > 118:
            lines.append(line.rstrip())
            line = rest
        line += word + " "
    return [*lines, line.rstrip() + end] if text else []


def _python(kind: Any) -> str:
    if isinstance(kind, scanner._Maybe):
        return f"{_python(kind.element_type)} | None"
    if isinstance(kind, scanner._Array):
        return f"list[{_python(kind.element_type)}]"
    if isinstance(kind, scanner._CustomType):
        return str(kind.name)
    return "object" if isinstance(kind, scanner._Object) else _PYTHON[type(kind)]


# --- the schema ------------------------------------------------------------------------------------------------


def schema_of(interface: Any, docs: Docs, more: dict[str, Any]) -> dict[str, Any]:
    """The schema of what the method Status replies. `more`: what schema.json adds."""
    needed: dict[str, Any] = {}
    whole = _object("Status", interface.members["Status"].out_type, docs, more, needed)
    waiting = list(needed)
    while waiting:
        name = waiting.pop(0)
        known = set(needed)
        needed[name] = _object(name, interface.members[name].type, docs, more, needed)
        waiting += [each for each in needed if each not in known]
    return {**more["head"], **whole, "$defs": {**more["defs"], **needed}}


def _object(member: str, struct: Any, docs: Docs, more: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object"}
    if member != "Status" and docs[member, ""]:
        made["description"] = docs[member, ""]
    made["required"] = [field for field in struct.fields if f"{member}.{field}" not in more["later"]]
    properties = {}
    for field, kind in struct.fields.items():
        made_field = _json(kind, more["names"], field, needed)
        comment = docs.get((member, field), "")
        if comment:
            made_field["description"] = comment
        words = _WORD.findall(comment) if made_field.get("type") in ("string", ["string", "null"]) else []
        made_field |= {"examples": words} if words else {}
        properties[field] = made_field | more["fields"].get(f"{member}.{field}", {})
    return {**made, "properties": properties, **more["types"].get(member, {})}


def _json(kind: Any, names: dict[str, str], field: str, needed: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, scanner._Maybe):
        inner = _json(kind.element_type, names, field, needed)
        if set(inner) == {"type"}:
            return {"type": [inner["type"], "null"]}
        return {"anyOf": [inner, {"type": "null"}]} if inner else {}
    if isinstance(kind, scanner._Array):
        return {"type": "array", "items": _json(kind.element_type, {}, field, needed)}
    if isinstance(kind, scanner._CustomType):
        needed.setdefault(kind.name, {})
        return {"$ref": f"#/$defs/{kind.name}"}
    if isinstance(kind, scanner._Object):
        return {}
    for pattern, definition in names.items():
        if fnmatchcase(field, pattern):
            return {"$ref": f"#/$defs/{definition}"}
    return {"type": _JSON[type(kind)]}


def made() -> dict[Path, str]:
    """What each file must contain."""
    source, more = SOURCE.read_text(), json.loads(MORE.read_text())
    interface, docs = varlink.Interface(source), docs_of(source)
    spoken_of = [*more["fields"], *more["later"]]
    unknown = [name for name in spoken_of if tuple(name.split(".")) not in _fields(interface)]
    if unknown:
        raise SystemExit(f"{MORE.name} speaks of fields that the interface does not have: {', '.join(unknown)}")
    schema = json.dumps(schema_of(interface, docs, more), indent=2, ensure_ascii=False) + "\n"
    return {TYPES: types_of(interface, docs), SCHEMA: schema}


def _fields(interface: Any) -> set[tuple[str, ...]]:
    return {
        (name, field)
        for name, member in interface.members.items()
        if not isinstance(member, scanner._Error)
        for field in (member.type if isinstance(member, scanner._Alias) else member.out_type).fields
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
