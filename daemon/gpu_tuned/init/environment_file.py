"""Files of variables as systemd reads them for EnvironmentFile= (systemd.exec(5)): no shell does."""

from __future__ import annotations

import re

from gpu_tuned.init.model import UNKNOWN

_NAME = re.compile(r"[A-Za-z_]\w*")
_ESCAPED = frozenset('"\\`$')
"""What a backslash takes its meaning from inside double quotes; before anything else it stays."""
_COMMENTS = frozenset("#;")


def assignments(text: str) -> dict[str, str]:
    """Every variable with its value. A value in quotes may have several lines, a line that ends in a backslash goes
    on, and there is no comment behind a value. Names that no variable can have (`export X`) are passed over. What
    follows a comment that ends in a backslash is UNKNOWN: it is a comment before systemd 254, and counts since."""
    found: dict[str, str] = {}
    rest = text.replace("\r\n", "\n")
    doubtful = False
    while rest:
        row, _, after = rest.partition("\n")
        start = row.lstrip()
        if not start or start[0] in _COMMENTS:
            doubtful, rest = row.endswith("\\"), after
            continue
        name, equals, _ = row.partition("=")
        if not equals:
            doubtful, rest = False, after
            continue
        value, rest = _value(rest[len(name) + 1 :])
        if _NAME.fullmatch(name.strip()):
            found[name.strip()] = UNKNOWN if doubtful else value
        doubtful = False
    return found


def _value(text: str) -> tuple[str, str]:
    """The value that begins here, and the text after its line."""
    made, kept, quote, at = "", 0, "", 0
    bare = False  # once a word has begun without quotes, quotes are characters of it
    while at < len(text):
        sign = text[at]
        at += 1
        if sign == "\\" and quote != "'":
            following = text[at : at + 1]
            at += 1
            if following != "\n":
                made += f"\\{following}" if quote and following not in _ESCAPED else following
                kept = len(made)
            bare = bare or not quote
        elif quote:
            made, quote = (made, "") if sign == quote else (made + sign, quote)
            kept = len(made)
        elif sign == "\n":
            break
        elif sign in "'\"" and not bare:
            quote = sign
        elif sign.isspace():
            made += sign if bare else ""
        else:
            bare, made = True, made + sign
            kept = len(made)
    return made[:kept], text[at:]
