"""Random walks with real processes: the daemon on the simulated driver, through every fault that the simulator has.

python -m tests.chaos.process_walker --walks 1000 --seed 1      by hand, two at a time; prints the seed that fails
python -m tests.chaos.process_walker --seed 4711 --walks 1 -v   that walk again, step by step

A process is not asked at a moment of our choosing, so after each step two more looks are waited for; what the
document then says is held against what the boards have, if neither changed meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.process_actions import ACTIONS
from tests.chaos.process_walk import Walk

STEPS = 10


def walk_one(folder: Path, seed: int, steps: int = STEPS, verbose: bool = False) -> int:
    """Returns how often the document was held against the boards. Raises AssertionError with the seed."""
    walk = Walk(folder, seed, verbose)
    try:
        walk.go(ACTIONS, steps)
    except Exception as error:
        said = walk.daemon.said[-3000:]
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n--- the daemon said:\n{said}") from error
    finally:
        walk.close()
    return walk.checks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=20)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1, help="of the first walk; the next have the next numbers")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()

    def walked(seed: int) -> int | str:
        with tempfile.TemporaryDirectory(prefix="gpu-tuned-walk-") as folder:
            try:
                return walk_one(Path(folder), seed, options.steps, options.verbose)
            except AssertionError as error:
                return str(error)

    began, checks, bad = time.monotonic(), 0, 0
    with ThreadPoolExecutor(options.at_once) as pool:
        for outcome in pool.map(walked, range(options.seed, options.seed + options.walks)):
            if isinstance(outcome, str):
                bad += 1
                print(outcome)
            else:
                checks += outcome
    took_s = time.monotonic() - began
    print(json.dumps({"walks": options.walks, "failed": bad, "documents": checks, "seconds": round(took_s)}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
