"""What it means that a name is set where certain components run.

The order of belief: what runs there is asked first, then what may be inside of anything, then everybody else. A name
that somebody there reads is no mistake, whoever else has given it up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

from gpu_tuned.environment.facts import Facts, Kind, Prescribed, Removed, Role, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue


class Standing(Enum):
    """What becomes of a name."""

    READ = "read"
    RENAMED = "renamed"
    """Read under protest: there is a newer name."""
    REMOVED = "removed"
    """Read once; this version does not any more."""
    NOT_YET = "not-yet"
    """Read by newer versions; not by this one."""
    FATAL = "fatal"
    """Stops the program."""
    NO_EFFECT = "no-effect"
    """Read, and changes nothing on boards of today."""
    ELSEWHERE = "elsewhere"
    """Read by engines that are not among what runs."""
    WRAPPER = "wrapper"
    """No component reads it; entrypoints of some images turn it into something. Look at the image."""
    UNREAD = "unread"
    """Nobody reads it, and that can be said: its namespace is known whole, or it was looked for."""
    UNKNOWN = "unknown"
    """No known reader; that proves nothing here."""


class Certainty(Enum):
    CERTAIN = "certain"
    LIKELY = "likely"
    """The version is not known, or lies where nobody looked."""
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Running:
    """A component that is known to run, and its version as its own scheme writes it, or "": not known."""

    component: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What setting a name does. Texts are facts for a message, not sentences."""

    name: str
    standing: Standing
    certainty: Certainty
    component: str = ""
    """Id of the component that the verdict is about; "": of none."""
    version: str = ""
    """Of it, as given; "": not known, judged by the newest that was looked at."""
    kind: Kind | None = None
    """How it is read where it is: PRESENCE means that any value switches it on."""
    since: str = ""
    last: str = ""
    first_without: str = ""
    replacement: str = ""
    remark: str = ""
    source: str = ""
    others: tuple[str, ...] = ()
    """Ids of other components that read the name."""


