"""Drivers of many ages and hosts of other kinds, as the NVML adapter tells them."""

from __future__ import annotations

import pytest

from gpu_tuned.adapters.nvml.reads import LIMITS_EVERY
from tests.conftest import MakeHost
from tests.contract.nvml_child import play
from tests.contract.test_nvml_garbage import LOOK
from tests.nvsim import handed_out

COUNT = """
uuid = nvml.attach()[0].gpu.uuid
out = {}
for at in ("before", "after"):
    out[at] = nvml.see(uuid, Look(counters=True)).counters_ns
    host.set(0, reasons="0xE8", power_smoothing_mw_s=4000000000)
    host.advance(60)
"""


@pytest.mark.parametrize("driver", ["575.51.02", "580.65.06", "580.82.07", "580.159.04", "615.71.01"])
def test_every_driver_tells_the_same_faults_of_the_same_board(nvsim: MakeHost, driver: str) -> None:
    host = nvsim("h200", driver=driver)
    host.speed(0)
    out = play(host, COUNT)
    grown_s = {key: round((out["after"][key] - out["before"].get(key, 0)) / 1e9) for key in out["after"]}
    assert grown_s == {"74": 0, "76": 0, "77": 0, "78": 60, "79": 0, "269": 60, "270": 60, "271": 60}


@pytest.mark.parametrize("driver", ["470.256.02", "570.86.15"])
def test_a_ramp_of_power_smoothing_is_no_power_brake(nvsim: MakeHost, driver: str) -> None:
    """Drivers before R575 have no counters of the brakes; other things have had their numbers."""
    host = nvsim("h200", driver=driver)
    host.speed(0)
    assert set(play(host, COUNT)["after"]) == {"74", "76", "77", "78", "79"}


