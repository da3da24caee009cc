"""Strangers, hanging drivers, drivers that come late, bad files: the service and its target when things go wrong."""

from __future__ import annotations

import json
import re

from tests.machine.conftest import POLICY
from tests.machine.machine import NVSIM_STATE, Machine


def test_drift_is_put_back_and_told_by_field(running: Machine) -> None:
    running.nvsim("set 0 power_limit_w=575")
    running.until(lambda: running.gpu()["power_limit_w"] == 450, "put back")
    entry = running.until(
        lambda: running.entries(
            f"GPU_UUID={running.gpu()['uuid']}", "SETTING=power_limit_w", "GPU_TUNED_EVENT=put_back"
        ),
        "the journal says so",
    )[-1]
    assert entry["WANTED"] == "450 W"
    assert entry["_SYSTEMD_UNIT"] == "gpu-tuned.service"
    assert entry["PRIORITY"] == "5"
    drifted = running.entries("GPU_TUNED_EVENT=drifted", "SETTING=power_limit_w")[-1]
    assert drifted["FOUND"] == "575 W"


def test_journalctl_x_explains_every_entry(running: Machine) -> None:
    running.nvsim("set 0 power_limit_w=575")
    running.until(lambda: running.entries("GPU_TUNED_EVENT=put_back"), "put back")
    text = running.out("journalctl --no-pager -x GPU_TUNED_EVENT=drifted | tail -n 30")
    assert "░░ Subject: A GPU setting was changed by somebody else" in text
    assert "PCI 0000:01:00.0" in text
    assert "watch = [...]" in text
    # No entry without an explanation.
    ids = {entry["MESSAGE_ID"] for entry in running.entries("SYSLOG_IDENTIFIER=gpu-tuned") if "MESSAGE_ID" in entry}
    assert len(ids) > 3
    known = running.out("journalctl --dump-catalog --no-pager")
    assert {found for found in ids if f"-- {found}" not in known} == set()


def test_a_hang_does_not_hold_up_a_stop(running: Machine) -> None:
    running.nvsim("hang all 20")
    running.until(lambda: running.status()["driver"]["state"] == "not_answering", "hang seen")
    seconds = float(
        running.out("s=$(date +%s%N); systemctl stop gpu-tuned; e=$(date +%s%N); echo $(((e-s)/1000000))e-3")
    )
    assert seconds < 10
    running.nvsim("hang all 0")


def test_a_service_that_sets_the_same_is_named(running: Machine) -> None:
    """Seen from inside the sandbox, by the control group that systemd keeps for a service that runs."""
    groups = f"{NVSIM_STATE}/root/sys/fs/cgroup"
    running.sh(f"mkdir -p $(dirname {groups}); ln -sfn /sys/fs/cgroup {groups}")
    running.write("/etc/systemd/system/lactd.service", "[Service]\nExecStart=sleep 1000\n")
    running.sh("systemctl daemon-reload; systemctl start lactd")
    try:
        entry = running.until(lambda: running.entries("GPU_TUNED_EVENT=rival"), "the journal says so")[-1]
        assert "lactd.service" in entry["MESSAGE"]
        assert "LACT (lactd.service) runs here" in running.out("gpu-tunedctl status --no-color")
        assert running.show("lactd", "ActiveState")["ActiveState"] == "active", "named, not stopped"
        running.sh("systemctl stop lactd")
        running.until(lambda: running.status()["host"]["rivals"] == [], "gone")
    finally:
        running.sh("systemctl stop lactd; rm /etc/systemd/system/lactd.service")


def test_reload_takes_a_good_file_and_refuses_a_bad_one(running: Machine) -> None:
    path = "/etc/gpu-tuned/gpu-tuned.toml"
    running.write(path, POLICY.replace("= 450", "= 500"))
    running.sh("systemctl reload gpu-tuned")
    running.until(lambda: running.gpu()["power_limit_w"] == 500, "the new limit", timeout_s=5)
    running.write(path, POLICY.replace("= 450", '= "much"'))
    assert running.sh("systemctl reload gpu-tuned", check=False).returncode != 0
    assert running.show("gpu-tuned.service", "ActiveState")["ActiveState"] == "active"
    document = running.status()
    assert "power_limit_w" in document["policy"]["error"]
    assert running.gpu()["power_limit_w"] == 500
    assert running.entries("GPU_TUNED_EVENT=policy_refused")
    # A restart with the bad file: the last good policy, not none.
    running.sh("systemctl restart gpu-tuned")
    running.until(lambda: running.status()["policy"]["state"] == "last_good", "last good policy")
    assert running.gpu()["power_limit_w"] == 500


