"""Random walks of a whole loop on fakes through everything that can go wrong, held against what is true at each step:
the power limit in full, and with --settings every readable setting.

python -m tests.chaos.walker --walks 100000 --seed 1     by hand; prints the seed of a walk that fails
python -m tests.chaos.walker --seed 4711 --walks 1 -v    that walk again, step by step
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.chaos.actions import ACTIONS
from tests.chaos.settings_actions import ACTIONS as SETTINGS_ACTIONS
from tests.chaos.settings_walk import SettingsWalk
from tests.chaos.walk import Walk


def walk_one(seed: int, steps: int = 25, verbose: bool = False) -> None:
    """Raises AssertionError with the seed."""
    try:
        walk = Walk(seed, verbose)
        walk.go(ACTIONS, steps)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def walk_settings(seed: int, steps: int = 25, verbose: bool = False) -> None:
    """The same of every readable setting."""
    try:
        SettingsWalk(seed, verbose).go(SETTINGS_ACTIONS, steps)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1, help="of the first walk; the next have the next numbers")
    parser.add_argument("--settings", action="store_true", help="hold every readable setting, and the host's")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.walks):
        (walk_settings if options.settings else walk_one)(seed, options.steps, options.verbose)
    took_s = time.monotonic() - began
    print(f"{options.walks} walks of {options.steps} steps in {took_s:.0f} s, nothing untrue was said")
    return 0


if __name__ == "__main__":
    sys.exit(main())
