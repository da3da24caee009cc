"""Which policy is in force: the newest good one. A bad file never replaces it, and a start with a bad file takes
the last good one from the saved state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gpu_tuned.core.errors import GpuTunedError, PolicyError
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.policy import Policy
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.ports import Clock, Say

Judge = Callable[[Policy], str | None]
"""Says why a policy does not fit the boards at hand (the power budget), or None."""


class PolicyState(str, Enum):
    """RESTRICTED: the policy is good but for the boards at hand, and no other is known, so of it only required limits
    that lower are written."""

    IN_FORCE = "in_force"
    RESTRICTED = "restricted"
    LAST_GOOD = "last_good"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """How policies come in: `read` gives the sources of the file as JSON, `parse` makes a policy of such sources.
    Both raise PolicyError; `stamp` raises nothing."""

    read: Callable[[], Mapping[str, Any]]
    parse: Callable[[Mapping[str, Any]], Policy]
    stamp: Callable[[], object]
    """Something that compares unequal once any of the files was changed; cheap enough for every turn."""


class PolicyInForce:
    """Belongs to the loop thread."""

    def __init__(self, files: PolicyFiles, ledger: Ledger, clock: Clock, say: Say) -> None:
        self._files, self._ledger, self._clock, self._say = files, ledger, clock, say
        self.policy: Policy | None = None
        self.state = PolicyState.NONE
        self.problems: tuple[str, ...] = ()
        self.loaded_at: float | None = None
        self._sources: Mapping[str, Any] | None = None
        self._judged = False
        self._stamp: object = None
        self.pending: Policy | None = None
        """A good policy that lies in the files and was not loaded yet."""

    @property
    def restricted(self) -> str | None:
        """Why nothing is written but required limits that lower; None: everything is."""
        return "; ".join(self.problems) if self.state is PolicyState.RESTRICTED else None

    @property
    def changed(self) -> bool:
        """Whether the files are others than when they were last looked at."""
        return self._files.stamp() != self._stamp

    def notice_change(self) -> None:
        """See whether the files were changed since they were last read; nothing is said, and nothing taken over."""
        stamp = self._files.stamp()
        if stamp == self._stamp:
            return
        self._stamp, self.pending = stamp, None
        try:
            policy = self._files.parse(self._files.read())
        except PolicyError:
            return  # told by `reload`, and by `check`
        if self.policy is None or policy.digest != self.policy.digest:
            self.pending = policy

    def start(self) -> None:
        """Take the file's policy, or the last good one, or none."""
        self._stamp = self._files.stamp()
        try:
            sources = self._files.read()
            self._adopt(self._files.parse(sources), sources, PolicyState.IN_FORCE)
            self._keep(fitted=False)
        except PolicyError as error:
            self._fall_back(error.problems)

    def reload(self, judge: Judge | None) -> None:
        """Take the file anew. Raises PolicyError, and then the running policy stays. `judge` None: no board is known
        yet, so it is judged when one is."""
        self._stamp = self._files.stamp()
        self.pending = None
        try:
            sources = self._files.read()
            policy = self._files.parse(sources)
            problem = judge(policy) if judge else None
            if problem is not None:
                raise PolicyError((problem,))
        except PolicyError as error:
            self.problems = error.problems
            self._refused("the running policy stays" if self.policy else "no policy is in force")
            raise
        self._adopt(policy, sources, PolicyState.IN_FORCE)
        self._keep(fitted=judge is not None)

    def judge(self, judge: Judge) -> None:
        """Hold the policy in force against boards that were not known when it was read."""
        if self.policy is None:
            return
        problem = judge(self.policy)
        if problem is None:
            if self.state is PolicyState.RESTRICTED:  # a board went, or its limit was lowered
                self.state, self.problems = PolicyState.IN_FORCE, ()
            self._keep(fitted=True)
        elif self.state is PolicyState.RESTRICTED:
            self.problems = (problem,)
        elif not self._judged:
            self._fall_back((problem,), judge)
        else:
            # Boards came to a policy that fitted before: the limits on record stay, the sum is told.
            if self.problems != (problem,):
                self.problems = (problem,)
                self._refused("the running policy stays")

    def _adopt(self, policy: Policy, sources: Mapping[str, Any], state: PolicyState) -> None:
        self.policy, self.state, self._sources = policy, state, sources
        self._judged = False
        self.loaded_at = self._clock.now()
        if state is PolicyState.IN_FORCE:
            self.problems = ()
        detail = {"digest": policy.digest, "files": ", ".join(policy.files)}
        self._say(Event(EventKind.POLICY_LOADED, self._clock.now(), detail=detail))

    def _keep(self, *, fitted: bool) -> None:
        """A policy that was understood is the last good one; `fitted`: it also suits the boards at hand."""
        self._judged = fitted
        if self.state is PolicyState.IN_FORCE and self._sources is not None:
            try:
                self._ledger.keep_policy(self._sources, fitted=fitted)
            except GpuTunedError as error:
                self._say(Event(EventKind.POLICY_UNSAVED, self._clock.now(), cause=str(error)))

    def _fall_back(self, problems: tuple[str, ...], judge: Judge = lambda policy: None) -> None:
        self.problems = problems
        for saved in self._ledger.policies:
            if saved == self._sources:
                continue
            try:
                policy = self._files.parse(saved)
            except PolicyError:
                continue
            if judge(policy) is None:
                self._refused("the last good policy is used")
                self._adopt(policy, saved, PolicyState.LAST_GOOD)
                return
        if self.policy is not None:
            self.state = PolicyState.RESTRICTED
            self._refused("only its required limits that lower are written")
            return
        self.state = PolicyState.NONE
        self._refused("no policy is in force and nothing is written")

    def _refused(self, kept: str) -> None:
        cause = "; ".join(self.problems)
        self._say(Event(EventKind.POLICY_REFUSED, self._clock.now(), cause=cause, detail={"kept": kept}))