_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""Kubernetes puts these into every pod for every Service of the namespace; nobody need read them."""

_PREFERENCE = (
    Standing.READ,
    Standing.FATAL,
    Standing.RENAMED,
    Standing.NO_EFFECT,
    Standing.NOT_YET,
    Standing.REMOVED,
)
"""Of several verdicts of equal standing to what runs, the first of these counts."""


def judge(catalogue: Catalogue, name: str, running: tuple[Running, ...]) -> Verdict:
    """See Catalogue.judge."""
    facts = catalogue.facts(name)
    if not facts.removed and all(row.kind is Kind.PREFIX for row in facts.readers):
        for old, new in catalogue.rewrites:
            if name.startswith(old) and not name.startswith(new):
                return _rewritten(catalogue, name, new + name.removeprefix(old), running)
    versions = {part.component: part.version for part in running}
    brought = {
        id
        for part in running
        if part.component in catalogue.components
        for id in catalogue.components[part.component].brings
    }
    engine_known = any(_role(catalogue, id) is Role.ENGINE for id in versions)
    here: list[Verdict] = []
    anywhere: list[Verdict] = []
    engines: list[Verdict] = []
    wrappers: list[Verdict] = []
    ids = [*(row.component for row in facts.removed), *(row.component for row in facts.readers)]
    for id in dict.fromkeys(ids):
        verdict = _of_component(catalogue, facts, id, versions.get(id, ""))
        role = _role(catalogue, id)
        if id in versions or id in brought:
            here.append(verdict)
        elif role is Role.ENGINE:
            engines.append(verdict)
        elif role is Role.WRAPPER:
            wrappers.append(replace(verdict, standing=Standing.WRAPPER, certainty=Certainty.LIKELY))
        else:
            anywhere.append(verdict)
    if here:
        found = _best(here)
        # What the engine gave up, a library beside it may still read.
        left = found.standing in (Standing.REMOVED, Standing.NOT_YET)
        return _best([found, *anywhere]) if left else found
    if anywhere:
        found = _best(anywhere)
        # It may be the one engine that still reads what the library has given up.
        doubtful = found.standing is Standing.REMOVED and not engine_known and _reads(engines)
        return replace(found, certainty=Certainty.LOW) if doubtful else found
    if engines:
        found = _best(engines)
        if not engine_known:
            return found
        # Of a general name ("PORT") the readers that are not here say little; of an engine's own they say much.
        own = facts.namespace is not None and facts.namespace.component == found.component
        return replace(found, standing=Standing.ELSEWHERE, certainty=Certainty.LIKELY if own else Certainty.LOW)
    if _SERVICE_LINK.fullmatch(name):
        return Verdict(name, Standing.READ, Certainty.LIKELY, "kubernetes", remark="a Service's link")
    return _of_nobody(catalogue, name, running, facts.prescribed, wrappers)


def _rewritten(catalogue: Catalogue, name: str, new: str, running: tuple[Running, ...]) -> Verdict:
    """What becomes of an old name is what becomes of the new one."""
    verdict = replace(catalogue.judge(new, running), name=name)
    if verdict.standing is Standing.READ:
        return replace(verdict, standing=Standing.RENAMED, replacement=new, remark=f"rewritten to {new}")
    return replace(verdict, remark=f"rewritten to {new}")


def _of_nobody(
    catalogue: Catalogue,
    name: str,
    running: tuple[Running, ...],
    prescribed: tuple[Prescribed, ...],
    wrappers: list[Verdict],
) -> Verdict:
    invented = next((row for row in prescribed if row.verdict == "invented"), None)
    space = catalogue.namespace(name)
    said = Verdict(name, Standing.UNKNOWN, Certainty.LOW)
    if invented is not None:
        evidence = invented.evidence[0] if invented.evidence else ""
        said = replace(said, replacement=invented.replacement, remark=invented.note, source=evidence)
    if wrappers:
        return replace(_best(wrappers), replacement=said.replacement)
    other = catalogue.elsewhere(name)
    if other is not None and other.kind == "reader":
        return replace(said, remark=f"{other.who} may read it")
    # An entrypoint may read what no component does; that is known of some names by their note alone.
    certain = Certainty.LIKELY if invented and invented.readers else Certainty.CERTAIN
    if space is not None and space.closed == "yes":
        owner = catalogue.components[space.component]
        version = next((found.version for found in running if found.component == owner.id), "")
        newer = catalogue.compare(owner.id, version, owner.looked_at) if version else None
        # Certain where the owner runs in a version that was looked at, or an older one of a known release.
        sure = certain if any(found.component == owner.id for found in running) and newer != 1 else Certainty.LIKELY
        said = replace(said, standing=Standing.UNREAD, certainty=sure, component=owner.id, version=version)
        if other is not None:
            said = replace(said, certainty=Certainty.LIKELY, source=other.who, remark=f"one of {other.who}")
        return said if said.source else replace(said, source=space.known_from, remark=space.advice)
    if invented is not None:
        return replace(said, standing=Standing.UNREAD, certainty=certain)
    if space is not None and space.closed == "mostly":
        said = replace(said, component=space.component, remark=space.advice)
    return said


def _of_component(catalogue: Catalogue, facts: Facts, id: str, version: str) -> Verdict:
    """What one component makes of the name."""
    reads = [row for row in facts.readers if row.component == id]
    gone = next((row for row in facts.removed if row.component == id), None)
    others = tuple(dict.fromkeys(row.component for row in facts.readers if row.component != id))
    said = Verdict(facts.name, Standing.READ, Certainty.CERTAIN, id, version, others=others)
    if reads:
        # One whose values are told has values: KMP_BLOCKTIME=0 is one, though llama.cpp only asks whether it is set.
        valued = any(value.rule not in ("", "presence") for value in facts.values)
        first = next((row for row in reads if row.kind is Kind.PRESENCE and not valued), reads[0])
        first = replace(first, kind=Kind.EXACT) if valued and first.kind is Kind.PRESENCE else first
        since = min((row.since for row in reads), key=bool)  # one that always read it makes the others' void
        said = replace(said, kind=first.kind, since=since, source=first.source)
    if gone is not None:
        return _given_up(catalogue, said, gone)
    still = [row for row in reads if not row.until]
    if not still:
        last = reads[0].until.replace("?", "")
        after = catalogue.compare(id, version, last)
        said = replace(said, last=last)
        return said if after in (-1, 0) else replace(said, standing=Standing.REMOVED, certainty=Certainty.LIKELY)
    if catalogue.compare(id, version, said.since) == -1:
        # "since" is the first release looked at that has it; one in between may have had it already.
        return replace(said, standing=Standing.NOT_YET, certainty=Certainty.LIKELY)
    sure = Certainty.LIKELY if said.kind is Kind.PREFIX else Certainty.CERTAIN
    return replace(said, certainty=sure)


def _given_up(catalogue: Catalogue, said: Verdict, gone: Removed) -> Verdict:
    if gone.state is State.KEPT:
        return said
    said = replace(
        said,
        last=gone.last,
        first_without=gone.first_without,
        replacement=gone.replacement,
        remark=gone.remark,
        source=gone.source,
    )
    before = catalogue.compare(gone.component, said.version, gone.last)
    after = catalogue.compare(gone.component, said.version, gone.first_without)
    if gone.state is State.GONE or gone.state is State.REWRITTEN:
        if before in (-1, 0):
            return replace(said, standing=Standing.READ, remark="")
        standing = Standing.REMOVED if gone.state is State.GONE else Standing.RENAMED
        return replace(said, standing=standing, certainty=Certainty.CERTAIN if after in (0, 1) else Certainty.LIKELY)
    standing = {
        State.ALIAS: Standing.RENAMED,
        State.FATAL: Standing.FATAL,
        State.NO_EFFECT: Standing.NO_EFFECT,
    }[gone.state]
    # `last` is the version in which this was seen; since when it is so is not known.
    certainty = {None: Certainty.LIKELY, -1: Certainty.LOW}.get(before, Certainty.CERTAIN)
    return replace(said, standing=standing, certainty=certainty)


def _best(verdicts: list[Verdict]) -> Verdict:
    order = {standing: place for place, standing in enumerate(_PREFERENCE)}
    return min(verdicts, key=lambda verdict: order.get(verdict.standing, len(order)))


def _reads(verdicts: list[Verdict]) -> bool:
    return any(verdict.standing is Standing.READ for verdict in verdicts)


def _role(catalogue: Catalogue, id: str) -> Role | None:
    component = catalogue.components.get(id)
    return component.role if component else None
