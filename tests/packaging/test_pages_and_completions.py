"""Manual pages and completions say what the code knows: every verb, option and key."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_tuned.core.policy.keys import DAEMON, HOST, RULE
from gpu_tuned.core.policy.words import Problems, Spot
from gpu_tuned.ctl.verbs import VERBS
from tests.packaging.built import ENVIRONMENT, TOP
from tests.packaging.conftest import Package

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Page -> its source, without the marks of roff."""
    folder = tmp_path_factory.mktemp("man")
    assert make(TOP / "packaging/man/make.py", folder).returncode == 0
    return {path.name: re.sub(r"\\f[BIR]|\\&", "", path.read_text()).replace("\\-", "-").replace("\\(aq", "'")
            for path in folder.iterdir()}  # fmt: skip


def make(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | {"PYTHONPATH": str(TOP / "daemon"), "SOURCE_DATE_EPOCH": "0"}
    return subprocess.run([sys.executable, script, folder], env=environment, capture_output=True, text=True)


def test_there_are_three(pages: dict[str, str]) -> None:
    assert set(pages) == {"gpu-tuned.8", "gpu-tunedctl.1", "gpu-tuned.toml.5"}


def test_every_key_is_there_with_what_the_parser_takes(pages: dict[str, str]) -> None:
    page = pages["gpu-tuned.toml.5"]
    for table in (DAEMON, HOST, RULE):
        for key, reader in table.items():
            assert f"\n.TP\n{key}\n" in page
            problems = Problems()
            reader(Spot("", key, "", problems))
            for sentence in problems.sentences:
                allowed = sentence.partition(": must be ")[2]
                assert allowed[1:] in page


def test_every_verb_and_option_is_there(pages: dict[str, str]) -> None:
    from gpu_tuned.ctl.parser import parser_of

    page = pages["gpu-tunedctl.1"]
    for verb in VERBS:
        assert f".SS {verb}\ngpu-tunedctl {verb}" in page
        for action in parser_of(verb)._actions:
            assert all(option in page for option in action.option_strings)


def test_common_options_are_common(pages: dict[str, str]) -> None:
    section = pages["gpu-tunedctl.1"].partition(".SH COMMON OPTIONS")[2].partition(".SH ")[0]
    tags = re.findall(r"^\.TP\n(\S+)", section, re.MULTILINE)
    assert [tag.rstrip(",") for tag in tags] == ["-h", "--socket", "--timeout", "--no-color", "--version"]


def test_what_a_page_does_not_fill_fits_into_80_columns(pages: dict[str, str]) -> None:
    for page in pages.values():
        for part in re.findall(r"\.nf\n(.*?)\n\.fi", page, re.DOTALL):
            assert [line for line in part.splitlines() if len(line) > 80 - 7] == []


def test_options_of_the_daemon_are_there(pages: dict[str, str]) -> None:
    for option in ("--config", "--state-dir", "--socket", "--observe", "--version"):
        assert f"\n{option}" in pages["gpu-tuned.8"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_pages_are_clean(deb: Package) -> None:
    for page in (deb.root / "usr/share/man").rglob("*.gz"):
        script = 'zcat "$1" | groff -man -Tutf8 -ww -z'
        done = subprocess.run(["sh", "-c", script, "sh", page], capture_output=True, text=True, env=ENVIRONMENT)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("edit", ["poll_interval_s\n", "no_such_key\nIt is not there.\n\nmode\n"])
def test_a_key_that_code_and_text_do_not_share_is_an_error(tmp_path: Path, edit: str) -> None:
    shutil.copytree(TOP / "packaging/man", tmp_path / "man")
    keys = tmp_path / "man/keys.txt"
    text = keys.read_text()
    one = text.replace("poll_interval_s\n", "", 1) if edit == "poll_interval_s\n" else text.replace("mode\n", edit, 1)
    keys.write_text(one)
    done = make(tmp_path / "man/make.py", tmp_path / "out")
    assert done.returncode != 0
    assert "differ in: " in done.stderr and edit.split("\n")[0] in done.stderr


def completions(deb: Package) -> dict[str, Path]:
    share = deb.root / "usr/share"
    return {
        "bash": share / "bash-completion/completions/gpu-tunedctl",
        "zsh": share / "zsh/vendor-completions/_gpu-tunedctl",
        "fish": share / "fish/vendor_completions.d/gpu-tunedctl.fish",
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_verb(deb: Package, shell: str) -> None:
    text = completions(deb)[shell].read_text()
    assert all(re.search(rf"\b{verb}\b", text) for verb in VERBS)
    if shutil.which(shell):
        subprocess.run([shell, "-n", completions(deb)[shell]], check=True, env=ENVIRONMENT)


@pytest.mark.parametrize(
    ("typed", "offered"), [("ver", "verify"), ("instal", "install-units"), ("status --js", "--json")]
)
def test_bash_completes(deb: Package, typed: str, offered: str) -> None:
    script = """
        . "$1"; COMP_WORDS=(gpu-tunedctl $2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        handler=$(complete -p gpu-tunedctl); handler=${handler##*-F }
        ${handler%% *}; printf '%s\\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "-c", script, "bash", str(completions(deb)["bash"]), typed]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert [word.strip() for word in done.stdout.splitlines()] == [offered]
