"""Versions, compared the way the component that bears them counts.

Nothing is guessed: a text that the scheme does not know has no order (`key` gives None, `compare` gives None).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Key = tuple[int | tuple[int, ...], ...]
"""What versions are ordered by. Keys of one scheme compare with one another, and with no others."""

# PEP 440 without epochs, which no component here has. What stands behind "+" (a build, "2.9.1+cu130") has no order.
_PLAIN = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_number>\d*))?"
    r"(?:[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?"
    r"(?:\+[\w.-]+)?",
    re.IGNORECASE | re.ASCII,
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_FINAL = 3

_GGML = re.compile(r"(?:ggml[- ])?(v?\d[\w.+-]*)", re.IGNORECASE)
_WHEEL = re.compile(r"llama[-_]cpp[-_]python[- =]*(v?\d[\w.+-]*)", re.IGNORECASE)


def plain(text: str) -> Key | None:
    """Most components: "0.11.1", "v0.33.0-rc2", "0.5.4.post2", "595.99.02", "2.9.1+cu130"."""
    match = _PLAIN.fullmatch(text.strip())
    if match is None:
        return None
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:  # 1.0 is 1
        release.pop()
    post = int(match["post_number"] or 0) if match["post"] else -1
    dev = int(match["dev_number"] or 0) if match["dev"] else -1
    if match["pre"]:
        pre = (_PRE[match["pre"].lower()], int(match["pre_number"] or 0))
    else:
        # 1.0.dev1 comes before 1.0a1, but 1.0.post1.dev1 after 1.0.
        pre = (-1, 0) if dev >= 0 and post < 0 else (_FINAL, 0)
    return (tuple(release), pre, post, (0, dev) if dev >= 0 else (1, 0))


def llama_cpp(text: str, ggml_of_wheel: Mapping[str, str]) -> Key | None:
    """llama.cpp: "ggml 0.16.0" or "0.16.0", and "llama-cpp-python 0.3.34" for the ggml that it carries.

    `ggml_of_wheel` is what is known of that; an entry without a ggml is the last wheel whose own version counts, and
    all of those are older than any ggml that has one. A wheel between two entries with different ggml has no order,
    nor has a build number ("b6123"): which ggml they hold is not known.
    """
    wheel = _WHEEL.fullmatch(text.strip())
    if wheel is None:
        ggml = _GGML.fullmatch(text.strip())
        found = plain(ggml[1]) if ggml else None
        return (1, *found) if found else None
    found = plain(wheel[1])
    if found is None:
        return None
    known = [(name, carried) for text, carried in ggml_of_wheel.items() if (name := plain(text))]
    if any(found <= name for name, carried in known if not carried):
        return (0, *found)
    below = [carried for name, carried in known if name <= found]
    above = [carried for name, carried in known if name >= found]
    if not below or not below[-1] or (above and above[0] != below[-1]):
        return None
    carries = plain(below[-1])
    return (1, *carries) if carries else None


def key(text: str, scheme: str, ggml_of_wheel: Mapping[str, str]) -> Key | None:
    """What to order a version by in `scheme` ("" or "llama.cpp"), or None where its text says nothing."""
    return llama_cpp(text, ggml_of_wheel) if scheme == "llama.cpp" else plain(text)


def compare(one: Key | None, other: Key | None) -> int | None:
    """-1, 0 or 1 as `one` is older than, the same as or newer than `other`; None where one of them has no order."""
    if one is None or other is None:
        return None
    return (one > other) - (one < other)
