"""What `gpu-tunedctl env audit` is asked to look at: the command fills one in, the audit answers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """One command line, in its own words.

    `paths` are files and folders, and "-" for `standard_input`, the bytes that were piped in (None: "-" is not among
    them). `reader` is who reads the env files (None: judged by who refers to them); `components` says what runs
    there, as "vllm=0.33.0"; `pids` are processes whose environment is audited too. `everything`: also findings that
    are little more than a hint.
    """

    paths: tuple[str, ...] = ()
    reader: str | None = None
    components: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    everything: bool = False
    standard_input: bytes | None = None
