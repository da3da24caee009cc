"""A first policy for a host, as text: its boards, what is in force on them, and what people had asked for.

Every line says where it comes from. What comes out is a policy that the parser takes and that no board refuses;
`gpu-tunedctl init` checks the first before it shows anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gpu_tuned.core.leftover import Ask, Host
from gpu_tuned.core.model import Board, NumaBalancing, Setting, text
from gpu_tuned.core.takeover import Line, line_of, names, profile_line

WIDTH = 80
COLUMN = 27  # where the comment on a line begins
PROFILES: Mapping[str, str] = {"NVIDIA GeForce RTX 5090": "rtx-5090-inference"}
"""Which shipped profile is for which board, by the board's whole name."""

ORDER = (
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
    "A first policy for this host, by `gpu-tunedctl init`: the values in force and those that people had written "
    "into scripts and units. Read it; then `gpu-tunedctl check`, `plan`, `reload`. Reference: gpu-tuned.toml(5)."
)
KEEPS = (
    "The driver keeps a GPU initialised without a client. Without it every setting is lost when the last client "
    "leaves. Costs a few watts at idle."
)


def propose(host: Host) -> str:
    """The text of the policy file."""
    lines = {board.gpu.uuid: _lines(board, host) for board in host.boards}
    blocks = [comment(HEAD)]
    blocks += _numa(host)
    blocks += _everywhere(host, lines)
    for boards in _groups(host.boards, lines):
        rule = _rule(boards, lines[boards[0].gpu.uuid], host)
        blocks += [rule] if rule else []
    if host.silent:
        blocks.append(comment(f"Not in this policy, for they do not answer now: {', '.join(host.silent)}"))
    strangers = [ask for ask in host.asks if ask.gpus and not any(names(ask.gpus, board) for board in host.boards)]
    blocks += _strangers(strangers)
    if not any(row.startswith("[[gpu]]") for block in blocks for row in block):
        # Before any table, for there it would be a key of that table.
        blocks.insert(1, ["gpu = []    # no rule: nothing is written to any GPU"])
    return "\n".join("\n".join(block) + "\n" for block in blocks)


def _lines(board: Board, host: Host) -> tuple[Line, ...]:
    found = (line_of(setting, board, host) for setting in ORDER)
    return tuple(line for line in found if line is not None)


def _groups(boards: Sequence[Board], lines: Mapping[str, tuple[Line, ...]]) -> list[list[Board]]:
    """Boards of one name with the same lines."""
    groups: dict[tuple[str, tuple[Line, ...]], list[Board]] = {}
    for board in boards:
        groups.setdefault((board.gpu.name, lines[board.gpu.uuid]), []).append(board)
    return list(groups.values())


def _everywhere(host: Host, lines: dict[str, tuple[Line, ...]]) -> list[list[str]]:
    """The rule for every board: persistence mode, where all boards say the same of it. Takes it out of `lines`."""
    of_each = {uuid: [line for line in each if line.key is Setting.PERSISTENCE_MODE] for uuid, each in lines.items()}
    said = {tuple(each) for each in of_each.values()}
    if all(Setting.PERSISTENCE_MODE in board.absent for board in host.boards):
        return []
    if len(said) != 1:
        return [[EVERY, 'match = { name = "*" }', *comment(KEEPS), _auto()]]
    (same,) = said
    for uuid, each in lines.items():
        lines[uuid] = tuple(line for line in each if line.key is not Setting.PERSISTENCE_MODE)
    block = [EVERY, 'match = { name = "*" }', *comment(KEEPS)]
    for line in same:
        block += _written(line)
    return [block if any(line.value for line in same) else [*block, _auto()]]


def _auto() -> str:
    return 'persistence_mode = "auto"   # on, unless the machine has a battery'


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
        Line(line.key, why if line.above else (), line.value, line.beside, line.target)
        for line in lines
        if line.value
    ]


def _place(board: Board) -> str:
    return board.gpu.pci.removeprefix("0000:")


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
    out = [row for paragraph in line.above for row in comment(paragraph)]
    if not line.value:
        return out
    key = f"{line.key.value} = {line.value}"
    if not line.beside:
        return [*out, key]
    row = f"{key.ljust(COLUMN)} # {line.beside}"
    if len(row) > WIDTH and line.key is not Setting.POWER_LIMIT:
        return [*out, *comment(_sentence(line.beside)), key]
    return [*out, row]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _profile(boards: Sequence[Board], lines: Sequence[Line], host: Host) -> list[str]:
    """The shipped profile of a board as one commented line, and what it would come to."""
    board = boards[0]
    name = PROFILES.get(board.gpu.name, "")
    policy = host.profiles.get(name)
    if policy is None:
        return []
    own = {line.key: line.target for line in lines}
    readings = host.readings.get(board.gpu.uuid, {})
    rows = []
    for wish in policy.wishes_for(board.gpu).values():
        added = profile_line(wish, board, readings.get(wish.setting), own.get(wish.setting))
        rows += comment(added, "  - ", "    ") if added else []
    head = "The profile that ships for this board; without the # it would add:"
    if not rows:
        head = "The profile that ships for this board adds nothing to the lines above."
    return ["", *comment(head), *rows, f'# profile = "{name}"']


def _numa(host: Host) -> list[list[str]]:
    asks = [ask for ask in host.asks if ask.setting is Setting.NUMA_BALANCING]
    targets = [ask.target for ask in asks if isinstance(ask.target, NumaBalancing)]
    if not targets:
        return []
    places = ", ".join(dict.fromkeys(f"{ask.place}" for ask in asks))
    if host.numa_now is None:
        return [comment(f"numa_balancing ({places}): not taken over, for this kernel has no such knob.")]
    target = host.numa_now if host.numa_now in targets else targets[-1]
    nodes = f"This host has {host.memory_nodes} memory node" + ("s" if host.memory_nodes > 1 else "")
    remark = (
        f"{nodes}, so balancing between nodes has nothing to do."
        if host.memory_nodes == 1
        else f"{nodes}: with balancing off, pages stay where they were first touched. Measure it."
    )
    now = "as now" if host.numa_now is target else f"now: {text(host.numa_now)}"
    key = f'numa_balancing = "{target.value}"'
    return [["[host]", *comment(f"From {places}: taken over. {remark}"), f"{key.ljust(COLUMN)} # {now}"]]


def _strangers(asks: Sequence[Ask]) -> list[list[str]]:
    if not asks:
        return []
    block = comment("Not taken over, for no GPU that is here now goes by that name:")
    for ask in asks:
        block += comment(f"`{ask.words}` for GPU {', '.join(ask.gpus)} ({ask.place})", "  - ", "    ")
    return [block]


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
