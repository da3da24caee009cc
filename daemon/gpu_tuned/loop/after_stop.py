"""What a stop leaves to do once the daemon is gone: put back what was found, where the policy says so."""

from __future__ import annotations

from gpu_tuned.core.errors import GpuTunedError
from gpu_tuned.core.events import Event, EventKind
from gpu_tuned.core.model import GPU_SETTINGS
from gpu_tuned.core.policy import OnStop
from gpu_tuned.loop.supervisor import Supervisor
from gpu_tuned.loop.world import World
from gpu_tuned.ports import Say

# The rest (policy in force, driver ready) was said by the daemon; said again after its end it would mislead.
_WORTH_SAYING = frozenset(
    {
        EventKind.RESTORED,
        EventKind.RESET_REQUESTED,
        EventKind.RESTORE_FAILED,
        EventKind.STATE_UNSAVED,
        EventKind.REINITIALISED,
    }
)


def only_restores(say: Say) -> Say:
    """`say`, for nothing but what a restore has to tell."""

    def filtered(event: Event) -> None:
        if event.kind in _WORTH_SAYING:
            say(event)

    return filtered


def put_back(supervisor: Supervisor, world: World, say: Say) -> None:
    """Restore every setting with a saved original, where the policy in force says on_stop = "restore" and something
    is saved. Attaches, writes, lets go. Raises GpuTunedError where something could not be put back, also because what
    was saved cannot be read.

    `world.say` should be `only_restores(say)`."""
    supervisor.start()
    policy = supervisor.in_force.policy
    if policy is None or policy.daemon.on_stop is not OnStop.RESTORE or supervisor.observing:
        return
    if supervisor.ledger.forgot:  # the last good policy's file is another, and nothing is put back from it
        say(Event(EventKind.STATE_DAMAGED, supervisor.clock.now(), cause=supervisor.ledger.damage))
        raise GpuTunedError(f"nothing could be put back: {supervisor.ledger.damage}")
    states = [*supervisor.inventory.states.values(), supervisor.inventory.host]
    if not any(state.has_ours for state in states):
        return
    try:
        supervisor.driver.meet(supervisor.interval_s)
        states = list(supervisor.inventory.states.values())
        outcome = supervisor.restore(states, GPU_SETTINGS, host_too=True)
    finally:
        world.gpus.detach()
    say(Event(EventKind.STOPPED, supervisor.clock.now(), detail={"what": outcome.in_short}))
    if outcome.failed:
        raise GpuTunedError("not everything could be put back: " + "; ".join(outcome.failed))
