"""The policy's files: what is read in which order, and what is said of a file that cannot be."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gpu_tuned.adapters import policy_file
from gpu_tuned.adapters.policy_file import LARGEST_FILE, Sources, load, load_sources, parse_sources
from gpu_tuned.core.errors import PolicyError
from gpu_tuned.core.model import ClockLock, ComputeMode, Gpu, PowerLimit, Setting
from gpu_tuned.core.policy import DaemonOptions

TOP = Path(__file__).parents[2]
BOARD = Gpu("GPU-5b1c9f2e-8d3a-4c1f-9a57-0e6b2d4f7c11", "0000:01:00.0", "NVIDIA GeForce RTX 5090")
RULE = '[[gpu]]\nmatch = { name = "*" }\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An owner's directory with an empty rule set, and one shipped profile called quiet."""
    shipped = tmp_path / "usr"
    shipped.mkdir()
    (shipped / "quiet.toml").write_text("power_limit_w = 400\n")
    monkeypatch.setattr(policy_file, "SHIPPED_PROFILES", (shipped,))
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "gpu-tuned.toml").write_text("gpu = []\n")
    return etc / "gpu-tuned.toml"


def write(config: Path, name: str, text: str) -> Path:
    path = config.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def problems(path: Path) -> tuple[str, ...]:
    """What is wrong, with the directory cut off. It takes seconds at most, whatever the file holds."""
    start = time.monotonic()
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert time.monotonic() - start < 10
    return tuple(problem.replace(f"{path.parent}/", "") for problem in caught.value.problems)


def test_drop_ins_come_after_the_file_in_name_order(config: Path) -> None:
    write(config, "gpu-tuned.d/20-b.toml", RULE + "power_limit_w = 420\n")
    write(config, "gpu-tuned.d/10-a.toml", RULE + 'power_limit_w = 410\ncompute_mode = "prohibited"\n')
    for ignored in (".#20-b.toml", "30-c.toml~", "30-c.conf"):
        write(config, f"gpu-tuned.d/{ignored}", "what is this")
    policy = load(config)
    wishes = policy.wishes_for(BOARD)
    assert [os.path.basename(file) for file in policy.files] == ["gpu-tuned.toml", "10-a.toml", "20-b.toml"]
    assert str(wishes[Setting.POWER_LIMIT].origin) == "20-b.toml gpu[0].power_limit_w"
    assert wishes[Setting.COMPUTE_MODE].target is ComputeMode.PROHIBITED


def test_a_shipped_profile_is_marked_and_the_owners_hides_it(config: Path) -> None:
    config.write_text(RULE + 'profile = "quiet"\n')
    wish = load(config).wishes_for(BOARD)[Setting.POWER_LIMIT]
    assert (wish.target, str(wish.origin)) == (PowerLimit(400_000), "profile quiet power_limit_w")
    assert wish.origin.shipped
    own = write(config, "profiles/quiet.toml", "power_limit_w = 350\n")
    policy = load(config)
    wish = policy.wishes_for(BOARD)[Setting.POWER_LIMIT]
    assert wish.target == PowerLimit(350_000)
    assert not wish.origin.shipped
    assert policy.files == (str(config), str(own))


def test_only_profiles_in_use_are_read(config: Path) -> None:
    write(config, "profiles/broken.toml", "what is this")
    assert load_sources(config).known_profiles == ("broken", "quiet")
    assert load(config).rules == ()
    config.write_text(RULE + 'profile = "broken"\n')
    assert problems(config) == ("profiles/broken.toml: line 1, column 6: what is this: not valid TOML: "
                                "expected '=' after a key in a key/value pair",)  # fmt: skip


def test_an_unknown_profile_is_told_with_those_there_are(config: Path) -> None:
    write(config, "profiles/loud.toml", "")
    config.write_text(RULE + 'profile = "quiett"\n' + RULE + 'profile = "../../etc/shadow"\n')
    assert problems(config) == (
        'gpu-tuned.toml: gpu[0].profile = "quiett": no such profile; nearest: "quiet"; known: loud, quiet',
        'gpu-tuned.toml: gpu[1].profile = "../../etc/shadow": no such profile; known: loud, quiet',
    )