def test_the_target_fails_without_a_required_setting(machine: Machine) -> None:
    """The driver never comes. What is ordered with Requires= does not start; what only Wants= it, does."""
    machine.nvsim("unload")
    machine.write(
        "/etc/systemd/system/gpu-tuned-wait.service.d/test-wait.conf", "[Service]\nEnvironment=GPU_TUNED_WAIT=3s\n"
    )
    for name, word in (("strict", "Requires"), ("lenient", "Wants")):
        machine.write(
            f"/etc/systemd/system/test-{name}.service",
            f"[Unit]\n{word}=gpu-tuned.target\nAfter=gpu-tuned.target\n"
            "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n",
        )
    machine.sh("systemctl daemon-reload; systemctl start test-strict test-lenient", check=False)
    states = {
        unit: machine.show(unit, "ActiveState")["ActiveState"]
        for unit in ("test-strict", "test-lenient", "gpu-tuned.target")
    }
    assert states == {"test-strict": "inactive", "test-lenient": "active", "gpu-tuned.target": "inactive"}
    said = " ".join(entry["MESSAGE"] for entry in machine.entries("_SYSTEMD_UNIT=gpu-tuned-wait.service"))
    assert "driver" in said and "power_limit_w" in said, said
    machine.sh("systemctl stop test-lenient")


def test_the_target_is_reached_without_a_driver_where_nothing_is_required(machine: Machine) -> None:
    machine.write("/etc/gpu-tuned/gpu-tuned.toml", POLICY.replace("required", "# required"))
    machine.nvsim("unload")
    took_s = float(
        machine.out("s=$(date +%s%N); systemctl start gpu-tuned.target; e=$(date +%s%N); echo $(((e-s)/1000000))e-3")
    )
    assert 14 <= took_s <= 22
    assert machine.show("gpu-tuned.target", "ActiveState")["ActiveState"] == "active"
    said = " ".join(entry["MESSAGE"] for entry in machine.entries("_SYSTEMD_UNIT=gpu-tuned-wait.service"))
    assert "driver absent" in said, said
    # And when it comes after all, it is met.
    machine.nvsim("load-driver")
    machine.until(lambda: machine.gpu()["power_limit_w"] == 450, "applied to the late driver")


ORDERED = """\
[Unit]
{unit}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=true
[Install]
WantedBy=multi-user.target
"""


def test_a_reboot_without_a_driver_that_comes_later(machine: Machine) -> None:
    """Nothing waits but what asked for the target, for its 15 s; the driver that comes then is met without help."""
    for name, unit in {
        "strict": "Requires=gpu-tuned.target\nAfter=gpu-tuned.target",
        "lenient": "Wants=gpu-tuned.target\nAfter=gpu-tuned.target",
        "after-service": "After=gpu-tuned.service",
    }.items():
        machine.write(f"/etc/systemd/system/test-{name}.service", ORDERED.format(unit=unit))
    machine.nvsim("unload")
    machine.sh("systemctl daemon-reload; systemctl enable -q gpu-tuned test-strict test-lenient test-after-service")
    machine.reboot()

    def since_boot_s(unit: str, moment: str) -> float:
        """Seconds after systemd began as PID 1: the monotonic clock is the host's."""
        began = machine.out("systemctl show --property=UserspaceTimestampMonotonic --value")
        return (int(machine.show(unit, moment)[moment]) - int(began)) / 1e6

    assert machine.out("systemctl is-system-running || true") == "degraded", "for the wait that failed"
    assert machine.show("gpu-tuned.service", "ActiveState")["ActiveState"] == "active"
    assert machine.status()["driver"]["state"] == "absent"
    # The service and what is ordered after it: as on any boot.
    assert since_boot_s("gpu-tuned.service", "ActiveEnterTimestampMonotonic") < 10
    assert since_boot_s("test-after-service.service", "ActiveEnterTimestampMonotonic") < 10
    # The target: judged after its wait, and with a required setting not in force it fails.
    began_s = since_boot_s("gpu-tuned-wait.service", "InactiveExitTimestampMonotonic")
    judged_s = since_boot_s("gpu-tuned-wait.service", "InactiveEnterTimestampMonotonic")
    assert 14 <= judged_s - began_s <= 22
    assert machine.show("gpu-tuned-wait.service", "Result")["Result"] == "exit-code"
    units = ("gpu-tuned.target", "test-strict", "test-lenient")
    states = {unit: machine.show(unit, "ActiveState")["ActiveState"] for unit in units}
    assert states == {"gpu-tuned.target": "inactive", "test-strict": "inactive", "test-lenient": "active"}
    said = " ".join(entry["MESSAGE"] for entry in machine.entries("_SYSTEMD_UNIT=gpu-tuned-wait.service"))
    assert "driver" in said and "power_limit_w" in said, said
    pid = machine.status()["host"]["pid"]
    machine.nvsim("load-driver")
    machine.until(lambda: machine.setting("power_limit_w").get("in_order"), "in force", timeout_s=15)
    gpu = machine.gpu()
    assert (gpu["power_limit_w"], gpu["gpu_clock_mhz"]["max"], gpu["persistence_mode"]) == (450, 2400, True)
    assert machine.status()["host"]["pid"] == pid
    # And the target can be had now.
    machine.sh("systemctl start test-strict")
    assert machine.show("gpu-tuned.target", "ActiveState")["ActiveState"] == "active"


