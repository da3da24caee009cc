"""What one GPU says now.

Measured on an H200 with driver 580.159 (microseconds, one poll a second): the power fields in one batch 44,
persistence 36, compute mode 12, SM clock 10, memory clock 3, performance state 5, temperature 29, utilisation
6, event reasons 52: about 0.2 ms in all. The requested limit through its own call would be 552, so it comes
with the batch; application clocks (1,220) and the counters (1,300 to 1,950) are read when the loop asks for
them. `Reader.see` itself on an idle H100, same driver: 0.27 ms every 2 s, 2.7 ms with the application clocks,
1.6 ms with the counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pynvml

from gpu_tuned.adapters.nvml.calls import MEMORY, SM, ask, fields, first
from gpu_tuned.adapters.nvml.errors import FOR_GOOD, WHOLE
from gpu_tuned.adapters.nvml.settings import ROWS
from gpu_tuned.core.errors import DriverError, DriverTrouble
from gpu_tuned.core.model import (
    Board,
    PowerLimit,
    Reading,
    Seen,
    Setting,
    Telemetry,
    Unread,
)
from gpu_tuned.ports import Look

# Field ids (NVML_FI_DEV_...), milliwatts
REQUESTED_LIMIT, CURRENT_LIMIT, POWER_INSTANT, POWER_AVERAGE = 192, 190, 186, 185
# Nanoseconds under: SW power cap, sync boost, board limit, low utilisation, reliability, SW thermal, HW
# thermal, HW power brake. The last three as 269 to 271 (R575 and later): what was 251 to 253 on one driver is
# power smoothing on 580.159. 75 (thermal) is the sum of others and costs 0.65 ms.
COUNTERS = (74, 76, 77, 78, 79, 269, 270, 271)
# HW thermal and HW power brake cost 1.1 ms of the 1.4 ms of all, and on a sound host they stand still: they come
# with every third look at the counters, and with every one while a bit of theirs is set. They only grow, so
# nothing is lost.
DEAR = (270, 271)
DEAR_EVERY = 3
HARDWARE_BITS = 0x8 | 0x40 | 0x80

UNKNOWN_PSTATE = 32

CURRENT_REASONS = (
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
)
TEMPERATURES = ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV")
GPU_SENSOR = 0


class Reader:
    """One attached GPU as it is read. Remembers which ways of asking this board and driver answer."""

    def __init__(self, handle: Any, board: Board) -> None:
        self._handle = handle
        self._board = board
        self._power_ids = [REQUESTED_LIMIT, CURRENT_LIMIT, POWER_INSTANT]
        self._counter_ids = list(COUNTERS)
        self._counted = 0
        self._gone: DriverError | None = None  # what the last look heard of the whole GPU
        self._reasons_call, _ = first(CURRENT_REASONS, handle)
        self._temperature_call, _ = first(TEMPERATURES, handle, GPU_SENSOR)

    def see(self, look: Look) -> Seen:
        """One look. Raises GpuLost, DriverAbsent, DriverMismatch, and DriverTrouble where every getter
        failed."""
        self._gone = None
        milliwatts = self._power_fields()
        readings: dict[Setting, Reading] = {
            Setting.PERSISTENCE_MODE: self.read(Setting.PERSISTENCE_MODE),
            Setting.POWER_LIMIT: self._power_limit(milliwatts),
            Setting.COMPUTE_MODE: self.read(Setting.COMPUTE_MODE),
        }
        telemetry = self._telemetry(milliwatts)
        if telemetry == Telemetry():
            if self._gone is not None:
                raise self._gone
            failures = [reading.why for reading in readings.values() if isinstance(reading, Unread)]
            if len(failures) == len(readings):
                raise DriverTrouble(failures[0])
        readings[Setting.GPU_CLOCK] = self.read(Setting.GPU_CLOCK)
        readings[Setting.MEMORY_CLOCK] = self.read(Setting.MEMORY_CLOCK)
        if look.application_clocks or Setting.APPLICATION_CLOCKS in self._board.absent:
            readings[Setting.APPLICATION_CLOCKS] = self.read(Setting.APPLICATION_CLOCKS)
        if not look.counters:
            return Seen(readings, telemetry)
        mig = self._ask(pynvml.nvmlDeviceGetMigMode, self._handle)
        in_mig = False if isinstance(mig, Unread) else mig[0] == 1
        return Seen(readings, telemetry, self._counters(telemetry.reasons or 0), in_mig)

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
        return PowerLimit(limit_mw)

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

    def _fields(self, ids: list[int]) -> dict[int, tuple[int, int]]:
        try:
            return fields(self._handle, ids)
        except WHOLE as error:
            self._gone = error
            return {}

    def _power_fields(self) -> dict[int, int]:
        """Field id -> milliwatts, of those that answered. One that this driver does not have is not asked
        again."""
        values = {}
        for field_id, (code, value) in self._fields(self._power_ids).items():
            if not code:
                values[field_id] = value
            elif code in FOR_GOOD:
                self._power_ids.remove(field_id)
                if field_id == POWER_INSTANT:
                    self._power_ids.append(POWER_AVERAGE)
        return values

    def _telemetry(self, milliwatts: Mapping[int, int]) -> Telemetry:
        handle = self._handle
        power = milliwatts.get(POWER_INSTANT, milliwatts.get(POWER_AVERAGE))
        enforced = milliwatts.get(CURRENT_LIMIT)
        pstate = self._number(pynvml.nvmlDeviceGetPerformanceState, handle)
        utilization = self._ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
        reasons = self._number(self._reasons_call, handle) if self._reasons_call else None
        temperature = self._number(self._temperature_call, handle, GPU_SENSOR) if self._temperature_call else None
        return Telemetry(
            power_mw=self._number(pynvml.nvmlDeviceGetPowerUsage, handle) if power is None else power,
            enforced_limit_mw=(
                self._number(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle) if enforced is None else enforced
            ),
            gpu_clock_mhz=self._number(pynvml.nvmlDeviceGetClockInfo, handle, SM),
            memory_clock_mhz=self._number(pynvml.nvmlDeviceGetClockInfo, handle, MEMORY),
            temperature_c=temperature,
            utilization_percent=None if isinstance(utilization, Unread) else int(utilization.gpu),
            pstate=None if pstate == UNKNOWN_PSTATE else pstate,
            reasons=None if reasons is None else reasons & self._board.reasons_mask,
        )

    def _counters(self, reasons: int) -> dict[int, int]:
        dear = self._counted % DEAR_EVERY == 0 or reasons & HARDWARE_BITS
        self._counted += 1
        ids = [field_id for field_id in self._counter_ids if dear or field_id not in DEAR]
        values = {}
        for field_id, (code, value) in self._fields(ids).items():
            if not code:
                values[field_id] = value
            elif code in FOR_GOOD:
                self._counter_ids.remove(field_id)
        return values