def test_the_digest_follows_every_text(config: Path) -> None:
    digests = {load(config).digest}
    config.write_text(RULE + 'profile = "quiet"\n')
    digests.add(load(config).digest)
    write(config, "profiles/quiet.toml", "power_limit_w = 350\n")
    digests.add(load(config).digest)
    write(config, "gpu-tuned.d/a.toml", "gpu = []")
    digests.add(load(config).digest)
    assert len(digests) == 4
    assert all(len(digest) == 6 and int(digest, 16) >= 0 for digest in digests)
    assert load(config).digest in digests


def test_a_drop_in_can_be_checked_by_itself(config: Path) -> None:
    config.write_text("no toml")
    drop_in = write(config, "gpu-tuned.d/a.toml", RULE + 'profile = "own"\n')
    write(config, "profiles/own.toml", 'gpu_clock_mhz = "unlocked"\n')
    assert load(drop_in).files == (str(drop_in), str(config.parent / "profiles/own.toml"))
    drop_in.write_text(RULE + 'required = ["power_limit_w"]\n')  # the value may well be in another file
    assert load(drop_in).rules[0].required == {Setting.POWER_LIMIT}


def test_byte_order_mark_and_windows_line_ends_are_no_matter(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbfgpu = [] # \r\n[daemon]\r\npoll_interval_s = 5\r\n")
    assert load(config).daemon == DaemonOptions(poll_interval_s=5.0)


def test_toml_1_1_tables_over_several_lines(config: Path) -> None:
    config.write_text(RULE + "gpu_clock_mhz = {\n  min = 2400,\n  max = 2550,\n}\n")
    assert load(config).wishes_for(BOARD)[Setting.GPU_CLOCK].target == ClockLock(2400, 2550)


SYNTAX = [
    (
        b"[daemon]\nmode = \n",
        "line 2, column 8: mode =: not valid TOML: invalid value; text stands in quotes, and true and false "
        "are in lower case",
    ),
    (b"gpu = []\ngpu = []\n", "line 2, column 9: gpu = []: not valid TOML: cannot overwrite a value"),
    (b"[daemon\n", "line 1, column 8: [daemon: not valid TOML: expected ']' at the end of a table declaration"),
    (
        b"x = 450 W\n",
        "line 1, column 9: x = 450 W: not valid TOML: expected newline or end of document after a "
        "statement; a number has no unit, and no zero before it",
    ),
    (b"x = '" + b"\x1b[31m" + b"y" * 99 + b"\n", 'line 2, column 1: not valid TOML: expected "\'"'),
    (
        b"z" * 99 + b"\x1b\n",
        "line 1, column 100: " + "z" * 57 + "...: not valid TOML: expected '=' after a key in a key/value pair",
    ),
    (b"gpu = []\n# caf\xe9\n", "line 2: holds bytes that are no UTF-8 text"),
    (b"", "says nothing; for a policy without rules write gpu = []"),
    (b"# only a comment\n\n", "says nothing; for a policy without rules write gpu = []"),
    (b"x = " + b"[" * 900_000, "is nested deeper than any policy can be"),
    (b"x = " + b"{a=" * 300_000, "is nested deeper than any policy can be"),
    (b"a." * 500_000 + b"a = 1", "is nested deeper than any policy can be"),
    (b"[" + b"a." * 500_000 + b"a]", "is nested deeper than any policy can be"),
    (b"x = " + b"1" * 900_000, "holds a number with more digits than any value can have"),
    (b"x = " + b"[" * 10_000_000, "is larger than 1 MiB, which no policy is"),
]


@pytest.mark.parametrize(("content", "said"), SYNTAX, ids=range(len(SYNTAX)))
def test_a_file_that_is_no_policy(config: Path, content: bytes, said: str) -> None:
    config.write_bytes(content)
    assert problems(config) == (f"gpu-tuned.toml: {said}",)


def test_a_drop_in_that_says_nothing_is_no_policy_either(config: Path) -> None:
    write(config, "gpu-tuned.d/20-psu.toml", "")  # a limit stood here before the disk was full
    assert problems(config) == ("gpu-tuned.d/20-psu.toml: says nothing; for a policy without rules write gpu = []",)


def test_the_largest_file_is_read(config: Path) -> None:
    config.write_bytes(b"gpu = [] ".ljust(LARGEST_FILE, b"#"))
    assert load(config).rules == ()


def test_a_file_that_is_not_there(config: Path) -> None:
    assert problems(config.parent / "other.toml") == ("other.toml: there is no such file",)
    config.unlink()
    config.symlink_to("nowhere")
    assert problems(config) == ("gpu-tuned.toml: there is no such file",)


def test_a_directory(config: Path) -> None:
    assert problems(config.parent) == (f"{config.parent.name}: is a directory; name the file in it",)
    (config.parent / "gpu-tuned.d" / "a.toml").mkdir(parents=True)
    assert problems(config) == ("gpu-tuned.d/a.toml: is a directory; name the file in it",)


def test_a_named_pipe_does_not_hold_the_daemon_up(config: Path) -> None:
    config.unlink()
    os.mkfifo(config)
    assert problems(config) == ("gpu-tuned.toml: is no regular file",)
    assert problems(Path("/dev/zero")) == ("zero: is no regular file",)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root reads what it likes, so where the tests run as root they are nobody for a moment."""
    uid = os.geteuid()
    os.seteuid(uid or 65534)
    try:
        yield
    finally:
        os.seteuid(uid)


@pytest.fixture
def public_config() -> Iterator[Path]:
    """pytest's own directory is closed to everybody else."""
    with TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        config = Path(directory) / "gpu-tuned.toml"
        config.write_text("gpu = []")
        load(config)  # whatever Python imports late it imports now: nobody may not read its library
        yield config


def test_files_without_permission(public_config: Path) -> None:
    drop_in = write(public_config, "gpu-tuned.d/a.toml", "gpu = []")
    drop_in.chmod(0)
    public_config.chmod(0)
    with unprivileged():
        assert problems(public_config) == (
            "gpu-tuned.toml: no permission to read it",
            "gpu-tuned.d/a.toml: no permission to read it",
        )


def test_drop_ins_that_cannot_be_listed_are_not_taken_for_none(public_config: Path) -> None:
    drop_ins = write(public_config, "gpu-tuned.d/a.toml", "gpu = []").parent
    drop_ins.chmod(0)
    with unprivileged():
        assert problems(public_config) == ("gpu-tuned.d: cannot be listed: no permission to read it",)
    drop_ins.chmod(0o755)


def test_problems_of_several_files_come_together(config: Path) -> None:
    config.write_text("[daemon]\nmode = 3\n")
    write(config, "gpu-tuned.d/a.toml", "what is this")
    write(config, "gpu-tuned.d/b.toml", RULE + "power_limit_w = 450\npowr_limit_w = 3\n")
    assert problems(config) == (
        "gpu-tuned.d/a.toml: line 1, column 6: what is this: not valid TOML: expected '=' after a key in a key/value "
        "pair",
        'gpu-tuned.toml: daemon.mode = 3: must be "enforce" or "observe"',
        "gpu-tuned.d/b.toml: gpu[0].powr_limit_w: no such key; nearest: power_limit_w",
    )


def test_a_name_of_any_bytes_can_be_said(config: Path) -> None:
    write(config, "gpu-tuned.d/x", "")
    name = os.fsdecode(os.fsencode(config.parent / "gpu-tuned.d") + b"/\xff\n.toml")
    Path(name).write_text("gpu = 3")
    (problem,) = problems(config)
    assert problem.encode().decode() == (
        "gpu-tuned.d/\N{REPLACEMENT CHARACTER}\\u000A.toml: gpu = 3: rules are a list; "
        "write [[gpu]] with two brackets above each rule"
    )


def test_saved_sources_parse_to_the_same_policy_when_the_files_are_gone(config: Path) -> None:
    config.write_text(RULE + 'profile = "quiet"\n')
    write(config, "gpu-tuned.d/a.toml", "[daemon]\npoll_interval_s = 7\n")
    policy, saved = load(config), load_sources(config).to_json()
    config.write_text("broken")
    assert parse_sources(Sources.from_json(saved)) == policy


@pytest.mark.parametrize(
    "raw",
    [{}, [], None, 3, {"documents": []}, {"documents": 3, "profiles": [], "known_profiles": [], "partial": False},
     {"documents": [], "profiles": [], "known_profiles": [], "partial": False},
     {"documents": [{"name": "a", "path": "a", "text": 3, "shipped": False}], "profiles": [], "known_profiles": [],
      "partial": False}],
)  # fmt: skip
def test_a_damaged_saved_policy_is_refused(raw: object) -> None:
    with pytest.raises(PolicyError, match="the saved policy cannot be read"):
        Sources.from_json(raw)  # type: ignore[arg-type]