def test_a_driver_that_came_late_and_is_out_of_reach(machine: Machine) -> None:
    """systemd resolves DeviceAllow= at the start of a service alone, so a new start it must be, once."""
    machine.nvsim("unload")
    machine.sh("systemctl start --no-block gpu-tuned")
    machine.until(lambda: machine.status().get("driver", {}).get("state") == "absent", "started without a driver")
    first = machine.status()["host"]["pid"]
    control = f"{NVSIM_STATE}/root/dev/nvidiactl"
    # The driver cannot be attached to between these two.
    machine.sh(
        f"""
        nvsim hang nvmlInitWithFlags 20
        nvsim load-driver
        chmod 0 {control}
        nvsim hang nvmlInitWithFlags 0
        """
    )
    machine.until(lambda: machine.status().get("host", {}).get("pid", first) != first, "started anew", timeout_s=25)
    machine.sh(f"chmod 666 {control}")
    assert int(machine.show("gpu-tuned.service", "NRestarts")["NRestarts"]) == 1
    said = " ".join(entry["MESSAGE"] for entry in machine.entries("_SYSTEMD_UNIT=gpu-tuned.service"))
    assert "the driver came after this service; starting again" in said, said
    assert not machine.entries("UNIT=gpu-tuned.service", "UNIT_RESULT=exit-code"), "a restart, not a failure"
    machine.until(lambda: machine.setting("power_limit_w").get("in_order"), "in force", timeout_s=40)


def test_who_may_do_what(running: Machine) -> None:
    running.sh("id nobody2 2>/dev/null || useradd nobody2; id member 2>/dev/null || useradd -G gpu-tuned member")
    assert running.out("setpriv --reuid nobody2 --regid nobody2 --init-groups gpu-tunedctl status --json").startswith(
        "{"
    )
    refused = running.sh("setpriv --reuid nobody2 --regid nobody2 --init-groups gpu-tunedctl apply", check=False)
    assert refused.returncode == 4
    assert "gpu-tuned" in refused.stderr
    running.sh("setpriv --reuid member --regid member --init-groups gpu-tunedctl apply")


def test_varlinkctl(running: Machine) -> None:
    if running.suite == "bookworm":
        assert running.sh("command -v varlinkctl", check=False).returncode != 0  # systemd 257 brings it
        return
    address = "unix:/run/gpu-tuned/io.gputuned.Control"
    assert "method Status" in running.out(f"varlinkctl introspect {address} io.gputuned.Control")
    reply = running.out(f"varlinkctl call {address} io.gputuned.Control.Status '{{}}'")
    assert re.search(r'"power_limit_w"', reply)


def test_the_socket_unit(machine: Machine) -> None:
    """It starts and stops with the service: nobody wakes up a stopped daemon by connecting."""
    path = "/run/gpu-tuned/io.gputuned.Control"
    machine.sh("systemctl enable -q gpu-tuned.socket; systemctl start gpu-tuned")
    assert machine.show("gpu-tuned.socket", "ActiveState")["ActiveState"] == "active"
    assert machine.out(f"stat -c '%a %U %G' {path}") == "666 root gpu-tuned"
    machine.until(lambda: machine.setting("power_limit_w").get("in_order"), "in force")
    machine.sh("systemctl restart gpu-tuned")
    machine.until(lambda: machine.setting("power_limit_w").get("in_order"), "in force after a restart")
    machine.sh("systemctl stop gpu-tuned")
    assert machine.sh("gpu-tunedctl status", check=False).returncode == 3
    assert machine.show("gpu-tuned.service", "ActiveState")["ActiveState"] == "inactive"
    assert machine.show("gpu-tuned.socket", "ActiveState")["ActiveState"] == "inactive"


GROWTH = """
import json, os, socket, sys
pid = int(sys.argv[1])
def size():
    status = open(f"/proc/{pid}/status").read()
    rss = int(status.split("VmRSS:")[1].split()[0])
    return len(os.listdir(f"/proc/{pid}/fd")), int(status.split("Threads:")[1].split()[0]), rss
link = socket.socket(socket.AF_UNIX)
link.connect("/run/gpu-tuned/io.gputuned.Control")
def call(method):
    link.sendall(json.dumps({"method": "io.gputuned.Control." + method, "parameters": {}}).encode() + b"\\0")
    data = b""
    while not data.endswith(b"\\0"):
        data += link.recv(1 << 20)
    assert "error" not in json.loads(data[:-1]), data[:500]
for _ in range(500): call("Status")
for _ in range(600): call("Reload")  # more than the ring of recent events holds
before = size()
for _ in range(10000): call("Status")
for _ in range(1000): call("Reload")
print(json.dumps([before, size()]))
"""


def test_nothing_grows(running: Machine) -> None:
    """10,000 status calls and 1,000 reloads, from one process, over the socket."""
    running.write("/root/growth.py", GROWTH)
    pid = running.status()["host"]["pid"]
    before, after = json.loads(running.out(f"python3 /root/growth.py {pid}", timeout_s=200))
    assert after[0] <= before[0], "file descriptors"
    assert after[1] <= before[1], "threads"
    assert after[2] <= before[2] + 1024, "kB of memory"
