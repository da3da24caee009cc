"""What setting a name does where it is set: read, removed, renamed, read by nobody, on by its presence alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gpu_tuned.environment.audit import nearest, wording
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, line_with
from gpu_tuned.environment.audit.unread import Unread
from gpu_tuned.environment.facts import Kind as Read
from gpu_tuned.environment.judge import Certainty as VerdictCertainty
from gpu_tuned.environment.judge import Running, Standing, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue

_OFF = frozenset({"", "0", "false", "off", "no", "n", "f", "disabled", "none"})
# A release whose libraries are as new as the catalogue; an older image has older ones, and does not say which.
_LIBRARIES_AS_NEW = {"vllm": "0.30.0", "sglang": "0.5.20", "localai": "", "tgi": "4"}
_OLD_READERS = frozenset({"tgi", "llama.cpp"})
_WORDS = {
    "huggingface_hub": ("HUGGING", "HF_"),
    "transformers": ("TRANSFORMERS", "HUGGING", "PYTORCH_PRETRAINED"),
    "pytorch": ("TORCH", "INDUCTOR"),
    "llama.cpp": ("LLAMA", "GGML"),
    "llama.cpp-build": ("LLAMA", "GGML"),
    "sglang": ("SGL",),
}
_DEFINED = re.compile(r"-D((?:LLAMA|GGML)_\w+)(?::\w+)?=")
_ONCE_READ = (Standing.READ, Standing.REMOVED, Standing.RENAMED, Standing.FATAL, Standing.NOT_YET)


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
    _unread: Unread = field(init=False)

    def __post_init__(self) -> None:
        catalogue = self.catalogue
        self._unread = Unread(catalogue, self.used, self.interpolated)
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
        meant = nearest.fitted(one.name, one.value, verdict.replacement, verdict.remark)
        if meant != verdict.replacement:
            verdict = replace(verdict, replacement=meant)
        standing = verdict.standing
        if standing is Standing.READ:
            if self._on_by_presence(one, verdict):
                yield self._presence(one, environment)
            return
        if standing in (Standing.UNREAD, Standing.UNKNOWN, Standing.WRAPPER, Standing.ELSEWHERE):
            if verdict is not _OF_NOBODY:
                yield from self._unread.findings(one, verdict, environment)
            return
        certainty = self._fallen(Certainty(verdict.certainty.value), verdict, environment)
        make = wording.Make(one, environment, certainty)
        label = wording.label(self.catalogue, verdict)
        if standing is Standing.RENAMED:
            yield make(
                "renamed",
                f"{label} still takes {one.name}, but its name is {verdict.replacement} now",
                wording.right(self.catalogue, one, verdict.replacement),
            )
        elif standing is Standing.FATAL:
            yield make(
                "removed-fatal",
                f"{one.name} stops {label}: it was removed{wording.instead(verdict)}",
                wording.right(self.catalogue, one, verdict.replacement),
            )
        elif standing is Standing.NO_EFFECT:
            yield make(
                "removed-no-effect",
                f"{one.name} does nothing on boards since Pascal{wording.instead(verdict)}",
                wording.right(self.catalogue, one, verdict.replacement),
            )
        elif standing is Standing.NOT_YET:
            yield make(
                "not-yet-read",
                f"{label} {verdict.version} does not read {one.name} yet: it is known from {verdict.since} on",
                "",
            )
        elif standing is Standing.REMOVED:
            yield make(
                "removed",
                f"{label} does not read {one.name} any more{wording.until(verdict)}{wording.instead(verdict)}",
                wording.right(self.catalogue, one, verdict.replacement),
            )

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
        if not _says_whose(verdict, self.catalogue):
            return Certainty.LOW  # a word that any program may have for itself (USE_MMAP, FLASH_ATTENTION)
        if set(verdict.others) & environment.spoken_of & _OLD_READERS:
            return Certainty.LOW  # it looks like the one engine that still reads it
        if certainty is Certainty.LOW:
            certainty = Certainty.LIKELY
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
                label = wording.label(self.catalogue, verdict)
                message = f"{label} do not know {name} any more{wording.until(verdict)}{wording.instead(verdict)}"
                right = (one.value or "").replace(f"-D{name}", f"-D{verdict.replacement}")
                known = re.fullmatch(r"\w+", verdict.replacement)
                yield Finding(
                    "removed",
                    name,
                    one.place,
                    Certainty.LIKELY,
                    message,
                    (line_with(one, one.name, right) or right) if known else "",
                    where=environment.label,
                )

    # --- on by its presence ------------------------------------------------------------------------------------

    def _on_by_presence(self, one: Assignment, verdict: Verdict) -> bool:
        if one.value is None or one.value.strip().lower() not in _OFF:
            return False
        value = self.catalogue.values.get(one.name)
        if value is not None and value.rule not in ("", "presence"):
            return False  # somebody else reads what it is set to
        if value is not None and value.argument == "non-empty" and not one.value:
            return False
        return verdict.kind is Read.PRESENCE or (value is not None and value.rule == "presence")

    def _presence(self, one: Assignment, environment: Environment) -> Finding:
        name = one.name
        what = f"switches {wording.feature(name)} off" if "_NO_" in name or "DISABLE" in name else "switches it on"
        message = f'{name} counts as soon as it is set: "{one.value}" {what} as well; leave the line out'
        return wording.Make(one, environment, Certainty.CERTAIN)("presence-only", message, "")


def _says_whose(verdict: Verdict, catalogue: Catalogue) -> bool:
    """Whether the name itself says whose it is."""
    words = _WORDS.get(verdict.component, (verdict.component.upper(),))
    return catalogue.namespace(verdict.name) is not None or any(word in verdict.name for word in words)


_OF_NOBODY = Verdict("", Standing.UNKNOWN, VerdictCertainty.LOW)
