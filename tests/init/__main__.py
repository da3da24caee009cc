"""`python -m tests.init --hosts 5000`: what init takes over, against what generated hosts really do.

Needs the tests' environment: packaging/test once, then

    LD_LIBRARY_PATH=tests/simulator/build .venv/bin/python -m tests.init --hosts 5000
"""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
import time
from contextlib import suppress

from tests.init.examine import Examiner, Verdict, summed
from tests.marker import require_simulator
from tests.nvsim import build


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.init", description=__doc__)
    parser.add_argument("--hosts", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first one (default: 0)")
    parser.add_argument(
        "--show", type=int, default=5, metavar="N", help="print the first N that failed, shortest first"
    )
    parser.add_argument("--missed", type=int, default=0, metavar="N", help="print N with what was not taken over")
    options = parser.parse_args()
    build()
    require_simulator()
    started = time.monotonic()
    verdicts: list[Verdict] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Examiner() as examiner, suppress(KeyboardInterrupt):  # what was found until then is told
        for verdict in examiner.all(itertools.islice(itertools.count(options.seed), options.hosts)):
            verdicts.append(verdict)
    bad = sorted((v for v in verdicts if v.bad()), key=lambda v: sum(map(len, v.layout.files.values())))
    for verdict in bad[: options.show]:
        print(f"{verdict}\n")
    for verdict in [v for v in verdicts if v.missed][: options.missed]:
        print("\n".join([str(verdict), *(f"?? {why}" for why in verdict.missed), ""]))
    total = summed(verdicts)
    for name, number in total.items():
        print(f"{number:7} {name}")
    share = total["of these taken over"] / max(total["certain"], 1)
    print(f"{share:7.1%} of the certain settings were taken over; {time.monotonic() - started:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
