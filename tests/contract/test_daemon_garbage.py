"""One GPU's driver answers garbage, one after the other and while the daemon runs: the other GPU stays in order."""

from __future__ import annotations

from tests.contract.test_daemon_settings import FAST, rule
from tests.daemon import Daemon
from tests.nvsim import handed_out, number, pci_info

POLICY = FAST + rule(
    'persistence_mode = true\npower_limit_w = 450\ngpu_clock_mhz = { max = 1755 }\ncompute_mode = "default"\n'
    "application_clocks_mhz = { memory = 3201, gpu = 1755 }"
)
ESCAPES = b"NV\x1b]0;owned\x07\x1b[31m\nfake line \xff\x80"
BIG = 2**32 - 1
CALLS = [
    ("nvmlDeviceGetPersistenceMode", [number(7)]),
    ("nvmlDeviceGetComputeMode", [number(77)]),
    ("nvmlDeviceGetPerformanceState", [number(999)]),
    ("nvmlDeviceGetTemperature", ["=0", number(2**31)]),
    ("nvmlDeviceGetClockInfo", ["=1", number(BIG)]),
    ("nvmlDeviceGetPowerManagementLimit", [number(BIG)]),
    ("nvmlDeviceGetApplicationsClock", ["=2", number(0)]),
    ("nvmlDeviceGetCurrentClocksEventReasons", [number(2**64 - 1, 8)]),
    ("nvmlDeviceGetUtilizationRates", ["{:ffffffffffffffff"]),
]
FIELDS = ["double=nan", "double=inf", "200=5", "ull=18446744073709551615", "uint=0", "error=999"]


def test_garbage_that_comes_while_the_daemon_runs(nvsim):
    host = nvsim("h200", "h200")
    with Daemon(host, POLICY).ready() as daemon:
        daemon.turns(2)
        for call, words in CALLS:
            host.override(0, call, 0, *words)
        for value in FIELDS:
            host.field(0, "all", value)
            daemon.turns(2)
            assert [row["state"] for row in daemon.status()["gpus"][1]["settings"] if not row["in_order"]] == []
            shown = daemon.ctl("status", "--all")
            assert "Traceback" not in shown.stderr and shown.returncode in (0, 1)
        host.run("override", 0, "none")
        host.field(0, "all", "none")
        daemon.until(lambda: daemon.status()["gpus"][0]["in_order"] is not False, "well again")
        power = next(row for row in daemon.status()["gpus"][0]["settings"] if row["setting"] == "power_limit_w")
        assert (power["state"], power["observed"]) == ("held", 450)
        limits = [w["args"] for w in host.writes() if w["function"].endswith("PowerManagementLimit")]
        assert all(args == [450000] for args in limits)


def test_garbage_that_was_there_before_the_daemon(nvsim):
    host = nvsim("h200", "h200", "h200")
    host.override(0, "nvmlDeviceGetName", 0, handed_out(ESCAPES))
    host.override(0, "nvmlDeviceGetPciInfo_v3", 0, pci_info("0:../../x:00.0"))
    host.override(0, "nvmlDeviceGetPowerManagementLimitConstraints", 0, number(700000), number(200000))
    host.override(1, "nvmlDeviceGetUUID", 0, handed_out(b""))
    host.override("host", "nvmlSystemGetDriverVersion", 0, handed_out(b"\xff\x80"))
    for call, words in CALLS:
        host.override(0, call, 0, *words)
    host.field(0, "all", "double=nan")
    with Daemon(host, POLICY).ready() as daemon:
        daemon.turns(4)
        gpus = {gpu["pci"]: gpu for gpu in daemon.status()["gpus"]}
        # The driver gave no address that makes sense: the kernel's, by the UUID.
        assert gpus["0000:01:00.0"]["name"] == "NV�]0;owned��[31m�fake line ��"
        last = gpus["0000:03:00.0"]
        assert [row["state"] for row in last["settings"] if not row["in_order"]] == []
        for verb in (["status"], ["status", "--all"], ["verify"], ["plan"], ["throttle"], ["restore", "nosuch"]):
            done = daemon.ctl(*verb, check=False)
            assert "Traceback" not in done.stderr
            told = (done.stdout + done.stderr).replace("\n", "")
            assert told.isprintable(), verb
            assert not any(line.startswith("fake line") for line in done.stdout.splitlines())


def test_a_jetson_and_a_host_without_proc_are_told_as_they_are(nvsim):
    with Daemon(nvsim("jetson-orin"), FAST + rule("persistence_mode = true\npower_limit_w = 15")).ready() as daemon:
        daemon.turns(3)
        shown = daemon.ctl("status").stdout
        assert "LOST" not in shown and "gone" not in shown
        assert "idle" not in shown and "0s   heat" not in shown, "nobody has said so"
        assert "slowed: not known" in shown and "nothing known" in daemon.ctl("throttle").stdout
        (gpu,) = daemon.status()["gpus"]
        states = {row["setting"]: row["state"] for row in gpu["settings"]}
        assert (states["persistence_mode"], states["power_limit_w"]) == ("refused", "refused")
    with Daemon(nvsim("rtx-4090", wsl=True), FAST + rule("power_limit_w = 400")).ready() as daemon:
        daemon.turns(2)
        (gpu,) = daemon.status()["gpus"]
        assert [row["state"] for row in gpu["settings"] if row["setting"] == "power_limit_w"] == ["held"]
        head = daemon.ctl("status").stdout.splitlines()[0]
        assert head.endswith("driver 580.159.04"), head
