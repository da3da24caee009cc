"""What setting a name does where it is set: read, removed, renamed, read by nobody, on by its presence alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from gpu_tuned.environment.audit import secrets
from gpu_tuned.environment.audit.components import own_entrypoint
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, Kind, line_with
from gpu_tuned.environment.facts import Kind as Read
from gpu_tuned.environment.facts import Role
from gpu_tuned.environment.judge import Certainty as VerdictCertainty
from gpu_tuned.environment.judge import Running, Standing, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue

_OFF = frozenset({"", "0", "false", "off", "no", "n", "f", "disabled", "none"})
# What a build, an image or a client says about itself with a prefix that is an engine's: where the image is not the
# engine's own, no mistake.
_NAMES_OF_THEIR_OWN = re.compile(
    r".*_(VERSION|COMMIT|TAG|REF|BRANCH|SHA|SHA256|IMAGE|REPO|REPOSITORY|URL|URI|BASE|ENDPOINT|API|SRC|SOURCE|SERVICE"
    r"|INCLUDE_DIR|LIB_DIR|LIBRARY|LIBRARIES|BUILD_\w+|SERVER|NAME|MODELS?|MODEL_(?:NAME|ID|PATH|DIR|FILE)|\w+_MODEL"
    r"|EXTRA_ARGS|ARGS|CMD|COMMAND|OPTS|OPTIONS|USER|UID|GID|REPLICAS)"
)
# The same, unless other names of that engine stand beside it: then it is the engine's own file.
_SETTINGS_OF_THEIR_OWN = re.compile(r".*_(HOME|ROOT|PORT|ENABLED|TIMEOUT|DIR|PATH|DATA|VOLUME|MEMORY|CPUS|GPUS)")
# A release whose libraries are as new as the catalogue; an older image has older ones, and does not say which.
_LIBRARIES_AS_NEW = {"vllm": "0.30.0", "sglang": "0.5.20", "localai": "", "tgi": "4"}
_DEFINED = re.compile(r"-D((?:LLAMA|GGML)_\w+)(?::\w+)?=")
_PLUGINS = re.compile(r"NCCL_(FASTRAK|GPUDIRECTTCPX|SHIMNET|INSPECTOR|OFI|TUNER|PROFILER|NET_PLUGIN|GIN_PLUGIN)_")
_COMMON_WORDS = frozenset({"python", "triton"})
"""Prefixes that everybody uses for names of their own: only what is a slip of the pen is told."""
_ONCE_READ = (Standing.READ, Standing.REMOVED, Standing.RENAMED, Standing.FATAL, Standing.NOT_YET)
# CPython takes these as numbers: "0" is off (tried with 3.11), whatever else one reads about them.
_NUMBERS = frozenset(
    {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE", "PYTHONDEBUG", "PYTHONVERBOSE"}
)


@dataclass(slots=True)
class Names:
    """The rule, with what it may take for granted about the whole audit."""

    catalogue: Catalogue
    used: frozenset[str]
    """Names that something in the audited files expands inside of a container."""
    interpolated: frozenset[str]
    """Names that a Compose file beside a .env expands."""
    _known: frozenset[str] = frozenset()
    _prefixes: tuple[str, ...] = ()
    _verdicts: dict[tuple[str, tuple[Running, ...]], Verdict] = field(default_factory=dict)
    _nears: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        catalogue = self.catalogue
        self._known = frozenset((*catalogue.names, *catalogue.values, *catalogue.prescribed))
        self._prefixes = (*(space.prefix for space in catalogue.namespaces), *catalogue.prefixes)

    def findings(self, environment: Environment) -> Iterator[Finding]:
        running = tuple(Running(*pair) for pair in environment.components.items())
        set_here = [one for one in environment.assignments if not one.build_only]
        verdicts = {one.name: self._judged(one.name, running) for one in set_here}
        for verdict in verdicts.values():
            if verdict.standing in _ONCE_READ:
                environment.spoken_of.add(verdict.component)
        for one in environment.assignments:
            if one.name == "CMAKE_ARGS":
                yield from self._cmake(one, environment)
        for one in set_here:
            yield from self._of(one, verdicts[one.name], environment)

    def may_be_known(self, name: str) -> bool:
        """Whether the catalogue says anything of the name, or of its family."""
        return name in self._known or name.startswith(self._prefixes)

    def _judged(self, name: str, running: tuple[Running, ...]) -> Verdict:
        if not self.may_be_known(name):
            return _OF_NOBODY  # most names of a large file, without a look at every table
        found = self._verdicts.get((name, running))
        if found is None:
            found = self._verdicts[name, running] = self.catalogue.judge(name, running)
        return found

    def _of(self, one: Assignment, verdict: Verdict, environment: Environment) -> Iterator[Finding]:
        standing = verdict.standing
        if standing is Standing.READ:
            if self._on_by_presence(one, verdict):
                yield self._presence(one, environment)
            elif verdict.kind is Read.PREFIX and one.name.startswith("SGL_"):
                yield from self._rewritten(one, environment)
            return
        if standing in (Standing.UNREAD, Standing.UNKNOWN, Standing.WRAPPER, Standing.ELSEWHERE):
            yield from self._without_reader(one, verdict, environment)
            return
        certainty = self._fallen(Certainty(verdict.certainty.value), verdict, environment)
        make = _Make(one, environment, certainty)
        label = self._label(verdict)
        if standing is Standing.RENAMED:
            yield make(
                "renamed",
                Kind.RENAMED,
                f"{label} still takes {one.name}, but its name is {verdict.replacement} now",
                self._right(one, verdict.replacement),
            )
        elif standing is Standing.FATAL:
            yield make(
                "removed-fatal",
                Kind.REMOVED,
                f"{one.name} stops {label}: it was removed{_instead(verdict)}",
                self._right(one, verdict.replacement),
            )
        elif standing is Standing.NO_EFFECT:
            yield make(
                "removed-no-effect",
                Kind.REMOVED,
                f"{one.name} does nothing on boards since Pascal{_instead(verdict)}",
                self._right(one, verdict.replacement),
            )
        elif standing is Standing.NOT_YET:
            yield make(
                "not-yet-read",
                Kind.UNREAD,
                f"{label} {verdict.version} does not read {one.name} yet: it is known from {verdict.since} on",
                "",
            )
        elif standing is Standing.REMOVED:
            yield make(
                "removed",
                Kind.REMOVED,
                f"{label} does not read {one.name} any more{_until(verdict)}{_instead(verdict)}",
                self._right(one, verdict.replacement),
            )

    def _rewritten(self, one: Assignment, environment: Environment) -> Iterator[Finding]:
        """SGLang turns SGL_X into SGLANG_X, with a warning."""
        new = f"SGLANG_{one.name.removeprefix('SGL_')}"
        if self.catalogue.facts(new).readers:
            message = f"SGLang still takes {one.name}, but its name is {new} now"
            make = _Make(one, environment, Certainty.LIKELY)
            yield make("renamed", Kind.RENAMED, message, self._right(one, new))

    def _label(self, verdict: Verdict) -> str:
        component = self.catalogue.components.get(verdict.component)
        return component.label if component else verdict.component or "nobody"

    def _right(self, one: Assignment, replacement: str) -> str:
        """The line that would be right: an option, or the same line with the name that `replacement` begins with."""
        option = re.match(r"(--[\w.-]+)(?: ((?!or\b|to\b|and\b|with\b|in\b)[a-z0-9_]+)(?![\w|]))?", replacement)
        if option:
            same = one.name.endswith(option[1].lstrip("-").replace("-", "_").upper())
            value = option[2] or (one.value if same and one.value and " " not in one.value else None)
            return f"{option[1]} {value}" if value else option[1]
        match = re.match(r"([A-Za-z_][A-Za-z0-9_]*)(?:=([^\s;,]+))?(?![\w.])", replacement)
        if not match or not (match[2] or self.catalogue.facts(match[1]).known):
            return ""
        name, value = match[1], match[2]
        if value is None and one.value and _alike(one.name, name) and not secrets.is_secret_name(name):
            value = one.value
        return line_with(one, name, value) or f"{name}={value}" if value is not None else name

    def _fallen(self, certainty: Certainty, verdict: Verdict, environment: Environment) -> Certainty:
        """A version that cannot be ordered, or an engine too old to have the libraries of today."""
        compare = self.catalogue.compare
        if environment.pinned and compare(verdict.component, verdict.version, verdict.last) is None:
            return Certainty.LOW
        between = compare(verdict.component, verdict.version, verdict.last) == 1
        if between and compare(verdict.component, verdict.version, verdict.first_without) == -1:
            return Certainty.LOW  # a release that nobody looked at
        if verdict.component in environment.components:
            return certainty
        if certainty is Certainty.LOW and not set(verdict.others) & environment.spoken_of:
            certainty = Certainty.LIKELY  # nothing here looks like the one engine that still reads it
        for engine, version in environment.components.items():
            needed = _LIBRARIES_AS_NEW.get(engine)
            if needed and version and self.catalogue.compare(engine, version, needed) == -1:
                return Certainty.LOW
        return certainty

    def _cmake(self, one: Assignment, environment: Environment) -> Iterator[Finding]:
        """Options for llama.cpp's build that it has under another name by now."""
        for name in _DEFINED.findall(one.value or ""):
            verdict = self._judged(name, (Running("llama.cpp-build"),))
            if verdict.standing is Standing.REMOVED and verdict.component == "llama.cpp-build":
                label = self._label(verdict)
                message = f"{label} do not know {name} any more{_until(verdict)}{_instead(verdict)}"
                right = (one.value or "").replace(f"-D{name}", f"-D{verdict.replacement}")
                known = re.fullmatch(r"\w+", verdict.replacement)
                yield Finding(
                    "removed",
                    Kind.REMOVED,
                    name,
                    one.place,
                    Certainty.LIKELY,
                    message,
                    (line_with(one, one.name, right) or right) if known else "",
                    where=environment.label,
                )

    # --- on by its presence ------------------------------------------------------------------------------------

    def _on_by_presence(self, one: Assignment, verdict: Verdict) -> bool:
        if one.value is None or one.value.strip().lower() not in _OFF or one.name in _NUMBERS:
            return False
        value = self.catalogue.values.get(one.name)
        if value is not None and value.rule not in ("", "presence"):
            return False  # somebody else reads what it is set to
        return verdict.kind is Read.PRESENCE or (value is not None and value.rule == "presence")

    def _presence(self, one: Assignment, environment: Environment) -> Finding:
        name = one.name
        what = f"switches {_feature(name)} off" if "_NO_" in name or "DISABLE" in name else "switches it on"
        message = f'{name} counts as soon as it is set: "{one.value}" {what} as well; leave the line out'
        return _Make(one, environment, Certainty.CERTAIN)("presence-only", Kind.PRESENCE_ONLY, message, "")

    # --- no reader ---------------------------------------------------------------------------------------------

    def _without_reader(self, one: Assignment, verdict: Verdict, environment: Environment) -> Iterator[Finding]:
        name = one.name
        if name in self.used or (environment.fragment and name in self.interpolated):
            return
        if verdict is _OF_NOBODY:
            return
        space = self.catalogue.namespace(name)
        if verdict.standing is Standing.ELSEWHERE:
            make = _Make(one, environment, Certainty.LOW)
            who = ", ".join(environment.components) or "what runs here"
            yield make("read-elsewhere", Kind.UNREAD, f"{self._label(verdict)} reads {name}, {who} does not", "")
            return
        near = self._near(name) if space is not None else []
        same = [other for other in near if _bare(other) == _bare(name)]
        unread = verdict.standing is Standing.UNREAD
        if verdict.component in _COMMON_WORDS and not any(_near_enough(name, other) for other in near):
            unread = False
        if unread or same:
            certainty = self._how_sure(one, verdict, environment)
            make = _Make(one, environment, certainty)
            yield make(
                "unread",
                Kind.UNREAD,
                self._unread_message(one, verdict, near, environment),
                self._right(one, verdict.replacement) if verdict.replacement else self._meant(one, near),
            )
        elif space is not None:
            make = _Make(one, environment, Certainty.LOW)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield make("no-known-reader", Kind.UNKNOWN, f"no known reader of {name}{hint}", near[0] if near else "")

    def _how_sure(self, one: Assignment, verdict: Verdict, environment: Environment) -> Certainty:
        certainty = Certainty(verdict.certainty.value)
        if verdict.standing is not Standing.UNREAD:
            return Certainty.LIKELY  # another case or other underscores than a known name
        owner = self.catalogue.components.get(verdict.component)
        engine = owner is not None and owner.role is Role.ENGINE
        at_home = environment.official and verdict.component in environment.components
        if not verdict.component or (engine and at_home):
            return Certainty.LOW if one.name in self.interpolated else certainty
        if engine:
            # Clients of an engine, and the scripts that start it, have names of their own with its prefix.
            elsewhere = not environment.fragment and verdict.component not in environment.components
            unheard = (
                environment.fragment and not verdict.replacement and verdict.component not in environment.spoken_of
            )
            if elsewhere or unheard or own_entrypoint(environment) or one.name in self.interpolated:
                return Certainty.LOW
            if one.name.startswith("GGML_") and environment.label.startswith("stage"):
                return Certainty.LOW  # an option of its build
        if _NAMES_OF_THEIR_OWN.fullmatch(one.name) or _PLUGINS.match(one.name):
            return Certainty.LOW
        alone = verdict.component not in environment.spoken_of
        return Certainty.LOW if alone and _SETTINGS_OF_THEIR_OWN.fullmatch(one.name) else Certainty.LIKELY

    def _unread_message(self, one: Assignment, verdict: Verdict, near: list[str], environment: Environment) -> str:
        # The namespace's component says who would read it; for an invented name there is none.
        who = self._label(verdict) if verdict.component else "nobody"
        text = f"{who} does not read {one.name}" if verdict.component else f"nobody reads {one.name}"
        if verdict.replacement:
            text += f"; {_told(verdict.replacement)}"
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

    def _near(self, name: str) -> list[str]:
        found = self._nears.get(name)
        if found is None:
            # Each look goes through every known name; a file of thousands of unknown names must end as well.
            found = self._nears[name] = self.catalogue.near(name) if len(self._nears) < _MOST_NEAR else []
        return found


