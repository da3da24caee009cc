"""What `init` found and proposes, for a person: the table first, then the policy. All but the policy are comments, so
that the output is a policy file as it stands."""

from __future__ import annotations

from gpu_tuned.core.words import counted
from gpu_tuned.ctl.render.text import WIDTH, clean, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpu_tuned.ctl.protocols import Json

MOST_LEFT = 40
"""Lines left that are shown one by one; --json has all."""
_VERBS = {"edit": "edit", "move": "move", "override": "override", "leave": "leave"}


def lines(document: Json) -> list[str]:
    """The whole output. Before `--write` it is one policy file; after it, what was done."""
    written = document["written"]
    mark = "" if written else "# "
    head = [*_summary(document, mark), *_enforced(document, mark), *_left(document, mark)]
    head += [*_writers(document, mark), *_files(document, mark), *_further(document, mark)]
    head += _advice(document, mark)
    if written:
        return [*head, *_done(document)]
    return [*head, "#", "# ---- the policy", *document["policy"].rstrip("\n").split("\n"), *_next(document, "# ")]


def _summary(document: Json, mark: str) -> list[str]:
    files = {entry["path"] for entry in document["files"]} | {entry["file"] for entry in document["left"]}
    taken, left = document["taken"], document["left"]
    said = "Nothing was found on this host that sets its GPUs."
    if files:
        verb = "sets" if len(files) == 1 else "set"
        said = (
            f"{counted(len(files), 'file')} {verb} GPUs here: {counted(len(taken), 'value')} taken over, "
            f"{counted(len(left), 'line')} left as {'it is' if len(left) == 1 else 'they are'}."
        )
    raised = [entry for entry in taken if "RAISE" in entry["change"]]
    if raised:
        said += f" Power limits above those in force: {len(raised)}, marked RAISES."
    return wrap(said, mark, mark)


def _enforced(document: Json, mark: str) -> list[str]:
    if not document["taken"]:
        return []
    rows = [
        (_who(group, document), _label(group["setting"]), _value(group), _place(group))
        for group in _grouped(document)
    ]
    title = "IN THE POLICY NOW" if document["written"] else "WILL BE ENFORCED"
    return [mark.rstrip(), f"{mark}{title}", *_table(rows, mark)]


def _grouped(document: Json) -> list[Json]:
    """One row for boards with the same value from the same line."""
    groups: dict[tuple[str, ...], Json] = {}
    for entry in document["taken"]:
        key = tuple(str(entry[name]) for name in ("setting", "shown", "change", "file", "line"))
        groups.setdefault(key, {**entry, "uuids": []})["uuids"].append(entry["gpu"])
    return list(groups.values())


def _who(group: Json, document: Json) -> str:
    """ "GPU 0 RTX 3090", "GPU 0,1", "every GPU", "host" """
    boards = [gpu for gpu in document["gpus"] if gpu["uuid"] in group["uuids"]]
    if not boards:
        return "host"
    if len(boards) == len(document["gpus"]) > 3:
        return "every GPU"
    numbers = ",".join(str(board["index"]) for board in boards)
    name = clean(boards[0]["name"]).removeprefix("NVIDIA ").removeprefix("GeForce ")
    return (
        f"GPU {numbers} {name}"[:22].rstrip() if len({board["name"] for board in boards}) == 1 else f"GPU {numbers}"
    )


def _value(group: Json) -> str:
    return f"{group['shown']} ({group['change']})" if group["change"] else str(group["shown"])


def _table(rows: Sequence[tuple[str, ...]], mark: str) -> list[str]:
    """Two columns of their own width, then the value, then where it comes from: beside it or below."""
    widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
    value = max(len(row[2]) for row in rows)
    out: list[str] = []
    for row in rows:
        first = f"{mark}  " + "  ".join(cell.ljust(width) for cell, width in zip(row[:2], widths, strict=True))
        if len(first) + 4 + value + max(len(each[3]) for each in rows) <= WIDTH:
            out.append(f"{first}  {row[2].ljust(value)}  {clean(row[3])}")
            continue
        out += wrap(row[2], f"{first}  ", f"{mark}  {'':<{len(first) - len(mark)}}")
        below = f"{mark}  {'':<{widths[0]}}  "
        out += wrap(row[3], below, below)
    return out


def _left(document: Json, mark: str) -> list[str]:
    left = document["left"]
    if not left:
        return []
    out = [mark.rstrip(), f"{mark}LEFT AS IT IS"]
    for (file, reason, instead), entries in _by_reason(left[:MOST_LEFT]).items():
        numbers = list(dict.fromkeys(entry["line"] for entry in entries))
        words = ", ".join(dict.fromkeys(f"`{entry['text']}`" for entry in entries))
        where = f"{file} line{'s' if len(numbers) > 1 else ''} {_ranges(numbers)}"
        out += wrap(f"{where}: {words}", f"{mark}  ", f"{mark}      ")
        out += wrap(reason, f"{mark}      ", f"{mark}      ")
        out += wrap(f"you could write: {instead}", f"{mark}      ", f"{mark}        ") if instead else []
    if len(left) > MOST_LEFT:
        out.append(f"{mark}  and {len(left) - MOST_LEFT} more (`gpu-tunedctl init --json` has all)")
    return out


