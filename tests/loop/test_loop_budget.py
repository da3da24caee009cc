"""A power budget that does not fit, the policy that counts then, and what the plan and the rows say of it."""

from __future__ import annotations

from dataclasses import replace

from gpu_tuned.core.errors import DriverAbsent, DriverRefused
from gpu_tuned.core.model import PowerLimit, Setting
from gpu_tuned.ctl import verdict
from tests.loop.stage import CAP, Stage, board, policy

POWER = Setting.POWER_LIMIT


def test_a_board_with_no_wish_counts_with_its_limit_in_force() -> None:
    text = '[host]\ngpu_power_budget_w = 900\n[[gpu]]\nmatch = { pci = "0000:01:00.0" }\npower_limit_w = 450\n'
    stage = Stage(text, board(0), board(1)).turn(2)
    document = stage.mailbox.document["policy"]
    assert (document["state"], stage.limit_w()) == ("restricted", 700)
    assert "450 W" in document["error"] and "700 W" in document["error"]


def test_boards_of_the_same_name_and_address_count_each_for_itself() -> None:
    """Both without an address, or the driver gives both the same one."""
    twin = replace(board(1), gpu=replace(board(1).gpu, pci=board(0).gpu.pci))
    stage = Stage(policy("power_limit_w = 600", host="gpu_power_budget_w = 1000"), board(0), twin)
    stage.kernel.knows_names = False
    document = stage.turn(2).mailbox.document["policy"]
    assert document["state"] == "restricted" and "add up to 1200 W" in document["error"]


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


def test_and_stays_so_where_the_files_say_the_same_in_other_words() -> None:
    stage = Stage(policy("power_limit_w = 450"))
    stage.gpu.refuses[POWER] = DriverRefused("not permitted")
    stage.turn(2)
    stage.text = policy("power_limit_w = 450", 'reason = "the fuse"')
    plan = stage.turn().plan()
    assert (plan["pending"], plan["changes"]) == (True, [])
    assert "not permitted" in plan["refusals"][0]["why"]


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


def test_the_plan_advises_on_what_is_known_to_go_wrong() -> None:
    stage = Stage(policy('power_limit_w = "80%"'), board(0, most_w=600, default_w=450)).turn(2)
    advice = {row["id"]: row for row in stage.plan()["advice"]}
    assert advice["share-above-default"]["setting"] == "power_limit_w"
    stage.text = policy('power_limit_w = "80%"', 'accept = ["share-above-default"]')
    assert "share-above-default" not in {row["id"] for row in stage.plan()["advice"]}


BUDGET = '[host]\ngpu_power_budget_w = 1000\n[[gpu]]\nmatch = { pci = "0000:01:00.0" }\npower_limit_w = 450\n'


def test_a_limit_that_cannot_be_read_counts_with_the_most_that_the_board_allows() -> None:
    stage = Stage(BUDGET, board(0), board(1))
    unread = list(stage.gpus.gpus.values())[1]
    unread.values[POWER] = PowerLimit(300_000)
    assert (stage.turn(2).exit_code, stage.limit_w()) == (0, 450)
    unread.unreadable[POWER] = "timed out"
    assert stage.turn(2).exit_code == 1
    misfit = stage.mailbox.document["policy"]["misfit"]
    assert "may add up to 1150 W" in misfit and "up to 700 W" in misfit and "timed out" in misfit
    assert verdict.verdict(stage.mailbox.document)[0] == "MAY BE OVER THE POWER BUDGET"
    unread.unreadable.clear()
    assert stage.turn(2).exit_code == 0


def test_a_limit_of_which_nothing_is_known_keeps_a_budget_from_being_kept_for_certain() -> None:
    unknown = replace(board(1), power=None, unknown={POWER: "the driver does not say"})
    stage = Stage(BUDGET, board(0), unknown)
    list(stage.gpus.gpus.values())[1].unreadable[POWER] = "timed out"
    assert (stage.turn(2).exit_code, stage.mailbox.document["policy"]["state"]) == (1, "restricted")
    assert "may add up to more" in stage.mailbox.document["policy"]["misfit"]


