"""What `init` found and proposes, for a person: the table first, then the policy. All but the policy are comments, so
that the output is a policy file as it stands."""

from __future__ import annotations

from gpu_tuned.ctl.render.ink import WIDTH, clean, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpu_tuned.ctl.kinds import Json

MOST_LEFT = 40
"""Lines left that are shown one by one; --json has all."""
_LABELS = {"power_limit_w": "power limit", "gpu_clock_mhz": "gpu clock", "memory_clock_mhz": "memory clock"}
_VERBS = {"edit": "edit", "move": "move", "override": "override", "leave": "leave"}


def lines(document: Json) -> list[str]:
    """The whole output. Before `--write` it is one policy file; after it, what was done."""
    written = document["written"]
    mark = "" if written else "# "
    head = [*_summary(document, mark), *_enforced(document, mark), *_left(document, mark)]
    head += [*_writers(document, mark), *_files(document, mark), *_further(document, mark)]
    if written:
        return [*head, *_done(document)]
    return [*head, "#", "# ---- the policy", *document["policy"].rstrip("\n").split("\n"), *_next(document, "# ")]


def _summary(document: Json, mark: str) -> list[str]:
    files = {entry["path"] for entry in document["files"]}
    taken, left = document["taken"], document["left"]
    said = (
        f"{_count(len(files), 'file')} found that can set GPUs or the kernel's knob; "
        f"{_count(len(taken), 'value')} taken over, {_count(len(left), 'line')} left."
    )
    if not files:
        said = "Nothing was found on this host that sets its GPUs."
    raised = [entry for entry in taken if "RAISE" in entry["change"]]
    out = wrap(said, mark, mark)
    if raised:
        out += wrap(f"Power limits above those in force: {len(raised)}, marked RAISES.", mark, mark)
    return out


def _enforced(document: Json, mark: str) -> list[str]:
    if not document["taken"]:
        return []
    rows = []
    for entry in _grouped(document):
        who = ", ".join(entry["who"])
        change = f" ({entry['change']})" if entry["change"] else ""
        rows.append((f"{clean(who)}", _label(entry["setting"]), f"{entry['shown']}{change}", _place(entry)))
    return [mark.rstrip(), *_title("WILL BE ENFORCED", document, mark), *_table(rows, mark)]


def _grouped(document: Json) -> Iterator[Json]:
    """One row for boards with the same value from the same line."""
    boards = {gpu["uuid"]: gpu for gpu in document["gpus"]}
    groups: dict[tuple[str, ...], Json] = {}
    for entry in document["taken"]:
        key = tuple(str(entry[name]) for name in ("setting", "shown", "change", "file", "line"))
        group = groups.setdefault(key, {**entry, "who": []})
        gpu = boards.get(entry["gpu"])
        group["who"].append(f"GPU {gpu['index']}" if gpu else "host")
    for group in groups.values():
        who = group["who"]
        if len(who) > 1:
            group["who"] = ["GPU " + ",".join(each.removeprefix("GPU ") for each in who)]
        if len(who) == len(boards) > 3:
            group["who"] = ["every GPU"]
        yield group


def _title(words: str, document: Json, mark: str) -> list[str]:
    verb = {"WILL BE ENFORCED": "IN THE POLICY"}.get(words, words) if document["written"] else words
    return [f"{mark}{verb}"]


def _table(rows: Sequence[tuple[str, ...]], mark: str) -> list[str]:
    """Columns of their own width; the last one is broken where a line would be too long."""
    widths = [min(24, max(len(row[at]) for row in rows)) for at in range(len(rows[0]) - 1)]
    out: list[str] = []
    for row in rows:
        first = f"{mark}  " + "  ".join(cell[:width].ljust(width) for cell, width in zip(row, widths, strict=False))
        long = any(len(cell) > width for cell, width in zip(row, widths, strict=False))
        if long or len(first) + 2 + len(row[-1]) > WIDTH:
            out += wrap("  ".join(row[:-1]), f"{mark}  ", f"{mark}      ")
            out += wrap(row[-1], f"{mark}      ", f"{mark}      ")
        else:
            out.append(f"{first}  {clean(row[-1])}")
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
        out += wrap(f"{reason}" + (f"; by hand: {instead}" if instead else ""), f"{mark}      ", f"{mark}      ")
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
    for entry in document["files"]:
        at = entry["lines"]
        where = f", line{'s' if len(at) > 1 else ''} {_ranges(at)}" if at else ""
        out += _row(_VERBS[entry["action"]], f"{entry['path']}{where}: {entry['why']}", mark)
    place = written["backup"] if written else "/var/backups/gpu-tuned"
    return [*out, *_row("back up", f"the originals to {place}, with a script that puts them back", mark)]


def _further(document: Json, mark: str) -> list[str]:
    out: list[str] = []
    for path in document["target"]["drop_ins"]:
        out += _row("keep", f"{path}, which is read after this policy and wins over it", mark)
    for entry in document["unread"]:
        out += _row("not read", f"{entry['path']}: {entry['reason']}", mark)
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
    return _LABELS.get(setting, setting.removesuffix("_w").removesuffix("_mhz").replace("_", " "))


def _place(entry: Json) -> str:
    return f"{entry['file']} line {entry['line']}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


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
