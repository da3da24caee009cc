"""Looks for bytes that break a promise: wire, policy or state (targets.py says what each promises).

    python tests/fuzz/run.py wire                    ten minutes
    python tests/fuzz/run.py policy --seconds 60

It begins with tests/fuzz/corpus; what reaches new code is kept below the system's temporary folder, and so is what
breaks a promise (crash-*): that becomes a file in tests/fuzz/corpus, so that the suite plays it from then on. Needs
atheris, which the extra `test` brings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEN_MINUTES_S = 600
INPUT_MAX_BYTES = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=sorted(path.name for path in (HERE / "corpus").iterdir()))
    parser.add_argument("--seconds", type=int, default=TEN_MINUTES_S, help="how long (default: ten minutes)")
    asked = parser.parse_args()
    import atheris

    sys.path.insert(0, str(HERE.parents[1]))
    with atheris.instrument_imports(include=["gpu_tuned"]):
        from tests.fuzz.targets import TARGETS
    grown = Path(tempfile.gettempdir()) / f"gpu-tuned-fuzz-{asked.target}"
    grown.mkdir(exist_ok=True)
    options = [
        sys.argv[0],
        str(grown),
        str(HERE / "corpus" / asked.target),
        f"-max_total_time={asked.seconds}",
        f"-max_len={INPUT_MAX_BYTES}",
        f"-artifact_prefix={grown}/",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]
    atheris.Setup(options, TARGETS[asked.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
