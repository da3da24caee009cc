"""When a board is asked anew for what it could not say of itself when the driver was attached."""

from __future__ import annotations

from gpu_tuned.core.gpu_state import GpuState
from gpu_tuned.loop.pause import Pause
from gpu_tuned.ports import Clock

AGAIN_S = 30.0
"""The longest pause before a board that could not be described in full is asked again."""
DENIED_AGAIN_S = 600.0
"""The same for a setting that is wished for and that the driver said the board does not have: such an answer nearly
always stays, but a driver in trouble was seen to give it in passing."""


class Descriptions:
    """A pause for each GPU of which something is open, by UUID; one for what passes, and one for what was denied, so
    that a long pause of this kind holds up none of that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._soon: dict[str, Pause] = {}
        self._denied: dict[str, Pause] = {}

    def due(self, state: GpuState, interval_s: float, *, changed: bool) -> bool:
        """Whether this look asks. `changed`: MIG was switched since, so that the description is another."""
        board, uuid = state.board, state.gpu.uuid
        soon = board is not None and (bool(board.unknown) or changed)
        absent = board.absent if board is not None else ()
        denied = any((track := state.tracks.get(s)) is not None and track.wish is not None for s in absent)
        if not denied:
            self._denied.pop(uuid, None)
        elif uuid not in self._denied:
            self._denied[uuid] = Pause(self._clock, DENIED_AGAIN_S)
            self._denied[uuid].longer(AGAIN_S)
        if not soon:
            self._soon.pop(uuid, None)
        elif uuid not in self._soon:
            self._soon[uuid] = Pause(self._clock, AGAIN_S)
        over = [
            pause for pauses in (self._soon, self._denied) if (pause := pauses.get(uuid)) is not None and pause.over
        ]
        for pause in over:
            pause.longer(interval_s)
        return bool(over)

    def hurry(self) -> None:
        """Somebody cannot wait: every board of which something is open is asked at the next look."""
        for pause in (*self._soon.values(), *self._denied.values()):
            pause.end()
