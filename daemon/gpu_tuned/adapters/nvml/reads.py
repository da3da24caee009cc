"""What one GPU says now.

Measured on an H200 with driver 580.159 (microseconds, one poll a second): the power fields in one batch 44,
persistence 36, compute mode 12, SM clock 10, memory clock 3, performance state 5, temperature 29, utilisation
6, event reasons 52: about 0.2 ms in all. The requested limit through its own call would be 552, so it comes
with the batch; application clocks (1,220) and the counters (1,300 to 1,950) are read when the loop asks for
them. `Reader.see` itself on an idle H100, same driver: 0.27 ms every 2 s, 2.7 ms with the application clocks,
1.6 ms with the counters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml import plausible
from gpu_tuned.adapters.nvml.agreement import (
    CURRENT_LIMIT,
    LIMITS,
    POWER_AVERAGE,
    POWER_INSTANT,
    REQUESTED_LIMIT,
    agreeing,
    trusted_fields,
)
from gpu_tuned.adapters.nvml.board import with_ladders_read_again
from gpu_tuned.adapters.nvml.calls import MEMORY, SM, ask, fields, first
from gpu_tuned.adapters.nvml.errors import FOR_GOOD, WHOLE
from gpu_tuned.adapters.nvml.fields import (
    HW_POWER_BRAKE,
    HW_THERMAL,
    RECOVERY_ACTION,
    Version,
    recovery_action,
    slowdown_counters,
)
from gpu_tuned.adapters.nvml.settings import ROWS
from gpu_tuned.core.errors import DriverError, DriverTrouble
from gpu_tuned.core.ladder import STEP_MHZ, nearest_rung
from gpu_tuned.core.model import (
    LOCKS,
    Board,
    Reading,
    Seen,
    Setting,
    Telemetry,
    Unread,
)
from gpu_tuned.core.throttle.power_cap import WORKING_PSTATE
from gpu_tuned.ports import Look

# Nanoseconds under: SW power cap, sync boost, board limit, low utilisation, reliability; SW thermal, HW thermal and
# HW power brake besides, under the driver's own numbers (fields.py). 75 (thermal) is the sum of others and costs
# 0.65 ms.
COUNTERS = (74, 76, 77, 78, 79)
# HW thermal and HW power brake cost 1.1 ms of the 1.4 ms of all, and on a sound host they stand still: they come
# with every third look at the counters, and with every one while a bit of theirs is set. They only grow, so
# nothing is lost.
DEAR = (HW_THERMAL, HW_POWER_BRAKE)
DEAR_EVERY = 3
HARDWARE_BITS = 0x8 | 0x40 | 0x80

LOWEST_PSTATE = 15  # 32 is NVML's "unknown"
TEMPERATURES_C = (-60, 200)

CURRENT_REASONS = (
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
)
TEMPERATURES = ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV")
GPU_SENSOR = 0
EACH_LOOK = tuple(setting for setting, row in ROWS.items() if setting.readable and not row.dear)
LADDERS_EVERY = 30  # looks: reading the ladders costs milliseconds
LIMITS_EVERY = 900  # looks, half an hour at the default interval: comparing the limits' readers costs milliseconds
ROUNDING_MHZ = 1  # a Blackwell's rungs lie 7.5 MHz apart


class Reader:
    """One attached GPU as it is read. Remembers which ways of asking this board and driver answer."""

    def __init__(self, handle: Any, board: Board, driver: Version | None) -> None:
        self._handle = handle
        self._board = board
        self._driver = driver
        self._batch = [*trusted_fields(handle), RECOVERY_ACTION]
        # The newest number of each counter, by which the rest of the daemon knows it -> this driver's.
        self._counter_ids = {counter: counter for counter in COUNTERS} | dict(slowdown_counters(driver))
        self._counted = 0
        self._gone: DriverError | None = None  # what the last look heard of the whole GPU
        self._in_doubt = not board.gpu_ladder_mhz  # the driver names none, or could not for the moment
        self._rest = 0  # looks until the ladders may be read again
        self._limits_in_doubt = False
        self._looks = 0
        self._reasons_call, _ = first(CURRENT_REASONS, handle)
        self._temperature_call, _ = first(TEMPERATURES, handle, GPU_SENSOR)
        self._limits = _limits(self._fields())  # as their fields said them last

    def see(self, look: Look) -> Seen:
        """One look. Raises GpuLost, DriverAbsent, DriverMismatch, and DriverTrouble where every getter
        failed."""
        self._gone = None
        batch = self._trusted(self._fields())
        readings = {
            setting: self._power_limit(batch) if setting is Setting.POWER_LIMIT else self.read(setting)
            for setting in EACH_LOOK
        }
        telemetry = self._telemetry(batch)
        if telemetry == Telemetry():
            if self._gone is not None:
                raise self._gone
            failures = [
                reading.why
                for setting, reading in readings.items()
                if isinstance(reading, Unread) and setting not in self._board.absent
            ]
            # A Jetson has none of these, and is well.
            if failures and all(isinstance(reading, Unread) for reading in readings.values()):
                raise DriverTrouble(failures[0])
        moved = self._moved_board(telemetry)
        readings |= {lock: self.read(lock) for lock in LOCKS}
        if look.application_clocks or Setting.APPLICATION_CLOCKS in self._board.absent:
            readings[Setting.APPLICATION_CLOCKS] = self.read(Setting.APPLICATION_CLOCKS)
        if not look.counters:
            return Seen(readings, telemetry, board=moved)
        mig = self._ask(pynvml.nvmlDeviceGetMigMode, self._handle)
        in_mig = None if isinstance(mig, Unread) else mig[0] == 1
        return Seen(readings, telemetry, self._counters(telemetry.reasons or 0), in_mig, moved)

    def doubt_limits(self) -> None:
        """Compare the fields of the power limits with their getters at the next look: one was set."""
        self._limits_in_doubt = True

    def doubt_ladders(self) -> None:
        """Read the ladders again with the next look: the driver refused a clock that lies on one."""
        self._in_doubt = True

    def _moved_board(self, telemetry: Telemetry) -> Board | None:
        """The board with other ladders, where a clock that lies on none of them shows that they moved (a clock
        offset)."""
        self._rest = max(0, self._rest - 1)
        if self._rest or not (self._in_doubt or self._off_ladders(telemetry)):
            return None
        board = with_ladders_read_again(self._handle, self._board)
        self._in_doubt, self._rest = not board.gpu_ladder_mhz, LADDERS_EVERY
        if board is self._board:
            return None
        self._board = board
        return board

    def _off_ladders(self, telemetry: Telemetry) -> bool:
        """Whether the GPU's clock is above every rung, or between two of them at work; an idle one's says nothing."""
        ladder_mhz, clock_mhz = self._board.gpu_ladder_mhz, telemetry.gpu_clock_mhz
        if clock_mhz is None or not ladder_mhz or clock_mhz < ladder_mhz[-1]:
            return False
        if clock_mhz > ladder_mhz[0]:
            return clock_mhz > ladder_mhz[0] + STEP_MHZ
        working = telemetry.pstate is not None and telemetry.pstate <= WORKING_PSTATE
        return working and abs(nearest_rung(ladder_mhz, clock_mhz) - clock_mhz) > ROUNDING_MHZ

    def read(self, setting: Setting) -> Reading:
        """One setting by its own call: what a write is judged by. Never raises: whether the whole GPU is gone, `see`
        tells."""
        absent = self._board.absent.get(setting)
        if absent is not None and not (setting is Setting.COMPUTE_MODE and self._board.mig):
            return Unread(absent)
        row = ROWS.get(setting)
        return row.read(self._ask, self._handle) if row else Unread(f"{setting.label} is no setting of a GPU")

    def _power_limit(self, milliwatts: Mapping[int, int]) -> Reading:
        """The requested limit, from the batch where it has it: its own call takes ten times as long."""
        limit_mw = milliwatts.get(REQUESTED_LIMIT)
        if limit_mw is None or Setting.POWER_LIMIT in self._board.absent:
            return self.read(Setting.POWER_LIMIT)
        return plausible.power_limit(limit_mw)

    def _ask(self, call: Any, *arguments: Any) -> Any:
        """One call's failure is that call's, also where its code speaks of the whole GPU: one getter was seen to
        answer so for ever while all others went on."""
        try:
            return ask(call, *arguments)
        except WHOLE as error:
            self._gone = error
            return Unread(str(error))

    def _number(self, call: Any, *arguments: Any) -> int | None:
        answer = self._ask(call, *arguments)
        return None if isinstance(answer, Unread) else int(answer)

    def _answers(self, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        try:
            return fields(self._handle, ids)
        except WHOLE as error:
            self._gone = error
            return {}

    def _fields(self) -> dict[int, int]:
        """Field id -> its value, of those in the batch that answered. One that this driver does not have is not
        asked again."""
        values = {}
        for field_id, (code, value) in self._answers(self._batch).items():
            if not code:
                values[field_id] = value
            elif code in FOR_GOOD:
                self._batch.remove(field_id)
                if field_id == POWER_INSTANT:
                    self._batch.append(POWER_AVERAGE)
        return values

    def _trusted(self, batch: dict[int, int]) -> dict[int, int]:
        """The batch without a limit of which its own call says otherwise, which is not asked again. A field that
        stands still is found out once another limit is set: by us at once, by somebody else within `LIMITS_EVERY`."""
        self._looks += 1
        moved = _limits(batch) != self._limits  # of one that stands still the other may tell
        if moved or self._limits_in_doubt or self._looks % LIMITS_EVERY == 0:
            asked = [field for field in LIMITS if field in batch]
            for field in set(asked) - set(agreeing(self._handle, asked)):
                self._batch.remove(field)
                del batch[field]
        self._limits, self._limits_in_doubt = _limits(batch), False
        return batch

    def _telemetry(self, batch: Mapping[int, int]) -> Telemetry:
        handle = self._handle
        power = plausible.within(batch.get(POWER_INSTANT, batch.get(POWER_AVERAGE)), 0, plausible.MOST_MW)
        enforced = batch.get(CURRENT_LIMIT)
        utilization = self._ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
        reasons = self._number(self._reasons_call, handle) if self._reasons_call else None
        temperature = self._number(self._temperature_call, handle, GPU_SENSOR) if self._temperature_call else None
        if power is None:
            power = self._number(pynvml.nvmlDeviceGetPowerUsage, handle)
        if enforced is None:
            enforced = self._number(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        action = batch.get(RECOVERY_ACTION)
        within = plausible.within
        return Telemetry(
            power_mw=within(power, 0, plausible.MOST_MW),
            enforced_limit_mw=within(enforced, 1, plausible.MOST_MW),
            gpu_clock_mhz=plausible.clock(self._number(pynvml.nvmlDeviceGetClockInfo, handle, SM)),
            memory_clock_mhz=plausible.clock(self._number(pynvml.nvmlDeviceGetClockInfo, handle, MEMORY)),
            temperature_c=within(temperature, *TEMPERATURES_C),
            utilization_percent=None if isinstance(utilization, Unread) else within(int(utilization.gpu), 0, 100),
            pstate=within(self._number(pynvml.nvmlDeviceGetPerformanceState, handle), 0, LOWEST_PSTATE),
            reasons=None if reasons is None else reasons & self._board.reasons_mask,
            recovery_action=recovery_action(action, self._driver) if action else None,
        )

    def _counters(self, reasons: int) -> dict[int, int]:
        """Nanoseconds by the counter's newest number, of those that answered."""
        dear = self._counted % DEAR_EVERY == 0 or reasons & HARDWARE_BITS
        self._counted += 1
        asked = {field: counter for counter, field in self._counter_ids.items() if dear or counter not in DEAR}
        values = {}
        for field_id, (code, value) in self._answers(tuple(asked)).items():
            if not code and 0 <= value < plausible.LONGEST_NS:
                values[asked[field_id]] = value
            elif code in FOR_GOOD:
                del self._counter_ids[asked[field_id]]
        return values


def _limits(batch: Mapping[int, int]) -> tuple[int | None, ...]:
    return tuple(batch.get(field) for field in LIMITS)
