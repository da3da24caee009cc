"""What a GPU was found with: taken once for each initialisation, kept over restarts, given back once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_tuned.core.errors import DriverAbsent, DriverError, DriverMismatch, DriverRefused, DriverTrouble, GpuLost
from gpu_tuned.core.model import ComputeMode, PowerLimit, Setting
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


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


@pytest.mark.parametrize("error", [DriverTrouble, GpuLost, DriverAbsent, DriverMismatch])
@pytest.mark.parametrize("rule", ["profile", "original"])
def test_nor_does_one_of_which_the_driver_does_not_say_so_where_the_limit_reads_as_before(
    error: type[DriverError], rule: str
) -> None:
    stage = Stage(policy("power_limit_w = 500"))
    stage.gpu.refuses[POWER] = error("something is wrong")
    stage.turn(2)
    assert stage.row()["state"] == "refused"
    stage.gpu.refuses.clear()
    stage.stranger(420)
    stage.text = full() if rule == "profile" else policy('power_limit_w = "original"')
    stage.start()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (420, 420), "nothing of ours was ever in force"


def test_a_write_that_took_although_the_driver_said_no_is_ours() -> None:
    stage = Stage(policy("power_limit_w = 500"))
    stage.gpu.refuses[POWER] = DriverTrouble("timed out")
    stage.turn()
    stage.stranger(500)  # it took after all, a moment later
    stage.turn()
    assert (stage.row()["state"], stage.row()["written"]) == ("held", True)
    stage.gpu.refuses.clear()
    stage.start()
    stage.turn()
    assert stage.ask("restore").error is None
    assert stage.limit_w() == 700


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


def test_nor_is_one_of_which_that_is_known_only_later() -> None:
    allowed = board()
    stage = Stage(policy("power_limit_w = 450"), replace(allowed, power=None, unknown={POWER: "timed out"}))
    stage.stranger(900)
    stage.turn(2)
    stage.gpu.board = allowed
    stage.turn(20)
    assert (stage.limit_w(), stage.row()["original"]) == (450, None)
    assert stage.ask("restore").error is not None
    assert PowerLimit(900_000) not in [value for _, value in stage.gpu.writes]


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
    """Also where nothing was written, and so nothing else is there to be saved."""
    stage = Stage(policy("power_limit_w = 450", daemon='mode = "observe"')).turn(2)
    stage.kernel.bindings[stage.gpu.board.gpu.pci] = "anew"
    stage.gpu.reinitialise()
    stage.turn(2)
    assert stage.row()["original"] == 700
    stage.stranger(552)
    stage.start()
    stage.load(policy("power_limit_w = 450"))
    stage.turn(2)
    assert (stage.row()["original"], stage.limit_w()) == (700, 450)


def test_what_the_driver_made_of_a_goal_is_known_after_a_restart() -> None:
    stage = Stage(policy("power_limit_w = 450.5")).turn(2)
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    writes = len(stage.gpu.writes)
    stage.start()
    stage.turn(2)
    assert (len(stage.gpu.writes), stage.row()["state"], stage.row()["accepted"]) == (writes, "held", 450)


def test_what_was_restored_is_taken_up_by_apply_and_not_by_a_reload_of_the_same_rules() -> None:
    stage = Stage(CAP).turn(2)
    stage.ask("restore")
    stage.ask("reload")
    assert (stage.limit_w(), stage.row()["state"]) == (700, "restored")
    stage.ask("apply")
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    stage.ask("restore")
    stage.load(policy("power_limit_w = 400"))
    assert (stage.limit_w(), stage.row()["state"]) == (400, "held"), "another rule begins anew"


def test_a_restore_without_an_original_does_not_say_that_nothing_was_ours() -> None:
    """Found at 900 W, which the board does not allow: there is nothing that could be put back."""
    stage = Stage(policy("power_limit_w = 450"))
    stage.kernel.boot = "another"
    stage.stranger(900)
    stage.start()
    stage.turn(2)
    assert (stage.limit_w(), stage.row()["original"]) == (450, None)
    answer = stage.ask("restore")
    assert answer.error == "DriverTrouble"
    assert "power limit: what was found at first could not be read, or the board does not allow it" in str(
        answer.parameters
    )
    assert (stage.limit_w(), stage.row()["state"]) == (450, "held")
    assert "restore_failed" in stage.said()


def test_an_observer_does_not_know_what_was_found_at_first() -> None:
    """It came later, and keeps nothing: a stranger's value would be as wished."""
    stage = Stage(policy('power_limit_w = "original"', 'gpu_clock_mhz = "original"'), observe=True).turn(2)
    row = stage.row()
    assert (row["state"], row["wished"], row["in_order"]) == ("waiting", "original", False)
    assert row["original_late"], "what it saw first is not told as what was found at first either"
    assert row["message"] == "what was found at first is not known here: the daemon that writes knows it alone"
    assert [(row["setting"], row["wanted"]) for row in stage.plan()["refusals"]] == [("power_limit_w", "original")]
    assert stage.exit_code == 1


def test_a_daemon_that_observes_by_its_policy_knows_what_was_found_at_first() -> None:
    stage = Stage(policy('power_limit_w = "original"', daemon='mode = "observe"')).turn(2)
    stage.stranger(500)
    row = stage.turn(2).row()
    assert (row["state"], row["wished"], row["fits"], row["original_late"]) == ("watched", 700, False, False)
