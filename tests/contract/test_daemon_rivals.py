"""Other services that set what this daemon holds: named before anybody has to search for them."""

from __future__ import annotations

import json

import pytest

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon
from tests.nvsim import Nvsim

LIMIT = rule("power_limit_w = 500")
CGROUPS = {
    "v2": "sys/fs/cgroup/system.slice",
    "v1": "sys/fs/cgroup/systemd/system.slice",
    "hybrid": "sys/fs/cgroup/unified/system.slice",
}


def runs(host: Nvsim, unit: str, layout: str = "v2") -> None:
    """systemd keeps a control group for a service as long as it runs."""
    (host.root / CGROUPS[layout] / unit).mkdir(parents=True)


@pytest.mark.parametrize("layout", CGROUPS)
def test_a_service_that_sets_the_same_is_named(nvsim, layout):
    host = nvsim("h200")
    runs(host, "lactd.service", layout)
    with Daemon(host, FAST + LIMIT).ready() as daemon:
        daemon.until(lambda: "lactd.service" in daemon.said, "told when it starts")
        (rival,) = daemon.status()["host"]["rivals"]
        assert (rival["unit"], rival["settings"]) == ("lactd.service", ["power_limit_w"])
        page = daemon.ctl("status").stdout
        assert "lactd.service" in page
        assert 'watch = ["power_limit_w"]' in " ".join(page.split())
        assert "lactd.service" in daemon.ctl("plan").stdout
        daemon.turns(3)
        assert daemon.said.count("LACT (lactd.service)") == 1, "told once"
        assert daemon.ctl("verify").returncode == 0, "a warning, and no fault"


def test_one_that_comes_later_is_told_and_one_that_goes_is_forgotten(nvsim):
    host = nvsim("h200")
    with Daemon(host, FAST + LIMIT).ready() as daemon:
        assert daemon.status()["host"]["rivals"] == []
        runs(host, "lactd.service")
        daemon.call("Apply")
        daemon.until(lambda: daemon.status()["host"]["rivals"], "seen")
        (host.root / CGROUPS["v2"] / "lactd.service").rmdir()
        daemon.call("Apply")
        daemon.until(lambda: not daemon.status()["host"]["rivals"], "gone")
        assert "lactd.service" not in daemon.ctl("status").stdout
        runs(host, "lactd.service")
        daemon.call("Apply")
        daemon.until(lambda: daemon.status()["host"]["rivals"], "seen again")
        assert daemon.said.count("LACT (lactd.service)") == 1, "one that flaps is told once"


@pytest.mark.parametrize(
    "policy", [LIMIT.rstrip() + '\nwatch = ["power_limit_w"]\n', rule("persistence_mode = true")]
)
def test_one_that_sets_something_else_is_none(nvsim, policy):
    host = nvsim("h200")
    runs(host, "lactd.service")
    with Daemon(host, FAST + policy).ready() as daemon:
        daemon.turns(2)
        assert daemon.status()["host"]["rivals"] == []
        assert "lactd" not in daemon.said


def test_one_that_writes_only_when_asked_is_named_once_somebody_fights(nvsim):
    """DCGM runs on most servers and seldom sets anything; a contest is when its name helps."""
    host = nvsim("h200")
    runs(host, "nvidia-dcgm.service")
    with Daemon(host, FAST + LIMIT).ready() as daemon:
        assert daemon.status()["host"]["rivals"] == []
        for _ in range(4):
            host.set(0, power_limit_w=650)
            daemon.until(lambda: host.gpu()["power_limit_w"] == 500 or "contested" in daemon.said, "put back")
        daemon.until(lambda: "contested" in daemon.said, "contested")
        assert "DCGM (nvidia-dcgm.service) runs here" in daemon.said
        assert "contested: changed 3 times" in daemon.said and "last to 650 W" in daemon.said


def test_the_plan_without_a_daemon_names_it_too(nvsim, tmp_path):
    host = nvsim("h200")
    runs(host, "lactd.service")
    with Daemon(host, FAST + LIMIT).ready() as daemon:
        plan = json.loads(daemon.ctl("plan", "--offline", "--config", str(daemon.config), "--json").stdout)
        assert any("lactd.service" in note for note in plan["notes"])
