"""What clients may ask of the loop. Each is carried out in the loop thread, before the turn's look; the answer goes
out after it, so that a client which asks for the status next sees what its command did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpu_tuned.core import transitions
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.gpu_state import ON_PURPOSE, Change, GpuState, Presence
from gpu_tuned.core.model import Setting
from gpu_tuned.core.restored import TAKES_UP
from gpu_tuned.core.status import FORMAT
from gpu_tuned.core.track import State
from gpu_tuned.core.which import Names, meant
from gpu_tuned.core.words import duration, listed
from gpu_tuned.loop.driver import DriverState
from gpu_tuned.loop.inventory import key_of
from gpu_tuned.loop.supervisor import Supervisor
from gpu_tuned.ports import Answer, Command, Mailbox, Say

Reply = Callable[[], Answer]
"""Makes the answer, after the turn's look."""


class Commands:
    def __init__(self, supervisor: Supervisor, mailbox: Mailbox, say: Say) -> None:
        self._supervisor, self._mailbox, self._say = supervisor, mailbox, say
        self._handlers: Mapping[str, Callable[[Mapping[str, Any]], Reply | Answer]] = {
            "apply": self._apply,
            "reload": self._reload,
            "restore": self._restore,
            "release": self._release,
            "resume": self._resume,
        }

    def serve(self) -> list[tuple[Command, Reply | Answer]]:
        """Carry out everything that waits; hand back what is to be answered after the look."""
        served: list[tuple[Command, Reply | Answer]] = []
        while (command := self._mailbox.take()) is not None:
            served.append((command, self._handlers[command.name](command.parameters)))
        return served

    def _done(self, text: str) -> Reply:
        def reply() -> Answer:
            driver = self._away()
            # Let go of on request it is in order, but for the GPUs that were not meant.
            released = self._supervisor.driver.state is DriverState.RELEASED
            exceptions = [*([driver] if driver and not released else []), *self._supervisor.exceptions()]
            said = [text, *([driver] if driver and released else [])]
            if exceptions:
                said.append(f"not in order: {'; '.join(exceptions)}")
            return Answer({"format": FORMAT, "message": "; ".join(said), "in_order": not exceptions})

        return reply

    def _away(self) -> str | None:
        """Why no GPU can be looked at or written to; None where the driver answers."""
        driver = self._supervisor.driver
        if driver.state is DriverState.OK:
            return None
        return f"driver {driver.state.value}: {driver.message or 'it was not asked yet'}"

    def _apply(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        moment = self._supervisor.inventory.moment()
        self._hurry()
        self._supervisor.inventory.update(lambda state: transitions.taken_up(state, moment))
        text = "observed, nothing is written" if self._supervisor.observing else "applied"

        def reply() -> Answer:
            driver = self._away()
            if driver is not None:
                return Answer({"message": f"nothing was applied: {driver}"}, "DriverTrouble")
            states = self._supervisor.inventory.states.values()
            left = [f"{state.gpu.place} ({state.presence.value})" for state in states if state.presence in ON_PURPOSE]
            return self._done(f"{text}; not to {listed(left)}" if left else text)()

        return reply

    def _hurry(self) -> None:
        """Nothing waits for a pause."""
        self._supervisor.hurry()
        self._supervisor.inventory.update(transitions.hurried)

    def _reload(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        try:
            self._supervisor.reload_policy()
        except PolicyError as error:
            return Answer({"problems": list(error.problems)}, "PolicyRefused")
        self._hurry()
        policy = self._supervisor.in_force.policy
        return self._done(f"policy {policy.digest if policy else ''} in force")

    def _restore(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        supervisor = self._supervisor
        if supervisor.observing:
            return Answer({"message": "observe mode writes nothing, so there is nothing to restore"}, "DriverTrouble")
        states = self._states(parameters.get("gpu"))
        if isinstance(states, Answer):
            return states
        wanted = parameters.get("setting")
        known = [s for s in Setting if parameters.get("gpu") is None or not s.of_host]
        settings = [s for s in known if wanted in (None, s.value, s.label)]
        if not settings:
            return Answer({"setting": wanted, "known": [s.value for s in known]}, "NoSuchSetting")
        of_gpus = [setting for setting in settings if not setting.of_host]
        if of_gpus and not supervisor.driver.attached:  # what was so before a pause may not be so any more
            supervisor.hurry()
            supervisor.meet()
            states = [supervisor.inventory.states.get(key_of(state), state) for state in states]
        if of_gpus and not supervisor.driver.attached:
            return Answer({"message": f"the driver is away: {supervisor.driver.message}"}, "DriverTrouble")
        host_too = parameters.get("gpu") is None and len(of_gpus) < len(settings)
        states = [supervisor.inventory.take(Change(transitions.doubted(state, of_gpus))) for state in states]
        outcome = supervisor.restore(states, of_gpus, host_too=host_too)
        if outcome.failed:
            said = [f"not restored: {'; '.join(outcome.failed)}", *outcome.left]
            said += [f"restored: {'; '.join(outcome.done)}"] if outcome.done else []
            return Answer({"message": "; ".join(said)}, "DriverTrouble")
        text, until = f"restored: {'; '.join(outcome.done)}", TAKES_UP
        if not outcome.done:
            text, until = "nothing had to be put back", "nothing is enforced there until `gpu-tunedctl apply`"
        text = "; ".join([text, *outcome.left])
        asked = [supervisor.inventory.now(state) for state in states] + [supervisor.inventory.host] * host_too
        tracks = [track for state in asked for setting, track in state.tracks.items() if setting in settings]
        if any(track.state is State.RESTORED and track.wish is not None for track in tracks):
            text += f"; {until}"
        return Answer({"format": FORMAT, "message": text, "in_order": True})

    def _release(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        supervisor = self._supervisor
        states = self._states(parameters.get("gpu"))
        if isinstance(states, Answer):
            return states
        for_s = parameters.get("for_s")
        named = parameters.get("gpu") is not None
        # Who was let go of before stays so: what comes next adds to it.
        freed = {key_of(state): state for state in supervisor.inventory.states.values() if _freed(state)}
        named = named and len(freed) < len(supervisor.inventory.states)
        freed |= {key_of(state): state for state in states}
        who = f" to free {listed(state.title for state in freed.values())}" if named else ""
        until = f"{'' if for_s is None else f' for {duration(for_s)}, or'} until `gpu-tunedctl resume`"
        forgets = [state.title for state in supervisor.inventory.states.values() if state.may_forget]
        supervisor.driver.release(set(freed), f"let go of on request{who}{until}")
        supervisor.released_until = None if for_s is None else supervisor.clock.monotonic() + float(for_s)
        self._say(Event(EventKind.RELEASED, supervisor.clock.now(), detail={"for_gpu": who, "until": until}))
        message = f"the driver is let go of{who}{until}"
        if named and len(supervisor.inventory.states) > len(freed):
            message += "; every other GPU waits as well: NVML cannot let go of one alone"
        if forgets:
            message += f"; with persistence mode off {listed(forgets)} may forget every setting meanwhile"
        return Answer({"format": FORMAT, "message": message, "in_order": True})

    def _resume(self, parameters: Mapping[str, Any]) -> Reply | Answer:
        if self._supervisor.driver.state is not DriverState.RELEASED:
            return self._done("nothing was released")
        self._supervisor.take_back("on request")
        return self._done("taken back")

    def _states(self, who: str | None) -> list[GpuState] | Answer:
        """The GPUs that a person means; `None` means all."""
        states = list(self._supervisor.inventory.states.values())
        if who is None:
            return states
        names = [Names(s.index, s.gpu.uuid, s.gpu.pci) for s in states]
        found = meant(names, who)
        if len(found) == 1:
            return [states[found[0]]]
        known = [f"{_index(state)} {state.gpu.pci} {state.gpu.uuid} {state.gpu.name}" for state in states]
        return Answer({"gpu": who, "known": known}, "NoSuchGpu")


def _freed(state: GpuState) -> bool:
    return state.presence is Presence.RELEASED


def _index(state: GpuState) -> str:
    return "-" if state.index is None else str(state.index)
