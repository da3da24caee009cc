"""Names without a reader: when that can be said, and how sure it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpu_tuned.environment.audit import secrets, wording
from gpu_tuned.environment.audit.components import own_entrypoint
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, line_with
from gpu_tuned.environment.facts import Role
from gpu_tuned.environment.judge import Standing, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue

# What a build, an image or a client says about itself with a prefix that is an engine's: where the image is not the
# engine's own, no mistake.
_NAMES_OF_THEIR_OWN = re.compile(
    r".*_(VERSION|COMMIT|TAG|REF|BRANCH|SHA|SHA256|IMAGE|REPO|REPOSITORY|URL|URI|BASE|ENDPOINT|API|SRC|SOURCE|SERVICE"
    r"|INCLUDE_DIR|LIB_DIR|LIBRARY|LIBRARIES|BUILD_\w+|SERVER|NAME|MODELS?|MODEL_(?:NAME|ID|PATH|DIR|FILE)|\w+_MODEL"
    r"|EXTRA_ARGS|ARGS|CMD|COMMAND|OPTS|OPTIONS|USER|UID|GID|REPLICAS)"
)
# The same, unless other names of that engine stand beside it: then it is the engine's own file.
_SETTINGS_OF_THEIR_OWN = re.compile(r".*_(HOME|ROOT|PORT|ENABLED|TIMEOUT|DIR|PATH|DATA|VOLUME|MEMORY|CPUS|GPUS)")
# What NCCL's plugins read: whole families that are none of NCCL's own.
_PLUGINS = re.compile(r"NCCL_(TUNER|PROFILER|INSPECTOR|NET_PLUGIN|GIN_PLUGIN|OFI|SHIMNET)_")
_COMMON_WORDS = frozenset({"python", "triton"})
"""Prefixes that everybody uses for names of their own: only what is a slip of the pen is told."""
_MOST_NEAR = 100


def _has_digit(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


@dataclass(slots=True)
class Unread:
    """The rule, with what it may take for granted about the whole audit."""

    catalogue: Catalogue
    used: frozenset[str]
    """Names that something in the audited files expands inside of a container."""
    interpolated: frozenset[str]
    """Names that a Compose file beside a .env expands."""
    _nears: dict[str, list[str]] = field(default_factory=dict)

    def findings(self, one: Assignment, verdict: Verdict, environment: Environment) -> Iterator[Finding]:
        name = one.name
        if name in self.used or (environment.fragment and name in self.interpolated):
            return
        space = self.catalogue.namespace(name)
        if verdict.standing is Standing.ELSEWHERE:
            make = wording.Make(one, environment, Certainty.LOW)
            who = ", ".join(environment.components) or "what runs here"
            yield make(
                "read-elsewhere",
                f"{wording.label(self.catalogue, verdict)} reads {name} or did, {who} does not",
                "",
            )
            return
        near = self._near(name) if space is not None else []
        same = [other for other in near if wording.bare(other) == wording.bare(name)]
        if space is not None and space.closed in ("mostly", "no"):
            same = same or [other for other in near if self._slip(name, other, space.closed)]
        unread = verdict.standing is Standing.UNREAD
        if verdict.component in _COMMON_WORDS and not any(wording.near_enough(name, other) for other in near):
            unread = False
        if unread or same:
            slip = any(wording.near_enough(name, other) for other in near)
            certainty = self._how_sure(one, verdict, environment, slip=slip)
            make = wording.Make(one, environment, certainty)
            yield make(
                "unread",
                self._unread_message(one, verdict, near, environment),
                wording.right(self.catalogue, one, verdict.replacement)
                if verdict.replacement
                else self._meant(one, near),
            )
        elif space is not None:
            make = wording.Make(one, environment, Certainty.LOW)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield make("no-known-reader", f"no known reader of {name}{hint}", near[0] if near else "")

    def _how_sure(self, one: Assignment, verdict: Verdict, environment: Environment, *, slip: bool) -> Certainty:
        """`slip`: the name is a known one but for a letter or an underscore, so it is no name of somebody's own."""
        certainty = Certainty(verdict.certainty.value)
        if verdict.standing is not Standing.UNREAD:
            return Certainty.LIKELY  # another case or other underscores than a known name
        owner = self.catalogue.components.get(verdict.component)
        engine = owner is not None and owner.role is Role.ENGINE
        at_home = environment.official and verdict.component in environment.components
        if engine and own_entrypoint(environment):
            return Certainty.LOW
        if not verdict.component or (engine and at_home):
            return Certainty.LOW if one.name in self.interpolated else certainty
        if engine:
            # Clients of an engine, and the scripts that start it, have names of their own with its prefix.
            elsewhere = not environment.fragment and verdict.component not in environment.components
            unheard = (
                environment.fragment and not verdict.replacement and verdict.component not in environment.spoken_of
            )
            if elsewhere or unheard or one.name in self.interpolated:
                return Certainty.LOW
            if one.name.startswith("GGML_") and environment.label.startswith("stage"):
                return Certainty.LOW  # an option of its build
        if slip:
            return Certainty.LIKELY
        if _NAMES_OF_THEIR_OWN.fullmatch(one.name) or _PLUGINS.match(one.name):
            return Certainty.LOW
        alone = verdict.component not in environment.spoken_of
        return Certainty.LOW if alone and _SETTINGS_OF_THEIR_OWN.fullmatch(one.name) else Certainty.LIKELY

    def _unread_message(self, one: Assignment, verdict: Verdict, near: list[str], environment: Environment) -> str:
        # The namespace's component says who would read it; for an invented name there is none.
        who = wording.label(self.catalogue, verdict) if verdict.component else "nobody"
        text = f"{who} does not read {one.name}" if verdict.component else f"nobody reads {one.name}"
        if verdict.replacement:
            text += f"; {wording.told(verdict.replacement)}"
        elif near:
            text += f"; did you mean {' or '.join(near[:2])}?"
        elif verdict.component in ("vllm", "sglang"):
            option = one.name.split("_", 1)[1].lower().replace("_", "-")
            text += f"; settings that are options of the command have no variable (was --{option} meant?)"
        owner = self.catalogue.components.get(verdict.component)
        if owner is not None and owner.role is Role.ENGINE and not environment.official:
            if environment.container:
                text += " (unless an entrypoint of the image does)"
            elif environment.fragment:
                text += " (unless a program of your own does)"
        return text

    def _meant(self, one: Assignment, near: list[str]) -> str:
        """The line with the name that was meant, and its value."""
        if not near:
            return ""
        if one.value is None or secrets.is_secret_name(one.name):
            return near[0]
        return line_with(one, near[0], one.value) or f"{near[0]}={one.value}"

    def _slip(self, name: str, other: str, closed: str) -> bool:
        """Whether `name` is `other` but for a letter or so, and too long to be another word by chance. Where
        everybody has names with the prefix, only those count that everybody knows."""
        words, others = name.split("_"), other.split("_")
        differ = [pair for pair in zip(words, others, strict=False) if pair[0] != pair[1]]
        if len(words) != len(others) or len(differ) != 1 or len(name) < 12 or any(map(_has_digit, differ[0])):
            return False
        return (closed == "mostly" or other in self.catalogue.values) and wording.near_enough(name, other)

    def _near(self, name: str) -> list[str]:
        found = self._nears.get(name)
        if found is None:
            # Each look goes through every known name; a file of thousands of unknown names must end as well.
            found = self._nears[name] = self.catalogue.near(name) if len(self._nears) < _MOST_NEAR else []
        return found
