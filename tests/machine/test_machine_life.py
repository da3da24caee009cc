"""Install, enable, reboot, restart, stop: what the service does as a service."""

from __future__ import annotations

import json

from tests.machine.conftest import readme_commands
from tests.machine.machine import NVSIM_STATE, Machine, power_w
from tests.machine.watch import watching

INFERENCE = """\
[Unit]
Wants=gpu-tuned.target
After=gpu-tuned.target

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=NVSIM_STATE={state}
ExecStart=/bin/sh -c 'nvsim show --json >/root/at-start.json'

[Install]
WantedBy=multi-user.target
"""


def test_installing_starts_nothing(booted: Machine) -> None:
    assert booted.after_install["enabled"] == "disabled"
    assert booted.after_install["active"] == "inactive"
    assert booted.after_install["calls"].strip() in ("", "{}"), "the driver was called"
    assert booted.out("getent group gpu-tuned")


def test_units_as_installed(machine: Machine) -> None:
    machine.sh("for name in cuda-mps-control persistenced; do install -m 755 /bin/true /usr/bin/nvidia-$name; done")
    units = "gpu-tuned.service gpu-tuned.socket gpu-tuned.target gpu-tuned-wait.service gpu-tuned-mps.service"
    done = machine.sh(f"systemd-analyze verify --man=no {units} gpu-tuned-persistenced.service")
    assert done.stdout + done.stderr == ""
    level = machine.out("systemd-analyze security --no-pager gpu-tuned.service | tail -n 1")
    assert float(level.split(":")[1].split()[0]) <= 1.5, level


def test_enable_now_status_verify(machine: Machine) -> None:
    machine.sh("systemctl enable --now gpu-tuned")
    machine.until(lambda: machine.sh("gpu-tunedctl verify", check=False).returncode == 0, "in order")
    row = machine.setting("power_limit_w")
    assert (row["observed"], row["state"], row["original"]) == (450, "held", 575)
    shown = machine.out("gpu-tunedctl status --no-color")
    assert shown.startswith("IN ORDER"), shown
    assert power_w(machine.gpu()) == 450
    # What systemctl status shows as its Status line.
    assert "in order" in machine.show("gpu-tuned.service", "StatusText")["StatusText"]


def test_readme_s_install_section(machine: Machine) -> None:
    """Line by line, as it is typed; apt's line was typed when this machine was made."""
    _, install, *rest = readme_commands()
    assert install == machine.install_command
    assert "systemctl enable --now gpu-tuned" in rest
    assert any(line.startswith("gpu-tunedctl status") for line in rest)
    for line in rest:
        machine.sh(f"export GPU_TUNED_SYSROOT={NVSIM_STATE}/root; {line}")


def test_nothing_of_a_fresh_debian_sets_gpus(machine: Machine) -> None:
    """`init` reads its own units, cron jobs and init scripts, and speaks of none of them."""
    assert "Nothing was found on this host that sets its GPUs." in machine.out("gpu-tunedctl init")


def test_in_force_before_what_is_ordered_after(machine: Machine) -> None:
    """Across a reboot: the driver begins with its defaults, and the service behind the target never sees them."""
    machine.write("/etc/systemd/system/inference.service", INFERENCE.format(state=NVSIM_STATE))
    machine.sh("systemctl daemon-reload; systemctl enable gpu-tuned inference; rm -f /root/at-start.json")
    machine.reboot()
    machine.until(lambda: machine.show("inference.service", "ActiveState")["ActiveState"] == "active", "inference")
    machine.sh("systemctl stop inference gpu-tuned.target gpu-tuned-wait gpu-tuned")
    machine.sh("nvsim reboot; rm /root/at-start.json")
    assert power_w(machine.gpu()) == 575
    machine.reboot()
    machine.until(lambda: machine.show("inference.service", "ActiveState")["ActiveState"] == "active", "inference")
    seen = json.loads(machine.read("/root/at-start.json"))["gpus"][0]
    assert power_w(seen) == 450
    assert machine.show("gpu-tuned.target", "ActiveState")["ActiveState"] == "active"


def test_a_restart_lets_go_of_nothing(running: Machine) -> None:
    with watching(running) as watched:
        for _ in range(3):
            running.sh("systemctl restart gpu-tuned")
        running.until(lambda: running.setting("power_limit_w").get("in_order"), "in force after the restarts")
    watched.never_fell_back()


def test_a_stop_restores_where_the_policy_says_so(running: Machine) -> None:
    policy = running.read("/etc/gpu-tuned/gpu-tuned.toml").replace("[daemon]", '[daemon]\non_stop = "restore"')
    running.write("/etc/gpu-tuned/gpu-tuned.toml", policy)
    running.sh("systemctl reload gpu-tuned")
    with watching(running) as watched:
        # Neither of these is a stop.
        running.sh("systemctl restart gpu-tuned")
        running.kill()
        running.sh("sleep 0.5; systemctl restart gpu-tuned")
    watched.never_fell_back()
    assert not running.entries("GPU_TUNED_EVENT=restored")
    running.sh("systemctl stop gpu-tuned")
    assert "if this is no restart" in running.entries("GPU_TUNED_EVENT=stopped")[0]["MESSAGE"]
    assert "put back to what was found" in running.entries("GPU_TUNED_EVENT=stopped")[-1]["MESSAGE"]
    assert power_w(running.gpu()) == 575
    assert running.gpu()["gpu_clock_mhz"] is None
    assert running.gpu()["persistence_mode"] is False
    assert {entry["SETTING"] for entry in running.entries("GPU_TUNED_EVENT=restored")} >= {"power_limit_w"}
    assert running.show("gpu-tuned.service", "Result")["Result"] == "success"


def test_a_stop_keeps_where_the_policy_does_not(running: Machine) -> None:
    running.sh("systemctl stop gpu-tuned")
    assert power_w(running.gpu()) == 450
    assert not running.entries("GPU_TUNED_EVENT=restored")


def test_without_its_capability_nothing_is_written(machine: Machine) -> None:
    """The proof that these tests run the sandbox that is shipped."""
    machine.write("/etc/systemd/system/gpu-tuned.service.d/test-cap.conf", "[Service]\nCapabilityBoundingSet=\n")
    machine.sh("systemctl daemon-reload; systemctl start gpu-tuned")
    machine.until(lambda: machine.setting("power_limit_w").get("state") == "refused", "refused")
    assert power_w(machine.gpu()) == 575
