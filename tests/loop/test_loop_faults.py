"""The word must hold: situations in which "in order" was said and was not so, or in which the daemon gave up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_tuned.core.errors import DriverAbsent, DriverRefused, GpuLost
from gpu_tuned.core.gpu_state import Presence
from gpu_tuned.core.model import ApplicationClocks, Board, ComputeMode, PowerLimit, Setting
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


# --- state carried over a change of mode


@pytest.mark.parametrize(
    "between",
    [
        policy("power_limit_w = 450", daemon='mode = "observe"'),
        policy("power_limit_w = 450", 'watch = ["power_limit_w"]'),
        policy("persistence_mode = true"),
    ],
    ids=["observed", "watched", "no rule"],
)
def test_what_was_enforced_before_a_change_of_mode_is_not_believed_after_it(between: str) -> None:
    stage = Stage(policy("power_limit_w = 600")).turn(2)
    stage.load(between)
    stage.turn(2)
    assert stage.limit_w() == 600
    stage.load(policy("power_limit_w = 450"))
    assert (stage.limit_w(), stage.row()["state"], stage.row()["observed"]) == (450, "held", 450)


def test_the_same_goal_under_another_rule_is_looked_at_anew() -> None:
    stage = Stage(policy("gpu_clock_mhz = { max = 1500 }")).turn(2)
    writes = len(stage.gpu.writes)
    stage.load(policy("gpu_clock_mhz = { max = 1500 }", 'reason = "other words"'))
    assert len(stage.gpu.writes) == writes, "words alone are no other rule"
    stage.load("gpu = []")
    stage.load(policy("gpu_clock_mhz = { max = 1500 }"))
    assert len(stage.gpu.writes) == writes + 1


# --- absence


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


# --- originals


def full() -> str:
    return policy('profile = "full"')


def test_two_strangers_in_a_row_are_put_right_under_a_shipped_profile() -> None:
    stage = Stage(full()).turn(2)
    for watts in (500, 420):
        stage.stranger(watts)
        stage.turn(2)
        assert (stage.limit_w(), stage.row()["state"], stage.row()["original"]) == (700, "held", 700)


def test_also_where_the_daemon_was_restarted_after_the_first_put_back() -> None:
    stage = Stage(full()).turn(2)
    stage.stranger(500)
    stage.turn(2)
    stage.stranger(420)
    stage.start()
    assert stage.turn(2).limit_w() == 700


def test_observe_mode_takes_originals_and_a_strangers_later_value_is_none() -> None:
    stage = Stage(policy("power_limit_w = 450", daemon='mode = "observe"')).turn(2)
    assert stage.gpu.writes == []
    stage.stranger(500)
    stage.turn(2)
    stage.load(policy("power_limit_w = 450"))
    assert stage.row()["original"] == 700
    stage.ask("restore")
    assert stage.limit_w() == 700


def test_an_observer_keeps_nothing() -> None:
    stage = Stage(CAP).turn(2)
    saves = len(stage.this_boot.saves), len(stage.lasting.saves)
    watching = Stage(CAP, observe=True)
    watching.this_boot, watching.lasting = stage.this_boot, stage.lasting
    watching.start()
    watching.turn(3)
    watching.load(policy("power_limit_w = 400"))
    assert (len(stage.this_boot.saves), len(stage.lasting.saves)) == saves
    assert watching.gpu.writes == []


def test_a_write_that_was_refused_leaves_no_original_to_the_next_run() -> None:
    """The owner lowers the limit after our write was refused: a shipped profile must not raise it again."""
    stage = Stage(policy("power_limit_w = 500"))
    stage.gpu.refuses[POWER] = DriverRefused("not permitted")
    stage.turn(2)
    stage.gpu.refuses.clear()
    stage.stranger(420)
    stage.text = full()
    stage.start()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["state"], stage.row()["original"]) == (420, "refused", 420)
    assert "would raise the limit from 420 W" in stage.row()["message"]


def test_a_binding_that_was_not_seen_when_attaching_is_learned_and_costs_no_original() -> None:
    stage = Stage(CAP)
    binding = stage.kernel.bindings.pop(board().gpu.pci)
    stage.turn(2)
    stage.kernel.bindings[board().gpu.pci] = binding
    stage.turn(2)
    assert stage.row()["original"] == 700
    assert stage.gpus.attaches == 1
    stage.kernel.bindings[board().gpu.pci] = "bound anew"
    stage.gpu.reinitialise()
    stage.stranger(600)
    stage.turn(2)
    assert stage.gpus.attaches == 2
    assert stage.row()["original"] == 600, "a new binding is another initialisation"


def test_one_counter_that_runs_backwards_drops_no_original() -> None:
    stage = Stage(CAP).turn(2)
    stage.gpu.counters_ns[74] = 0
    stage.turn(30)
    assert stage.row()["original"] == 700
    assert "reinitialised" not in stage.said()
    stage.gpu.counters_ns = dict.fromkeys(stage.gpu.counters_ns, 0)
    stage.stranger(650)
    stage.turn(30)
    assert "reinitialised" in stage.said()


def test_a_reading_outside_of_what_the_board_allows_is_no_original() -> None:
    stage = Stage(CAP)
    stage.stranger(900)
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (450, None)


def test_a_first_reading_that_comes_later_is_marked_so() -> None:
    stage = Stage(CAP)
    stage.gpu.unreadable[POWER] = "timed out"
    stage.turn(2)
    assert (stage.row()["original"], stage.row()["state"]) == (None, "waiting")
    stage.gpu.unreadable.clear()
    stage.turn()
    assert (stage.row()["original"], stage.row()["original_late"], stage.limit_w()) == (700, True, 450)


def test_what_is_restored_twice_is_restored_once() -> None:
    stage = Stage(CAP).turn(2)
    stage.ask("restore")
    assert (stage.limit_w(), stage.row()["state"]) == (700, "restored")
    assert stage.settled and stage.wait_code == 1
    stage.stranger(500)
    stage.ask("restore")
    assert stage.limit_w() == 500
    stage.ask("apply")
    assert (stage.limit_w(), stage.row()["original"]) == (450, 700)


def test_a_value_that_is_not_the_default_shows_that_no_initialisation_ended() -> None:
    stage = Stage(policy('compute_mode = "prohibited"', "persistence_mode = true")).turn(2)
    assert stage.row()["original"] == 700
    stage.stranger(411)
    stage.gpu.values[Setting.COMPUTE_MODE] = ComputeMode.DEFAULT
    stage.gpu.values[Setting.PERSISTENCE_MODE] = False
    stage.start()  # a start looks whether the initialisation is the one that is known
    stage.turn(2)
    assert (stage.row()["observed"], stage.row()["original"]) == (411, 700)


def test_an_initialisation_that_is_noticed_late_makes_no_original_of_our_own_value() -> None:
    stage = Stage(policy("persistence_mode = true", "power_limit_w = 450")).turn(3)
    stage.gpu.reinitialise()
    stage.gpu.counters_ns = dict.fromkeys(stage.gpu.counters_ns, 0)
    stage.turn()
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    stage.turn()
    assert "reinitialised" in stage.said(), "the counters are read at the look after a value was put right"
    assert (stage.row()["original"], stage.row()["written"]) == (700, True)
    stage.ask("restore")
    assert stage.limit_w() == 700


def test_what_cannot_be_read_just_now_does_not_show_that_an_initialisation_ended() -> None:
    stage = Stage(policy('compute_mode = "prohibited"')).turn(2)
    stage.gpu.unreadable[POWER] = "timed out"
    stage.gpu.values[Setting.COMPUTE_MODE] = ComputeMode.DEFAULT
    stage.start()
    stage.turn(2)
    stage.stranger(411)
    stage.gpu.unreadable.clear()
    stage.turn(2)
    assert (stage.row()["observed"], stage.row()["original"]) == (411, 700)
    assert "reinitialised" not in stage.said()


def test_the_first_reading_of_an_initialisation_is_the_original_although_it_comes_late() -> None:
    stage = Stage(CAP).turn(2)
    stage.gpu.unreadable[POWER] = "timed out"
    stage.turn()
    stage.kernel.bindings[stage.gpu.board.gpu.pci] = "anew"
    stage.gpu.reinitialise()
    stage.turn(2)
    assert stage.row()["original"] is None
    stage.gpu.unreadable.clear()
    stage.turn()
    assert (stage.limit_w(), stage.row()["original"], stage.row()["original_late"]) == (450, 700, True)


def test_a_default_that_is_wished_as_well_is_the_original_of_a_new_initialisation() -> None:
    stage = Stage(policy("power_limit_w = 700"))
    stage.stranger(360)
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (700, 360)
    stage.kernel.bindings[stage.gpu.board.gpu.pci] = "anew"
    stage.gpu.reinitialise()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (700, 700)


def test_a_new_binding_is_remembered_although_the_same_was_found_under_it() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.ask("restore")
    stage.kernel.bindings[stage.gpu.board.gpu.pci] = "anew"
    stage.gpu.reinitialise()
    stage.turn(2)
    assert stage.row()["original"] == 700
    stage.stranger(552)
    stage.start()
    stage.turn(2)
    assert (stage.row()["original"], stage.limit_w()) == (700, 450)


def test_what_the_driver_made_of_a_goal_is_known_after_a_restart() -> None:
    stage = Stage(policy("power_limit_w = 450.5")).turn(2)
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    writes = len(stage.gpu.writes)
    stage.start()
    stage.turn(2)
    assert (len(stage.gpu.writes), stage.row()["state"], stage.row()["accepted"]) == (writes, "held", 450)


# --- a precondition wider than its reason


def test_a_required_cap_is_written_although_nothing_can_be_saved() -> None:
    stage = Stage(policy("power_limit_w = 450", "persistence_mode = true", 'required = ["power_limit_w"]'))
    stage.this_boot.full = stage.lasting.full = "no space left on device"
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    other = stage.row("persistence_mode")
    assert other["state"] == "refused" and "no space" in other["message"]
    assert "state_unsaved" in stage.said()


def test_what_was_written_before_needs_no_disk() -> None:
    stage = Stage(policy("power_limit_w = 450")).turn(2)
    stage.this_boot.full = "read-only file system"
    stage.stranger(700)
    assert (stage.turn().limit_w(), stage.row()["state"]) == (450, "held")


def test_an_original_is_saved_before_the_first_write_of_its_setting() -> None:
    stage = Stage(policy("power_limit_w = 450"))
    saved: list[bool] = []

    def before(gpu: object, setting: Setting) -> None:
        (known,) = stage.this_boot.saves[-1]["gpus"].values()
        saved.append(known["records"][setting.value]["written"])

    stage.gpus.on_write = before
    stage.turn()
    assert saved == [True]


# --- no memory between look and act


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


# --- believed without evidence


def test_a_deaf_driver_is_not_believed_however_near_its_value_is() -> None:
    stage = Stage(CAP)
    stage.stranger(459)
    stage.gpu.deaf = True
    stage.turn(3)
    assert (stage.row()["state"], stage.row()["accepted"], stage.wait_code) == ("refused", None, 1)
    stage.gpu.deaf = False
    assert stage.turn().row()["state"] == "held"


def test_the_status_line_never_says_held_of_what_cannot_be_read() -> None:
    stage = Stage(policy("gpu_clock_mhz = { max = 1500 }")).turn(2)
    assert "held" not in stage.service.line
    assert "requested: no driver call can read a clock lock" in stage.service.line
    stage.ask("restore")
    told = [event for event in stage.heard.events if event.setting is Setting.GPU_CLOCK]
    assert told[-1].kind.word == "reset_requested"


# --- budget and plan


def test_a_board_with_no_wish_counts_with_its_limit_in_force() -> None:
    text = '[host]\ngpu_power_budget_w = 900\n[[gpu]]\nmatch = { pci = "0000:01:00.0" }\npower_limit_w = 450\n'
    stage = Stage(text, board(0), board(1)).turn(2)
    document = stage.mailbox.document["policy"]
    assert (document["state"], stage.limit_w()) == ("restricted", 700)
    assert "450 W" in document["error"] and "700 W" in document["error"]


def test_over_budget_at_a_first_start_only_required_limits_that_lower_are_written() -> None:
    rule = '[[gpu]]\nmatch = {{ pci = "0000:0{}:00.0" }}\npersistence_mode = true\npower_limit_w = {}\n{}\n'
    rules = "".join(
        rule.format(i, watts, required)
        for i, watts, required in ((1, 600, 'required = ["power_limit_w"]'), (2, 650, ""))
    )
    stage = Stage("[host]\ngpu_power_budget_w = 1000\n" + rules, board(0), board(1)).turn(2)
    assert [stage.limit_w(i) for i in (0, 1)] == [600, 700]
    for gpu, setting in ((0, "persistence_mode"), (1, "persistence_mode"), (1, "power_limit_w")):
        assert stage.row(setting, gpu)["state"] == "refused"
        assert "gpu_power_budget_w = 1000" in stage.row(setting, gpu)["message"]
    assert (stage.exit_code, stage.settled) == (1, True)


def test_a_policy_that_does_not_fit_falls_back_on_the_last_that_did_also_when_it_was_loaded_blindly() -> None:
    fits, exceeds = (
        policy("power_limit_w = 450", host="gpu_power_budget_w = 500"),
        policy("power_limit_w = 600", host="gpu_power_budget_w = 500"),
    )
    stage = Stage(fits).turn(2)
    stage.gpus.absent = DriverAbsent("not loaded")
    stage.kernel.loaded = None
    stage.start()
    stage.turn(2)
    assert stage.load(exceeds).error is None, "no board is at hand to judge it by"
    stage.start()
    stage.gpus.absent, stage.kernel.loaded = None, "580.159.04"
    stage.turn(3)
    assert (stage.mailbox.document["policy"]["state"], stage.limit_w()) == ("last_good", 450)


def test_a_policy_that_was_loaded_while_no_gpu_was_seen_is_the_last_good_one() -> None:
    stage = Stage(CAP)
    stage.gpus.absent = DriverAbsent("not loaded")
    stage.turn(2)
    stage.load(policy("power_limit_w = 500"))
    stage.text = "nonsense"
    stage.start()
    stage.gpus.absent = None
    stage.turn(30)
    assert (stage.mailbox.document["policy"]["state"], stage.limit_w()) == ("last_good", 500)


def test_what_the_driver_just_refused_is_planned_as_refused() -> None:
    stage = Stage(CAP)
    stage.gpu.refuses[POWER] = DriverRefused("not permitted")
    stage.turn(2)
    plan = stage.plan()
    assert [row["setting"] for row in plan["refusals"]] == ["power_limit_w"]
    assert "not permitted" in plan["refusals"][0]["why"]
    assert plan["changes"] == []


def test_what_is_away_is_planned_as_what_cannot_be() -> None:
    stage = Stage(CAP)
    stage.gpu.undescribed = "not ready"
    stage.turn()
    assert {row["setting"] for row in stage.plan()["refusals"]} == {"persistence_mode", "power_limit_w"}


def test_every_row_that_is_not_in_order_has_its_reason() -> None:
    stage = Stage(CAP).turn(2)
    steps = (
        lambda: stage.load(policy("persistence_mode = true")),
        lambda: stage.ask("restore"),
        lambda: stage.load(CAP),
        lambda: stage.ask("restore", gpu="0", setting="power_limit_w"),
    )
    for step in steps:
        step()
        rows = stage.gpu_row()["settings"]
        assert all(row["in_order"] or row["message"] for row in rows), rows


def test_mig_is_read_again() -> None:
    stage = Stage(policy('compute_mode = "exclusive_process"')).turn(2)
    assert stage.row("compute_mode")["state"] == "held"
    absent = {Setting.COMPUTE_MODE: "MIG is on"}
    stage.gpu.board = board(0, mig=True, absent=absent)
    see = stage.gpus.see

    def with_mig(uuid: str, look: object) -> object:
        return replace(see(uuid, look), mig=True)  # type: ignore[arg-type]

    stage.gpus.see = with_mig  # type: ignore[assignment, method-assign]
    stage.turn(3)
    assert (stage.row("compute_mode")["state"], stage.row("compute_mode")["message"]) == ("refused", "MIG is on")


def test_the_host_goes_the_same_way() -> None:
    stage = Stage(policy("persistence_mode = true", host='numa_balancing = "off"')).turn(2)
    (row,) = stage.mailbox.document["host"]["settings"]
    assert (row["state"], row["original"], stage.kernel.knob) == ("held", "on", "off")
    assert stage.ask("restore", setting="numa_balancing").error is None
    assert (stage.kernel.knob, stage.mailbox.document["host"]["settings"][0]["state"]) == ("on", "restored")


def test_an_absent_board_is_nobody_until_the_kernel_names_it() -> None:
    stage = Stage(CAP, board(0), board(1))
    stage.kernel.knows_names = False
    list(stage.gpus.gpus.values())[1].undescribed = "not ready"
    stage.turn()
    state = stage.supervisor.inventory.states[board(1).gpu.pci]
    assert (state.presence, state.gpu.uuid, state.gpu.pci) == (Presence.ABSENT, "", board(1).gpu.pci)
    assert stage.wait_code == 1


def test_limits_are_only_ever_written_inside_the_board() -> None:
    small: Board = board(0, least_w=100, most_w=300, default_w=300)
    stage = Stage(CAP, small).turn(3)
    assert [value for setting, value in stage.gpu.writes if setting is POWER] == []
    assert stage.limit_w() == 300
    assert stage.row()["state"] == "refused"
    assert isinstance(stage.gpu.values[POWER], PowerLimit)


def test_application_clocks_that_somebody_lowered_are_seen_within_ninety_looks() -> None:
    text = policy("application_clocks_mhz = { memory = 3201, gpu = 1500 }")
    stage = Stage(text, board(0, default_application_clocks=ApplicationClocks(3201, 1980))).turn(2)
    wanted = ApplicationClocks(3201, 1500)
    assert stage.gpu.values[Setting.APPLICATION_CLOCKS] == wanted
    stage.gpu.values[Setting.APPLICATION_CLOCKS] = ApplicationClocks(3201, 1200)
    looks = [look.application_clocks for _, look in stage.gpus.looks]
    stage.turn(90)
    assert stage.gpu.values[Setting.APPLICATION_CLOCKS] == wanted
    assert sum(look.application_clocks for _, look in stage.gpus.looks[len(looks) :]) <= 3


def test_a_gpu_under_no_address_is_not_missed_at_its_own() -> None:
    odd = board(0)
    stage = Stage(CAP, replace(odd, gpu=replace(odd.gpu, pci="-")))
    stage.kernel.bindings = {odd.gpu.pci: "bound"}
    stage.kernel.identity = lambda pci: replace(odd.gpu, pci=pci)  # type: ignore[method-assign]
    stage.turn(3)
    assert [row["state"] for row in stage.mailbox.document["gpus"]] == ["ok"]
    assert (stage.exit_code, stage.limit_w()) == (0, 450)


def test_the_plan_advises_on_what_is_known_to_go_wrong() -> None:
    stage = Stage(policy('power_limit_w = "80%"'), board(0, most_w=600, default_w=450)).turn(2)
    advice = {row["id"]: row for row in stage.plan()["advice"]}
    assert advice["share-above-default"]["setting"] == "power_limit_w"
    stage.text = policy('power_limit_w = "80%"', 'accept = ["share-above-default"]')
    assert "share-above-default" not in {row["id"] for row in stage.plan()["advice"]}
