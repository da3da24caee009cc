"""A plain command line means the same with and without argparse; lengths of time; which GPU is meant."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_tuned.core.errors import UsageError
from gpu_tuned.core.words import duration
from gpu_tuned.ctl.duration import duration_s, seconds_or_duration_s
from gpu_tuned.ctl.options import Options, quick
from gpu_tuned.ctl.parser import parser_of
from gpu_tuned.ctl.verbs import VERBS
from gpu_tuned.ctl.which import one_gpu

WORDS = [
    "--json",
    "--all",
    "--no-color",
    "--socket",
    "/run/x",
    "--socket=/run/y",
    "0",
    "01:00.0",
    "--timeout",
    "3",
    "-h",
]


PLAIN = sorted(verb for verb, row in VERBS.items() if row.plain)


def by_argparse(verb: str, argv: list[str]) -> dict[str, Any] | None:
    parser = parser_of(verb)
    parser.exit_on_error = False
    try:
        return vars(parser.parse_args(argv, Options()))
    except (SystemExit, argparse.ArgumentError):
        return None


@given(st.sampled_from(PLAIN), st.lists(st.sampled_from(WORDS), max_size=5))
def test_the_short_way_understands_nothing_differently(verb: str, argv: list[str]) -> None:
    options = quick(verb, argv)
    if options is not None:
        assert vars(options) == by_argparse(verb, argv)


@pytest.mark.parametrize("verb", ["status", "verify", "throttle"])
@pytest.mark.parametrize("argv", [[], ["--json"], ["--socket", "/run/x"], ["0"], ["--no-color", "0", "--json"]])
def test_the_short_way_is_taken_by_what_is_typed_all_day(verb: str, argv: list[str]) -> None:
    assert quick(verb, argv) is not None


@pytest.mark.parametrize("argv", [["--help"], ["--jsn"], ["0", "1"], ["--socket"], ["--", "0"], ["-1"]])
def test_help_and_mistakes_are_left_to_argparse(argv: list[str]) -> None:
    assert quick("status", argv) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("0.5h", 1800)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5s"), (59, "59s"), (60, "1m"), (90, "1m30s"), (600, "10m"), (5400, "1h30m"), (366 * 86400, "366d")],
)
def test_a_length_of_time_is_told_as_it_is_typed(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0s", "-1m", "1e3s", "nan", "1..5m", "9999d", "10 m", "1m5"])
def test_what_is_no_length_of_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 10m"):
        duration_s(text)


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("0.5", 0.5), ("10s", 10), ("1m", 60)])
def test_a_time_to_wait_may_be_a_number_of_seconds(text: str, seconds: float) -> None:
    assert seconds_or_duration_s(text) == seconds
    assert parser_of("status").parse_args(["--timeout", text]).timeout == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "ten", "1e3"])
def test_what_is_no_time_to_wait_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 10m"):
        seconds_or_duration_s(text)


GPUS: Any = [
    {"index": 0, "uuid": "GPU-10aaaaaa-0000", "pci": "0000:01:00.0", "state": "ok"},
    {"index": 1, "uuid": "GPU-10bbbbbb-0000", "pci": "0000:10:00.0", "state": "ok"},
    {"index": 10, "uuid": "GPU-20cccccc-0000", "pci": "0001:01:00.0", "state": "lost"},
]

ANSWERING: Any = {"state": "ok", "message": None}


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("0", 0),
        ("1", 1),
        ("10", 10),  # an index beats the beginning of an address
        ("01:00.0", 0),
        ("0001:01:00.0", 10),
        ("10:00", 1),
        ("00000000:10:00.0", 1),  # as nvidia-smi prints it
        ("00000001:01", 10),
        ("gpu-10BB", 1),
        ("20", 10),
    ],
)
def test_a_gpu_is_named_by_index_address_or_uuid(wanted: str, index: int) -> None:
    assert one_gpu(GPUS, wanted, ANSWERING)["index"] == index


@pytest.mark.parametrize("wanted", ["GPU-10", "3", "x", "GPU-"])
def test_a_name_of_none_or_of_many_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match=r"\n  0  01:00\.0  GPU-10aaaaaa"):
        one_gpu(GPUS, wanted, ANSWERING)
