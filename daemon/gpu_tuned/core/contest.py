"""How often somebody changes one setting, and whether that is over: a row of changes, kept in its track."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.track import Moment, State, Track

CONTEST_AFTER = 3
"""Changes in a row after which the daemon slows down, or says no more of a setting that it only watches."""
IN_A_ROW_S = 600.0
"""Two reverts further apart than this are two stories: a rival run by cron once a minute is one."""
QUIET_MIN_S = 60.0
"""A contest is over when the value stayed for this long, for two rhythms of the rival and two pauses of ours."""


def quiet(track: Track, moment: Moment, least_s: float) -> bool:
    """Whether nobody has changed it for long enough."""
    return track.last_drift is None or moment.mono - track.last_drift >= max(QUIET_MIN_S, least_s)


def once_more(track: Track, moment: Moment) -> Track:
    """One more time that somebody changed it, in the present row or in a new one."""
    near = track.last_drift is not None and moment.mono - track.last_drift <= IN_A_ROW_S
    goes_on = near or track.state is State.CONTESTED
    return replace(
        track,
        in_row=track.in_row + 1 if goes_on else 1,
        row_began=track.row_began if goes_on else moment.mono,
        last_drift=moment.mono,
    )
