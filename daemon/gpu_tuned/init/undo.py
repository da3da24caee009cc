"""The script that undoes what `init --write` did: plain shell, readable, of use after gpu-tuned was removed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_UNDO = """\
#!/bin/sh
# Puts back what `gpu-tunedctl init --write` replaced at {stamp}.
# What was changed since then is kept below {since}.
# Nothing is written where a link is in the way, or where not only root can write.
set -eu
root={root}
here={here}

# Whether the folder $1 can be trusted with a write, from the root down.
safe() {{
    path=$root
    rest=$1
    while :; do
        if [ -L "${{path:-/}}" ] || [ ! -d "${{path:-/}}" ]; then
            return 1
        fi
        set -- $(stat -c '%u %g %a' "${{path:-/}}")
        case $3 in *[2367]) return 1 ;; esac
        case $3 in *[2367]?) [ "$2" = 0 ] || [ "$2" = "$(id -g)" ] || return 1 ;; esac
        [ "$1" = 0 ] || [ "$1" = "$(id -u)" ] || return 1
        rest=${{rest#/}}
        [ -n "$rest" ] || return 0
        part=${{rest%%/*}}
        case $rest in */*) rest=${{rest#*/}} ;; *) rest= ;; esac
        path=$path/$part
    done
}}
# The folder of $1, made where it is missing.
folder() {{
    made=
    left=$(dirname "$1")
    left=${{left#/}}
    while [ -n "$left" ]; do
        safe "$made" || return 1
        part=${{left%%/*}}
        case $left in */*) left=${{left#*/}} ;; *) left= ;; esac
        made=$made/$part
        [ -e "$root$made" ] || [ -L "$root$made" ] || mkdir "$root$made"
    done
    safe "$made"
}}
keep() {{
    [ -e "$root$1" ] || [ -L "$root$1" ] || return 0
    mkdir -p "$here/since$(dirname "$1")"
    cp -a "$root$1" "$here/since$1"
}}
failed=0
refused() {{
    echo "not put back, for a link is in the way or not only root can write there: $1" >&2
    failed=1
}}
back() {{
    folder "$1" || {{ refused "$1"; return 0; }}
    keep "$1"
    rm -f "$root$1.undo"
    cp -a "$here/files$1" "$root$1.undo"
    mv -fT "$root$1.undo" "$root$1"
    echo "put back $1"
}}
gone() {{
    [ -d "$root$(dirname "$1")" ] || return 0
    folder "$1" || {{ refused "$1"; return 0; }}
    keep "$1"
    rm -f "$root$1"
    echo "took away $1"
}}
drop() {{
    rmdir "$root$1" 2>/dev/null || :
}}

{steps}
exit "$failed"
"""


def undo_script(stamp: str, root: str, here: str, since: str, steps: Sequence[tuple[str, str]]) -> str:
    """`here` is the backup as this machine names it, `steps` are ("back", "gone" or "drop", host path), in order."""
    return _UNDO.format(
        stamp=stamp,
        since=since,
        root=shlex.quote(root),
        here=shlex.quote(here),
        steps="\n".join(f"{verb} {shlex.quote(path)}" for verb, path in steps),
    )
