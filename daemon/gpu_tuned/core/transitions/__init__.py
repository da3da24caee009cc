"""Every way in which what is known of a GPU changes.

A transition is pure: it takes a state and gives the next one, with what is to be written and told. The loop holds the
result; nobody else makes one. One setting's own part is core/drift.py's, with watched.py and lock_drift.py beside it.
"""

from gpu_tuned.core.transitions.looks import looked, told_xid, with_telemetry
from gpu_tuned.core.transitions.presence import away, bound, described, host, met, slept, stepped, unlisted
from gpu_tuned.core.transitions.wishes import found_before, hurried, taken_up, wished
from gpu_tuned.core.transitions.writes import (
    about_to_write,
    doubted,
    handed_back,
    not_put_back,
    not_written,
    unsaved,
    wrote,
)

__all__ = [
    "about_to_write",
    "away",
    "bound",
    "described",
    "doubted",
    "found_before",
    "handed_back",
    "host",
    "hurried",
    "looked",
    "met",
    "not_put_back",
    "not_written",
    "slept",
    "stepped",
    "taken_up",
    "told_xid",
    "unlisted",
    "unsaved",
    "wished",
    "with_telemetry",
    "wrote",
]
