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
    """A pause for each GPU of which something is open, by UUID."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: dict[str, Pause] = {}

    def due(self, state: GpuState, interval_s: float, *, changed: bool) -> bool:
        """Whether this look asks. `changed`: MIG was switched since, so that the description is another."""
        board, uuid = state.board, state.gpu.uuid
        soon = board is not None and (bool(board.unknown) or changed)
        absent = board.absent if board is not None else ()
        denied = any((track := state.tracks.get(s)) is not None and track.wish is not None for s in absent)
        if not soon and not denied:
            self._pauses.pop(uuid, None)
            return False
        pause = self._pauses.get(uuid)
        if pause is None:
            pause = self._pauses[uuid] = Pause(self._clock, DENIED_AGAIN_S)
            if not soon:
                pause.longer(AGAIN_S)
        if not pause.over:
            return False
        pause.longer(interval_s, AGAIN_S if soon else DENIED_AGAIN_S)
        return True

    def hurry(self) -> None:
        """Somebody cannot wait: every board of which something is open is asked at the next look."""
        for pause in self._pauses.values():
            pause.end()
