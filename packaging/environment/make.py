"""Makes the catalogue that the package ships from the tables beside this file.

    python3 packaging/environment/make.py            writes daemon/gpu_tuned/environment/data/
    python3 packaging/environment/make.py --check    says what would differ, and exits with 1 if anything would

The same tables give the same bytes, on every Python from 3.10 on. What the tables say in words that a program must
act on (a parenthesis behind a version, "prefix rule") is turned into a word of a closed list here; a phrase that is
not known stops the run instead of being guessed at.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "daemon/gpu_tuned/environment/data"

KINDS = {"exact": "", "prefix": "prefix", "presence-only": "presence"}
UNTIL = {
    "": ("", ""),
    "now aborts": ("", ""),  # removed_names.tsv says more of these
    "0.36.0 (then warns)": ("0.36.0", "then warns"),
    "unverified": ("?", ""),
    "not in libtriton 3.9.0": ("?", "not in libtriton 3.9.0"),
    "2.14.1": ("2.14.1", ""),
}
"""`until` in known_names.tsv -> last version that reads it ("?": no longer, not known since when), and a remark."""

LAST = {
    "": "gone",
    "deprecated": "alias",
    "deprecated alias": "alias",
    "deprecated, no effect on Pascal+": "no-effect",
    "still read; old name wins when both are set": "kept",
    "option kept only to abort: setting it stops the server": "fatal",
}
"""Parenthesis behind a last version in removed_names.tsv -> what became of the name (Removed.state)."""

CLOSED = {"yes": "yes", "mostly": "mostly", "prefix rule": "rule", "rule": "rule", "no": "no"}


class Unknown(SystemExit):
    """A phrase that this script does not know."""


def table(name: str) -> list[dict[str, str]]:
    lines = (HERE / name).read_text().splitlines()
    head = lines[0].split("\t")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(head):
            raise Unknown(f"{name}:{number}: {len(cells)} columns, where the first line has {len(head)}")
        rows.append(dict(zip(head, cells, strict=True)))
    return rows


def components() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Each component by id, and the id for each word of the tables."""
    found: dict[str, dict[str, Any]] = tomllib.loads((HERE / "components.toml").read_text())["component"]
    words = {word: key for key, row in found.items() for word in [key, *row.get("tables", [])]}
    for key, row in found.items():
        for other in row.get("brings", []):
            if other not in found:
                raise Unknown(f"components.toml: {key} brings {other!r}, which is no component")
    return found, words


def one(words: dict[str, str], word: str, where: str) -> str:
    if word not in words:
        raise Unknown(f"{where}: components.toml has no component for {word!r}")
    return words[word]


def readers(words: dict[str, str]) -> Iterator[str]:
    """Grouped by who reads and where that is known from, since both repeat; a group starts with "=" and a tab."""
    groups: dict[tuple[str, str, str], set[tuple[str, str, str, str]]] = defaultdict(set)
    for row in table("known_names.tsv"):
        name, kind = row["name"], KINDS[row["kind"]]
        if name.endswith("*"):
            name, kind = name[:-1], "prefix"
        if row["until"] not in UNTIL:
            raise Unknown(f"known_names.tsv: {name}: until {row['until']!r}")
        until, remark = UNTIL[row["until"]]
        source = f"{row['source']} ({remark})" if remark else row["source"]
        key = (one(words, row["component"], f"known_names.tsv: {name}"), row["version"], source)
        groups[key].add((name, kind, row["since"], until))
    for (component, version, source), names in sorted(groups.items()):
        yield f"=\t{component}\t{version}\t{source}"
        for found in sorted(names):
            yield "\t".join(found).rstrip("\t")


def removed(words: dict[str, str]) -> Iterator[str]:
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in table("removed_names.tsv"):
        where = f"removed_names.tsv: {row['name']}"
        match = re.fullmatch(r"(.*?)(?: \((.*)\))?", row["last_version_reading"])
        assert match
        last, aside = match[1], match[2] or ""
        if aside not in LAST:
            raise Unknown(f"{where}: ({aside})")
        state = LAST[aside]
        first = row["first_version_without"]
        replacement, remark = row["replacement"], ""
        if replacement == "same name read by another module":
            state, replacement = "kept", ""
        elif "SGL_ is rewritten to SGLANG_" in replacement:
            state, replacement = "rewritten", replacement.split(" ")[0]
            remark = "rewritten to SGLANG_ with a warning since 0.5.4"
        elif match := re.fullmatch(r"none(?: \((.*)\))?", replacement):
            replacement, remark = "", match[1] or ""
        elif match := re.fullmatch(r"([^ ]+) \((.*)\)", replacement):
            replacement, remark = match[1], match[2]
        last, first = last.replace("?", ""), first.replace("?", "")
        key = (row["name"], one(words, row["component"], where))
        # A name that went, came back and went again has two rows; the later one says how it is now.
        if key not in rows or _number(rows[key][0]) < _number(last):
            rows[key] = (last, first, state, replacement, remark, row["source"])
    return ("\t".join((*key, *row)) for key, row in sorted(rows.items()))


