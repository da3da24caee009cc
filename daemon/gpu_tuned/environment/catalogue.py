"""The catalogue: from the name of an environment variable to what is known of it.

For callers (`gpu-tunedctl env`, the audit):

    catalogue = shipped()                                  # environment/shipped.py: reads the package's data, once
    catalogue.facts("NCCL_DEBUG")                          # every row that speaks of the name
    catalogue.judge("VLLM_USE_V1", (Running("vllm", "0.33.0"),))   # what that means there (environment/judge.py)
    catalogue.near("PYTHON_PATH")                          # names that may have been meant, best first
    legal.is_legal(value, text), legal.nearest(value, text)        # environment/legal.py, with a Value of facts()

Nothing here knows a file, a clock or a GPU. Texts are parsed when something of them is first asked for.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cached_property

from gpu_tuned.environment import near, version
from gpu_tuned.environment.facts import (
    Component,
    Elsewhere,
    Facts,
    Kind,
    Namespace,
    Prescribed,
    Reader,
    Recommended,
    Removed,
    Role,
    State,
    Value,
)
from gpu_tuned.environment.judge import Running, Verdict, judge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Catalogue:
    """Every table, by name. Made from the texts of daemon/gpu_tuned/environment/data, which
    packaging/environment/make.py writes."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """`texts` is the text of each data file by its name; a mapping that reads when asked does well."""
        self._texts = texts
        self._facts: dict[str, Facts] = {}
        self._verdicts: dict[tuple[str, tuple[Running, ...]], Verdict] = {}

    # --- what is asked of it -----------------------------------------------------------------------------------

    def facts(self, name: str) -> Facts:
        """All that is known of `name`, in its exact case. Rows that read it by a prefix are among the readers."""
        if name not in self._facts:
            self._facts[name] = Facts(
                name,
                tuple(self._readers(name)),
                tuple(self.removed.get(name, ())),
                tuple(self._values(name)),
                self.namespace(name),
                tuple(self.prescribed.get(name, ())),
                tuple(row for row in self.recommended if any(_speaks_of(pattern, name) for pattern in row.names)),
            )
        return self._facts[name]

    def judge(self, name: str, running: Iterable[Running] = ()) -> Verdict:
        """What setting `name` does where `running` runs: the components that are known to, each with its version
        or "" where that is not known. Libraries need not be named: any may be there. With nothing named, every
        engine is possible."""
        asked = (name, tuple(running))
        if asked not in self._verdicts:
            self._verdicts[asked] = judge(self, *asked)
        return self._verdicts[asked]

    def near(self, name: str, most: int = 3) -> list[str]:
        """Known names that `name` may have been meant to be, best first; none where nothing is near enough."""
        return near.near(name, self.names, most)

    def namespace(self, name: str) -> Namespace | None:
        """The longest prefix of namespaces.tsv that `name` begins with, or None: then absence says nothing."""
        return next((row for row in self.namespaces if name.startswith(row.prefix)), None)

    def elsewhere(self, name: str) -> Elsewhere | None:
        """Who else, in the namespace of `name`, may read it or builds with it; of several patterns the longest."""
        found = [row for row in self.exceptions if _speaks_of(row.pattern, name)]
        return max(found, key=lambda row: len(row.pattern), default=None)

    def component(self, word: str) -> Component | None:
        """A component by its id, in any case ("vLLM", "llama-cpp")."""
        folded = _folded(word)
        return next((row for row in self.components.values() if _folded(row.id) == folded), None)

    def compare(self, component: str, one: str, other: str) -> int | None:
        """-1, 0 or 1 as version `one` of the component is older than, the same as or newer than `other`; None
        where a text has no order in the component's scheme (a build number, "latest", "")."""
        scheme = self.components[component].scheme if component in self.components else ""
        key_of = [version.key(text, scheme, self.ggml_of_wheel) for text in (one, other)]
        return version.compare(*key_of)

    # --- the tables --------------------------------------------------------------------------------------------

    @cached_property
    def components(self) -> dict[str, Component]:
        rows = (line.split("\t") for line in self._lines("components.tsv"))
        found = {}
        for id, label, role, scheme, looked_at, brings, rewrites in rows:
            others = tuple(filter(None, brings.split(",")))
            pairs = tuple((old, new) for old, _, new in (pair.partition("=") for pair in rewrites.split(",")) if old)
            found[id] = Component(id, label, Role(role), scheme, looked_at, others, pairs)
        return found

    @cached_property
    def _read(self) -> tuple[dict[str, list[_Row]], dict[str, list[_Row]]]:
        """Who reads each exact name, and who reads by each prefix. Rows are taken apart when they are asked for:
        there are thousands, and one command asks for a few."""
        exact: dict[str, list[_Row]] = {}
        prefixes: dict[str, list[_Row]] = {}
        group = ""
        for line in self._lines("readers.tsv"):
            if line[0] == "=":
                group = line
                continue
            name, _, rest = line.partition("\t")
            (prefixes if rest.startswith("prefix") else exact).setdefault(name, []).append((rest, group))
        return exact, prefixes

    def _readers(self, name: str) -> Iterator[Reader]:
        """By the exact name, then by prefix, the longest first."""
        exact, prefixes = self._read
        seen = set()
        for row in exact.get(name, ()):
            reader = _reader(name, row)
            seen.add(reader.component)
            yield reader
        # A component whose legal values are known reads it, though no scan of it has the name (HF_TOKEN).
        for value in (self.values[name],) if name in self.values else ():
            for component in value.components:
                if component not in seen:
                    yield Reader(name, Kind.EXACT, component, "", "", "", value.source)
        for prefix in self.prefixes:
            if name.startswith(prefix) and len(name) > len(prefix):
                for row in prefixes[prefix]:
                    yield _reader(prefix, row)

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        return tuple(sorted(self._read[1], key=lambda text: (-len(text), text)))

    @cached_property
    def removed(self) -> dict[str, list[Removed]]:
        found: dict[str, list[Removed]] = defaultdict(list)
        for line in self._lines("removed.tsv"):
            name, component, last, first, state, replacement, remark, source = line.split("\t")
            found[name].append(Removed(name, component, last, first, State(state), replacement, remark, source))
        return dict(found)

    @cached_property
    def values(self) -> dict[str, Value]:
        """By name; a name that ends in "*" stands for all that begin so."""
        found = {}
        for line in self._lines("values.tsv"):
            name, components, *rest = line.split("\t")
            found[name] = Value(name, tuple(components.split(",")), *rest)
        return found

    @cached_property
    def namespaces(self) -> tuple[Namespace, ...]:
        """Longest prefix first."""
        rows = [Namespace(*line.split("\t")) for line in self._lines("namespaces.tsv")]
        return tuple(sorted(rows, key=lambda row: (-len(row.prefix), row.prefix)))

    @cached_property
    def exceptions(self) -> tuple[Elsewhere, ...]:
        return tuple(Elsewhere(*line.split("\t")) for line in self._lines("exceptions.tsv"))

    @cached_property
    def prescribed(self) -> dict[str, list[Prescribed]]:
        """By name; what belongs to a variable and is no name itself ("PYTORCH_CUDA_ALLOC_CONF:backend") too."""
        found: dict[str, list[Prescribed]] = defaultdict(list)
        for row in self._guide:
            if row["table"] == "variable":
                found[row["name"]].append(_from_json(Prescribed, row))
        return dict(found)

    @cached_property
    def recommended(self) -> tuple[Recommended, ...]:
        rows = ({**row, "title": row["name"]} for row in self._guide if row["table"] == "recommended")
        return tuple(_from_json(Recommended, row) for row in rows)

    @cached_property
    def rewrites(self) -> tuple[tuple[str, str], ...]:
        """(old, new) of every component."""
        return tuple(pair for component in self.components.values() for pair in component.rewrites)

    @cached_property
    def ggml_of_wheel(self) -> dict[str, str]:
        """llama-cpp-python -> ggml, as far as it is known; "" where the wheel's own version counts."""
        rows = (line.split("\t") for line in self._lines("ggml.tsv"))
        return {row[0]: row[1] for row in rows}

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many names each component reads; a prefix counts as one."""
        found: dict[str, int] = defaultdict(int)
        for table in self._read:
            for rows in table.values():
                for component in {group.split("\t")[1] for _, group in rows}:
                    found[component] += 1
        return dict(found)

    @property
    def names_read(self) -> int:
        """How many names are read by a component or more; one that several read counts once."""
        return len(self._read[0])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that a component reads or once read, for near misses; sorted."""
        return tuple(sorted({*self._read[0], *self.removed}))

    @cached_property
    def _guide(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines("prescribed.jsonl")]

    def _lines(self, file: str) -> Iterator[str]:
        return iter(self._texts[file].splitlines())

    def _values(self, name: str) -> Iterator[Value]:
        for pattern in self.values:
            if _speaks_of(pattern, name):
                yield self.values[pattern]


_Row = tuple[str, str]
"""What stands behind a name in readers.tsv, and the line of its group."""

_KINDS = {"": Kind.EXACT, "presence": Kind.PRESENCE, "prefix": Kind.PREFIX}


def _reader(name: str, row: _Row) -> Reader:
    kind, since, until = [*row[0].split("\t"), "", ""][:3]
    _, component, seen_in, source = row[1].split("\t")
    return Reader(name, _KINDS[kind], component, seen_in, since, until, source)


def _speaks_of(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _folded(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _from_json(row_type: type[Any], row: Mapping[str, Any]) -> Any:
    """A row of the guide; what JSON leaves out is empty."""
    cells = []
    for field in fields(row_type):
        empty: Any = () if "tuple" in str(field.type) else ""
        value = row.get(field.name, empty)
        cells.append(tuple(value) if isinstance(value, list) else value)
    return row_type(*cells)


__all__ = ["Catalogue", "Facts", "Running", "Verdict"]
