"""The catalogue of hazards, and what looks for them: on one board, in a policy, in a policy without a board."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from gpu_tuned.core.advice import clocks, modes, power
from gpu_tuned.core.advice.case import MODELS, UNKNOWN, Advice, Around, Case, Hazard, Severity
from gpu_tuned.core.model import Board, Gpu, Reading, Setting
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.wish import Match, MatchBy

H, C, N = Severity.HARM, Severity.CAUTION, Severity.NOTE
CATALOGUE = (
    Hazard("memory-lock", H, Setting.MEMORY_CLOCK, clocks.memory_lock),
    Hazard("slow-memory", H, Setting.MEMORY_CLOCK, clocks.slow_memory),
    Hazard("exclusive-process", C, Setting.COMPUTE_MODE, modes.exclusive),
    Hazard("prohibited", C, Setting.COMPUTE_MODE, modes.prohibited),
    Hazard("application-clocks", C, Setting.APPLICATION_CLOCKS, clocks.application_clocks),
    Hazard("limit-out-of-range", C, Setting.POWER_LIMIT, power.out_of_range),
    Hazard("share-above-default", C, Setting.POWER_LIMIT, power.share_above_default),
    Hazard("max-above-default", N, Setting.POWER_LIMIT, power.max_above_default),
    Hazard("cap-not-reached", N, Setting.POWER_LIMIT, power.cap_unreached),
    Hazard("laptop-limit", C, Setting.POWER_LIMIT, power.laptop_limit),
    Hazard("lock-below-boost", N, Setting.GPU_CLOCK, clocks.below_boost),
    Hazard("idle-power", N, Setting.GPU_CLOCK, clocks.idle_power),
    Hazard("minimum-no-promise", N, Setting.GPU_CLOCK, clocks.minimum_no_promise),
    Hazard("settings-forgotten", C, Setting.PERSISTENCE_MODE, modes.forgets),
    Hazard("legacy-persistence", N, Setting.PERSISTENCE_MODE, modes.legacy_persistence),
    Hazard("laptop-awake", C, Setting.PERSISTENCE_MODE, modes.laptop_awake),
)
ADVICE_IDS = tuple(hazard.id for hazard in CATALOGUE)


def advise(case: Case, accepted: Collection[str] = ()) -> tuple[Advice, ...]:
    """Every hazard of one GPU's wishes, worst first; without those that are accepted."""
    found = []
    for hazard in CATALOGUE:
        message = None if hazard.id in accepted else hazard.applies(case)
        if message is not None:
            wish = case.wish(hazard.setting)
            origin = str(wish.origin) if wish is not None else ""
            found.append(
                Advice(hazard.id, hazard.severity, case.board.gpu, hazard.setting, message, origin, hazard.page)
            )
    order = list(Severity)
    return tuple(sorted(found, key=lambda advice: order.index(advice.severity)))


def advise_policy(
    policy: Policy,
    boards: Iterable[Board],
    found: Mapping[str, Mapping[Setting, Reading]] | None = None,
    around: Around = UNKNOWN,
) -> tuple[Advice, ...]:
    """Advice on every board that a policy speaks of. `found`: UUID -> its settings as they are."""
    return tuple(
        advice
        for board in boards
        for advice in advise(
            Case(board, policy.wishes_for(board.gpu), (found or {}).get(board.gpu.uuid, {}), around),
            policy.accepted_for(board.gpu),
        )
    )


def advise_offline(policy: Policy) -> tuple[Advice, ...]:
    """What can be said of a policy without a board: each rule by name is held against the models that it names. What
    a board allows is not known then, and nothing is said of it. A hazard is told once a place that brings it."""
    boards = [
        Board(Gpu(f"{rule.match.pattern} {name}", "", name), 0)
        for rule in policy.rules
        for name in _names(rule.match)
    ]
    told: dict[tuple[str, str], Advice] = {}
    for advice in advise_policy(policy, boards):
        if advice.origin:
            told.setdefault((advice.id, advice.origin), advice)
    return tuple(told.values())


def _names(match: Match) -> tuple[str, ...]:
    """The models that a rule's name pattern speaks of; the pattern itself where it speaks of all, or of none
    known."""
    if match.by is not MatchBy.NAME or match.pattern == "*":
        return (match.pattern,)
    known = tuple(m.name for m in MODELS if "*" not in m.name and fnmatchcase(m.name, match.pattern))
    return known or (match.pattern,)
