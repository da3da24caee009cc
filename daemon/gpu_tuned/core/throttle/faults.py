"""When a reason for being slow is a fault, from its first sign to its end, and how often that is told."""

from __future__ import annotations

from typing import NamedTuple

from gpu_tuned.core.throttle.reasons import Reason

FAULT_SAMPLES = 2  # a bit must be set this often in a row: one sample alone is a blip, also on healthy boards
FAULT_GROWTH_NS = 10_000_000  # a counter must grow by more than this, with no look that explains it
CLEAR_SAMPLES = 2  # looks in a row without a sign, after which it is over
TOLD_SINGLY = 3  # what begins this often within COMES_AND_GOES_S is from then on told once more, when it is over
COMES_AND_GOES_S = 600.0


class FaultChange(NamedTuple):
    """A fault began, or ended after `duration_s` seconds of it (None when it begins).

    `times`: how often it has begun within ten minutes, counting this one. From the third on it comes and goes: that
    is said with its beginning, and then no more until ten minutes have passed without it.
    """

    reason: Reason
    began: bool
    at_s: float
    duration_s: float | None = None
    times: int = 1

    @property
    def times_in_words(self) -> str:
        """What to add to a message about it; "" where this is all there was."""
        if self.times < TOLD_SINGLY:
            return ""
        if self.began:
            return ", again: it comes and goes, and is told of once more when it has stayed away for ten minutes"
        return f" in {self.times} times"


class Fault(NamedTuple):
    """A fault that is on. `since_s`: monotonic seconds of the first sign of it."""

    reason: Reason
    since_s: float


class Sighting(NamedTuple):
    """What one look at a GPU saw of one fault.

    `sign`: whether its bit says so, None: not looked at. `sampled_s`: seconds since the last look that the bit makes
    of it. `grown_ns`: the counter's growth since `since_s`, None: not looked at. `uncounted_ns`: what the bits alone
    have shown since then.
    """

    sign: bool | None
    sampled_s: float
    grown_ns: int | None
    since_s: float | None
    uncounted_ns: int


class Episode:
    """A fault from its first sign to the second look without one."""

    __slots__ = ("_clear", "counted_ns", "sampled_s", "since_s")

    def __init__(self, since_s: float, counted_ns: int, sampled_s: float) -> None:
        self.since_s = since_s
        self.counted_ns = counted_ns
        self.sampled_s = sampled_s
        self._clear = 0

    def goes_on(self, *, sign: bool | None) -> bool:
        """`sign` None: nothing could be looked at, which is not the end of it."""
        if sign is not None:
            self._clear = 0 if sign else self._clear + 1
        return self._clear < CLEAR_SAMPLES


class FaultWatch:
    """One reason that is a fault, on one GPU."""

    __slots__ = (
        "_began",
        "_duration_s",
        "_ended_s",
        "_explained",
        "_hushed",
        "_run",
        "_run_s",
        "_run_since_s",
        "episode",
        "reason",
    )

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        self.episode: Episode | None = None
        self._run = 0  # samples in a row with the bit set
        self._run_s = self._run_since_s = 0.0
        self._began: list[float] = []
        self._ended_s = self._duration_s = 0.0
        self._explained = False  # since the last count an episode was on, which was told and is over
        self._hushed = 0  # how many beginnings the one that was told last stands for; 0: each is told

    @property
    def at_rest(self) -> bool:
        """Whether a look without a sign changes nothing."""
        return self.episode is None and not (self._run or self._hushed or self._explained)

    def look(self, at_s: float, seen: Sighting) -> FaultChange | None:
        """Take one look."""
        sign, sampled_s, grown_ns, uncounted_ns = seen.sign, seen.sampled_s, seen.grown_ns, seen.uncounted_ns
        self._follow(at_s, sampled_s, sign=sign)
        # What the bits had shown already is no new sign when the counter confirms it.
        known = uncounted_ns > 0 if self.episode is not None else self._explained
        unseen = grown_ns is not None and grown_ns > FAULT_GROWTH_NS and not known
        self._explained = self._explained and grown_ns is None
        if self.episode is not None:
            self.episode.counted_ns += grown_ns or 0
            self.episode.sampled_s += sampled_s
            told = True if sign or unseen else sign if grown_ns is None else False
            if self.episode.goes_on(sign=told):
                return None
            self._explained = grown_ns is None
            return self.end(at_s, uncounted_ns if grown_ns is None else 0)
        if self._run >= FAULT_SAMPLES or unseen:
            began_s = self._run_since_s if self._run else at_s
            if unseen:
                # It fell somewhere between the two looks; its length says how late it can have begun.
                began_s = min(began_s, max(seen.since_s or 0.0, at_s - (grown_ns or 0) / 1e9))
            return self._begin(began_s, grown_ns or 0, self._run_s if self._run else sampled_s)
        return self._over(at_s)

    def end(self, at_s: float, uncounted_ns: int = 0) -> FaultChange | None:
        """The episode is over."""
        episode, self.episode, self._run = self.episode, None, 0
        if episode is None:
            return None
        counted_ns = episode.counted_ns + uncounted_ns
        duration_s = counted_ns / 1e9 if counted_ns else episode.sampled_s
        self._ended_s, self._duration_s = at_s, self._duration_s + duration_s
        return None if self._hushed else self._told_end(at_s, 1)

    def forget_run(self) -> None:
        self._run = 0

    def _follow(self, at_s: float, sampled_s: float, *, sign: bool | None) -> None:
        if sign:
            if not self._run:
                self._run_since_s, self._run_s = at_s, 0.0
            self._run += 1
            self._run_s += sampled_s
        elif sign is False:
            self._run = 0

    def _begin(self, since_s: float, counted_ns: int, sampled_s: float) -> FaultChange | None:
        self.episode = Episode(since_s, counted_ns, sampled_s)
        self._began = [*(s for s in self._began if since_s - s <= COMES_AND_GOES_S), since_s][-TOLD_SINGLY:]
        if self._hushed:
            self._hushed += 1
            return None
        times = len(self._began)
        if times >= TOLD_SINGLY:
            self._hushed = 1
        return FaultChange(self.reason, began=True, at_s=since_s, times=times)

    def _over(self, at_s: float) -> FaultChange | None:
        """What came and went, and has not come again for long enough."""
        if not self._hushed or at_s - self._ended_s < COMES_AND_GOES_S:
            return None
        times, self._hushed, self._began = self._hushed, 0, []
        return self._told_end(self._ended_s, times)

    def _told_end(self, at_s: float, times: int) -> FaultChange:
        duration_s, self._duration_s = round(self._duration_s, 3), 0.0
        return FaultChange(self.reason, began=False, at_s=at_s, duration_s=duration_s, times=times)
