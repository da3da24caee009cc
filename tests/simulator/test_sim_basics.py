"""The real nvidia-ml-py on the simulated driver: identity, settings, refusals, who is attached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nvsim import SIMULATOR, Nvsim, NvsimError, wait_for

MakeHost = Callable[..., Nvsim]
BOARDS = sorted(p.stem for p in (SIMULATOR / "boards").glob("*.board"))


def test_identity_of_two_boards(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "h200")
    names = host.ask("[n.nvmlDeviceGetName(x) for x in handles]")
    assert names == ["NVIDIA GeForce RTX 5090", "NVIDIA H200"]
    uuids = host.ask("[n.nvmlDeviceGetUUID(x) for x in handles]")
    assert len(set(uuids)) == 2
    assert host.ask("n.nvmlDeviceGetPciInfo(handles[1]).busId") == "00000000:02:00.0"
    assert host.ask("n.nvmlSystemGetDriverVersion()") == "580.159.04"
    assert host.ask("n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByPciBusId('0000:02:00.0'))") == 1


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_answers(nvsim: MakeHost, board: str) -> None:
    host = nvsim(board)
    low, high = host.ask("n.nvmlDeviceGetPowerManagementLimitConstraints(h)")
    assert low <= host.ask("n.nvmlDeviceGetPowerManagementLimit(h)") <= high
    rungs = host.ask("n.nvmlDeviceGetSupportedMemoryClocks(h)")
    assert rungs == sorted(rungs, reverse=True)
    for rung in rungs:
        clocks = host.ask(f"n.nvmlDeviceGetSupportedGraphicsClocks(h, {rung})")
        assert clocks == sorted(set(clocks), reverse=True)


def test_a_limit_out_of_range_is_refused_and_one_between_steps_is_rounded(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    assert host.ask("code(n.nvmlDeviceSetPowerManagementLimit, h, 600000)") == 2
    assert host.ask("code(n.nvmlDeviceSetPowerManagementLimit, h, 399000)") == 2
    both = host.ask("[n.nvmlDeviceSetPowerManagementLimit(h, 465000), n.nvmlDeviceGetPowerManagementLimit(h)]")
    assert both == [None, 464000]


def test_who_has_no_admin_capability_may_read_only(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    calls = """[
        code(n.nvmlDeviceSetPersistenceMode, h, 1), code(n.nvmlDeviceSetPowerManagementLimit, h, 450000),
        code(n.nvmlDeviceSetGpuLockedClocks, h, 2400, 2550), code(n.nvmlDeviceResetGpuLockedClocks, h),
        code(n.nvmlDeviceSetMemoryLockedClocks, h, 14001, 14001), code(n.nvmlDeviceSetComputeMode, h, 3)]"""
    assert host.ask(calls, NVSIM_CAP_SYS_ADMIN="0") == [4] * 6
    assert {w["result"] for w in host.writes()} == {"NO_PERMISSION"}
    assert host.ask(calls, NVSIM_CAP_SYS_ADMIN="1") == [0] * 6


def test_writes_are_recorded_in_order_with_who_what_and_answer(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    host.ask(
        "[n.nvmlDeviceSetGpuLockedClocks(h, 2400, 2550), code(n.nvmlDeviceSetPowerManagementLimit, h, 1)]",
    )
    host.set(0, persistence_mode=True, power_limit_w=450)
    ours = [(w["function"], w["args"], w["result"]) for w in host.writes()]
    assert ours == [
        ("nvmlDeviceSetGpuLockedClocks", [2400, 2550], "SUCCESS"),
        ("nvmlDeviceSetPowerManagementLimit", [1], "INVALID_ARGUMENT"),
    ]
    every = host.writes(strangers=True)
    assert [(w["args"], w["stranger"]) for w in every[2:]] == [([1], True), ([450000], True)]
    assert every == sorted(every, key=lambda w: w["monotonic_ns"])
    host.clear_writes()
    assert host.writes(strangers=True) == []


def test_settings_go_with_the_last_client_unless_persistence_is_on(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575")
    with host.client("n.nvmlDeviceSetPowerManagementLimit(h, 450000)"):
        assert host.gpu()["power_limit_w"] == 450
    wait_for(lambda: not host.clients(), what="the killed client is noticed")
    assert host.gpu()["power_limit_w"] == 575
    host.ask("[n.nvmlDeviceSetPersistenceMode(h, 1), n.nvmlDeviceSetPowerManagementLimit(h, 450000)]")
    assert host.gpu()["power_limit_w"] == 450


def test_clients_are_listed_and_keep_the_driver_loaded(nvsim: MakeHost) -> None:
    host = nvsim("rtx-5090-575", "h200")
    with host.client() as client:
        assert [c["pid"] for c in host.clients()] == [client.pid]
        open_files = {str(p.readlink()) for p in Path(f"/proc/{client.pid}/fd").iterdir()}
        assert {str(host.root / "dev" / f"nvidia{i}") for i in (0, 1)} <= open_files
        for verb in (host.reload, lambda: host.reset(0), lambda: host.run("unload")):
            with pytest.raises(NvsimError, match="refused"):
                verb()
    wait_for(lambda: not host.clients(), what="the killed client is noticed")
    host.reload()


def test_without_a_driver_or_with_another_one_init_says_so(nvsim: MakeHost) -> None:
    host = nvsim("h200")
    init = "import pynvml as n\ntry:\n n.nvmlInit()\nexcept n.NVMLError as e: print(e.value)"
    host.run("mismatch", "on")
    assert host.python(init).strip() == "18"
    host.run("mismatch", "off")
    host.run("unload")
    assert host.python(init).strip() == "9"
    assert not (host.root / "proc/driver/nvidia/version").exists()
    host.run("load-driver")
    assert host.python(init).strip() == ""
    assert "580.159.04" in (host.root / "proc/driver/nvidia/version").read_text()


def test_a_reload_binds_the_devices_anew_and_nothing_else_does(nvsim):
    host = nvsim("h200", "h200")
    links = host.root / "sys/bus/pci/drivers/nvidia"

    def tokens() -> list[tuple[int, int]]:
        return [(link.lstat().st_ino, link.lstat().st_ctime_ns) for link in sorted(links.iterdir())]

    before = tokens()
    host.set(0, persistence_mode=True, power_limit_w=500)
    host.lose(0)
    host.restore(0)
    assert tokens() == before
    host.reload()
    assert all(new != old for new, old in zip(tokens(), before, strict=True))


def test_the_installed_library_carries_the_drivers_version(nvsim):
    library = nvsim("h200", driver="580.65.06").root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
    assert str(library.readlink()) == "libnvidia-ml.so.580.65.06"