_MOST_NEAR = 100
_OF_NOBODY = Verdict("", Standing.UNKNOWN, VerdictCertainty.LOW)


@dataclass(frozen=True, slots=True)
class _Make:
    one: Assignment
    environment: Environment
    certainty: Certainty

    def __call__(self, id: str, kind: Kind, message: str, replacement: str) -> Finding:
        one = self.one
        return Finding(
            id, kind, one.name, one.place, self.certainty, message, replacement, where=self.environment.label
        )


def _bare(name: str) -> str:
    return name.replace("_", "").upper()


def _near_enough(name: str, other: str) -> bool:
    return SequenceMatcher(None, _bare(name), _bare(other), autojunk=False).ratio() >= 0.9


def _alike(one: str, other: str) -> bool:
    """Whether two names share so many words that what the one was set to may stand for the other."""
    words, others = set(one.split("_")), set(other.split("_"))
    return len(words & others) >= max(2, len(words | others) / 2) or _bare(one) == _bare(other)


def _told(replacement: str) -> str:
    return f"instead: {replacement}" if re.match(r"--|[A-Z]\w+_\w+|nvidia-smi", replacement) else replacement


def _until(verdict: Verdict) -> str:
    if verdict.first_without:
        last = f"last in {verdict.last}, " if verdict.last else ""
        return f" ({last}gone in {verdict.first_without})"
    return f" (last in {verdict.last})" if verdict.last else ""


def _instead(verdict: Verdict) -> str:
    remark = f" ({verdict.remark})" if verdict.remark else ""
    if verdict.replacement:
        return f"; {_told(verdict.replacement)}{remark}"
    return f"; nothing takes its place{remark}"


def _feature(name: str) -> str:
    match = re.search(r"_(?:NO|DISABLE)_(\w+)$", name)
    return match[1].lower().replace("_", " ") if match else "it"
