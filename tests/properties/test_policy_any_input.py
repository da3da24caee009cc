"""Whatever a file holds: a policy, or the policy's own error with sentences that can be printed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import tomli
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpu_tuned.adapters.policy_file import Source, Sources, load, parse_sources
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.policy import Policy
from gpu_tuned.core.policy.parser import Document, parse
from gpu_tuned.core.settings import ROWS

WORDS = ["daemon", "host", "gpu", "match", "name", "uuid", "pci", "index", "profile", "required", "watch", "reason"]
WORDS += ["min", "max", "memory", "mode", "poll_interval_s", "on_stop", "numa_balancing", "gpu_power_budget_w"]
WORDS += [*(s.value for s in ROWS), "power_limit", "description"]
VALUES = ["max", "default", "original", "unlocked", "80%", "450W", "*", "01:00.0", "p", "auto", "leave", "keep"]

keys = st.sampled_from(WORDS) | st.text(max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(VALUES)
    | st.text(max_size=30)
    | st.dates()
    | st.just(10**4000)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
tables = st.dictionaries(keys, values, max_size=6)
# Most arbitrary data fails at its first key; these get as far as a rule.
near_misses = st.fixed_dictionaries(
    {"gpu": st.lists(st.dictionaries(keys, values, max_size=5), max_size=3)},
    optional={"daemon": tables, "host": tables},
)


def policy_or_problems(data: dict[str, Any], profile: dict[str, Any]) -> Policy | tuple[str, ...]:
    try:
        return parse([Document("p.toml", data)], {"p": Document("profile p", profile)}.get, ["p"])
    except PolicyError as error:
        return error.problems


@given(tables | near_misses, tables)
def test_parsed_data_is_a_policy_or_its_problems(data: dict[str, Any], profile: dict[str, Any]) -> None:
    found = policy_or_problems(data, profile)
    if isinstance(found, tuple):
        assert found
        for problem in found:
            assert problem.startswith(("p.toml: ", "profile p: ", "and "))
            assert problem.isprintable()
            assert len(problem) < 500


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
@example(b"gpu = [[[[[]]]]]")
@example(b"gpu = 0x" + b"f" * 5000)
@example(b"\xff\xfe")
def test_a_file_of_any_bytes_is_a_policy_or_its_problems(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gpu-tuned.toml"
        path.write_bytes(content)
        try:
            policy = load(path)
        except PolicyError as error:
            assert all(problem.startswith(f"{path}: ") for problem in error.problems)
        else:
            assert "gpu" in tomli.loads(content.decode("utf-8-sig"))
            assert policy.files == (str(path),)


texts = st.text(max_size=40)
sources = st.builds(Source, texts, texts, texts, st.booleans())
whole_sources = st.builds(
    Sources,
    st.lists(sources, min_size=1, max_size=3).map(tuple),
    st.lists(sources, max_size=3).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
    st.booleans(),
)


@given(whole_sources)
def test_saving_sources_is_the_identity(original: Sources) -> None:
    again = Sources.from_json(json.loads(json.dumps(original.to_json())))
    assert again == original
    assert again.digest == original.digest


@given(whole_sources)
def test_saved_sources_of_any_text_are_a_policy_or_its_problems(saved: Sources) -> None:
    try:
        parse_sources(saved)
    except PolicyError as error:
        assert error.problems


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Sources((), ()).to_json(), json_values)) | json_values)
def test_a_saved_policy_of_any_shape_is_read_or_refused(raw: Any) -> None:
    try:
        assert Sources.from_json(raw).to_json() == raw
    except PolicyError as error:
        assert error.problems
