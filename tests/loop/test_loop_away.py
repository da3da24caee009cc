"""A GPU or the driver that is away, for long or for a moment: told, waited for, and never in order by mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, DriverTrouble, GpuLost
from gpu_tuned.core.events import message
from gpu_tuned.core.gpu_state import Presence
from gpu_tuned.core.model import PowerLimit, Setting
from gpu_tuned.core.which import Names, meant
from gpu_tuned.ctl.verify import compare
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


@pytest.mark.parametrize("error", [DriverAbsent, DriverMismatch, DriverTrouble])
def test_a_driver_of_which_nothing_is_known_is_trouble_whatever_it_says(error: type[DriverError]) -> None:
    """One that is there and cannot be used (half installed, out of memory) tells no more of its GPUs than none."""
    stage = Stage()
    stage.gpus.absent = error("no good")
    assert (stage.turn().exit_code, stage.wait_code) == (5, 1)


def test_a_gpu_that_is_lost_before_the_start_is_told_and_not_in_order() -> None:
    stage = Stage(CAP, board(0), board(1))
    lost = list(stage.gpus.gpus.values())[1]
    lost.lost = True
    stage.turn()
    assert [stage.gpu_row(i)["state"] for i in (0, 1)] == ["ok", "absent"]
    assert "cannot use it" in stage.gpu_row(1)["message"]
    assert (stage.exit_code, stage.wait_code) == (5, 1)
    assert {row["state"] for row in stage.gpu_row(1)["settings"]} == {"absent"}
    lost.lost = False
    stage.turn(15)
    assert (stage.exit_code, stage.wait_code, stage.limit_w(1)) == (0, 0, 450)


@pytest.mark.parametrize("knows_names", [True, False])
def test_a_passing_failure_while_attaching_is_over_when_it_is_over(knows_names: bool) -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.knows_names = knows_names
    for gpu in stage.gpus.gpus.values():
        gpu.undescribed = "the driver is not ready"
    stage.turn()
    assert len(stage.mailbox.document["gpus"]) == 2
    assert (stage.exit_code, stage.wait_code) == (5, 1)
    assert "the driver is not ready" in stage.gpu_row(0)["message"]
    attaches = stage.gpus.attaches
    for gpu in stage.gpus.gpus.values():
        gpu.undescribed = None
    stage.turn(5)
    assert (stage.exit_code, stage.wait_code) == (0, 0)
    assert len(stage.mailbox.document["gpus"]) == 2
    assert stage.gpus.attaches == attaches, "nobody is attached anew for it"


def test_a_gpu_that_cannot_be_described_is_asked_for_for_ever_and_the_others_stay_attached() -> None:
    stage = Stage(policy("power_limit_w = 450"), board(0), board(1))
    list(stage.gpus.gpus.values())[1].undescribed = "the operating system blocks the access"
    stage.turn(200)
    assert stage.gpus.attaches == 1, "persistence mode is off: a shutdown could cost the other one its limit"
    list(stage.gpus.gpus.values())[1].undescribed = None
    stage.turn(16)
    assert stage.exit_code == 0


def test_a_gpu_that_this_boot_has_seen_is_missed_after_a_restart() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    gone = stage.gpus.gpus.pop(board(1).gpu.uuid)
    stage.kernel.bindings.pop(gone.board.gpu.pci)
    stage.kernel.drivers.pop(gone.board.gpu.pci)
    stage.start()
    stage.turn(2)
    assert [row["state"] for row in stage.mailbox.document["gpus"]] == ["ok", "absent"]
    assert stage.gpu_row(1)["message"]
    assert (stage.exit_code, stage.wait_code) == (5, 1)


def test_fewer_gpus_than_the_policy_says_is_not_in_order_also_after_a_reboot() -> None:
    stage = Stage(policy("persistence_mode = true", host="gpus = 2"), board(0)).turn(2)
    assert "1 of the 2 GPUs are here" in stage.mailbox.document["host"]["message"]
    assert (stage.exit_code, stage.wait_code) == (5, 1)
    stage.kernel.boot = "another boot"
    stage.start()
    assert stage.turn(2).exit_code == 5


@pytest.mark.parametrize("to", ["", "vfio-pci"])
def test_a_gpu_that_was_taken_from_the_driver_on_purpose_is_in_order(to: str) -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    stage.kernel.unbind(board(1).gpu.pci, to)
    stage.turn(2)
    row = stage.gpu_row(1)
    assert (row["state"], row["in_order"]) == ("waiting", True)
    assert ("vfio-pci" in row["message"]) == bool(to)
    assert {setting["state"] for setting in row["settings"]} == {"waiting"}
    assert (stage.exit_code, stage.wait_code) == (0, 0)


@pytest.mark.parametrize("demand", ["by name of the board", "by number"])
def test_unless_the_policy_demands_it(demand: str) -> None:
    rule = f'[[gpu]]\nmatch = {{ uuid = "{board(1).gpu.uuid}" }}\npower_limit_w = 400\n'
    text = CAP + rule if demand == "by name of the board" else policy("power_limit_w = 450", host="gpus = 2")
    stage = Stage(text, board(0), board(1)).turn(2)
    stage.kernel.unbind(board(1).gpu.pci)
    stage.turn(2)
    assert not stage.gpu_row(1)["in_order"]
    assert stage.exit_code != 0


def test_a_driver_that_is_unloaded_is_no_purpose() -> None:
    stage = Stage(CAP).turn(2)
    stage.kernel.loaded = None
    stage.kernel.unbind(board().gpu.pci)
    stage.gpus.absent = DriverAbsent("the NVIDIA driver is not loaded")
    stage.turn(3)
    assert not stage.gpu_row()["in_order"]
    assert (stage.exit_code, stage.wait_code) == (5, 1)


def test_a_driver_that_lets_go_of_its_gpus_before_it_is_unloaded_is_no_purpose_either() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    for gpu in stage.gpus.gpus.values():
        stage.kernel.unbind(gpu.board.gpu.pci)
    stage.turn()  # in the middle of the unloading
    stage.kernel.loaded, stage.gpus.absent = None, DriverAbsent("the NVIDIA driver is not loaded")
    stage.turn()
    assert [(row["state"], row["in_order"]) for row in (stage.row(gpu=0), stage.row(gpu=1))] == 2 * [
        ("absent", False)
    ]
    assert (stage.exit_code, stage.wait_code) == (5, 1)


def test_a_gpu_of_another_driver_stays_so_while_nvidias_is_not_loaded() -> None:
    stage = Stage(CAP, board(0)).turn(2)
    stage.kernel.unbind(stage.gpu.board.gpu.pci, "vfio-pci")
    stage.turn()
    stage.kernel.loaded, stage.gpus.absent = None, DriverAbsent("the NVIDIA driver is not loaded")
    stage.turn()
    assert (stage.row()["state"], stage.row()["in_order"]) == ("waiting", True)


def test_a_driver_let_go_of_before_it_was_met_hides_no_missing_gpu() -> None:
    stage = Stage(policy("persistence_mode = true", host="gpus = 1"), board(0))
    stage.kernel.unbind(stage.gpu.board.gpu.pci)
    stage.kernel.loaded, stage.gpus.absent = None, DriverAbsent("the NVIDIA driver is not loaded")
    stage.turn()
    stage.ask("release")
    assert stage.exit_code == 5
    assert stage.mailbox.document["host"]["message"] == "0 of the 1 GPUs are here that [host] gpus asks for"
    stage.load(f'[[gpu]]\nmatch = {{ uuid = "{stage.gpu.uuid}" }}\npower_limit_w = 450\n')
    assert stage.exit_code == 1, "a rule names a GPU that is not here"


def test_a_gpu_that_sleeps_is_in_order_and_its_row_names_its_rule() -> None:
    stage = Stage(CAP)
    stage.kernel.sleeping.add(board().gpu.pci)
    stage.turn(3)
    assert stage.gpus.looks == [], "a look would wake it"
    row = stage.row()
    assert (stage.gpu_row()["state"], row["state"], row["in_order"]) == ("asleep", "asleep", True)
    assert row["origin"] == "gpu-tuned.toml gpu[0].power_limit_w"
    assert row["observed"] is None
    assert (stage.exit_code, stage.wait_code) == (0, 0)
    stage.kernel.sleeping.clear()
    stage.turn()
    assert (stage.row()["state"], stage.limit_w()) == ("held", 450)


def test_what_was_read_before_it_slept_is_read_again() -> None:
    stage = Stage(CAP).turn(2)
    stage.kernel.sleeping.add(board().gpu.pci)
    stage.turn(2)
    stage.stranger(700)
    stage.kernel.sleeping.clear()
    assert stage.turn().limit_w() == 450


def test_a_released_gpu_is_in_order_and_the_others_wait() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    stage.ask("release", gpu="0")
    assert [row["state"] for row in stage.mailbox.document["gpus"]] == ["released", "waiting"]
    assert [row["in_order"] for row in stage.mailbox.document["gpus"]] == [True, False]
    why = "let go of on request to free NVIDIA H200 0000:01:00.0 until `gpu-tunedctl resume`"
    assert (stage.mailbox.document["driver"]["message"], stage.gpu_row(1)["message"]) == (why, why)
    assert "every other GPU waits" not in stage.ask("release", for_s=60).parameters["message"]
    assert stage.mailbox.document["driver"]["message"].endswith("for 1m, or until `gpu-tunedctl resume`")
    stage.ask("release")
    stage.turn()
    assert stage.exit_code == 0
    stage.ask("resume")
    assert stage.turn(2).exit_code == 0


def test_a_range_that_could_not_be_asked_makes_the_setting_wait_and_is_asked_again() -> None:
    stage = Stage(CAP, board(0, unknown={POWER: "its range is not known: the driver is not ready"})).turn(2)
    assert (stage.row()["state"], stage.wait_code) == ("waiting", 1)
    assert "not ready" in stage.row()["message"]
    stage.gpu.board = board(0)
    assert (stage.turn(3).row()["state"], stage.limit_w()) == ("held", 450)


def test_a_gpu_whose_address_the_driver_did_not_say_is_known_by_the_kernels() -> None:
    stage = Stage(CAP, board(0), board(1))
    address, gpu = stage.gpu.board.gpu.pci, stage.gpu.board.gpu
    stage.kernel.identity = lambda pci: gpu if pci == address else None  # type: ignore[method-assign]
    stage.gpu.board = replace(stage.gpu.board, gpu=replace(gpu, pci="-"))
    stage.turn()
    assert [stage.gpu_row(i)["state"] for i in range(2)] == ["ok", "ok"]
    assert (stage.gpu_row()["pci"], stage.limit_w(), stage.exit_code) == (address, 450, 0)


def test_apply_attaches_again_for_a_lost_gpu_without_waiting_for_the_pause() -> None:
    stage = Stage(policy("persistence_mode = true", "power_limit_w = 450"), board(0), board(1)).turn(2)
    lost = stage.gpu
    stage.kernel.on_bus = lambda pci: True  # type: ignore[method-assign]
    lost.lost = True
    stage.turn(4)
    attaches = stage.gpus.attaches
    stage.gpus.on_attach = lambda: setattr(lost, "lost", False)
    stage.turn(2)
    assert stage.gpus.attaches == attaches, "by itself it waits"
    stage.ask("apply")
    stage.turn()
    assert (stage.gpus.attaches, stage.exit_code, stage.limit_w()) == (attaches + 1, 0, 450)


def test_a_gpu_that_a_rule_names_and_that_is_missing_fails_a_wait_where_its_cap_is_required() -> None:
    named = 'match = { uuid = "GPU-0badcafe-0000-4000-8000-000000000000" }'
    stage = Stage(f'{CAP}\n[[gpu]]\n{named}\ncompute_mode = "default"\n').turn(2)
    assert (stage.limit_w(), stage.wait_code) == (450, 1)
    stage = Stage(f'{policy("power_limit_w = 450")}\n[[gpu]]\n{named}\ncompute_mode = "default"\n').turn(2)
    assert stage.wait_code == 0, "nothing is required"


@pytest.mark.parametrize("error", [GpuLost("the GPU is lost"), DriverAbsent("the NVIDIA driver is not loaded")])
def test_a_setter_that_speaks_of_the_whole_gpu_is_its_own_failure_alone(error: Exception) -> None:
    stage = Stage(policy("power_limit_w = 450", 'compute_mode = "exclusive_process"'))
    stage.gpu.refuses[POWER] = error  # type: ignore[assignment]
    stage.turn(300)
    assert stage.gpus.attaches == 1
    assert stage.gpu_row()["state"] == "ok"
    assert stage.row("compute_mode")["state"] == "held"
    assert len([s for s, _ in stage.gpu.writes if s is POWER]) < 12, "tried less and less often"
    assert len(stage.heard.events) < 10


def test_a_driver_that_goes_away_at_every_look_is_attached_less_and_less_often() -> None:
    stage = Stage(CAP).turn(2)

    def gone(uuid: str, look: object) -> None:
        raise DriverAbsent("the NVIDIA driver is not loaded")

    stage.gpus.see = gone  # type: ignore[assignment, method-assign]
    stage.turn(300)
    assert stage.gpus.attaches < 80
    assert len(stage.heard.events) < 90


def test_a_gpu_that_answers_and_is_lost_again_is_asked_less_and_less_often() -> None:
    stage = Stage(CAP).turn(2)
    for _ in range(150):
        stage.gpu.lost = True
        stage.turn()
        stage.gpu.lost = False
        stage.turn()
    assert len([kind for kind in stage.said() if kind == "gpu_waiting"]) < 50


def test_an_absent_board_is_nobody_until_the_kernel_names_it() -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.knows_names = False
    list(stage.gpus.gpus.values())[1].undescribed = "not ready"
    stage.turn()
    state = stage.supervisor.inventory.states[board(1).gpu.pci]
    assert (state.presence, state.gpu.uuid, state.gpu.pci) == (Presence.ABSENT, "", board(1).gpu.pci)
    assert stage.wait_code == 1


def test_two_gpus_at_one_address_are_told_apart_by_the_kernel() -> None:
    """The driver gives both the same; the one that is not there would be the wrong one to watch and to name."""
    twin = replace(board(1), gpu=replace(board(1).gpu, pci=board(0).gpu.pci))
    stage = Stage(CAP, board(0), board(1))
    stage.gpus.gpus[twin.gpu.uuid].board = twin
    known = {gpu.pci: gpu for gpu in (board(0).gpu, board(1).gpu)}
    stage.kernel.identity = lambda pci: known.get(pci)  # type: ignore[method-assign]
    stage.start()
    stage.turn(2)
    assert [row["pci"] for row in stage.mailbox.document["gpus"]] == ["0000:01:00.0", "0000:02:00.0"]
    assert stage.exit_code == 0


def test_a_gpu_without_an_address_is_named_by_its_uuid() -> None:
    """As on a Jetson: "- power limit refused" tells nobody which."""
    nowhere = replace(board(0), gpu=replace(board(0).gpu, pci="-"))
    stage = Stage(policy("power_limit_w = 9000"), nowhere)
    stage.kernel.bindings.clear()
    answer = stage.ask("apply")
    assert answer.parameters["message"] == "applied; not in order: GPU-00000000 power limit refused"
    assert "NVIDIA H200 GPU-00000000: power limit" in "\n".join(map(message, stage.heard.events))
    assert stage.load(CAP).parameters["in_order"]
    assert stage.ask("restore").parameters["message"].startswith("restored: GPU-00000000 power limit 700 W")


def test_a_gpu_under_no_address_is_not_missed_at_its_own() -> None:
    odd = board(0)
    stage = Stage(CAP, replace(odd, gpu=replace(odd.gpu, pci="-")))
    stage.kernel.bindings = {odd.gpu.pci: "bound"}
    stage.kernel.identity = lambda pci: replace(odd.gpu, pci=pci)  # type: ignore[method-assign]
    stage.turn(3)
    assert [row["state"] for row in stage.mailbox.document["gpus"]] == ["ok"]
    assert (stage.exit_code, stage.limit_w()) == (0, 450)


def test_one_that_the_driver_does_not_list_any_more_has_no_index() -> None:
    """GPU 0 is taken out: what was GPU 1 is GPU 0 then, and nobody else."""
    stage = Stage(CAP, board(0), board(1)).turn(2)
    first, second = list(stage.gpus.gpus.values())
    stage.kernel.unbind(first.board.gpu.pci)
    second.board = replace(second.board, index=0)
    stage.kernel.bindings[second.board.gpu.pci] = "anew"
    stage.turn(2)
    assert [(row["uuid"], row["index"]) for row in stage.mailbox.document["gpus"]] == [
        (second.uuid, 0),
        (first.uuid, -1),
    ]
    assert "restored" in str(stage.ask("restore", gpu="0").parameters)
    assert (stage.limit_w(1), stage.limit_w(0)) == (700, 450)


def test_an_address_means_the_gpu_that_is_there_now() -> None:
    there, before = Names(1, "GPU-b", "0000:01:00.0"), Names(-1, "GPU-a", "0000:01:00.0")
    for word in ("01:00.0", "0000:01:00.0"):
        assert meant([before, there], word) == [1]
    assert meant([before, there], "-1") == []
    assert meant([before, there], "gpu-a") == [0]


def test_a_rule_for_a_gpu_that_is_not_here_is_in_the_services_status_line_too() -> None:
    rule = '[[gpu]]\nmatch = { pci = "0000:99:00.0" }\npower_limit_w = 450\n'
    stage = Stage(policy("persistence_mode = true") + rule).turn(2)
    assert stage.exit_code == 1
    assert "1 of 1 settings in order" in stage.service.line
    assert stage.service.line.endswith("a rule matches no GPU")


def test_what_is_in_order_has_no_problems_for_programs_either() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.ask("release")
    report = compare(stage.mailbox.document)
    assert (stage.exit_code, report["in_order"], report["problems"], report["differs"]) == (0, True, [], [])


def test_whether_a_released_gpu_is_demanded_is_told_of_its_rows_as_of_itself() -> None:
    """A rule by address comes and goes while it is released; the others stay the same."""
    plain = policy("power_limit_w = 450")
    named = plain + '[[gpu]]\nmatch = { pci = "0000:01:00.0" }\npersistence_mode = true\n'
    stage = Stage(plain).turn(2)
    stage.ask("release")
    for text, in_order in ((plain, True), (named, False), (plain, True)):
        stage.load(text)
        assert stage.gpu_row()["in_order"] is in_order
        assert stage.row()["in_order"] is in_order
        assert compare(stage.mailbox.document)["in_order"] is in_order


@pytest.mark.parametrize(
    "error", [DriverAbsent("not loaded"), DriverMismatch("of two versions"), DriverTrouble("not ready")]
)
def test_apply_asks_a_driver_again_that_did_not_answer(error: DriverError) -> None:
    """Also in the middle of a pause, and says nothing of before."""
    stage = Stage(CAP).turn(2)
    stage.gpus.absent = error
    stage.ask("release")
    stage.ask("resume")
    stage.turn(20)
    assert stage.mailbox.document["driver"]["state"] != "ok"
    stage.gpus.absent = None
    answer = stage.ask("apply")
    assert (answer.error, answer.parameters["message"]) == (None, "applied")
    assert stage.exit_code == 0


def test_a_gpu_that_is_bound_anew_and_cannot_be_used_costs_the_others_one_attach() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(3)
    broken = list(stage.gpus.gpus.values())[1]
    pci, attaches = broken.board.gpu.pci, stage.gpus.attaches
    stage.kernel.unbind(pci)
    stage.turn(2)
    broken.undescribed = "it needs a reset"
    stage.kernel.bind(pci, "bound anew")
    stage.turn(14)
    assert stage.gpu_row(1)["state"] == "absent" and "it needs a reset" in stage.gpu_row(1)["message"]
    assert stage.gpus.attaches - attaches <= 2
    assert stage.said().count("gpu_back") <= 2, "the other GPU comes back no more often than it was let go of"
    broken.undescribed = None
    stage.turn(40)
    assert (stage.exit_code, stage.limit_w(1)) == (0, 450)


def test_a_gpu_that_is_bound_anew_and_does_not_answer_costs_the_others_one_attach() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(3)
    broken = list(stage.gpus.gpus.values())[1]
    attaches, broken.mute = stage.gpus.attaches, True
    broken.values[POWER] = PowerLimit(500_000)
    stage.kernel.bindings[broken.board.gpu.pci] = "bound anew"
    stage.turn(14)
    assert stage.gpu_row(1)["state"] == "lost"
    assert stage.gpus.attaches - attaches <= 2
    broken.mute = False
    stage.turn(40)
    assert (stage.exit_code, stage.limit_w(1), stage.row(gpu=1)["original"]) == (0, 450, 500)


def test_a_gpu_that_is_bound_again_while_the_driver_is_let_go_of_waits_as_the_others_do() -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    first, second = (gpu.board.gpu for gpu in stage.gpus.gpus.values())
    stage.kernel.unbind(second.pci, "vfio-pci")
    stage.turn(2)
    stage.ask("release", gpu=first.uuid)
    assert stage.gpu_row(1)["message"] == "bound to the driver vfio-pci, not to NVIDIA's"
    assert stage.exit_code == 0
    stage.kernel.bind(second.pci, "bound anew")
    stage.turn()
    assert stage.gpu_row(1)["message"].startswith("let go of on request")
    assert (stage.gpu_row(1)["in_order"], stage.exit_code) == (False, 1)


def test_a_driver_that_counts_no_gpu_for_a_moment_is_asked_again_also_where_the_kernel_shows_none() -> None:
    stage = Stage(CAP)
    stage.kernel.loaded, stage.kernel.bindings = None, {}
    stage.gpu.bound = False
    stage.turn(20)
    assert (stage.mailbox.document["gpus"], stage.exit_code, stage.wait_code) == ([], 1, 1)
    assert 3 <= stage.gpus.attaches <= 8, "asked anew, less and less often"
    stage.gpu.bound = True
    stage.turn(15)
    assert (stage.exit_code, stage.limit_w()) == (0, 450)


def test_where_no_gpu_can_be_used_the_driver_is_attached_again_within_half_a_minute() -> None:
    stage = Stage(CAP, board(0), board(1))
    for gpu in stage.gpus.gpus.values():
        gpu.undescribed = "not ready"
    stage.turn(300)
    attaches = stage.gpus.attaches
    stage.turn(15)
    assert stage.gpus.attaches > attaches


def test_fewer_gpus_than_there_must_be_are_asked_for_also_where_the_kernel_shows_none() -> None:
    stage = Stage(policy("power_limit_w = 450", host="gpus = 2"), board(0), board(1))
    stage.kernel.loaded, stage.kernel.bindings = None, {}
    second = list(stage.gpus.gpus.values())[1]
    second.bound = False
    assert stage.turn(10).exit_code == 5
    second.bound = True
    stage.turn(15)
    assert (stage.exit_code, stage.limit_w(1)) == (0, 450)


def test_a_host_whose_only_gpu_was_given_away_is_left_in_peace() -> None:
    stage = Stage(CAP).turn(2)
    stage.kernel.unbind(stage.gpu.board.gpu.pci, "vfio-pci")
    stage.turn(2)
    attaches = stage.gpus.attaches
    stage.turn(100)
    assert stage.gpus.attaches == attaches
