"""The settings of one GPU, or of the host, as a table: a row each, with what a row cannot hold below it."""

from __future__ import annotations

from gpu_tuned.core.words import watched_word
from gpu_tuned.ctl.render.text import WIDTH, Colour, wrap
from gpu_tuned.ctl.render.values import LOCKS, epoch, label, moment, origin, quantity, span, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Setting

HEADS = ("setting", "wished", "found", "state", "since", "from")
NOTE = "    "
_ROOMY = (
    "held",
    "watched",
    "differs",
    "unknown",
)  # short enough for ", required" beside them; for others a note says it
_LOUD = {
    "contested": "bad",
    "refused": "bad",
    "absent": "bad",
    "drifted": "warn",
    "waiting": "warn",
    "restored": "warn",
}


def spoken_of(setting: Setting) -> bool:
    """Whether a rule wishes it, or did: what the policy never knew is no part of the answer."""
    return setting["origin"] is not None or (setting["state"] == "unmanaged" and setting["message"] is not None)


def setting_table(settings: list[Setting], now: float, colour: Colour, *, observing: bool = False) -> list[str]:
    """The rows of one GPU, or of the host, each with its notes below it."""
    rows = [_cells(setting, now) for setting in settings]
    widths = [max(len(row[i]) for row in [HEADS, *rows]) for i in range(5)]
    before = 2 + sum(widths) + 2 * 5
    room = WIDTH - before
    origins = [origin(setting["origin"], setting["setting"]) for setting in settings]
    if max(map(len, origins)) > room:  # the suffix says least
        origins = [text.replace(".toml", "") for text in origins]
    lines = [colour("dim", _row(HEADS, widths, "from" if room >= 4 else ""))]
    given: set[str] = set()  # a rule's reason is told once, not with each of its keys
    for setting, row, source in zip(_told_once(settings), rows, origins, strict=True):
        style = _style(setting)
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if style:
            padded[3] = colour(style, padded[3])
        if not setting["in_order"] and setting["observed"] is not None:
            padded[2] = colour("bad" if style == "bad" else "warn", padded[2])
        split = wrap(source, width=room) if room >= 12 else [""]
        if len(split) > 1 and any(len(word) > room for word in source.split()):
            split = [""]
        lines.append(("  " + "  ".join(padded) + "  " + split[0]).rstrip())
        lines += [" " * before + more for more in split[1:]]
        if split == [""] and source != "-":
            lines += [colour("dim", line) for line in wrap(f"from {source}", NOTE)]
        for kind, text in notes(setting, given, observing=observing):
            lines += [colour(kind, line) for line in wrap(text, NOTE, NOTE + "  ")]
    return lines


def _told_once(settings: list[Setting]) -> list[Setting]:
    """Of rows in a row with one message, as after a restore, the last alone tells it."""
    following = [*(setting["message"] for setting in settings[1:]), None]
    return [
        {**setting, "message": None} if setting["message"] == after else setting
        for setting, after in zip(settings, following, strict=True)
    ]


def _row(cells: tuple[str, ...], widths: list[int], last: str) -> str:
    return ("  " + "".join(cell.ljust(width + 2) for cell, width in zip(cells, widths, strict=False)) + last).rstrip()


def _cells(setting: Setting, now: float) -> list[str]:
    key = setting["setting"]
    since = epoch(setting["since"])
    observed = setting["observed"]
    return [
        label(key),
        value(key, setting["wished"], unit=False),
        "no getter" if observed is None and key in LOCKS else value(key, observed, unit=False),
        state_words(setting, now),
        "-" if since is None else span(now - since),
    ]


def state_words(setting: Setting, now: float) -> str:
    """The state of a setting, with what qualifies it: "held, required", "confirmed 14:02". A watched setting
    that is not as wished "differs", and is "unknown" where nobody can say: that it is only watched, the mode or a
    note says."""
    state = str(setting["state"])
    if state == "requested" and setting["confirmed_at"]:
        state = f"confirmed {moment(setting['confirmed_at'], now)}"
    elif state == "watched" and not setting["in_order"]:
        state = watched_word(fits=setting.get("fits"))
    elif state in _LOUD and not setting["in_order"]:
        state = state.upper()
    return f"{state}, required" if setting["required"] and state in _ROOMY else state


def _style(setting: Setting) -> str:
    if setting["state"] in ("held", "requested") and setting["in_order"]:
        return "good"
    return _LOUD.get(setting["state"], "" if setting["in_order"] else "warn")


def notes(setting: Setting, given: set[str], *, observing: bool = False) -> list[tuple[str, str]]:
    """What a row cannot hold, as (style, sentence): why it is not so, what it was before, why it is wished.
    Reasons in `given` were told already."""
    key = setting["setting"]
    found = []
    if setting["message"]:
        found.append(("" if setting["in_order"] else _style(setting) or "warn", setting["message"]))
    if raised(setting):
        assumed = " (assumed)" if setting["original_assumed"] else ""
        was = value(key, setting["original"])
        known = "is the first that is known" if setting.get("original_late") else "was found at first"
        found.append(("dim", f"raised: {was} {known}{assumed}"))
    if setting["state"] == "watched" and not setting["in_order"] and not observing:
        found.append(("dim", "only watched, never written: the policy says so"))
    said = ", required" in state_words(setting, 0.0)
    must = setting["required"] and not said
    if setting["reason"] and setting["reason"] not in given:
        given.add(setting["reason"])
        found.append(("dim", f"{'required' if must else 'reason'}: {setting['reason']}"))
    elif must:
        found.append(("dim", "required"))
    return found


def raised(setting: Setting) -> bool:
    """Whether a limit stands above the value that was found at first."""
    original, now_is = quantity(setting["original"]), quantity(setting["observed"])
    return setting.get("written", True) and original is not None and now_is is not None and now_is > original
