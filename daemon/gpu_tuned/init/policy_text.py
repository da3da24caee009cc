"""The text of a first policy: what is taken over, what is in force, and, as comments, what a person could add."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpu_tuned.core.model import Board, ComputeMode, Setting, text
from gpu_tuned.core.settings import factory_default
from gpu_tuned.core.words import short_pci
from gpu_tuned.init import profiles, verdict
from gpu_tuned.init.decision import Decision, Left, in_force
from gpu_tuned.init.model import Kind
from gpu_tuned.init.verdict import Fit, Host, toml

WIDTH = 80
COLUMN = 27  # where the comment on a line begins
MOST_HINTS = 4
"""Lines to add that one setting of one board is shown with; the table above them has all."""
KEYS = (
    Setting.PERSISTENCE_MODE,
    Setting.POWER_LIMIT,
    Setting.GPU_CLOCK,
    Setting.MEMORY_CLOCK,
    Setting.APPLICATION_CLOCKS,
    Setting.COMPUTE_MODE,
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()/+-]{0,80}")
_UUID = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
EVERY = f"{'[[gpu]]'.ljust(COLUMN)} # every board; rules below win over this one"
HEAD = (
    "A first policy for this host, by `gpu-tunedctl init`. Read it; then `gpu-tunedctl check`, `plan`, `reload`. "
    "Reference: gpu-tuned.toml(5)."
)
KEEPS = (
    "The driver keeps a GPU initialised without a client. Without it every setting is lost when the last client "
    "leaves. Costs a few watts at idle."
)
AUTO = 'persistence_mode = "auto"   # on, unless the machine has a battery'


@dataclass(frozen=True, slots=True)
class Line:
    """One key of a rule. `above` are paragraphs for the comment above it, `value` its TOML text ("" where there is
    only something to say), `beside` the comment on the line itself."""

    key: Setting
    above: tuple[str, ...]
    value: str = ""
    beside: str = ""
    own: object = None


def write(host: Host, decision: Decision) -> str:
    """The text of the policy file."""
    lines = {board.gpu.uuid: _lines(board, host, decision) for board in host.boards}
    blocks = [comment(HEAD), *_numa(decision, host), *_everywhere(host, decision, lines)]
    for boards in _groups(host.boards, lines):
        rule = _rule(boards, lines[boards[0].gpu.uuid], host)
        blocks += [rule] if rule else []
    if host.silent:
        blocks.append(comment(f"Not in this policy, for they do not answer now: {', '.join(host.silent)}"))
    if not any(row.startswith("[[gpu]]") for block in blocks for row in block):
        # Before any table, for there it would be a key of that table.
        blocks.insert(1, ["gpu = []    # no rule: nothing is written to any GPU"])
    return "\n".join("\n".join(block) + "\n" for block in blocks)


def _lines(board: Board, host: Host, decision: Decision) -> tuple[Line, ...]:
    found = (_line(board, setting, host, decision) for setting in KEYS)
    return tuple(line for line in found if line is not None)


def _line(board: Board, setting: Setting, host: Host, decision: Decision) -> Line | None:
    taken = decision.of(board, setting)
    if taken is not None:
        places = list(dict.fromkeys(f"{effect.file} line {effect.line}" for effect in taken.effects))
        more = f" and {len(places) - 2} more" if len(places) > 2 else ""
        above = f"From {', '.join(places[:2])}{more}. {taken.remark}".rstrip()
        return Line(setting, (above,), toml(taken.value), taken.beside, taken.value)
    hints = tuple(_hints(board, setting, host, decision))
    held = in_force(host, decision, board, setting)
    if held is None:
        return Line(setting, hints) if hints else None
    default = factory_default(board, setting)
    above = f"In force now, and not what the board starts with ({text(default)}); nothing was found that sets it."
    if held is ComputeMode.EXCLUSIVE_PROCESS:
        above += " A second process fails with cudaErrorDevicesUnavailable (46), unless MPS serves both."
    return Line(setting, (*hints, above), toml(held), verdict.beside(held, host.found(board, setting), board), held)


def _hints(board: Board, setting: Setting, host: Host, decision: Decision) -> list[str]:
    """Lines that a person could write instead; why they are not taken over stands in the table."""
    rows: dict[str, str] = {}
    for each in decision.left:
        if each.effect.setting is setting and (line := _instead(each, board, host)) and _concerns(each, board):
            rows.setdefault(line, f"{each.effect.file} line {each.effect.line}")
    hints = [[f"Not taken over from {place}:", line] for line, place in rows.items()]
    return [row for hint in hints[:MOST_HINTS] for row in hint]


def _instead(left: Left, board: Board, host: Host) -> str | None:
    """The line for this board: a value that suits another one of those that are meant may be none of its own."""
    effect = left.effect
    if effect.setting is None or effect.target is None or left.instead is None:
        return left.instead
    if left.instead.startswith(f"{effect.setting.value} ="):
        judged = verdict.fit(effect, board, host)
        if isinstance(judged, Fit):
            return verdict.line(effect.setting, judged.value, board, host)
        if judged.doubt.kind is not Kind.HARMFUL:
            return judged.instead
    return left.instead


def _concerns(left: Left, board: Board) -> bool:
    return verdict.names(left.effect.gpus, board)


def _groups(boards: Sequence[Board], lines: Mapping[str, tuple[Line, ...]]) -> list[list[Board]]:
    """Boards of one name with the same lines."""
    groups: dict[tuple[str, tuple[Line, ...]], list[Board]] = {}
    for board in boards:
        groups.setdefault((board.gpu.name, lines[board.gpu.uuid]), []).append(board)
    return list(groups.values())


def _everywhere(host: Host, decision: Decision, lines: dict[str, tuple[Line, ...]]) -> list[list[str]]:
    """The rule for every board: persistence mode, where all boards say the same of it. Takes it out of `lines`."""
    if all(Setting.PERSISTENCE_MODE in board.absent for board in host.boards):
        return []
    of_each = {uuid: [line for line in each if line.key is Setting.PERSISTENCE_MODE] for uuid, each in lines.items()}
    busy = any((board.gpu.uuid, Setting.PERSISTENCE_MODE) in decision.busy for board in host.boards)
    same = {tuple(each) for each in of_each.values()}
    if len(same) != 1:
        return [] if busy else [[EVERY, 'match = { name = "*" }', *comment(KEEPS), AUTO]]
    for uuid, each in lines.items():
        lines[uuid] = tuple(line for line in each if line.key is not Setting.PERSISTENCE_MODE)
    (each_,) = same
    block = [EVERY, 'match = { name = "*" }']
    if busy and not any(line.value for line in each_):
        return [
            [
                *block,
                *(row for line in each_ for row in _written(line)),
                *comment("Persistence mode is left as it is: something here sets it, and what cannot be told."),
            ]
        ]
    block += comment(KEEPS)
    for line in each_:
        block += _written(line)
    return [block if any(line.value for line in each_) else [*block, AUTO]]


def _rule(boards: Sequence[Board], lines: Sequence[Line], host: Host) -> list[str]:
    """One [[gpu]] table for boards that share it. A table without a key says nothing wrong, so it may be there for
    its comments."""
    first = boards[0]
    profile = _profile(boards, lines, host)
    if not lines and not profile:
        return []
    if len(boards) == sum(board.gpu.name == first.gpu.name for board in host.boards) and _by_name(first):
        count = f"the {len(boards)} boards of this name" if len(boards) > 1 else _place(first)
        head = f"{'[[gpu]]'.ljust(COLUMN)} # {count}"
        return [head, f'match = {{ name = "{first.gpu.name}" }}', *_body(lines), *profile]
    rules: list[str] = []
    for board in boards:
        rules += ([""] if rules else []) + _match(board) + _body(lines if board is first else _brief(lines, first))
        rules += profile if board is first else []
    return rules


def _brief(lines: Sequence[Line], first: Board) -> list[Line]:
    """The same lines for a further board: their reasons stand at the first one."""
    why = (f"As for {_place(first)} above.",)
    return [
        Line(line.key, why if line.above else (), line.value, line.beside, line.own) for line in lines if line.value
    ]


def _place(board: Board) -> str:
    return short_pci(board.gpu.pci)


def _by_name(board: Board) -> bool:
    return _PLAIN_NAME.fullmatch(board.gpu.name) is not None


def _match(board: Board) -> list[str]:
    name = "".join(c if c.isprintable() else " " for c in board.gpu.name)
    head = f"{'[[gpu]]'.ljust(COLUMN)} # {name[:24].strip()}, {_place(board)}, number {board.index} now"
    if _UUID.fullmatch(board.gpu.uuid):
        return [head, f'match = {{ uuid = "{board.gpu.uuid}" }}']
    return [head, f'match = {{ pci = "{board.gpu.pci}" }}']


def _body(lines: Sequence[Line]) -> list[str]:
    out: list[str] = []
    for line in lines:
        out += ["", *_written(line)]
    return out


def _written(line: Line) -> list[str]:
    """One key with its comments; what stands beside it goes above where the line would be too long, except that a
    raised limit is always said on the line."""
    out = [row for paragraph in line.above for row in comment(paragraph, "", "  ")]
    if not line.value:
        return out
    key = f"{line.key.value} = {line.value}"
    if not line.beside:
        return [*out, key]
    row = f"{key.ljust(COLUMN)} # {line.beside}"
    if len(row) > WIDTH and line.key is not Setting.POWER_LIMIT:
        return [*out, *comment(f"{line.beside[:1].upper()}{line.beside[1:]}."), key]
    return [*out, row]


def _profile(boards: Sequence[Board], lines: Sequence[Line], host: Host) -> list[str]:
    """The shipped profile of a board as one commented line, and what it would come to."""
    board = boards[0]
    name = profiles.PROFILES.get(board.gpu.name, "")
    policy = host.profiles.get(name)
    if policy is None:
        return []
    own = {line.key: line.own for line in lines if line.value}
    rows = []
    for wish in policy.wishes_for(board.gpu).values():
        added = profiles.line(wish, board, host.found(board, wish.setting), own.get(wish.setting))
        rows += comment(added, "  - ", "    ") if added else []
    head = "The profile that ships for this board; without the # it would add:"
    if not rows:
        head = "The profile that ships for this board adds nothing to the lines above."
    return ["", *comment(head), *rows, f'# profile = "{name}"']


def _numa(decision: Decision, host: Host) -> list[list[str]]:
    taken = next((each for each in decision.taken if each.gpu is None), None)
    if taken is None:
        return []
    nodes = f"This host has {host.memory_nodes} memory node" + ("s" if host.memory_nodes > 1 else "")
    remark = (
        f"{nodes}, so balancing between nodes has nothing to do."
        if host.memory_nodes == 1
        else f"{nodes}: with balancing off, pages stay where they were first touched. Measure it."
    )
    places = ", ".join(dict.fromkeys(f"{effect.file} line {effect.line}" for effect in taken.effects))
    key = f"numa_balancing = {toml(taken.value)}"
    return [["[host]", *comment(f"From {places}. {remark}"), f"{key.ljust(COLUMN)} # {taken.beside}"]]


def comment(words: str, first: str = "", rest: str = "") -> list[str]:
    """Text as comment lines of at most WIDTH columns. What comes from files and boards cannot end a comment."""
    clean = "".join(c if c.isprintable() else " " for c in words)
    rows: list[str] = []
    row, empty = f"# {first}", True
    for word in clean.split():
        if not empty and len(row) + 1 + len(word) > WIDTH:
            rows.append(row)
            row, empty = f"# {rest}", True
        row, empty = row + ("" if empty else " ") + word, False
    return [*rows, row]
