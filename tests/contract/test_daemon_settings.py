"""Declared settings reach the driver: each kind, on boards that have it and on boards that do not."""

from __future__ import annotations

import pytest

from tests.daemon import Daemon

FAST = "[daemon]\npoll_interval_s = 0.2\n"
BOARDS = ("rtx-5090-575", "rtx-5090-600", "rtx-5090-laptop", "h200", "h100", "a100", "l40s", "t4")


def rule(text: str, match: str = 'name = "*"') -> str:
    return f"\n[[gpu]]\nmatch = {{ {match} }}\n{text}\n"


def test_every_setting_is_written_once_and_read_back(nvsim):
    host = nvsim("h200")
    wishes = """
persistence_mode = true
power_limit_w = 500
gpu_clock_mhz = { min = 1200, max = 1500 }
memory_clock_mhz = 3201
application_clocks_mhz = { memory = 3201, gpu = 1500 }
compute_mode = "exclusive_process"
"""
    with Daemon(host, FAST + rule(wishes)).ready() as daemon:
        daemon.turns(6)
        assert daemon.writes() == [
            ("nvmlDeviceSetPersistenceMode", [1], "SUCCESS"),
            ("nvmlDeviceSetPowerManagementLimit", [500000], "SUCCESS"),
            ("nvmlDeviceSetGpuLockedClocks", [1200, 1500], "SUCCESS"),
            ("nvmlDeviceSetMemoryLockedClocks", [3201, 3201], "SUCCESS"),
            ("nvmlDeviceSetApplicationsClocks", [3201, 1500], "SUCCESS"),
            ("nvmlDeviceSetComputeMode", [3], "SUCCESS"),
        ]
        rows = {row["setting"]: row for row in daemon.status()["gpus"][0]["settings"]}
        assert {name: row["state"] for name, row in rows.items()} == {
            "persistence_mode": "held",
            "power_limit_w": "held",
            "gpu_clock_mhz": "requested",
            "memory_clock_mhz": "requested",
            "application_clocks_mhz": "held",
            "compute_mode": "held",
        }
        assert rows["power_limit_w"]["observed"] == rows["power_limit_w"]["accepted"] == 500
        assert rows["power_limit_w"]["original"] == 700
        assert rows["persistence_mode"]["original"] is False
        assumed = {name for name, row in rows.items() if row["original_assumed"]}
        assert assumed == {"gpu_clock_mhz", "memory_clock_mhz"}, "only what no driver call can read"
        assert rows["gpu_clock_mhz"]["observed"] is None
        assert rows["gpu_clock_mhz"]["accepted"] == {"min": 1200, "max": 1500}
        assert daemon.ctl("verify").returncode == 0


@pytest.mark.parametrize("board", BOARDS)
def test_an_unchanged_host_is_never_written_to(nvsim, board):
    """What stands already is wished for: not one set call, over many looks."""
    host = nvsim(board)
    host.set(0, persistence_mode=True)
    wishes = 'persistence_mode = true\npower_limit_w = "default"\ncompute_mode = "default"'
    with Daemon(host, FAST + rule(wishes)).ready() as daemon:
        daemon.turns(12)
        assert daemon.writes() == []
        assert daemon.ctl("verify").returncode == 0


@pytest.mark.parametrize("board", BOARDS)
def test_a_second_look_writes_nothing_more(nvsim, board):
    host = nvsim(board)
    wishes = 'persistence_mode = true\npower_limit_w = "80%"\ncompute_mode = "prohibited"\ngpu_clock_mhz = "unlocked"'
    with Daemon(host, FAST + rule(wishes)).ready() as daemon:
        daemon.turns(2)
        written = len(daemon.writes())
        daemon.turns(12)
        assert len(daemon.writes()) == written


def test_symbolic_values_mean_what_the_board_says(nvsim):
    host = nvsim("rtx-5090-600", "h200", "a100")
    policy = FAST + rule('power_limit_w = "max"', 'name = "*5090"') + rule('power_limit_w = "80%"', 'name = "*H200"')
    with Daemon(host, policy + rule("power_limit_w = { max = 350 }", 'name = "*A100*"')).ready() as daemon:
        limits = [gpu["settings"][1]["observed"] for gpu in daemon.status()["gpus"]]
        assert limits[:2] == [600, 560]
        assert limits[2] <= 350
        host.set(2, power_limit_w=300)
        daemon.turns(3)
        assert daemon.setting("power_limit_w", gpu=2)["observed"] == 300
        assert daemon.state("power_limit_w", gpu=2) == "held"


def test_default_is_the_boards_own(nvsim):
    host = nvsim("rtx-5090-575")
    host.set(0, persistence_mode=True, power_limit_w=450)
    with Daemon(host, FAST + rule('power_limit_w = "default"')).ready() as daemon:
        assert daemon.setting("power_limit_w")["observed"] == 575


