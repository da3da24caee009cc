"""What takes minutes because the unit's own times are waited for; on machines of their own, beside the others."""

from __future__ import annotations

import random
import time

from tests.machine.machine import Machine
from tests.machine.watch import watching

# To be back "within the restart time": RestartSec=3, and what a start takes on a busy host.
KILL = """
systemctl reset-failed gpu-tuned
main_pid() { systemctl show --property=MainPID --value gpu-tuned; }
killed=$(main_pid)
test "$killed" != 0
kill -9 "$killed"
began=$(date +%s%N)
sleep 2.5
until now=$(main_pid); [ "$now" != 0 ] && [ "$now" != "$killed" ]; do
  [ $(($(date +%s%N) - began)) -lt 5000000000 ] || { echo "no process after 5 s"; exit 9; }
  sleep 0.1
done
"""


def test_killed_at_random_moments(running: Machine) -> None:
    """SIGKILL, 50 times, and nobody's help: back each time, nothing uncapped, and the originals survive."""
    chance = random.Random(20261122)
    with watching(running) as watched:
        for _ in range(50):
            # A start takes some tenths of a second, so some of them do not live to finish theirs.
            running.sh(f"sleep {chance.uniform(0, 0.6):.2f}\n{KILL}")
        running.until(lambda: running.setting("power_limit_w").get("in_order"), "in force again")
    watched.never_fell_back()
    assert running.setting("power_limit_w")["original"] == 575


def test_a_hanging_driver_call(running: Machine) -> None:
    """`status` answers meanwhile; the watchdog makes a new process, and only that one, however long it hangs."""
    first = running.status()["host"]["pid"]
    running.nvsim("hang all 600")
    document = running.until(
        lambda: (found := running.status()) and found["driver"]["state"] == "not_answering" and found, "hang seen"
    )
    assert document["driver"]["not_answering_since"]
    running.until(
        lambda: running.status().get("host", {}).get("pid", first) != first,
        "a new process by the watchdog",
        timeout_s=50,
    )
    assert running.status()["driver"]["state"] in ("starting", "not_answering")
    # Told ready after 20 s, and the watchdog's 30 s from there: by then it would have been ended as well.
    past_s = time.monotonic() + 60
    running.until(lambda: time.monotonic() > past_s, "past the watchdog", timeout_s=70)
    running.nvsim("hang all 0")
    running.until(lambda: running.setting("power_limit_w").get("in_order"), "in force")
    assert running.show("gpu-tuned.service", "NRestarts")["NRestarts"] == "1"
    assert running.gpu()["power_limit_w"] == 450
