"""The life of an NVML client: GPUs and drivers that go and come back, events, and letting go."""

from __future__ import annotations

from tests.conftest import MakeHost
from tests.contract.nvml_child import play


def test_a_lost_gpu_costs_the_others_nothing(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    out = play(
        host,
        """
lost, other = [board.gpu.uuid for board in nvml.attach()]
host.lose(0)
out["while attached"] = [outcome(nvml.see, lost, Look()), outcome(nvml.see, lost, Look(True, True)),
                         outcome(nvml.read, lost, Setting.POWER_LIMIT),
                         outcome(nvml.write, lost, Setting.POWER_LIMIT, PowerLimit(450000))]
out["other"] = readings(nvml.see(other, Look()))["power_limit_w"]
out["attached"] = [board.gpu.uuid == other for board in nvml.attach()]
out["left out"] = list(nvml.left_out.items())
out["after"] = outcome(nvml.see, lost, Look())
host.restore(0)
out["back"] = [board.gpu.uuid in (lost, other) for board in nvml.attach()]
out["read"] = readings(nvml.see(lost, Look()))["power_limit_w"]
""",
    )
    looks, a_read, a_write = out["while attached"][:2], out["while attached"][2], out["while attached"][3]
    assert all(said.startswith("GpuLost: ") for said in [*looks, a_write])
    assert "the GPU is lost" in a_read  # one call alone never says that the whole GPU is
    assert out["other"] == 575
    assert out["attached"] == [True]
    assert out["left out"] == [[0, "the GPU is lost: it fell off the bus, or cannot be reached any more"]]
    assert out["after"].startswith("GpuLost: ")
    assert out["back"] == [True, True]
    assert out["read"] == 700


def test_driver_absent_and_mismatch_say_so_and_pass(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    out = play(
        host,
        """
host.run("unload")
out["absent"] = [outcome(nvml.attach), outcome(nvml.see, "GPU-x", Look()), nvml.driver_version()]
host.run("load-driver", "--driver", "580.200.01")
host.run("mismatch", "on")
out["mismatch"] = [outcome(nvml.attach), nvml.driver_version()]
out["clients"] = host.clients()
host.run("mismatch", "off")
out["boards"] = len(nvml.attach())
out["version"] = nvml.driver_version()
""",
    )
    assert out["absent"][0] == "DriverAbsent: the NVIDIA driver is not loaded"
    assert out["absent"][1].startswith("DriverAbsent: ")
    assert out["absent"][2] is None
    assert out["mismatch"][0].startswith("DriverMismatch: the NVIDIA library and the loaded kernel module")
    assert out["mismatch"][1] is None
    assert out["clients"] == []
    assert out["boards"] == 1
    assert out["version"] == "580.200.01"


def test_detach_lets_go_and_attach_takes_up_again(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    out = play(
        host,
        """
nvml.detach()
for _ in range(3):
    uuid = nvml.attach()[0].gpu.uuid
    out.setdefault("attached", []).append(len(host.clients()))
    nvml.attach()
    nvml.detach()
    nvml.detach()
    out.setdefault("let go", []).append(len(host.clients()))
out["after"] = outcome(nvml.see, uuid, Look())
out["version"] = nvml.driver_version()
""",
    )
    assert out["attached"] == [1, 1, 1]
    assert out["let go"] == [0, 0, 0]
    assert out["after"] == "DriverAbsent: the driver library is not attached"
    assert out["version"] is None


def test_detach_sends_a_waiting_thread_out_first(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
nvml.attach()
heard = []
thread = threading.Thread(target=lambda: heard.append(nvml.wait_events(60)), daemon=True)
thread.start()
wait_for(lambda: inside(thread), what="the wait")
began = time.monotonic()
nvml.detach()
out["took"] = time.monotonic() - began
thread.join(5)
out["heard"] = [list(events) for events in heard]
out["clients"] = host.clients()
""",
    )
    assert out["took"] < 3
    assert out["heard"] == [[]]
    assert out["clients"] == []


def test_detach_does_not_wait_for_a_hung_waiter(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
nvml.attach()
host.hang("nvmlEventSetWait_v2", 30)
thread = threading.Thread(target=nvml.wait_events, args=(60,), daemon=True)
thread.start()
wait_for(lambda: inside(thread), what="the wait")
began = time.monotonic()
nvml.detach()
out["took"] = time.monotonic() - began
print(json.dumps(out), flush=True)
os._exit(0)
""",
    )
    assert 0.9 < out["took"] < 5


def test_an_xid_arrives_and_clock_events_do_not(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200", "rtx-5090-575"),
        """
uuids = [board.gpu.uuid for board in nvml.attach()]
out["nothing"] = list(nvml.wait_events(0.05))
host.run("storm", 1, 200)
out["storm"] = list(nvml.wait_events(0.3))
host.xid(1, 31)
event, = nvml.wait_events(5)
out["xid"] = [event.kind, uuids.index(event.uuid), event.data]
out["counted"] = host.calls()["nvmlEventSetWait_v2"]
""",
    )
    assert out["nothing"] == out["storm"] == []
    assert out["xid"] == ["xid", 1, 31]
    assert out["counted"] < 10


def test_a_lost_gpu_is_told_once_and_does_not_make_the_wait_spin(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200", "rtx-5090-575"),
        """
uuids = [board.gpu.uuid for board in nvml.attach()]
nvml.wait_events(0.05)
host.lose(0)
events = []
def hear(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        events.extend(nvml.wait_events(until - time.monotonic()))
hear(1.5)
out["told"] = sorted({(event.kind, uuids.index(event.uuid), event.data) for event in events})
out["often"] = len(events)
out["calls"] = host.calls()["nvmlEventSetWait_v2"]
events.clear()
host.xid(1, 43)
hear(0.5)
out["other"] = [(event.kind, uuids.index(event.uuid), event.data) for event in events]
""",
    )
    assert [tuple(event) for event in out["told"]] == [("other", 0, 0), ("xid", 0, 79)]
    assert out["often"] <= 4
    assert out["calls"] < 20, "1.5 s in slices of a quarter of a second"
    assert [tuple(event) for event in out["other"]] == [("xid", 1, 43)]


def test_xids_that_wait_together_are_counted_one_by_one(nvsim: MakeHost) -> None:
    out = play(
        nvsim("h200"),
        """
nvml.attach()
nvml.wait_events(0.05)
for number in (13, 13, 31, 13, 13):
    host.xid(0, number)
out["told"] = [(event.data, event.times) for event in nvml.wait_events(5)]
""",
    )
    assert [tuple(one) for one in out["told"]] == [(13, 4), (31, 1)]


def test_a_wait_that_always_fails_is_told_once_and_left_alone_for_longer_and_longer(nvsim: MakeHost) -> None:
    """As seen on real drivers: after Xid 79 every wait answers GPU_IS_LOST at once, whoever is in the set."""
    out = play(
        nvsim("h200"),
        """
import pynvml
nvml.attach()
tries = []
def lost(events, timeout_ms):
    tries.append(time.monotonic())
    raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
pynvml.nvmlEventSetWait_v2 = lost
began = time.monotonic()
out["first"] = [event.kind for event in nvml.wait_events(10)]
out["at once"] = time.monotonic() - began
out["then"] = list(nvml.wait_events(2.5))
out["tries"] = len(tries)
""",
    )
    assert out["first"] == ["other"]
    assert out["at once"] < 5
    assert out["then"] == []
    assert out["tries"] <= 3


def test_gpus_that_the_driver_counts_later_are_described_on_the_same_connection(nvsim: MakeHost) -> None:
    host = nvsim("h200", "rtx-5090-575")
    out = play(
        host,
        """
host.run("override", "host", "nvmlDeviceGetCount_v2", 0, ">01000000")
out["first"] = [board.index for board in nvml.attach()]
out["none"] = [board.index for board in nvml.describe_left_out()]
host.run("override", "host", "none")
out["later"] = [board.index for board in nvml.describe_left_out()]
out["left out"] = list(nvml.left_out)
""",
    )
    assert out == {"first": [0], "none": [], "later": [1], "left out": []}
