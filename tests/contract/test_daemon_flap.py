"""One call answers for ever what is meant for a whole GPU, or for the whole driver, while all the others go on."""

from __future__ import annotations

import pytest

from tests.contract.test_daemon_settings import rule
from tests.daemon import Daemon


def policy(number: int) -> str:
    """Another goal for each number, so that a row of strangers is no contest."""
    mode = ("exclusive_process", "prohibited")[number % 2]
    return "[daemon]\npoll_interval_s = 0.1\n" + rule(
        f'persistence_mode = true\npower_limit_w = {450 + number}\ncompute_mode = "{mode}"\n'
        "application_clocks_mhz = { memory = 3201, gpu = 1755 }"
    )


LOST, RESET_REQUIRED, NO_SUCH_GPU, NOT_LOADED, MISMATCH = 15, 16, 28, 9, 18
GETTERS = (
    ("nvmlDeviceGetTemperature", RESET_REQUIRED),
    ("nvmlDeviceGetUtilizationRates", NO_SUCH_GPU),
    ("nvmlDeviceGetPersistenceMode", NOT_LOADED),
    ("nvmlDeviceGetApplicationsClock", MISMATCH),
    ("nvmlDeviceGetFieldValues", LOST),
    ("nvmlEventSetWait_v2", LOST),
)
SETTERS = (
    ("nvmlDeviceSetComputeMode", LOST),
    ("nvmlDeviceSetComputeMode", RESET_REQUIRED),
    ("nvmlDeviceSetComputeMode", NO_SUCH_GPU),
    ("nvmlDeviceSetComputeMode", NOT_LOADED),
    ("nvmlDeviceSetComputeMode", MISMATCH),
)


@pytest.mark.parametrize("calls", [GETTERS, SETTERS], ids=["getters", "setters"])
def test_one_call_that_speaks_of_the_whole_gpu_costs_that_call_alone(nvsim, calls):
    host = nvsim("h200", "h200")
    with Daemon(host, policy(0)).ready() as daemon:
        for number, (call, code) in enumerate(calls):
            daemon.config.write_text(policy(number))
            daemon.call("Reload")
            daemon.turns(2)
            attaches = host.calls()["nvmlInitWithFlags"]
            host.answer(call, code)
            before = len(daemon.said.splitlines())
            for gpu in (0, 1):
                host.set(gpu, power_limit_w=690, compute_mode="default")
            wished = 2 * [450 + number]
            put_back = f"the limits put back while {call} answers {code}"
            daemon.until(lambda wished=wished: limits(host) == wished, put_back)
            daemon.turns(5)
            status, said = daemon.status(), daemon.said.splitlines()[before:]
            assert status["driver"]["state"] == "ok", (call, code)
            assert [gpu["state"] for gpu in status["gpus"]] == ["ok", "ok"], (call, code)
            assert len(said) <= 8, f"{call} answers {code}, in some 7 looks:\n" + "\n".join(said)
            assert host.calls()["nvmlInitWithFlags"] == attaches, "the driver is not attached again for that"
            if call.startswith("nvmlDeviceSet"):
                for gpu in (0, 1):
                    row = daemon.setting("compute_mode", gpu)
                    assert (row["state"], row["observed"]) == ("refused", "default"), (call, code)
                    assert row["message"]
            host.answer(call, "none")
            daemon.call("Apply")
            daemon.until(lambda: all(gpu["in_order"] for gpu in daemon.status()["gpus"]), f"order after {call}")


def limits(host):
    return [gpu["power_limit_w"] for gpu in host.show()["gpus"]]
