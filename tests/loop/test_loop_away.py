"""A GPU or the driver that is away, for long or for a moment: told, waited for, and never in order by mistake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, DriverTrouble, GpuLost
from gpu_tuned.core.events import EventKind, message
from gpu_tuned.core.model import Setting
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


def _lost(stage: Stage) -> None:
    stage.gpus.gpus[board(1).gpu.uuid].lost = True


def _unusable(stage: Stage) -> None:
    stage.gpus.gpus[board(1).gpu.uuid].undescribed = "the driver is not ready"
    stage.start()


def _unbound(stage: Stage) -> None:
    stage.kernel.unbind(board(1).gpu.pci, "vfio-pci")


@pytest.mark.parametrize(
    ("how", "word"),
    [(_lost, "lost"), (_unusable, "absent"), (_unbound, "waiting")],
    ids=["lost", "absent", "unbound"],
)
def test_the_journal_has_the_word_of_status_for_a_gpu_that_is_away(how: Callable[[Stage], None], word: str) -> None:
    stage = Stage(CAP, board(0), board(1)).turn(2)
    before = len(stage.heard.events)
    how(stage)
    stage.turn(2)
    told = [message(event) for event in stage.heard.events[before:] if event.kind is EventKind.GPU_WAITING]
    assert stage.gpu_row(1)["state"] == word
    assert told == [f"{board(1).gpu.title}: {word}: {stage.gpu_row(1)['message']}"]


def test_apply_has_the_word_of_status_for_what_is_only_watched() -> None:
    stage = Stage(CAP, observe=True).turn(2)
    told = stage.ask("apply").parameters["message"]
    assert "; 0000:01:00.0 power limit differs" in told
    assert "watched" not in told


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


def test_what_an_earlier_run_knew_waits_until_the_driver_was_asked() -> None:
    """It answers to no question before that: "absent" would be a guess, and trouble for whoever asks in time."""
    stage = Stage(CAP, board(0), board(1)).turn(2)
    stage.gpus.gpus[board(1).gpu.uuid].bound = False
    stage.kernel.bindings.pop(board(1).gpu.pci)
    stage.kernel.drivers.pop(board(1).gpu.pci)
    stage.start()
    assert [gpu["state"] for gpu in stage.mailbox.document["gpus"]] == ["waiting", "waiting"]
    assert stage.gpu_row(0)["message"] == "the driver was not asked yet"
    assert (stage.exit_code, stage.wait_code, stage.settled) == (1, 1, False)
    stage.turn(1)
    assert [gpu["state"] for gpu in stage.mailbox.document["gpus"]] == ["ok", "absent"]
    assert stage.gpu_row(1)["message"] == "seen earlier in this boot; the driver does not list it now"
    assert stage.exit_code == 5
