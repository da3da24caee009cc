"""`gpu-tunedctl env audit`: lines a second for large files of each kind, and a usual file from start to end."""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import measure
from tests.benchmarks.measure import BIN, Report, Row

LINES = 100_000
USUAL = Path(__file__).parents[1] / "environment_audit/clean/vllm-two-gpus.compose.yaml"
# Known and unknown names and values in the proportions of real files: most belong to somebody's own program.
PAIRS = (
    ("VLLM_LOGGING_LEVEL", "INFO"),
    ("NCCL_DEBUG", "WARN"),
    ("HF_HOME", "/models"),
    ("OMP_NUM_THREADS", "8"),
    ("MY_SETTING_%d", "some words"),
    ("CUDA_VISIBLE_DEVICES", "0,1"),
    ("PATH_%d", "/a:/b"),
    ("TZ", "UTC"),
    ("OLLAMA_HOST", "0.0.0.0"),
    ("SOME_OTHER_NAME", "1"),
)


def pair(number: int) -> tuple[str, str]:
    name, value = PAIRS[number % len(PAIRS)]
    return (name % number if "%" in name else name), value


def env_file(lines: int) -> str:
    return "".join("{}={}\n".format(*pair(number)) for number in range(lines))


def dockerfile(lines: int) -> str:
    return "FROM nvidia/cuda:13.0.1\n" + "".join('ENV {}="{}"\n'.format(*pair(number)) for number in range(lines))


def unit(lines: int) -> str:
    return "[Service]\n" + "".join('Environment="{}={}"\n'.format(*pair(number)) for number in range(lines))


def compose(lines: int) -> str:
    head = "  s{}:\n    image: vllm/vllm-openai:v0.33.0\n    environment:\n"
    services = []
    for service in range(lines // 23):
        rows = ("      - {}={}\n".format(*pair(number)) for number in range(service * 20, service * 20 + 20))
        services.append(head.format(service) + "".join(rows))
    return "services:\n" + "".join(services)


def manifest(lines: int) -> str:
    head = "---\nkind: Pod\napiVersion: v1\nspec:\n  containers:\n  - image: vllm/vllm-openai:v0.33.0\n    env:\n"
    pods = []
    for pod in range(lines // 47):
        rows = (
            '    - name: {}\n      value: "{}"\n'.format(*pair(number)) for number in range(pod * 20, pod * 20 + 20)
        )
        pods.append(head + "".join(rows))
    return "".join(pods)


KINDS: dict[str, Callable[[int], str]] = {
    "big.env": env_file,
    "Dockerfile": dockerfile,
    "big.service": unit,
    "compose.yaml": compose,
    "manifest.yaml": manifest,
}


def lines_a_second(folder: Path, name: str, lines: int) -> float:
    """Of processor time, in this process, after everything was loaded once; without the collector, as the command
    runs."""
    from gpu_tuned.environment.audit import run
    from gpu_tuned.environment.shipped import shipped

    text = KINDS[name](lines)
    path = folder / name
    path.write_text(text)
    (small := folder / f"small-{name}").write_text(KINDS[name](100))
    run.of_files(shipped(), [str(small)])
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        result = run.of_files(shipped(), [str(path)])
        took = time.process_time() - began
    finally:
        gc.enable()
    assert result.unreadable == ()
    return text.count("\n") / took


def audit(runs: int) -> Report:
    report = Report()
    with measure.workspace() as folder:
        for name in KINDS:
            rates = [lines_a_second(folder, name, LINES) / 1000 for _ in range(min(runs, 5))]
            # A budget is a most: milliseconds for a hundred thousand lines.
            report.rows.append(
                Row(
                    f"`env audit` of {LINES} lines, {name}",
                    "ms",
                    [1e5 / rate for rate in rates],
                    budget=1000,
                    places=0,
                )
            )
    command: list[str | Path] = [sys.executable, BIN / "gpu-tunedctl", "env", "audit", USUAL]
    took = [1000 * measure.seconds(command) for _ in range(runs + 1)][1:]
    report.rows.append(Row("`env audit` of a usual Compose file", "ms", took, budget=300, places=0))
    assert statistics.median(took) > 0
    return report


ALL: dict[str, Callable[[bool], Report]] = {"audit": lambda quick: audit(3 if quick else 10)}
