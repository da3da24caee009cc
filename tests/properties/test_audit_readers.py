"""The readers of `env audit` against any input, and against the parsers of those they read for."""

from __future__ import annotations

import io
import re
from pathlib import Path

import dockerfile as buildkit
import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_tuned.environment.audit import run
from gpu_tuned.environment.audit.interpolation import interpolate
from gpu_tuned.environment.audit.model import Reader
from gpu_tuned.environment.audit.readers import dockerfile, envfile, words
from gpu_tuned.environment.shipped import shipped

CORPUS = Path(__file__).parents[1] / "environment_audit"
FILES = ["a.env", "Dockerfile", "compose.yaml", "vllm.service", "x.container", "unknown"]

# Pieces that readers treat specially, so that nonsense made of them is nonsense of the interesting kind.
PIECES = [
    "\n", "\n", "\\\n", " ", "\t", "=", ":", "'", '"', "#", " # ", "$", "${", "}", ":-", "$$", "%", "\\", "`", "- ",
    "[", "]", "{", "}", "<<EOF", "EOF", "&a", "*a", "<<: *a", "!reset", "|", ">", "---", "\r", "\ufeff", "é", "\x85",
    "ENV ", "ARG ", "FROM ", "RUN export ", "CMD [", "VOLUME ", "# escape=`", "[Service]", "[Container]",
    "Environment=", "EnvironmentFile=-", "ExecStart=/usr/bin/docker run -e ", "services:\n  a:\n    ",
    "environment:\n",
    "env:\n  - name: ", "value: ", "kind: ConfigMap\ndata:\n  ", "image: vllm/vllm-openai:v0.33.0\n", "extends: a\n",
    "tmpfs: ", "deploy: ", "count: ", "VLLM_USE_V1", "NCCL_DEBUG", "PYTORCH_CUDA_ALLOC_CONF=", "a:b,c:[d",
    "CUDA_VISIBLE_DEVICES=", "9" * 30, "# gpu-tuned: ignore ",
]  # fmt: skip
NONSENSE = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=40).map("".join)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@QUICK
@given(name=st.sampled_from(FILES), data=NONSENSE.map(str.encode) | st.binary(max_size=200))
def test_no_input_makes_a_traceback(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    result = run.of_files(shipped(), [str(path)])
    assert result.audited + len(result.unreadable) >= 1 or not data


@QUICK
@given(data=st.data(), path=st.sampled_from(sorted(p for p in CORPUS.rglob("*.*") if p.is_file())))
def test_no_broken_file_makes_a_traceback(tmp_path: Path, data: st.DataObject, path: Path) -> None:
    """Real files with a piece cut out and nonsense put in."""
    text = path.read_text()
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(NONSENSE) + text[at + data.draw(st.integers(0, 30)) :]
    target = tmp_path / path.name
    target.write_text(broken)
    run.of_files(shipped(), [str(target)])


PLAIN = st.text(st.characters(codec="ascii", exclude_characters="\x00\n\r", exclude_categories=["Cc"]), max_size=20)


@QUICK
@given(st.lists(st.tuples(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), PLAIN), max_size=5))
def test_an_env_file_means_what_python_dotenv_says(pairs: list[tuple[str, str]]) -> None:
    """Where both take the line: python-dotenv reads as Compose does."""
    lines = [f"{name}={value}" for name, value in pairs if not re.search(r"[\\$`'\"]", value)]
    text = "\n".join(lines) + "\n"
    ours = {one.name: one.value for one in envfile.read(text, "f", Reader.COMPOSE).environments[0].assignments}
    theirs = dotenv_values(stream=io.StringIO(text), interpolate=False)
    assert ours == theirs


@pytest.mark.parametrize(
    "line",
    [
        "A=1",
        "A='x # y'",
        'A="x # y"',
        'A="a\\nb"',
        "A=x # y",
        "A=x#y",
        "A=#x",
        "A= #x",
        "export A=1",
        "A= 1 ",
        "A=",
        "A='$B'",
        'A="x\'y"',
    ],
)
def test_quotes_and_comments_as_python_dotenv_takes_them(line: str) -> None:
    (ours,) = envfile.read(line + "\n", "f", Reader.COMPOSE).environments[0].assignments
    assert ours.value == dotenv_values(stream=io.StringIO(line), interpolate=False)["A"]


DOCKERFILES = [
    path.read_text() for path in sorted(CORPUS.rglob("*ockerfile")) if path.parent.name in ("clean", "guide")
]
BUILDKIT = [
    "FROM a\nENV A=1 \\\n  # c\n  B=\"2 3\" \\\n\n C='x'\nENV D e f\n",
    "FROM a\nRUN <<EOF cat\nENV X=1\nEOF\nENV B=2\nRUN <<-A <<'B'\n\tENV C=1\n\tA\nENV D=1\nB\nENV E=1\n",
    "# escape=`\nFROM a\nENV A=c:\\x `\n B=2\n",
    "from a\nenv a=b\\ c  D='e f'g\nonbuild env X=1\n",
    "FROM a\nARG A B=2 C='3'\nCOPY <<EOF /x\nENV no=1\nEOF\n",
    'FROM a\n  ENV  INDENTED=1  OTHER="two \\" three"\n',
]


@pytest.mark.parametrize("text", [*DOCKERFILES, *BUILDKIT])
def test_a_dockerfile_has_the_names_that_buildkit_finds(text: str) -> None:
    ours = set()
    for environment in dockerfile.read(text, "f").environments:
        ours |= {(one.name, one.place.line) for one in environment.assignments if one.form}
    try:
        commands = buildkit.parse_string(text)
    except buildkit.GoParseError:
        assert any(trap.id.startswith("dockerfile-") for trap in dockerfile.read(text, "f").traps)
        return
    theirs = set()
    for command in commands:
        kind = (command.sub_cmd if command.cmd.upper() == "ONBUILD" else command.cmd).upper()
        values = command.value
        if kind == "ENV":
            theirs |= {(name, command.start_line, command.end_line) for name in values[::2]}
        elif kind == "ARG":
            theirs |= {(value.partition("=")[0], command.start_line, command.end_line) for value in values}
    assert {name for name, _ in ours} == {name for name, _, _ in theirs}
    spans = {name: (begin, end) for name, begin, end in theirs if sum(n == name for n, _, _ in theirs) == 1}
    assert all(spans[name][0] <= line <= spans[name][1] for name, line in ours if name in spans)


@QUICK
@given(st.text(st.sampled_from("${}:-?+ABab \\")))
def test_interpolation_ends_and_keeps_what_has_no_dollar(text: str) -> None:
    value, used = interpolate(text, {"A": "1"})
    if "$" not in text:
        assert (value, used) == (text, set())


@QUICK
@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1), max_size=5))
def test_words_come_back_from_quotes(parts: list[str]) -> None:
    import shlex

    assert [word.text for word in words.split(shlex.join(parts))] == parts
