"""Findings of `env audit` for a person, for programs, for GitHub's workflows, and as SARIF 2.1.0."""

from __future__ import annotations

import json

from gpu_tuned.core.words import counted
from gpu_tuned.ctl.render.text import clean, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_tuned.ctl.protocols import Json

PAGE = "docs/environment/audit.md"
_LEVELS = {"certain": "error", "likely": "warning", "low": "note"}
_GITHUB = {"certain": "error", "likely": "warning", "low": "notice"}


def text(found: Json) -> str:
    """Grouped by file; the last line counts."""
    lines: list[str] = []
    file = where = None
    for finding, label in zip(found["findings"], found["where"], strict=True):
        if finding["file"] != file:
            lines += ["", clean(finding["file"])] if lines else [clean(finding["file"])]
            file, where = finding["file"], None
        if label and label != where:
            lines.append(f"  {clean(label)}")
            where = label
        lines += _one(finding)
    if lines:
        lines.append("")
    return "\n".join([*lines, *wrap(_count(found))]) + "\n"


def _one(finding: Json) -> list[str]:
    at = f"{finding['line']}:{finding['column']}" if finding["line"] else "-"
    sure = "" if finding["certainty"] == "certain" else f", {finding['certainty']}"
    head = f"  {at:<7} {clean(finding['name'])}  {finding['kind']}{sure}  [{finding['id']}]"
    lines = [head] if len(head) <= 80 else wrap(head.strip(), "  ", " " * 10)
    lines += wrap(finding["message"], " " * 10)
    if finding["replacement"]:
        lines += wrap(finding["replacement"], f"{'right:':>16} ", " " * 17)
    return lines


def _count(found: Json) -> str:
    number = len(found["findings"])
    unread = f"{len(found['unreadable'])} could not be read" if found["unreadable"] else ""
    kinds = (("file", found["files"]), ("process", found["processes"]))
    places = [counted(looked_at, kind) for kind, looked_at in kinds if looked_at]
    if not places:
        return f"nothing was audited: {unread or 'the driver lists no process on the GPUs'}"
    what = f"{counted(number, 'finding') if number else 'nothing found'} in {' and '.join(places)}"
    what += f", {unread}" if unread else ""
    hints = found["hidden"]
    return what + (f"; {counted(hints, 'hint')} more with --all" if hints else "")


def as_json(found: Json) -> str:
    return json.dumps({"findings": found["findings"]}, indent=2, ensure_ascii=False) + "\n"


def github(found: Json) -> str:
    """Workflow commands: an annotation at the line."""
    lines = []
    for finding in found["findings"]:
        place = f"file={_property(finding['file'])}"
        if finding["line"]:
            place += f",line={finding['line']},col={finding['column']}"
        right = f" Right: {finding['replacement']}" if finding["replacement"] else ""
        message = clean(f"{finding['message']} [{finding['id']}]{right}")
        level = _GITHUB[finding["certainty"]]
        title = _property(f"{finding['name']}: {finding['kind']}")
        lines.append(f"::{level} {place},title={title}::{_data(message)}")
    return "".join(f"{line}\n" for line in lines)


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def sarif(found: Json) -> str:
    from gpu_tuned import __version__

    ids = sorted({finding["id"] for finding in found["findings"]})
    driver = {
        "name": "gpu-tunedctl env audit",
        "version": __version__,
        "rules": [{"id": id, "help": {"text": f"{PAGE}#{id}"}} for id in ids],
    }
    results = [_result(finding, ids.index(finding["id"])) for finding in found["findings"]]
    invocation: Json = {"executionSuccessful": not found["unreadable"]}
    if found["unreadable"]:
        notes = [{"level": "error", "message": {"text": reason}} for reason in found["unreadable"]]
        invocation["toolExecutionNotifications"] = notes
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _result(finding: Json, rule: int) -> Json:
    location: Json = {"artifactLocation": {"uri": finding["file"]}}
    if finding["line"]:
        location["region"] = {"startLine": finding["line"], "startColumn": finding["column"]}
    right = f"\nRight: {finding['replacement']}" if finding["replacement"] else ""
    return {
        "ruleId": finding["id"],
        "ruleIndex": rule,
        "level": _LEVELS[finding["certainty"]],
        "message": {"text": finding["message"] + right},
        "locations": [{"physicalLocation": location}],
        "properties": {"kind": finding["kind"], "name": finding["name"], "certainty": finding["certainty"]},
    }


FORMATS: dict[str, Callable[[Json], str]] = {"text": text, "json": as_json, "github": github, "sarif": sarif}
