"""Policy files while the daemon runs: a bad one never replaces a good one, and everybody is told."""

from __future__ import annotations

import os
import signal

import pytest

from tests.contract.test_daemon_drift import WISH
from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon

NONSENSE = {
    "no TOML": "[[gpu]\nmatch = ",
    "unknown key": WISH + "\npower_limit = 450\n",
    "wrong unit": WISH.replace("= 500", '= "500W"'),
    "negative": WISH.replace("= 500", "= -5"),
    "absurd": WISH.replace("= 500", "= 1e300"),
    "not a number": WISH.replace("= 500", "= nan"),
    "min above max": WISH.replace("min = 1200", "min = 1800"),
    "empty": "",
    "no UTF-8": None,
    "deep nesting": "x = " + "[" * 1_000_000,
}


def put(daemon: Daemon, name: str) -> None:
    text = NONSENSE[name]
    daemon.config.write_bytes(b"\xff\xfe" * 100 if text is None else text.encode())


@pytest.mark.parametrize("name", NONSENSE)
def test_a_bad_file_leaves_the_running_policy_in_force_and_says_so(nvsim, name):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        host.clear_writes()
        put(daemon, name)
        reload = daemon.ctl("reload", check=False)
        assert reload.returncode == 2
        assert str(daemon.config.name) in reload.stdout + reload.stderr
        policy = daemon.status()["policy"]
        assert policy["state"] == "in_force"
        assert policy["error"]
        host.set(0, power_limit_w=450)
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "still enforcing")
        assert "Policy refused" in daemon.said
        assert any("refused" in line for line in daemon.manager.lines() if line.startswith("STATUS="))
        assert not daemon.gone


def test_a_policy_that_everybody_may_write_to_is_refused_and_what_to_type_is_said(nvsim):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.config.write_text(WISH.replace("= 500", "= 300"))
        daemon.config.chmod(0o666)
        reload = daemon.ctl("reload", check=False)
        assert reload.returncode == 2
        said = " ".join((reload.stdout + reload.stderr).split())
        assert f"{daemon.config}: can be written to by everybody (mode 0666)" in said
        assert f"chmod o-w {daemon.config}" in said
        assert host.gpu()["power_limit_w"] == 500, "the running policy stays"
        daemon.config.chmod(0o644)
        assert daemon.ctl("reload").returncode == 0
        daemon.until(lambda: host.gpu()["power_limit_w"] == 300, "taken now")


@pytest.mark.parametrize("name", ["no TOML", "empty", "deep nesting"])
def test_a_start_with_a_bad_file_uses_the_last_good_policy(nvsim, name):
    host = nvsim("h200")
    with Daemon(host, WISH).ready() as daemon:
        daemon.stop()
        put(daemon, name)
        host.set(0, power_limit_w=600)
        daemon.start()
        daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "the last good policy")
        daemon.until(lambda: daemon.listens() and daemon.status()["policy"]["state"] == "last_good")
        assert daemon.status()["policy"]["error"]


@pytest.mark.parametrize("kind", ["missing", "directory", "nonsense"])
def test_a_first_start_without_a_good_policy_is_ready_and_writes_nothing(nvsim, kind):
    host = nvsim("h200")
    folder = host.directory.parent / "daemon-host1"
    folder.mkdir()
    if kind == "directory":
        (folder / "gpu-tuned.toml").mkdir()
    with Daemon(host, "nonsense" if kind == "nonsense" else None).ready() as daemon:
        policy = daemon.status()["policy"]
        assert policy["state"] == "none"
        assert "gpu-tuned.toml" in policy["error"]
        assert daemon.writes() == []
        assert daemon.ctl("status").returncode != 0
        if kind == "missing":
            daemon.config.write_text(WISH)
            daemon.signal(signal.SIGHUP)
            daemon.until(lambda: host.gpu()["power_limit_w"] == 500, "a good file heals it")


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root is refused nothing by file modes; then there is no such case"
)
def test_drop_ins_come_after_the_file_in_name_order(nvsim):
    host = nvsim("h200")
    folder = host.directory.parent / "daemon-host1"
    (folder / "gpu-tuned.d").mkdir(parents=True)
    (folder / "gpu-tuned.d/20-psu.toml").write_text(rule('power_limit_w = 450\nreason = "circuit 4B"'))
    (folder / "gpu-tuned.d/10-fleet.toml").write_text(rule("power_limit_w = 550"))
    with Daemon(host, WISH).ready() as daemon:
        row = daemon.setting("power_limit_w")
        assert (row["observed"], row["origin"]) == (450, "20-psu.toml gpu[0].power_limit_w")
        assert row["reason"] == "circuit 4B"