def test_what_cannot_be_is_refused_one_by_one_and_the_rest_is_applied(nvsim):
    host = nvsim("rtx-5090-575")
    wishes = """
persistence_mode = true
power_limit_w = 700
gpu_clock_mhz = 2401
memory_clock_mhz = 3002
application_clocks_mhz = { memory = 3002, gpu = 2550 }
compute_mode = "exclusive_process"
"""
    with Daemon(host, FAST + rule(wishes)).ready() as daemon:
        rows = {row["setting"]: row for row in daemon.status()["gpus"][0]["settings"]}
        assert rows["power_limit_w"]["message"] == ("700 W is outside this board's 400 to 575 W; nearest: 575 W")
        assert rows["gpu_clock_mhz"]["message"] == "2401 MHz is no clock of this board; nearest: 2400 MHz"
        assert "3002 MHz is no clock of this board" in rows["memory_clock_mhz"]["message"]
        assert rows["application_clocks_mhz"]["state"] == "refused"
        assert rows["persistence_mode"]["state"] == rows["compute_mode"]["state"] == "held"
        assert [function for function, _, _ in daemon.writes()] == [
            "nvmlDeviceSetPersistenceMode",
            "nvmlDeviceSetComputeMode",
        ]
        verify = daemon.ctl("verify")
        assert verify.returncode == 1
        assert "575 W" in verify.stdout


def test_a_driver_that_refuses_a_write_costs_that_setting_alone(nvsim):
    """A laptop's driver names a range and refuses every value in it."""
    host = nvsim("rtx-5090-laptop")
    with Daemon(host, FAST + rule('persistence_mode = true\npower_limit_w = "80%"')).ready() as daemon:
        daemon.turns(3)
        assert daemon.state("persistence_mode") == "held"
        assert daemon.state("power_limit_w") == "refused"
        refused = [w for w in daemon.writes() if w[2] != "SUCCESS"]
        assert len(refused) <= 1, "a refused write is not repeated at every look"


def test_without_the_capability_everything_is_refused_with_the_reason(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("power_limit_w = 500"), root=False).ready() as daemon:
        daemon.turns(2)
        row = daemon.setting("power_limit_w")
        assert row["state"] == "refused"
        assert "CAP_SYS_ADMIN" in row["message"]
        assert row["observed"] == 700


def test_gpus_are_named_by_uuid_pci_address_or_name_and_later_rules_win_key_by_key(nvsim):
    host = nvsim("h200", "h200", "h200")
    gpus = host.show()["gpus"]
    policy = (
        FAST
        + rule("persistence_mode = true\npower_limit_w = 600")
        + rule("power_limit_w = 500", f'uuid = "{gpus[1]["uuid"]}"')
        + rule("power_limit_w = 400", f'pci = "{gpus[2]["pci"]}"')
    )
    with Daemon(host, policy).ready() as daemon:
        rows = [daemon.setting("power_limit_w", gpu=index) for index in range(3)]
        assert [row["observed"] for row in rows] == [600, 500, 400]
        assert [row["origin"] for row in rows] == [
            "gpu-tuned.toml gpu[0].power_limit_w",
            "gpu-tuned.toml gpu[1].power_limit_w",
            "gpu-tuned.toml gpu[2].power_limit_w",
        ]
        assert [daemon.state("persistence_mode", gpu=index) for index in range(3)] == ["held"] * 3


def test_a_rule_that_matches_nothing_says_so(nvsim):
    host = nvsim("h200")
    policy = FAST + rule("persistence_mode = true", 'name = "NVIDIA GeForce RTX 5090"')
    with Daemon(host, policy).ready() as daemon:
        warnings = daemon.status()["policy"]["warnings"]
        assert len(warnings) == 1
        assert "matches no GPU" in warnings[0]
        assert "matches no GPU" in daemon.said
        assert daemon.ctl("verify").returncode == 0
    missing = FAST + rule("persistence_mode = true", 'uuid = "GPU-00000000-dead-dead-dead-000000000000"')
    with Daemon(host, missing).ready() as daemon:
        assert daemon.ctl("verify").returncode == 1


def test_a_shipped_profile_never_raises_a_limit_that_somebody_lowered(nvsim):
    host = nvsim("rtx-5090-575")
    host.set(0, persistence_mode=True, power_limit_w=450)
    with Daemon(host, FAST + rule('profile = "rtx-5090-inference"')).ready() as daemon:
        row = daemon.setting("power_limit_w")
        assert (row["state"], row["observed"]) == ("refused", 450)
        assert "450 W" in row["message"]
        assert daemon.state("gpu_clock_mhz") == "requested"


def test_the_driver_rounds_and_is_not_fought_over_it(nvsim):
    """A limit the board rounds to its step is held at what the driver accepted."""
    host = nvsim("rtx-5090-575")
    with Daemon(host, FAST + rule("power_limit_w = 450.123")).ready() as daemon:
        daemon.turns(5)
        row = daemon.setting("power_limit_w")
        assert row["state"] == "held"
        assert row["accepted"] == row["observed"]
        assert len(daemon.writes()) == 1


def test_numa_balancing_is_a_setting_of_the_host(nvsim):
    host = nvsim("h200")
    knob = host.root / "proc/sys/kernel/numa_balancing"
    policy = FAST + '[host]\nnuma_balancing = "auto"\n' + rule("persistence_mode = true")
    with Daemon(host, policy).ready() as daemon:
        assert knob.read_text().strip() == "0"
        knob.write_text("1\n")
        daemon.turns(2)
        assert knob.read_text().strip() == "0"
        assert daemon.status()["host"]["settings"][0]["put_back"] == 1
        daemon.ctl("restore")
        assert knob.read_text().strip() == "1"
