"""Versions compare as PEP 440 says (held against the library that pip itself uses), and llama.cpp's as it counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from gpu_tuned.environment.shipped import shipped
from gpu_tuned.environment.version import compare, key, plain

numbers = st.integers(0, 40)
releases = st.lists(numbers, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
pres = st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["a", "b", "rc", "-rc", ".rc"]), numbers))
posts = st.one_of(st.just(""), st.builds(".post{}".format, numbers))
devs = st.one_of(st.just(""), st.builds(".dev{}".format, numbers))
versions = st.builds("{}{}{}{}{}".format, st.sampled_from(["", "v"]), releases, pres, posts, devs)


@given(versions, versions)
def test_as_pip_orders_them(one: str, other: str) -> None:
    wanted = (Version(one) > Version(other)) - (Version(one) < Version(other))
    assert compare(plain(one), plain(other)) == wanted


@given(st.text(max_size=12))
def test_what_pip_refuses_is_never_ordered_by_accident(text: str) -> None:
    if plain(text) is not None:
        Version(text)


def test_a_build_behind_a_plus_is_the_same_version() -> None:
    assert compare(plain("2.9.1+cu130"), plain("2.9.1")) == 0


def test_what_is_no_version_has_no_order() -> None:
    for text in ("latest", "", "nightly", "13.x", "b6123", "3.11-3.15", "0.11.1-cuda12"):
        assert plain(text) is None
        assert compare(plain(text), plain("1.0")) is None


def test_llama_cpp_counts_by_its_wheels_and_then_by_ggml() -> None:
    known = shipped().ggml_of_wheel
    order = ["llama-cpp-python 0.2.77", "llama-cpp-python 0.3.16", "ggml 0.9.11", "ggml-0.16.0", "0.25.3"]
    keys = [key(text, "llama.cpp", known) for text in order]
    assert None not in keys
    assert keys == sorted(keys, key=lambda found: found or ())
    same = [("llama-cpp-python 0.3.20", "ggml 0.9.11"), ("llama-cpp-python 0.3.26", "ggml 0.13.1")]
    for wheel, ggml in same:
        assert compare(key(wheel, "llama.cpp", known), key(ggml, "llama.cpp", known)) == 0
    # Between wheels with different ggml, between the two ways to count, and build numbers, which say nothing.
    for text in ("llama-cpp-python 0.3.30", "llama-cpp-python 0.3.18", "b6123", "server-cuda"):
        assert key(text, "llama.cpp", known) is None
    newer = key("llama-cpp-python 0.3.99", "llama.cpp", known)
    assert compare(newer, key("ggml 0.25.3", "llama.cpp", known)) in (0, 1)
