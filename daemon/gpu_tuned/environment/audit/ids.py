"""Every finding's id, and of which kind it is. An id keeps its meaning; docs/environment/audit.md has a section for
each."""

from __future__ import annotations

from enum import Enum


class Kind(str, Enum):
    """What is wrong; part of the promise of `--format json`."""

    UNREAD = "unread"
    """Nobody reads the name where it is set."""
    REMOVED = "removed"
    RENAMED = "renamed"
    """The old name still works."""
    ILLEGAL_VALUE = "illegal-value"
    HARMFUL_VALUE = "harmful-value"
    CONTRADICTION = "contradiction"
    PRESENCE_ONLY = "presence-only"
    """Any value switches it on, and this one looks like off."""
    OVERWRITTEN = "overwritten"
    """Something sets the same name afterwards."""
    SYNTAX = "syntax"
    """The file's reader takes the line for something else than it looks like."""
    SECRET = "secret"
    UNKNOWN = "unknown"
    """No known reader, where that proves nothing."""


IDS: dict[str, Kind] = {
    # names
    "unread": Kind.UNREAD,
    "not-yet-read": Kind.UNREAD,
    "read-elsewhere": Kind.UNREAD,
    "mps-daemon-only": Kind.UNREAD,
    "removed": Kind.REMOVED,
    "removed-fatal": Kind.REMOVED,
    "removed-no-effect": Kind.REMOVED,
    "renamed": Kind.RENAMED,
    "no-known-reader": Kind.UNKNOWN,
    # values
    "illegal-value": Kind.ILLEGAL_VALUE,
    "service-link": Kind.ILLEGAL_VALUE,
    "harmful-value": Kind.HARMFUL_VALUE,
    "alloc-conf-inert": Kind.HARMFUL_VALUE,
    "nvcc-flags": Kind.HARMFUL_VALUE,
    "presence-only": Kind.PRESENCE_ONLY,
    # several together
    "contradiction": Kind.CONTRADICTION,
    "alloc-conf-contradiction": Kind.CONTRADICTION,
    "overwritten": Kind.OVERWRITTEN,
    "set-twice": Kind.OVERWRITTEN,
    # containers
    "cache-on-tmpfs": Kind.HARMFUL_VALUE,
    "cache-lost": Kind.HARMFUL_VALUE,
    "tmpfs-noexec": Kind.HARMFUL_VALUE,
    "mps-pipe": Kind.HARMFUL_VALUE,
    "compose-device-options": Kind.UNREAD,
    "compose-device-request": Kind.CONTRADICTION,
    # what a reader takes for something else
    "env-file-quotes": Kind.SYNTAX,
    "env-file-comment": Kind.SYNTAX,
    "env-file-export": Kind.SYNTAX,
    "env-file-space": Kind.SYNTAX,
    "env-file-expansion": Kind.SYNTAX,
    "env-file-line": Kind.SYNTAX,
    "env-file-unclosed": Kind.SYNTAX,
    "dockerfile-comment": Kind.SYNTAX,
    "dockerfile-space": Kind.SYNTAX,
    "dockerfile-run-export": Kind.SYNTAX,
    "compose-list-quotes": Kind.SYNTAX,
    "compose-list-map": Kind.SYNTAX,
    "compose-list-space": Kind.SYNTAX,
    "yaml-duplicate": Kind.SYNTAX,
    "kubernetes-value": Kind.SYNTAX,
    "unit-comment": Kind.SYNTAX,
    "unit-space": Kind.SYNTAX,
    "unit-expansion": Kind.SYNTAX,
    # secrets
    "secret": Kind.SECRET,
}
