"""`gpu-tunedctl env explain NAME`: one page about one environment variable."""

from __future__ import annotations

import json
import sys

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import clean, colour_for, say, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.ctl.options import Options
    from gpu_tuned.ctl.protocols import Json

HELP = "who reads a variable, its values, since, until, harm, evidence"
EXAMPLES = """\
examples:
  gpu-tunedctl env explain CUDA_DEVICE_MAX_CONNECTIONS
  gpu-tunedctl env explain LLAMA_ARG_MLOCK --component llama-cpp-python=0.3.34

Exit codes: 0 it is read, or that cannot be said; 1 it is not (any more), it is
an old name, or it stops the program.
"""
MOST_READERS = 12

STANDING = {
    "read": ("good", "read"),
    "renamed": ("warn", "an old name"),
    "removed": ("bad", "no longer read"),
    "not-yet": ("warn", "not read yet"),
    "fatal": ("bad", "stops the program"),
    "no-effect": ("warn", "without effect"),
    "elsewhere": ("warn", "not read here"),
    "wrapper": ("warn", "read by entrypoints of some images alone"),
    "unread": ("bad", "nobody reads it"),
    "unknown": ("warn", "no known reader"),
}
WELL = ("read", "unknown", "elsewhere", "wrapper")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the variable, in its exact case")
    parser.add_argument(
        "--component",
        metavar="NAME=VERSION",
        action="append",
        default=[],
        help="what runs there, with or without its version; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="all of it, for programs")


def run(options: Options) -> int:
    found = options.looks.environment().explain(options.name, options.component)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        colour = colour_for(sys.stdout, no_color=options.no_color)
        style, words = ("warn", "no variable") if _no_variable(found) else STANDING[found["verdict"]["standing"]]
        say([f"{colour('bold', clean(found['name']))}  {colour(style, words)}", *page(found)])
    return verdict.IN_ORDER if found["verdict"]["standing"] in WELL else verdict.DIFFERS


def page(found: Json) -> list[str]:
    """The page below its headline, at 80 columns."""
    lines = wrap(_sentence(found), "  ")
    lines += _row("instead", found["verdict"]["replacement"])
    lines += _near(found)
    for value in found["values"]:
        lines += _row("values", value["legal"] + (f" ({value['unit']})" if _tells_more(value) else ""))
        lines += _row("default", value["default"] if value["default"] != "-" else "")
        lines += _row("harm", value["harm"])
        lines += _row("from", value["source"])
    lines += _readers(found)
    for row in found["removed"]:
        lines += _removed(row)
    for row in found["guide"]:
        lines += _guide(row, told=bool(found["values"]), instead=found["verdict"]["replacement"])
    for row in found["advice"]:
        lines += _row("advice", f"{row['value']}: {row['why']}")
        lines += _row("from", "; ".join(row["evidence"]))
    if found["namespace"] and not found["readers"] and not found["removed"]:
        lines += _family(found["namespace"], found["verdict"]["standing"])
    return lines


def _family(space: Json, standing: str) -> list[str]:
    known = f", from {space['known_from']}" if space["known_from"] else ""
    if space["closed"] == "yes":
        return _row("family", f"the names {space['prefix']}* are known{known}. Note: {space['advice']}")
    if space["closed"] == "mostly":
        return _row("family", f"most of the names {space['prefix']}* are known{known}. Note: {space['advice']}")
    if standing == "unknown":
        return _row("family", f"not all of the names {space['prefix']}* are known")
    return []


def _sentence(found: Json) -> str:
    verdict = found["verdict"]
    who = verdict["label"] or "nobody"
    version = f" {verdict['version']}" if verdict["version"] else ""
    likely = "" if verdict["certainty"] == "certain" else f" ({verdict['certainty']})"
    remark = f" {verdict['remark'][0].upper()}{verdict['remark'][1:]}." if verdict["remark"] else ""
    last, standing = verdict["last"], verdict["standing"]
    if standing == "read":
        how = ", by its presence: any value switches it on, 0 as well" if verdict["kind"] == "presence" else ""
        until = f"; the last that does is {last}" if last else ""
        return f"{_first(who)}{version} reads it{how}{until}.{remark}"
    if standing == "removed":
        until = f"; the last that did is {last}" if last else ""
        return f"{_first(who)}{version or ' of today'} does not read it{until}{likely}.{remark}"
    if standing == "not-yet":
        return f"{_first(who)}{version} does not read it yet; {verdict['since']} is the first that does{likely}."
    if standing == "renamed":
        return f"{_first(who)}{version} still takes it, and has a newer name for it.{remark}"
    if standing == "fatal":
        return f"{_first(who)}{version} stops when it is set{f' (seen in {last})' if last else ''}{likely}.{remark}"
    if standing == "no-effect":
        return f"{_first(who)}{version} reads it, and it changes nothing on boards of today.{remark}"
    if standing == "elsewhere":
        return f"{_first(who)} reads it, which is not among what was named."
    if standing == "wrapper":
        return f"No component reads it; {who} does. Look at your image's entrypoint."
    if _no_variable(found):
        return "It is no environment variable; what is known of it stands below."
    if standing == "unread" and found["guide"]:
        return f"It was looked for, and nothing that runs on GPUs reads it{likely}; the evidence is below."
    if standing == "unread" and found["elsewhere"]:
        return f"It is one of {found['elsewhere']['who']} and no variable: no running program reads it{likely}."
    if standing == "unread":
        return f"It is none of the names that {who}{version} reads{', as far as they are known' if likely else ''}."
    return f"No component is known to read it. That proves nothing: your own programs may.{remark}"


def _no_variable(found: Json) -> bool:
    """Whether it is a command, an option or an instruction that a guide prescribes."""
    return bool(found["guide"]) and all(row["kind"] not in ("env", "key") for row in found["guide"])


def _near(found: Json) -> list[str]:
    return _row("near", ", ".join(found["near"]))


def _readers(found: Json) -> list[str]:
    lines: list[str] = []
    rows = list({(row["label"], row["version"], row["since"]): row for row in found["readers"]}.values())
    for row in rows[:MOST_READERS]:
        how = {"prefix": f", all that begin with {row['name']}", "presence": ", by presence"}.get(row["kind"], "")
        if row["role"] in ("image", "wrapper"):
            how += ", an image's own" if row["role"] == "image" else ", an image's entrypoint"
        since = f", since {row['since']}" if row["since"] else ""
        until = f", until {row['until']}" if row["until"] not in ("", "?") else ""
        until = ", no longer" if row["until"] == "?" else until
        seen = f" {row['version']}" if row["version"].strip("-") else ""
        lines += _row("reader", f"{row['label']}{seen}{since}{until}{how}: {row['source']}")
    if len(rows) > MOST_READERS:
        lines += _row("reader", f"and {len(rows) - MOST_READERS} more (--json)")
    return lines


def _removed(row: Json) -> list[str]:
    instead = f"; {row['replacement']}" if row["replacement"] else ""
    remark = f" ({row['remark']})" if row["remark"] else ""
    until = f"until {row['last']}" if row["last"] else "once"
    gone = f", gone in {row['first_without']}" if row["first_without"] else ""
    if row["state"] in ("gone", "rewritten"):
        return _row("history", f"{row['label']}: {until}{gone}{instead}{remark}. {row['source']}")
    words = {"alias": "an old name", "kept": "still read", "fatal": "stops the program", "no-effect": "no effect"}
    seen = f" in {row['last']}" if row["last"] else ""
    return _row("history", f"{row['label']}: {words[row['state']]}{seen}{instead}{remark}. {row['source']}")


def _guide(row: Json, *, told: bool, instead: str) -> list[str]:
    """`told`: its legal values are above already; `instead` is what was said to set instead."""
    words = {"real": "real", "real-wrong-value": "real, but not with this value", "invented": "invented"}
    value = f"={row['doc_value']}" if row["doc_value"] and row["kind"] in ("env", "key") else ""
    harm = f"; harm: {row['harm']}" if row["harm"] not in ("", "none") else ""
    lines = _row("guides", f"say {row['name']}{value}: {words.get(row['verdict'], row['verdict'])}{harm}")
    if not told:
        lines += _row("values", row["values"])
    lines += _row("better", row["replacement"] if row["replacement"] != instead else "")
    lines += _row("note", row["note"])
    for evidence in row["evidence"]:
        lines += _row("evidence", evidence)
    return lines


def _tells_more(value: Json) -> bool:
    return value["unit"] not in ("", "-", "enum", "list", "presence", "bool", "int")


def _first(text: str) -> str:
    return text[:1].upper() + text[1:] if not text[:1].isupper() and " " in text else text


def _row(name: str, text: str) -> list[str]:
    return wrap(text, f"  {name:<9} ", " " * 12) if text else []