def _by_reason(left: Sequence[Json]) -> Mapping[tuple[str, str, str], list[Json]]:
    groups: dict[tuple[str, str, str], list[Json]] = {}
    for entry in left:
        key = (entry["file"], entry["reason"], entry["instead"] or "")
        groups.setdefault(key, []).append(entry)
    return groups


def _writers(document: Json, mark: str) -> list[str]:
    if not document["writers"]:
        return []
    out = [mark.rstrip(), f"{mark}SETS GPUS BESIDE THE DAEMON (leave a setting to it with `watch`, or end it)"]
    for writer in document["writers"]:
        out += wrap(f"{writer['file']} ({writer['kind']}): {writer['reason']}", f"{mark}  ", f"{mark}      ")
    return out


def _files(document: Json, mark: str) -> list[str]:
    target, written = document["target"], document["written"]
    out = [mark.rstrip(), f"{mark}{'WHAT WAS DONE' if written else 'WHAT --write DOES'}"]
    there = f" (there now: {target['present']})" if target["present"] and not written else ""
    out += _row("write", f"{target['path']}{there}", mark)
    known = {entry["file"] for entry in document["taken"]}
    for entry in document["files"]:
        if entry["action"] == "leave" and entry["path"] not in known:
            continue  # nothing of it is taken over, as the lines above say
        at = entry["lines"]
        where = f", line{'s' if len(at) > 1 else ''} {_ranges(at)}" if at else ""
        out += _row(_VERBS[entry["action"]], f"{entry['path']}{where}: {entry['why']}", mark)
    place = written["backup"] if written else "/var/backups/gpu-tuned"
    replaces = target["present"] or any(entry["action"] != "leave" for entry in document["files"])
    if not replaces:
        return [*out, *_row("undo", f"a script in {place} takes the policy away again", mark)]
    return [*out, *_row("back up", f"the originals to {place}, with a script that puts them back", mark)]


def _further(document: Json, mark: str) -> list[str]:
    out: list[str] = []
    for path in document["target"]["drop_ins"]:
        out += _row("keep", f"{path}, which is read after this policy and wins over it", mark)
    for entry in document["unread"]:
        out += _row("not read", f"{entry['path']}: {entry['reason']}", mark)
    return out


def _advice(document: Json, mark: str) -> list[str]:
    """What is known to go wrong with what is taken over; the same of several GPUs is told once."""
    told: dict[tuple[str, str], list[Json]] = {}
    for row in document["advice"]:
        told.setdefault((row["id"], row["message"]), []).append(row)
    if not told:
        return []
    out = [mark.rstrip(), f"{mark}KNOWN OF THESE SETTINGS (`accept` in the policy silences one)"]
    numbers = {gpu["uuid"]: gpu["index"] for gpu in document["gpus"]}
    for (name, message), rows in told.items():
        where = ",".join(str(numbers[row["gpu"]]) for row in rows)
        text = f"{rows[0]['severity']}: GPU {where} {_label(rows[0]['setting'])}: {message} [{name}]"
        out += wrap(text, f"{mark}  ", f"{mark}      ")
    return out


def _done(document: Json) -> list[str]:
    out = ["", "to undo all of it:", f"  {document['written']['undo']}"]
    if any(entry["action"] == "move" and entry["path"].endswith(".service") for entry in document["files"]):
        out += [
            "",
            *wrap(
                "systemd forgets the moved units at the next daemon-reload or boot. Where containers have GPUs by "
                "the legacy runtime, a daemon-reload can take the GPUs away from them "
                "(nvidia-container-toolkit#48): wait for the boot there."
            ),
        ]
    return [*out, *_next(document, "")]


def _next(document: Json, mark: str) -> list[str]:
    steps = [clean(step) for step in document["next"]]
    if len(steps) == 1:
        return [mark.rstrip(), f"{mark}next: {steps[0]}"]
    return [mark.rstrip(), f"{mark}next:", *(row for step in steps for row in _step(step, mark))]


def _step(step: str, mark: str) -> list[str]:
    command, hash_, why = step.partition("   #")
    if len(step) + len(mark) + 2 <= WIDTH or not hash_:
        return [f"{mark}  {step}"]
    return [f"{mark}  {command}", *wrap(why.strip(), f"{mark}      ", f"{mark}      ")]


def _label(setting: str) -> str:
    return setting.removesuffix("_w").removesuffix("_mhz").replace("_", " ")


def _place(entry: Json) -> str:
    return f"{entry['file']} line {entry['line']}"


def _ranges(numbers: Sequence[int]) -> str:
    """ "7, 10, 13-14" """
    parts: list[str] = []
    numbers = sorted(numbers)
    start = previous = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != previous + 1:
            parts.append(f"{start}" if start == previous else f"{start}-{previous}")
            start = number
        previous = number
    return ", ".join(parts)


def _row(verb: str, text: str, mark: str) -> list[str]:
    return wrap(text, f"{mark}  {verb:<9}", f"{mark}  {'':<9}")