def test_a_power_budget_that_the_limits_exceed_refuses_the_policy(nvsim):
    host = nvsim("h200", "h200")
    budget = FAST + "[host]\ngpu_power_budget_w = 1100\n"
    with Daemon(host, budget + rule("power_limit_w = 500")).ready() as daemon:
        assert [host.gpu(i)["power_limit_w"] for i in (0, 1)] == [500, 500]
        daemon.config.write_text(budget + rule("power_limit_w = 600"))
        reload = daemon.ctl("reload", check=False)
        assert reload.returncode == 2
        assert "1200 W" in reload.stdout + reload.stderr
        daemon.turns(2)
        assert [host.gpu(i)["power_limit_w"] for i in (0, 1)] == [500, 500]
    with Daemon(host, budget + rule("power_limit_w = 600"), folder=host.directory.parent / "new") as daemon:
        daemon.ready()
        assert daemon.status()["policy"]["state"] == "restricted"
        assert daemon.setting("power_limit_w")["state"] == "refused"
        assert "not written: gpu_power_budget_w = 1100" in daemon.setting("power_limit_w")["message"]
        assert host.writes()[-1]["args"] == [500000], "nothing of a policy over budget is written"
    required = budget + rule('persistence_mode = true\npower_limit_w = 600\nrequired = ["power_limit_w"]')
    host.set(0, persistence_mode=True)
    host.set(1, persistence_mode=True, power_limit_w=500)
    with Daemon(host, required, folder=host.directory.parent / "newer") as daemon:
        daemon.ready()
        assert [host.gpu(i)["power_limit_w"] for i in (0, 1)] == [600, 500], "but what is required and lowers"
        assert daemon.ctl("wait", "--for", "1s").returncode == 1


def test_no_policy_ever_given_means_persistence_mode_at_most(nvsim):
    """The file as shipped: installing and starting raises no limit and locks no clock."""
    from pathlib import Path

    shipped = (Path(__file__).parents[2] / "etc/gpu-tuned.toml").read_text()
    host = nvsim("rtx-5090-575", "h200")
    with Daemon(host, shipped).ready() as daemon:
        daemon.turns(2)
        assert {function for function, _, _ in daemon.writes()} == {"nvmlDeviceSetPersistenceMode"}


def test_on_a_battery_powered_host_the_shipped_file_does_nothing(nvsim):
    from pathlib import Path

    shipped = (Path(__file__).parents[2] / "etc/gpu-tuned.toml").read_text()
    host = nvsim("rtx-5090-laptop")
    battery = host.root / "sys/class/power_supply/BAT0"
    battery.mkdir(parents=True)
    (battery / "type").write_text("Battery\n")
    with Daemon(host, shipped).ready() as daemon:
        daemon.turns(2)
        assert daemon.writes() == []


def test_check_plan_and_reload_say_the_same_of_a_budget(nvsim):
    host = nvsim("h200", "h200")
    with Daemon(host, FAST + rule("power_limit_w = 450")).ready() as daemon:
        daemon.turns(1)
        daemon.config.write_text(FAST + "[host]\ngpu_power_budget_w = 800\n" + rule("power_limit_w = 450"))
        sentence = "gpu_power_budget_w = 800: the limits add up to 900 W: 450 W (NVIDIA H200 0000:01:00.0)"
        for command in (
            ("check", str(daemon.config)),
            ("plan",),
            ("plan", "--config", str(daemon.config)),
            ("reload",),
        ):
            done = daemon.ctl(*command, check=False)
            said = " ".join((done.stdout + done.stderr).split())
            assert sentence in said, command
            assert done.returncode == 2, command
        assert all(gpu["power_limit_w"] == 450 for gpu in host.show()["gpus"])


def test_check_judges_no_budget_by_an_original_that_it_does_not_know(nvsim):
    """Found at 700 W, lowered to 450 since: only the daemon knows what "original" is."""
    host = nvsim("h200")
    with Daemon(host, FAST + rule("persistence_mode = true\npower_limit_w = 450")).ready() as daemon:
        daemon.turns(1)
        daemon.config.write_text(FAST + "[host]\ngpu_power_budget_w = 500\n" + rule('power_limit_w = "original"'))
        done = daemon.ctl("check", str(daemon.config))
        assert done.returncode == 0
        assert "the power budget was not judged" in done.stderr
        assert daemon.ctl("reload", check=False).returncode == 2


def test_check_says_that_a_sleeping_board_was_not_looked_at(nvsim):
    host = nvsim("h200", "h200")
    with Daemon(host, FAST + rule("power_limit_w = 450")).ready() as daemon:
        daemon.turns(1)
        host.run("runtime", "1", "suspended")
        daemon.config.write_text(FAST + "[host]\ngpu_power_budget_w = 800\n" + rule("power_limit_w = 450"))
        done = daemon.ctl("check", str(daemon.config))
        assert done.returncode == 0
        assert "was not judged: NVIDIA H200 0000:02:00.0: not woken up to be looked at" in done.stderr
        assert daemon.ctl("reload", check=False).returncode == 2


def test_check_says_that_no_board_could_be_looked_at(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + rule("power_limit_w = 450")).ready() as daemon:
        daemon.config.write_text(FAST + "[host]\ngpu_power_budget_w = 400\n" + rule("power_limit_w = 450"))
        host.run("mismatch", "on")
        done = daemon.ctl("check", str(daemon.config))
        assert done.returncode == 0
        assert "good" in done.stdout
        assert "the power budget was not judged: the NVIDIA library and the loaded kernel module" in done.stderr
