"""An empty path, as of a shell's variable that was never set, is a mistake: it stands for no default."""

from __future__ import annotations

import pytest

from gpu_tuned.core.errors import PolicyError, UsageError
from gpu_tuned.ctl.main import run
from gpu_tuned.main import _Looks, first_policy, offline_plan


def test_plan_of_no_file_is_not_of_the_hosts_policy() -> None:
    with pytest.raises(PolicyError, match="is a directory; name the file in it"):
        offline_plan("")


def test_init_below_no_folder_is_not_init_of_this_host() -> None:
    with pytest.raises(UsageError, match="--root '': there is no such folder"):
        first_policy("")


def test_the_doctor_sees_no_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """And does not call what it could not look at a host with nothing wrong."""
    assert run(["doctor", "--root", "/nonexistent"], _Looks()) == 2
    assert capsys.readouterr() == ("", "gpu-tunedctl: --root /nonexistent: there is no such folder\n")
