"""Spreads tests over xdist's workers one by one, except that all tests of one booted machine stay on one worker.

Those that mostly wait have a worker, and so a machine, of their own: they would hold up the others for minutes.

That is what --dist loadgroup is for; with pytest 9 and xdist 3.8 its groups have no effect.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

_MACHINE = re.compile(r"tests/machine/.*\[([a-z]+)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            machine = _MACHINE.search(nodeid)
            kind = "waits" if "test_machine_waits" in nodeid else "machine"
            return f"{kind}-{machine[1]}" if machine else nodeid

    return Together(config, log)
