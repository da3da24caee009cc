"""Which GPU a word means: every way to call one, and what is said where it means none or several."""

from __future__ import annotations

import pytest

from gpu_tuned.core.errors import UsageError
from gpu_tuned.core.which import Names, chosen, meant

GPUS = [
    Names(0, "GPU-10aaaaaa-0000", "0000:01:00.0"),
    Names(1, "GPU-10bbbbbb-0000", "0000:10:00.0"),
    Names(10, "GPU-20cccccc-0000", "0001:01:00.0"),
]


@pytest.mark.parametrize(
    ("word", "places"),
    [
        ("1", [1]),  # an index, although an address begins so
        ("10", [2]),  # an index before the beginning of an address
        ("01:00.0", [0]),
        ("0000:01:00.0", [0]),
        ("00000000:01:00.0", [0]),  # as nvidia-smi has it
        ("0001:01:00.0", [2]),
        ("0000:1", [1]),  # the beginning of an address with its domain
        ("10:0", [1]),
        ("gpu-10AAAAAA-0000", [0]),
        ("10bb", [1]),
        ("GPU-10", [0, 1]),
        ("00000000", []),  # no address, and the beginning of none
        ("", []),
        ("x", []),
    ],
)
def test_a_word_means(word: str, places: list[int]) -> None:
    assert meant(GPUS, word) == places


@pytest.mark.parametrize("index", [None, -1])
def test_an_address_is_that_of_the_gpu_which_is_there_now(index: int | None) -> None:
    """The one that lay there before is no longer listed, whichever comes first."""
    before, now = Names(index, "GPU-old", "0000:01:00.0"), Names(4, "GPU-new", "0000:01:00.0")
    assert meant([before, now], "01:00.0") == [1]
    assert meant([now, before], "01:00.0") == [0]
    assert meant([before], "01:00.0") == [0]
    assert meant([before], str(index)) == []
    assert meant([before, before], "01:00.0") == [0, 1]


def test_without_a_word_the_only_one_is_meant() -> None:
    assert chosen(GPUS[:1], None) == 0
    assert chosen(GPUS, "10") == 2
    for gpus, said in ((GPUS, "which GPU? There are:\n  0 "), ([], "which GPU? The driver sees none.")):
        with pytest.raises(UsageError) as told:
            chosen(gpus, None)
        assert str(told.value).startswith(said)


def test_those_that_there_are_are_told() -> None:
    with pytest.raises(UsageError) as told:
        chosen(GPUS, "GPU-10")
    assert str(told.value) == (
        "'GPU-10' names more than one GPU. There are:\n  0  01:00.0  GPU-10aaaaaa\n  1  10:00.0  GPU-10bbbbbb"
    )
    with pytest.raises(UsageError) as told:
        chosen([Names(None, "GPU-20cccccc-0000", "0001:01:00.0")], "7")
    assert str(told.value) == "no GPU '7' here. There is:\n  -  0001:01:00.0  GPU-20cccccc"
