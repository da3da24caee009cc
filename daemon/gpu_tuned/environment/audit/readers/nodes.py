"""YAML as nodes that know their lines and columns.

PyYAML with libyaml where it is (docs/decisions/0110). Nothing is constructed: tags of applications (`!reset`) do no
harm, and a scalar stays as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gpu_tuned.environment.audit.model import Assignment, Place, Unreadable
from gpu_tuned.environment.audit.readers.words import shell_assignments

if TYPE_CHECKING:
    from yaml.nodes import Node

    Mapping = dict[str, tuple["Node", "Node"]]

_YAML = "tag:yaml.org,2002:"


def documents(text: str, file: str) -> list[Node]:
    """The documents of a file. Raises Unreadable, with the line, where it is no YAML."""
    try:
        import yaml
    except ImportError:
        raise Unreadable(file, "reading YAML takes PyYAML (Debian and Ubuntu: python3-yaml)") from None
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [node for node in yaml.compose_all(text, Loader=loader) if node is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = error.problem or error.context or "no YAML"
        if "{{" in text:
            why = "a template, not YAML; render it first (helm template)"
        raise Unreadable(file, why, mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(
            file, f"no YAML: {str(error).splitlines()[0] if str(error) else 'nested too deep'}"
        ) from None


def place(node: Node, file: str) -> Place:
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


def script(node: Node | None, file: str) -> list[Assignment]:
    """What a shell script sets that stands in the words of `command:` or `args:`."""
    found = []
    for item in items(node) or ([node] if node is not None else []):
        text = text_of(item)
        if text is None or "=" not in text or not ("export " in text or is_list(node)):
            continue
        for name, value, at in shell_assignments(text):
            # Lines of a block (| or >) follow the line of its head; a value in one line begins where it begins.
            down = text.count("\n", 0, at)
            block = item.style in ("|", ">")
            line = item.start_mark.line + 1 + (down + 1 if block else 0)
            where = Place(file, line, 1 if block else item.start_mark.column + 1)
            found.append(Assignment(name, value, where))
    return found


def is_mapping(node: Node | None) -> bool:
    return node is not None and node.id == "mapping"


def is_list(node: Node | None) -> bool:
    return node is not None and node.id == "sequence"


def text_of(node: Node | None) -> str | None:
    """A scalar's text; None for a null and for anything else."""
    if node is None or node.id != "scalar" or node.tag == _YAML + "null":
        return None
    return str(node.value)


def is_other_scalar(node: Node) -> bool:
    """A number or a boolean to YAML, without quotes."""
    if node.id != "scalar" or node.tag not in (_YAML + "int", _YAML + "float", _YAML + "bool"):
        return False
    return not set(":_") & set(node.value)  # 12:30 and 1_000 are numbers to YAML 1.1, not to Go's parsers


def is_plain(node: Node) -> bool:
    """Written without quotes, in one line or more."""
    return node.id == "scalar" and not node.style


def items(node: Node | None) -> list[Node]:
    return list(node.value) if node is not None and node.id == "sequence" else []


def mapping(node: Node | None) -> Mapping:
    """Key -> (key's node, value's node), with merge keys (<<) put in; a later key wins over an earlier, and any over
    a merged one."""
    if node is None or node.id != "mapping":
        return {}
    # Kept with the node: aliases of aliases would otherwise be gone through once for each way that leads to them.
    found: Mapping | None = getattr(node, "merged", None)
    if found is not None:
        return found
    found = {}
    node.merged = found
    others: list[Node] = []
    for key, value in node.value:
        if key.id != "scalar":
            continue
        if key.value == "<<" and not key.style:
            others += items(value) or [value]
        else:
            found[str(key.value)] = (key, value)
    for other in others:
        for name, pair in mapping(other).items():
            found.setdefault(name, pair)
    return found


def get(node: Node | None, *path: str) -> Node | None:
    """The value below the keys of `path`, or None."""
    for key in path:
        pair = mapping(node).get(key)
        if pair is None:
            return None
        node = pair[1]
    return node


def duplicates(node: Node | None) -> Iterator[Node]:
    """Keys that a mapping has twice."""
    if node is not None and node.id == "mapping":
        seen: set[str] = set()
        for key, _ in node.value:
            if key.id == "scalar" and key.value != "<<":
                if key.value in seen:
                    yield key
                seen.add(key.value)


def words_of(node: Node | None) -> list[str]:
    """A list of scalars as texts, or one scalar as a list of one."""
    texts = [text_of(item) for item in items(node)] if is_list(node) else [text_of(node)]
    return [text for text in texts if text is not None]
