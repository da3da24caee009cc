"""Which policy is in force: the newest good one. A bad file never replaces it, and a start with a bad file takes
the last good one from the saved state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from gpu_tuned.core.budget import Misfit
from gpu_tuned.core.errors import GpuTunedError, PolicyError
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.policy import Policy
from gpu_tuned.loop.ledger import Ledger
from gpu_tuned.ports import Clock, Say

Judge = Callable[[Policy], Misfit | None]
"""Says why a policy does not fit the boards at hand (the power budget), or None."""


TOLD_AGAIN_S = 600.0
"""How long a policy that does not suit the boards now and then is told of once."""


class PolicyState(str, Enum):
    """RESTRICTED: the policy in force never suited the boards at hand, and no other is known, so of it only required
    limits that lower are written. LAST_GOOD: not the one of the files."""

    IN_FORCE = "in_force"
    RESTRICTED = "restricted"
    LAST_GOOD = "last_good"
    NONE = "none"


class PolicyFiles(NamedTuple):
    """How policies come in: `read` gives the sources of the file as JSON, `parse` makes a policy of such sources.
    Both raise PolicyError; `stamp` raises nothing."""

    read: Callable[[], Mapping[str, Any]]
    parse: Callable[[Mapping[str, Any]], Policy]
    stamp: Callable[[], object]
    """Something that compares unequal once any of the files was changed; cheap enough for every turn."""


class PolicyInForce:
    """Belongs to the loop thread. Two things may be wrong, each by itself: `refused`, why the newest files are not in
    force, and `misfit`, why what is in force does not suit the boards as they were looked at last."""

    def __init__(self, files: PolicyFiles, ledger: Ledger, clock: Clock, say: Say) -> None:
        self._files, self._ledger, self._clock, self._say = files, ledger, clock, say
        self.policy: Policy | None = None
        self.refused: tuple[str, ...] = ()
        self.misfit: Misfit | None = None
        self.loaded_at: float | None = None
        self._unsuited_again_s = float("-inf")
        self._sources: Mapping[str, Any] | None = None
        self._of_files = False
        self.fitted = False
        """Whether it suited the boards at least once: then it is carried out whatever they come to."""
        self._stamp: object = None
        self.pending: Policy | None = None
        """A good policy that lies in the files and was not loaded yet."""

    @property
    def state(self) -> PolicyState:
        if self.policy is None:
            return PolicyState.NONE
        if self.restricted is not None:
            return PolicyState.RESTRICTED
        return PolicyState.IN_FORCE if self._of_files else PolicyState.LAST_GOOD

    @property
    def restricted(self) -> str | None:
        """Why nothing is written but required limits that lower; None: everything is."""
        return None if self.fitted or self.misfit is None else self.misfit.why

    @property
    def changed(self) -> bool:
        """Whether the files are others than when they were last looked at."""
        return self._files.stamp() != self._stamp

    def clock_stepped(self, by_s: float) -> None:
        """The wall clock was set, by so much."""
        if self.loaded_at is not None:
            self.loaded_at += by_s

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
            self._adopt(self._files.parse(sources), sources, of_files=True)
            self._keep(fitted=False)
        except PolicyError as error:
            self.refused = error.problems
            if not self._fall_back():
                self._say_refused("no policy is in force and nothing is written")

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
                raise PolicyError((problem.why,))
        except PolicyError as error:
            self.refused = error.problems
            self._say_refused("the running policy stays" if self.policy else "no policy is in force")
            raise
        self._adopt(policy, sources, of_files=True)
        self._keep(fitted=judge is not None)

    def judge(self, judge: Judge) -> bool:
        """Hold the policy in force against the boards as they are known now. Returns whether what is to be written is
        another from now on."""
        if self.policy is None:
            return False
        before, policy = self.restricted, self.policy
        problem = judge(self.policy)
        if problem is None:
            self.misfit = None
            if not self.fitted:
                self._keep(fitted=True)
        elif self.fitted:
            self._misfits(problem, "the policy stays in force")
        elif not problem.certain:  # a limit that cannot be read may be read at the next look
            self._misfits(problem, "only its required limits that lower are written")
        elif self.misfit is not None and self.misfit.certain:  # told, and there is no other policy
            self.misfit = problem
        else:
            refused, self.refused = self.refused, (problem.why,)
            if not self._fall_back(judge):
                self.refused = refused
                self._misfits(problem, "only its required limits that lower are written")
        return self.policy is not policy or self.restricted != before

    def _misfits(self, problem: Misfit, kept: str) -> None:
        """Told once for as long as it lasts, its watts may be others at every look; and where it comes and goes, not
        each time."""
        now_s = self._clock.monotonic()
        if self.misfit is None and now_s >= self._unsuited_again_s:
            self._unsuited_again_s = now_s + TOLD_AGAIN_S
            self._say(Event(EventKind.POLICY_UNSUITED, self._clock.now(), cause=problem.why, detail={"kept": kept}))
        self.misfit = problem

    def _adopt(self, policy: Policy, sources: Mapping[str, Any], *, of_files: bool) -> None:
        self.policy, self._sources, self._of_files = policy, sources, of_files
        self.fitted, self.misfit, self._unsuited_again_s = False, None, float("-inf")
        self.loaded_at = self._clock.now()
        if of_files:
            self.refused = ()
        detail = {"digest": policy.digest, "files": ", ".join(policy.files)}
        self._say(Event(EventKind.POLICY_LOADED, self._clock.now(), detail=detail))

    def _keep(self, *, fitted: bool) -> None:
        """A policy that was understood is the last good one; `fitted`: it also suits the boards at hand."""
        self.fitted = fitted
        if self._of_files and self._sources is not None:
            try:
                self._ledger.keep_policy(self._sources, fitted=fitted)
            except GpuTunedError as error:
                self._say(Event(EventKind.POLICY_UNSAVED, self._clock.now(), cause=str(error)))

    def _fall_back(self, judge: Judge = lambda policy: None) -> bool:
        """Take the last good policy that suits the boards. False: there is none."""
        for saved in self._ledger.policies:
            if saved == self._sources:
                continue
            try:
                policy = self._files.parse(saved)
            except PolicyError:
                continue
            if judge(policy) is None:
                self._say_refused("the last good policy is used")
                self._adopt(policy, saved, of_files=False)
                return True
        return False

    def _say_refused(self, kept: str) -> None:
        cause = "; ".join(self.refused)
        self._say(Event(EventKind.POLICY_REFUSED, self._clock.now(), cause=cause, detail={"kept": kept}))
