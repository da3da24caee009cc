"""What a value means on a board: what is refused, what would harm, and what the board says against a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.core.model import ComputeMode, PowerLimit
from gpu_tuned.init.policy_text import write
from gpu_tuned.init.verdict import names, strangers
from tests.init_host import RTX_3090, RTX_5090, boards, look, machine, put


def script(root: Path, *lines: str) -> Path:
    put(root, "/etc/rc.local", "\n".join(["#!/bin/sh", *lines, ""]), 0o755)
    return root


def one(root: Path, call: str, **found: Any) -> dict[tuple[str, str], object]:
    return look(script(root, f"nvidia-smi {call}"), machine(**found)).taken


def test_a_raised_limit_is_said(tmp_path: Path) -> None:
    looked = look(script(tmp_path, "nvidia-smi -pl 300"), machine(power_limit_w=PowerLimit(300_500)))
    assert looked.taken == {("0", "power_limit_w"): 300}  # a board's own step lies between them
    (taken,) = look(script(tmp_path, "nvidia-smi -pl 350"), machine(power_limit_w=PowerLimit(349_500))).decision.taken
    assert taken.beside == "RAISES the limit, 349.5 W now"


@pytest.mark.parametrize(
    ("call", "kind", "instead"),
    [
        ("-pl 90", "no-rung", "power_limit_w = 100"),
        ("-pl 1000", "no-rung", "power_limit_w = 350"),
        ("-lgc 2000", "no-rung", "gpu_clock_mhz = { min = 1995, max = 1995 }"),
        ("-lgc 1500,300", "no-rung", None),
        ("-lgc 2101,2200", "no-rung", "gpu_clock_mhz = { min = 2100, max = 2100 }"),
        ("-ac 9751,1500", "unsupported", None),
        ("-c 2", "harmful", 'compute_mode = "prohibited"'),
        ("-c 3", "harmful", 'compute_mode = "exclusive_process"'),
        ("-lmc 810", "harmful", None),
        ("-i 7 -pl 300", "other-gpu-unknown", "power_limit_w = 300"),
        ("-i 0-1 -pl 300", "other-gpu-unknown", "power_limit_w = 300"),
    ],
)
def test_what_the_board_does_not_take_is_left(tmp_path: Path, call: str, kind: str, instead: str | None) -> None:
    looked = look(script(tmp_path, f"nvidia-smi {call}"))
    (left,) = looked.decision.left
    assert looked.taken == {}
    assert (left.kind.value, left.instead) == (kind, instead)


def test_a_range_is_what_the_board_has_inside(tmp_path: Path) -> None:
    assert one(tmp_path, "-lgc 0,1500") == {("0", "gpu_clock_mhz"): {"min": 0, "max": 1500}}
    assert one(tmp_path, "-lgc 0,1600") == {("0", "gpu_clock_mhz"): {"min": 0, "max": 1600}}
    assert one(tmp_path, "-rgc") == {("0", "gpu_clock_mhz"): "unlocked"}


def test_prohibited_is_taken_over_where_it_is_in_force(tmp_path: Path) -> None:
    assert one(tmp_path, "-c 2", compute_mode=ComputeMode.PROHIBITED) == {("0", "compute_mode"): "prohibited"}


def test_a_memory_lock_on_a_5090_is_left(tmp_path: Path) -> None:
    looked = look(script(tmp_path, "nvidia-smi -lmc 14001"), machine(RTX_5090))
    assert [left.kind.value for left in looked.decision.left] == ["harmful"]


WITNESS = {
    "as the script says": ({"power_limit_w": PowerLimit(300_000)}, True),
    "another value": ({"power_limit_w": PowerLimit(250_000)}, False),
    "the default, and nothing keeps the GPU": ({}, True),
    "the default, though the GPU is kept": ({"persistence_mode": True}, False),
}


@pytest.mark.parametrize("case", WITNESS)
def test_the_board_is_the_witness(tmp_path: Path, case: str) -> None:
    found, taken = WITNESS[case]
    looked = look(script(tmp_path, "nvidia-smi -pl 300", "nvidia-smi -lgc 0,1500"), machine(**found))  # type: ignore[arg-type]
    assert (("0", "power_limit_w") in looked.taken) is taken
    # What cannot be read is doubted with what can.
    assert (("0", "gpu_clock_mhz") in looked.taken) is taken
    if not taken:
        assert {left.kind.value for left in looked.decision.left} == {"differs-from-board"}
        assert "the file says 300 W, the board has" in looked.decision.left[0].reason
        assert looked.actions == {"/etc/rc.local": "leave"}


def test_the_last_of_several_wins_within_one_start(tmp_path: Path) -> None:
    looked = look(script(tmp_path, "nvidia-smi -pl 300", "nvidia-smi -i 1 -pl 200"), machine(RTX_3090, RTX_3090))
    assert looked.taken == {("0", "power_limit_w"): 300, ("1", "power_limit_w"): 200}
    assert looked.actions == {"/etc/rc.local": "edit"}


def test_a_fallback_is_dead_where_the_board_takes_the_first(tmp_path: Path) -> None:
    assert one(tmp_path, "-pl 340 || nvidia-smi -pl 300") == {("0", "power_limit_w"): 340}
    assert one(tmp_path, "-pl 500 || nvidia-smi -pl 300") == {}


def test_a_command_after_one_that_is_refused_is_not_certain(tmp_path: Path) -> None:
    assert one(tmp_path, "-pl 500 && nvidia-smi -pm 1") == {}
    assert one(tmp_path, "-pl 300 && nvidia-smi -pm 1") == {
        ("0", "persistence_mode"): True,
        ("0", "power_limit_w"): 300,
    }


def test_a_limit_that_something_may_set_is_not_held_against_it(tmp_path: Path) -> None:
    host = machine(power_limit_w=PowerLimit(250_000))
    assert "power_limit_w = 250" in write(host, look(tmp_path, host).decision)
    looked = look(script(tmp_path, "nvidia-smi -pl $WATTS"), host)
    assert "\npower_limit_w" not in write(host, looked.decision)


def test_what_nothing_starts_does_not_hinder_what_is_in_force(tmp_path: Path) -> None:
    host = machine(power_limit_w=PowerLimit(250_000))
    put(tmp_path, "/usr/local/bin/gpu-quiet", "#!/bin/sh\nnvidia-smi -pl 180\n", 0o755)
    text = write(host, look(tmp_path, host).decision)
    assert "\npower_limit_w = 250" in text
    assert "# power_limit_w = 180" in text


def test_a_value_that_a_script_may_have_computed_is_not_held_although_nothing_starts_the_script(
    tmp_path: Path,
) -> None:
    host = machine(power_limit_w=PowerLimit(137_000))
    put(tmp_path, "/opt/solar/follow", '#!/bin/sh\nnvidia-smi -pl "$(spare)"\n', 0o755)
    put(tmp_path, "/etc/systemd/system/follow.service", "[Service]\nExecStart=/opt/solar/follow\n")
    text = write(host, look(tmp_path, host).decision)
    assert "\npower_limit_w" not in text


def test_a_lock_is_never_lifted_by_way_of_doubt(tmp_path: Path) -> None:
    host = machine()
    text = write(host, look(script(tmp_path, "nvidia-smi -lgc $CLOCKS"), host).decision)
    assert "unlocked" not in text


@pytest.mark.parametrize(
    "selector",
    ["1", "GPU-5B1C9F2E-8D3A-4C1F-9A57-0E6B2D4F7C11", "0000:02:00.0", "00000000:02:00.0", "02:00.0", "2:0.0"],
)
def test_every_way_to_name_a_gpu(selector: str) -> None:
    first, second = boards(RTX_3090, RTX_3090)
    assert names((selector,), second)
    assert not names((selector,), first)


@pytest.mark.parametrize("selector", ["2", "0-1", "GPU-5b1c9f2e", "03:00.0", "x", ":.", "0:0:0:0.0"])
def test_what_names_no_gpu_that_is_here(selector: str) -> None:
    assert strangers((selector,), machine(RTX_3090, RTX_3090)) == (selector,)


LISTS = {
    "nvidia-smi -i 0,1 -pl 300": 300,
    "nvidia-smi -i 0,2 -pl 300": None,
    "nvidia-smi -i 0,2 -pl 300\nnvidia-smi -i 0 -pl 250": 250,
    "nvidia-smi -i 0 -pl 250\nnvidia-smi -i 0,2 -pl 300": None,
    "nvidia-smi -i 0,2 -pl 300 && nvidia-smi -i 0 -pl 250": None,
}


@pytest.mark.parametrize("calls", LISTS)
def test_a_call_that_also_names_a_gpu_that_is_not_here_sets_none(tmp_path: Path, calls: str) -> None:
    put(tmp_path, "/etc/rc.local", f"#!/bin/sh\n{calls}\n", 0o755)
    found = look(tmp_path, machine(RTX_3090, RTX_3090))
    assert found.taken.get(("0", "power_limit_w")) == LISTS[calls]
