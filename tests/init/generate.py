"""Shell scripts that set GPUs, made from a seed, one the same every time.

Nothing here knows what a script comes to; that is found by running it.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.init.endings import Endings
from tests.init.everyday import Everyday
from tests.init.ordinary import Ordinary
from tests.init.strange import Strange
from tests.init.words import Scope


class Script(Ordinary, Strange, Endings, Everyday):
    """Makes the text of one script for one layout."""

    def text(self, statements: int) -> str:
        """A whole script with its first line."""
        head = self.pick(["#!/bin/bash", "#!/usr/bin/env bash", "#!/bin/bash -e"] if self.bash else ["#!/bin/sh"])
        if self.chance(0.05):
            head = "#!/bin/sh"  # whatever follows
        rows = [head]
        if self.chance(0.25):
            rows.append(self.pick(["set -e", "set -u", "set -x", *(["set -euo pipefail"] if self.bash else [])]))
        if self.chance(0.2):
            rows.append("# the old way was: nvidia-smi -pl 111")
        scope = Scope(bash=self.bash)
        for _ in range(statements):
            rows += self.statement(scope)
        if self.chance(0.2):
            rows.append("exit 0")
            if self.chance(0.3):
                rows += self.setting(scope)
        return "\n".join(rows) + "\n"

    def statement(self, scope: Scope) -> list[str]:
        plain: list[tuple[int, Callable[[Scope], list[str]]]] = [
            (30, self.setting),
            (3, self.reading),
            (4, self.idling),
            (2, self.other_setting),
            (3, self.chain),
            (7, self.by_variable),
            (2, self.presence),
            (2, self.quoted),
            (2, self.here_document),
            (1, self.nested_shell),
            (1, self.group),
            (4, self.as_root),
            (2, self.logged),
            (3, self.defaults),
            (2, self.tool),
        ]
        deep: list[tuple[int, Callable[[Scope], list[str]]]] = [
            (6, self.condition),
            (3, self.case),
            (6, self.loop_over_gpus),
            (3, self.loop_over_values),
            (2, self.endless),
            (5, self.in_function),
            (2, self.never_called),
            (2, self.leaves),
            (3, self.sourced),
            (2, self.by_argument),
            (1, self.options),
            (1, self.trap),
            (2, self.computed),
            (2, self.indirect),
            (1, self.retry),
            (1, self.host_knob),
            (2, self.changed_later),
            (2, self.positional),
            (1, self.nested_function),
            (1, self.word_games),
            (1, self.read_values),
            (1, self.path_games),
            (2, self.another_tool),
            (2, self.overwritten),
            (1, self.status),
            (1, self.counted),
            (1, self.other_script),
            (1, self.guarded),
            (3, self.ends_early),
            (2, self.table),
            (2, self.beside),
            (1, self.library),
            (2, self.structured),
            (2, self.watches),
            (1, self.at_its_end),
            (1, self.redirected),
            (2, self.other_values),
        ]
        choices = plain + (deep if scope.depth < 2 else [])
        weights = [weight for weight, _ in choices]
        return self.rng.choices([make for _, make in choices], weights)[0](scope)