def _number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def rules() -> dict[str, tuple[str, str]]:
    found = {}
    for line in (HERE / "legal.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, kind, *argument = line.split(" ", 2)
            found[name] = (kind, "".join(argument))
    return found


def values(words: dict[str, str]) -> Iterator[str]:
    legal = rules()
    for row in sorted(table("values.tsv"), key=lambda row: row["name"]):
        name = row["name"].split(" ")[0]  # "LLAMA_ARG_NO_* (25 negated names)"
        parts = re.split(r"[,/] ?", row["component"])
        ids = ",".join(one(words, part, f"values.tsv: {name}") for part in parts)
        kind, argument = legal.pop(name, ("presence" if row["type_unit"].startswith("presence") else "", ""))
        cells = [row[key] for key in ("legal_values", "type_unit", "default")]
        harm = "" if row["harmful_or_contradictory"] == "-" else row["harmful_or_contradictory"]
        yield "\t".join((name, ids, kind, argument, *cells, harm, row["source"]))
    if legal:
        raise Unknown(f"legal.txt: values.tsv has no {', '.join(legal)}")


def namespaces(words: dict[str, str]) -> Iterator[str]:
    for row in table("namespaces.tsv"):
        if row["prefix"].startswith("("):  # "(all others)": what the reader does without a row
            continue
        match = re.fullmatch(r"(\w[\w ]*?)(?: \((.*)\))?", row["closed"])
        if not match or match[1] not in CLOSED:
            raise Unknown(f"namespaces.tsv: {row['prefix']}: closed {row['closed']!r}")
        component = _owner(words, row["component"])
        yield "\t".join((row["prefix"], component, CLOSED[match[1]], match[2] or "", row["advice"]))


def _owner(words: dict[str, str], word: str) -> str:
    """The component of a namespace; "hugging face" and "tensorflow" are wider than one component."""
    wider = {"hugging face": "huggingface_hub", "tensorflow": "xla", "jax/xla": "xla"}
    return wider.get(word) or one(words, word, "namespaces.tsv")


def exceptions() -> Iterator[str]:
    """Names in a known namespace that others read, or that are options of a build: those in exceptions.tsv, and what
    took the place of llama.cpp's old build options, which is a build option again."""
    rows = {row["pattern"]: (row["kind"], row["who"]) for row in table("exceptions.tsv")}
    for row in table("removed_names.tsv"):
        if "build option" in row["component"] and re.fullmatch(r"[A-Z][A-Z0-9_]+", row["replacement"]):
            rows[row["replacement"]] = ("option", "llama.cpp's CMake options (cmake -D)")
    for pattern, (kind, who) in sorted(rows.items()):
        if kind not in ("reader", "option"):
            raise Unknown(f"exceptions.tsv: {pattern}: kind {kind!r}")
        yield "\t".join((pattern, kind, who))


def prescribed() -> Iterator[str]:
    facts = tomllib.loads((HERE / "prescribed.toml").read_text())
    for row in facts["variable"]:
        yield _json({"table": "variable", **{key: value for key, value in row.items() if value not in ("", [])}})
    for row in facts["recommended"]:
        names = re.findall(r"--[a-z-]+|[A-Z][A-Z0-9_]*_[A-Z0-9_]+\*?", row["name"])
        yield _json({"table": "recommended", **row, "names": names})


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def listed(found: dict[str, dict[str, Any]], words: dict[str, str]) -> Iterator[str]:
    looked_at: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in table("known_names.tsv"):
        looked_at[one(words, row["component"], "known_names.tsv")][row["version"]] += 1
    for key, component in sorted(found.items()):
        # The version that most of its names were found in.
        versions = looked_at.get(key, {})
        version = max(sorted(versions), key=lambda text: versions[text], default="")
        if key == "llama.cpp":
            version = version.replace("ggml-", "ggml ")
        brings = ",".join(component.get("brings", []))
        rewrites = ",".join(f"{old}={new}" for old, new in component.get("rewrites", {}).items())
        yield "\t".join(
            (key, component["label"], component["role"], component.get("versions", ""), version, brings, rewrites)
        )


def ggml() -> Iterator[str]:
    """Which ggml each llama-cpp-python carries, from the rows that name both; first a row without a ggml: the last
    wheel whose own version the tables count by."""
    pairs: dict[str, set[str]] = defaultdict(set)
    own: set[str] = set()
    for row in table("removed_names.tsv"):
        match = re.search(r"llama-cpp-python (\S+) vs ([^)\s]+)", row["source"])
        if match is None:
            continue
        for column, wheel in (("last_version_reading", match[1]), ("first_version_without", match[2])):
            if row[column].startswith("ggml "):
                pairs[wheel].add(row[column].removeprefix("ggml "))
            else:
                own.add(wheel)
    yield f"{max(own, key=_number)}\t"
    for wheel, found in sorted(pairs.items(), key=lambda pair: _number(pair[0])):
        (version,) = found
        yield f"{wheel}\t{version}"


def made() -> dict[str, str]:
    """Every file of the catalogue, by its name."""
    found, words = components()
    files: dict[str, Iterable[str]] = {
        "components.tsv": listed(found, words),
        "exceptions.tsv": exceptions(),
        "ggml.tsv": ggml(),
        "namespaces.tsv": namespaces(words),
        "prescribed.jsonl": prescribed(),
        "readers.tsv": readers(words),
        "removed.tsv": removed(words),
        "values.tsv": values(words),
    }
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in files.items()}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        raise SystemExit(__doc__)
    differ = 0
    for name, text in made().items():
        path = DATA / name
        if path.exists() and path.read_bytes() == text.encode():
            continue
        differ = 1
        if arguments:
            print(f"{path} is not what the tables give", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            print(f"wrote {path}")
    return differ if arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