def test_a_board_without_power_limits_counts_nothing() -> None:
    none = replace(board(1), power=None, absent={POWER: "not supported"})
    stage = Stage(BUDGET, board(0), none)
    list(stage.gpus.gpus.values())[1].unreadable[POWER] = "not supported"
    assert stage.turn(2).exit_code == 0


def test_what_is_as_wished_already_is_not_refused_for_the_sake_of_the_budget() -> None:
    text = BUDGET.replace("1000", "700").replace("= 450", "= { max = 450 }")
    stage = Stage(text, board(0), board(1))
    stage.stranger(300)
    stage.turn(2)
    assert stage.mailbox.document["policy"]["state"] == "restricted"
    assert (stage.row()["state"], stage.limit_w()) == ("held", 300)
    stage.stranger(500)
    assert stage.turn(2).row()["state"] == "refused"


def test_a_limit_that_cannot_be_read_for_a_moment_takes_no_policy_out_of_force() -> None:
    """The budget was added while the daemon was down; at its first look one limit cannot be read."""
    stage = Stage(BUDGET[BUDGET.index("[[gpu]]") :], board(0), board(1))
    other = list(stage.gpus.gpus.values())[1]
    other.values[POWER] = PowerLimit(300_000)
    stage.turn(2)
    stage.text = BUDGET.replace("= 450", "= 500")
    other.unreadable[POWER] = "timed out"
    stage.start()
    stage.turn(2)
    assert (stage.mailbox.document["policy"]["state"], stage.limit_w()) == ("restricted", 450)
    other.unreadable.clear()
    stage.turn(2)
    assert (stage.mailbox.document["policy"]["state"], stage.limit_w()) == ("in_force", 500)
    other.values[POWER] = PowerLimit(600_000)
    stage.turn(2)
    assert (stage.exit_code, stage.limit_w()) == (1, 500)


def test_a_budget_that_turns_out_to_be_exceeded_falls_back_on_the_policy_before() -> None:
    stage = Stage(BUDGET, board(0), board(1))
    other = list(stage.gpus.gpus.values())[1]
    other.values[POWER] = PowerLimit(300_000)
    stage.turn(2)
    stage.text = BUDGET.replace("= 450", "= 600")
    other.values[POWER], other.unreadable[POWER] = PowerLimit(500_000), "timed out"
    stage.start()
    stage.turn(2)
    other.unreadable.clear()
    stage.turn(3)
    assert (stage.mailbox.document["policy"]["state"], stage.limit_w()) == ("last_good", 450)


SHARED = policy("persistence_mode = true", "power_limit_w = 450", host="gpu_power_budget_w = 1000")


def misfit(stage: Stage) -> str:
    return stage.mailbox.document["policy"]["misfit"] or ""


def test_a_limit_that_was_put_back_counts_with_what_is_in_force() -> None:
    stage = Stage(SHARED, board(0), board(1)).turn(2)
    assert misfit(stage) == ""
    stage.ask("restore", gpu=stage.gpu.uuid, setting="power_limit_w")
    stage.turn()
    assert "add up to 1150 W: 700 W" in misfit(stage)
    assert stage.mailbox.document["policy"]["state"] == "in_force"
    assert stage.load(SHARED).error is None, "the file says the same as before"
    stage.ask("apply")
    assert (misfit(stage), stage.turn().exit_code) == ("", 0)


def test_a_limit_that_the_driver_refuses_counts_with_what_is_in_force() -> None:
    stage = Stage(SHARED, board(0), board(1))
    stage.gpu.refuses[POWER] = DriverRefused("no")
    stage.turn(3)
    assert "add up to 1150 W: 700 W" in misfit(stage)
    assert stage.limit_w(1) == 450, "the other board is not left alone for it"
    stage.gpu.refuses.clear()
    stage.ask("apply")
    assert (stage.turn().exit_code, misfit(stage)) == (0, "")
