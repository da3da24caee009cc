"""What ships: the policy file, its examples, the profile, and the reference that explains them."""

from __future__ import annotations

import re
from pathlib import Path

from gpu_tuned.adapters.policy_file import load
from gpu_tuned.core.model import GPU_SETTINGS, ClockLock, ComputeMode, Gpu, Setting
from gpu_tuned.core.policy import DaemonOptions
from gpu_tuned.core.wish import Auto, Symbol

TOP = Path(__file__).parents[2]
BOARD = Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 5090")


def test_the_shipped_policy_asks_for_persistence_alone() -> None:
    policy = load(TOP / "etc" / "gpu-tuned.toml")
    (rule,) = policy.rules
    assert [(wish.setting, wish.target) for wish in rule.wishes] == [(Setting.PERSISTENCE_MODE, Auto.AUTO)]
    assert str(rule.match) == "name '*'"
    assert (policy.daemon, policy.numa_balancing, policy.gpu_power_budget_mw) == (DaemonOptions(), None, None)


def test_the_shipped_examples_are_good_once_uncommented(tmp_path: Path) -> None:
    """Every commented line of the shipped file that is TOML, in force."""
    lines = (TOP / "etc" / "gpu-tuned.toml").read_text().splitlines()
    starts: tuple[str, ...] = (
        "# [[",
        "# match =",
        "# profile =",
        "# power_limit_w =",
        "# required =",
        "# watch =",
        "# reason =",
    )
    starts += ("# mode =", "# poll_interval_s =", "# on_stop =", "# numa_balancing =", "# gpu_power_budget_w =")
    config = tmp_path / "gpu-tuned.toml"
    config.write_text("\n".join(line[2:] if line.startswith(starts) else line for line in lines))
    policy = load(config)
    assert len(policy.rules) == 3
    assert policy.gpu_power_budget_mw == 1_100_000
    assert {setting: wish.target for setting, wish in policy.wishes_for(BOARD).items()} == {
        Setting.PERSISTENCE_MODE: Auto.AUTO,
        Setting.POWER_LIMIT: Symbol.MAX,
        Setting.GPU_CLOCK: ClockLock(2400, 2550),
        Setting.COMPUTE_MODE: ComputeMode.DEFAULT,
    }


def test_the_shipped_profile_is_found_from_any_directory(tmp_path: Path) -> None:
    path = tmp_path / "gpu-tuned.toml"
    path.write_text('[[gpu]]\nmatch = { name = "*" }\nprofile = "rtx-5090-inference"\n')
    wishes = load(path).wishes_for(BOARD)
    assert wishes[Setting.GPU_CLOCK].target == ClockLock(2400, 2550)
    assert all(wish.origin.shipped for wish in wishes.values())
    assert Setting.MEMORY_CLOCK not in wishes


def test_the_reference_shows_a_policy_that_is_one(tmp_path: Path) -> None:
    reference = (TOP / "docs" / "policy.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```", reference, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        config = tmp_path / "gpu-tuned.toml"
        config.write_text(example)
        assert load(config).wishes_for(BOARD)[Setting.POWER_LIMIT].required


def test_the_reference_names_every_key() -> None:
    reference = (TOP / "docs" / "policy.md").read_text()
    known = ("mode", "poll_interval_s", "on_stop", "numa_balancing", "gpu_power_budget_w")
    known += ("match", "profile", "required", "watch", "reason", *(s.value for s in GPU_SETTINGS))
    assert [key for key in known if f"| `{key}` |" not in reference] == []
