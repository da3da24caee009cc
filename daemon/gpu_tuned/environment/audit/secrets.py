"""Tokens and passwords that stand in a file. Nothing here ever puts one into a message."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding

_TOKENS = re.compile(
    r"hf_[A-Za-z0-9]{8,}|sk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|nvapi-[A-Za-z0-9_-]{20,}|glpat-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|xox[abp]-[A-Za-z0-9-]{16,}"
    r"|AIza[0-9A-Za-z_-]{30,}|r8_[A-Za-z0-9]{30,}|eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[\w-]+"
)
_NAMES = re.compile(
    r"(?:^|_)(?:TOKEN|API_?KEY|SECRET|PASSWORD|PASSWD|PRIVATE_KEY|ACCESS_KEY|SECRET_KEY|MASTER_KEY|CREDENTIALS?"
    r"|AUTH_KEY|PASS)(?:$|_(?!FILE|PATH|DIR|URL|NAME|ID|LENGTH|LIMIT|TYPE|COUNT|S$|BUDGET|SIZE))"
)
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3,}|\.{3}|your|change|example|replace|place.?holder|dummy|redacted|secret|insert|todo|fake|sample|"
    r"test|none|empty|<|>|\$|\{|here|token|abc123|1234|password|my[-_]?key|not[-_]?needed|no[-_]?key|local",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether what a variable of this name holds should not be shown."""
    return _NAMES.search(name.upper()) is not None


def holds_secret(name: str, value: str) -> bool:
    return is_secret_name(name) or _TOKENS.search(value) is not None


def findings(environment: Environment) -> Iterator[Finding]:
    for one in environment.assignments:
        if not one.value or one.borrowed or len(one.value) < 8:
            continue
        certainty = _how_sure(one)
        if certainty is not None and one.form == "{name}={value}":
            certainty = Certainty.LIKELY  # an env file is where a token may stand, as long as nobody commits it
        if certainty is not None:
            what = "the image's history" if one.place.file and one.form.startswith(("ENV", "ARG")) else "this file"
            yield Finding(
                "secret",
                one.name,
                one.place,
                certainty,
                f"{one.name} holds what looks like a real token, readable for everybody who gets {what}; "
                "hand it in from outside, and revoke this one",
                where=environment.label,
            )


def _how_sure(one: Assignment) -> Certainty | None:
    value = one.value or ""
    token = _TOKENS.search(value)
    if token is not None:
        body = token[0].split("_", 1)[-1] if token[0].startswith("hf_") else token[0]
        if _repeats(body) or (_PLACEHOLDER.search(body) and not _random(body)):
            return None
        return Certainty.CERTAIN
    if not is_secret_name(one.name) or len(value) < 16 or not re.fullmatch(r"[A-Za-z0-9+/=_.~!@#%^&*-]+", value):
        return None
    if value.startswith("/") or _PLACEHOLDER.search(value) or not _random(value):
        return None
    return Certainty.LIKELY


def _repeats(text: str) -> bool:
    return len(set(text.lower())) < 4


def _random(text: str) -> bool:
    """Letters and digits mixed, and few of them twice."""
    if not (re.search(r"[0-9]", text) and re.search(r"[A-Za-z]", text)):
        return False
    counts = Counter(text)
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())
    return bits > 3.3