def test_a_driver_whose_version_is_not_known_is_not_asked_for_counters_that_moved(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.override("host", "nvmlSystemGetDriverVersion", 0, handed_out("N/A"))
    assert set(play(host, COUNT)["after"]) == {"74", "76", "77", "78", "79"}


@pytest.mark.parametrize(
    ("driver", "action", "told"),
    [
        ("580.159.04", 0, None),
        ("580.159.04", 1, "reset the GPU"),
        ("580.126.09", 5, "reset the bus"),
        ("610.43.02", 5, "recover the IMEX domain"),
        ("590.48.01", 5, "action 5"),
        ("550.163.01", 1, None),
    ],
)
def test_a_recovery_action_is_told_in_the_drivers_own_sense(
    nvsim: MakeHost, driver: str, action: int, told: str | None
) -> None:
    host = nvsim("h200", driver=driver)
    host.set(0, recovery_action=action)
    look = "out = nvml.see(nvml.attach()[0].gpu.uuid, Look()).telemetry.recovery_action"
    assert play(host, look) == told


def test_a_driver_of_r418_says_what_it_lacks(nvsim: MakeHost) -> None:
    host = nvsim("t4", driver="418.226.00")
    out = play(
        host,
        LOOK
        + """
out["no xids"] = nvml._boards[boards[0].gpu.uuid].no_xids
out["events"] = [outcome(nvml.wait_events, 0.02) for _ in range(3)]
""",
    )
    (seen,) = out["seen"]
    assert (seen["power_limit_w"], seen["compute_mode"], seen["reasons"]) == (70, "default", 1)
    assert None not in (seen["power"], seen["enforced"], seen["temperature"], seen["busy"])
    assert set(seen["counters"]) <= {"74", "76", "77", "78", "79"}
    old = "this driver's library is too old to hand out events (nvmlEventSetWait_v2 came with R450)"
    assert out["no xids"] == old
    assert out["events"] == ["()"] * 3
    host.run("reload", "--driver", "580.159.04")
    assert play(host, "out = nvml.attach()[0].no_xids") is None


PROCESSES = """
from gpu_tuned.adapters.nvml.detail import look_at
from gpu_tuned.adapters.nvml.inspect import inspect
from gpu_tuned.adapters.nvml.processes import gpu_pids
shown = look_at("0").processes
out["show"] = shown.why if isinstance(shown, Unread) else [process.kind for process in shown]
out["audit"] = outcome(lambda: len(gpu_pids()))
seen = inspect(samples=1).gpus[0].compute_processes
out["doctor"] = seen.why if isinstance(seen, Unread) else seen
"""
LACKS = "the installed driver library does not have this call (another version)"


@pytest.mark.parametrize(
    ("driver", "board", "listed"),
    [
        ("580.159.04", "h200", {"show": ["compute"], "audit": "1", "doctor": 1}),
        ("470.256.02", "a100", {"show": ["compute"], "audit": "1", "doctor": 1}),
        (
            "418.226.00",
            "t4",
            {
                "show": LACKS,
                "audit": f"DriverTrouble: the driver does not tell which processes use its GPUs: {LACKS}",
                "doctor": LACKS,
            },
        ),
    ],
)
def test_processes_are_listed_by_the_call_that_the_driver_has(
    nvsim: MakeHost, driver: str, board: str, listed: dict[str, object]
) -> None:
    """The binding's name without a number is that of its newest call, which a library before R510 lacks. Processes
    that cannot be listed are not none."""
    host = nvsim(board, driver=driver)
    host.load(0, 50)
    assert play(host, PROCESSES) == listed


def test_a_gpu_without_xid_events_says_so(nvsim: MakeHost) -> None:
    host = nvsim("h200", "h200")
    host.override(0, "nvmlDeviceGetSupportedEventTypes", 0, ">1400000000000000")
    host.answer("nvmlDeviceGetSupportedEventTypes", 3, gpu=1)
    assert play(host, "out = [board.no_xids for board in nvml.attach()]") == [
        "this GPU does not hand out Xid errors as events",
        "this GPU hands out no events: not supported by this GPU",
    ]


SEE = """
uuid = nvml.attach()[0].gpu.uuid
seen = nvml.see(uuid, Look())
out = [readings(seen)["power_limit_w"], seen.telemetry.enforced_limit_mw, seen.telemetry.power_mw]
"""


AGAIN = """
seen = nvml.see(uuid, Look())
out = [readings(seen)["power_limit_w"], seen.telemetry.enforced_limit_mw, seen.telemetry.power_mw]
"""
SET_450 = f"""
nvml.write(uuid, Setting.PERSISTENCE_MODE, True)
nvml.write(uuid, Setting.POWER_LIMIT, PowerLimit(450_000))
{AGAIN}"""


@pytest.mark.parametrize(("field", "value"), [(192, "uint=0"), (192, "uint=123000"), ("all", "uint=0")])
def test_where_field_and_getter_differ_the_getter_counts(nvsim: MakeHost, field: int | str, value: str) -> None:
    host = nvsim("h200")
    host.field(0, field, value)
    assert play(host, SEE) == [700, 700000, 78300]


def test_where_they_agree_the_cheap_field_is_read(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    play(host, SEE + "host.run('calls', '--clear'); nvml.see(uuid, Look())")
    calls = host.calls()
    assert not calls["nvmlDeviceGetPowerManagementLimit"] and not calls["nvmlDeviceGetEnforcedPowerLimit"]


@pytest.mark.parametrize("value", ["uint=450000", "uint=123000"])
def test_a_field_that_goes_wrong_later_does_not_count_either(nvsim: MakeHost, value: str) -> None:
    later = f"host.field(0, 192, {value!r}); seen = nvml.see(uuid, Look()); out = [readings(seen)['power_limit_w']]"
    assert play(nvsim("h200"), SEE + later) == [700]


def test_a_field_that_stands_still_while_the_limit_moves_does_not_count(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.set(0, persistence_mode="true", power_limit_w=450)
    stuck = "host.field(0, 192, 'uint=450000'); nvml.see(uuid, Look()); host.set(0, power_limit_w=600)"
    later = "seen = nvml.see(uuid, Look()); out = [readings(seen)['power_limit_w']]"
    assert play(host, f"{SEE}{stuck}; {later}") == [600]


def test_a_field_that_stands_still_loses_its_trust_when_another_limit_is_set(nvsim: MakeHost) -> None:
    """When the GPU is attached the two agree: its limit is what the field always says."""
    host = nvsim("h200")
    host.field(0, 192, "uint=700000")
    host.field(0, 190, "uint=700000")
    assert play(host, SEE + SET_450) == [450, 450000, 78300]


@pytest.mark.parametrize("field", [192, "all"])
def test_a_field_that_begins_to_lie_later_loses_its_trust(nvsim: MakeHost, field: int | str) -> None:
    host = nvsim("h200")
    lies = f"host.field(0, {field!r}, 'uint=500000')"
    assert play(host, SEE + lies + AGAIN)[0] == 700


def test_a_limit_that_somebody_sets_is_read_by_the_field_from_then_on_too(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    sets = "host.set(0, persistence_mode='true', power_limit_w=600)"
    out = play(host, SEE + sets + AGAIN + "host.run('calls', '--clear'); nvml.see(uuid, Look())")
    assert out[:2] == [600, 600000]
    assert not host.calls()["nvmlDeviceGetPowerManagementLimit"]


@pytest.mark.parametrize(("looks", "limit_w"), [(1, 700), (LIMITS_EVERY, 600)])
def test_fields_that_stand_still_both_are_found_out_now_and_then(nvsim: MakeHost, looks: int, limit_w: int) -> None:
    """Somebody else set another limit: nothing but the getter shows it, which costs too much for each look."""
    host = nvsim("h200")
    host.field(0, 192, "uint=700000")
    host.field(0, 190, "uint=700000")
    sets = "host.set(0, persistence_mode='true', power_limit_w=600)"
    out = play(host, SEE + sets + f"\nfor _ in range({looks}): nvml.see(uuid, Look())" + AGAIN)
    assert out[0] == limit_w


def test_a_getter_that_refuses_is_not_replaced_by_a_field_of_zero(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.field(0, 192, "uint=0")
    host.answer("nvmlDeviceGetPowerManagementLimit", 3)
    assert play(host, SEE)[0] == "not supported by this GPU"


def test_somebody_elses_lower_limit_is_seen_beside_the_requested_one(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    host.set(0, enforced_limit_w=500)
    assert play(host, SEE)[:2] == [700, 500000]


def test_a_jetson_is_told_without_a_word_too_much(nvsim: MakeHost) -> None:
    out = play(nvsim("jetson-orin"), LOOK + "out['no xids'] = boards[0].no_xids")
    (board,), (seen,) = out["boards"], out["seen"]
    assert board[1:] == ["-", "Orin (nvgpu)"]
    assert out["version"] == "540.4.0"
    assert {key: why for key, why in seen["absent"].items() if "not supported" not in why} == {
        "application_clocks_mhz": "this GPU has no application clocks",
        "gpu_clock_mhz": "this GPU names no clocks: there is nothing to lock",
        "memory_clock_mhz": "this GPU names no clocks: there is nothing to lock",
    }
    assert set(seen["absent"]) >= {"persistence_mode", "power_limit_w", "compute_mode", "application_clocks_mhz"}
    assert out["no xids"] == "this GPU hands out no events: not supported by this GPU"


def test_a_host_whose_driver_the_kernel_does_not_show_is_read_like_any(nvsim: MakeHost) -> None:
    out = play(nvsim("rtx-4090", wsl=True), LOOK)
    assert out["version"] == "580.159.04"
    assert out["seen"][0]["power_limit_w"] == 450
