"""A policy and the boards under it: what does not suit is told as long as it lasts, and apart from refused files."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.model import Setting
from tests.loop.stage import Stage, board, policy

HOST = "[host]\ngpu_power_budget_w = 1000\n"
RULE = '[[gpu]]\nmatch = { pci = "0000:01:00.0" }\npower_limit_w = 450\n'


def two() -> Stage:
    """450 W by a rule, and a board of 500 W that no rule speaks of: 950 of 1000 W."""
    stage = Stage(HOST + RULE, board(0), board(1))
    stage.stranger(500, gpu=1)
    stage.start()
    stage.turn(2)
    assert (stage.exit_code, stage.mailbox.document["policy"]["state"]) == (0, "in_force")
    return stage


def test_a_limit_that_somebody_raises_beside_it_is_over_the_budget_for_as_long_as_it_lasts() -> None:
    stage = two()
    stage.stranger(700, gpu=1)
    stage.turn(2)
    told = stage.mailbox.document["policy"]
    assert (told["state"], stage.exit_code, stage.limit_w()) == ("in_force", 1, 450)
    assert "1150 W" in told["error"] and told["misfit"] == told["error"]
    assert "does not suit the boards" in stage.service.line and "refused" not in stage.service.line
    assert stage.said().count("policy_unsuited") == 1 and "policy_refused" not in stage.said()
    assert not stage.ask("apply").parameters["in_order"]
    stage.stranger(500, gpu=1)
    stage.turn(2)
    assert (stage.exit_code, stage.mailbox.document["policy"]["error"]) == (0, None)


def test_after_a_release_the_limit_as_it_is_then_counts() -> None:
    stage = two()
    stage.ask("release")
    stage.ask("resume")
    stage.turn(2)
    assert "policy_unsuited" not in stage.said(), "nobody has seen more than 950 W"
    stage.ask("release")
    stage.stranger(700, gpu=1)
    stage.ask("resume")
    stage.turn(2)
    assert (stage.exit_code, "1150 W" in stage.mailbox.document["policy"]["misfit"]) == (1, True)


def test_a_board_that_is_not_here_has_no_limit() -> None:
    stage = two()
    stage.stranger(700, gpu=1)
    stage.turn(2)
    stage.kernel.unbind("0000:02:00.0", "vfio-pci")
    stage.turn(2)
    assert stage.mailbox.document["policy"]["misfit"] is None


def test_files_that_were_refused_stay_refused_when_the_boards_suit_again() -> None:
    stage = two()
    stage.text = "nonsense"
    stage.stranger(700, gpu=1)
    stage.start()
    stage.turn(2)
    told = stage.mailbox.document["policy"]
    assert (told["state"], len(told["error"].splitlines())) == ("restricted", 2)
    stage.stranger(500, gpu=1)
    stage.turn(2)
    told = stage.mailbox.document["policy"]
    assert (told["state"], told["misfit"], "not valid TOML" in told["error"]) == ("last_good", None, True)
    assert (stage.exit_code, stage.ask("apply").parameters["in_order"]) == (1, False)


def test_no_gpu_at_all_is_not_in_order_where_some_setting_is_required() -> None:
    stage = Stage(policy("power_limit_w = 450", 'required = ["power_limit_w"]'))
    stage.gpus.gpus.clear()
    stage.kernel.bindings.clear()
    stage.kernel.boot = "another"
    stage.start()
    stage.turn(2)
    assert not stage.mailbox.document["gpus"]
    assert (stage.exit_code, stage.wait_code) == (1, 1)
    assert not stage.settled, "one may still come"
    stage.load(policy("power_limit_w = 450"))
    assert (stage.exit_code, stage.wait_code) == (0, 0)


def test_a_restore_does_not_raise_what_somebody_lowered() -> None:
    stage = Stage(policy("power_limit_w = { max = 450 }")).turn(2)
    stage.stranger(300)
    stage.turn(2)
    assert stage.row()["state"] == "held"
    answer = stage.ask("restore")
    assert stage.limit_w() == 300 and "left at 300 W, which somebody else set" in answer.parameters["message"]
    assert "not_restored" in stage.said() and "restored" not in stage.said()
    told = "nothing had to be put back; nothing is enforced there until `gpu-tunedctl apply`"
    assert stage.ask("restore").parameters["message"] == told


def test_a_restore_speaks_of_what_it_was_asked_for_alone() -> None:
    """GPU 0 was handed back before; of GPU 1 no policy speaks, so `apply` has nothing to take up there."""
    stage = Stage(RULE, board(0), board(1)).turn(2)
    first, second = stage.gpus.gpus
    assert "takes it up again" in stage.ask("restore", gpu=first).parameters["message"]
    assert stage.ask("restore", gpu=second).parameters["message"] == "nothing had to be put back"


def test_what_was_put_back_on_request_stays_so_when_mig_comes_and_goes() -> None:
    stage = Stage(policy('compute_mode = "exclusive_process"')).turn(2)
    stage.ask("restore")
    whole = stage.gpu.board
    stage.gpu.board = replace(whole, mig=True, absent={Setting.COMPUTE_MODE: "MIG is on"})
    stage.turn(40)
    stage.gpu.board = whole
    stage.turn(40)
    assert (stage.row("compute_mode")["state"], stage.row("compute_mode")["observed"]) == ("restored", "default")
