"""gpu-tunedctl as a process, against a socket: output, exit codes, what it imports, how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_tuned.ctl.verbs import EXIT_CODES, VERBS
from tests.golden.fake_daemon import fake_daemon
from tests.golden.kept import document, documents, reply

ENTRY = "from gpu_tuned.main import control; control()"
EXPECTED_CODES = {
    "another_limit": 0,
    "ceiling": 0,
    "eight": 5,
    "eight_in_order": 0,
    "hang": 5,
    "last_good": 1,
    "mismatch": 5,
    "no_driver": 5,
    "no_policy": 1,
    "none": 0,
    "observe": 1,
    "one": 0,
    "over_budget": 1,
    "raised": 0,
    "released": 1,
    "restored": 1,
    "rival": 0,
    "stalled": 0,
    "starting": 1,
    "troubles": 1,
    "two": 0,
    "undeclared": 0,
    "unmatched": 1,
}


def command(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "GPU_TUNED_SOCKET")}
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, *argv],
        capture_output=True,
        text=True,
        timeout=60,
        env={**inherited, "TZ": "UTC", **env},
    )
    # Whatever is tried here: the verb's row names the code it ends with.
    rows = [VERBS[word] for word in argv if word in VERBS]
    assert done.returncode in (rows[0].exits if rows else EXIT_CODES)
    return done


def test_every_document_has_an_expected_code() -> None:
    assert sorted(EXPECTED_CODES) == documents()


@pytest.mark.parametrize("name", documents())
def test_status_and_verify_end_with_the_code_of_what_they_show(name: str, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Status": document(name)}) as daemon:
        shown = command("--socket", daemon.path, "status")
        judged = command("verify", "--socket", daemon.path)
    assert (shown.returncode, shown.stderr) == (EXPECTED_CODES[name], "")
    assert (judged.returncode, judged.stderr) == (EXPECTED_CODES[name], "")
    assert shown.stdout
    assert judged.stdout.startswith("in order") == (EXPECTED_CODES[name] == 0)


def test_json_is_the_document_itself_with_fields_that_this_command_does_not_know(tmp_path: Path) -> None:
    newer = {**document("one"), "newer": [1, 2, 3]}
    with fake_daemon(tmp_path, {"Status": newer}) as daemon:
        done = command("status", "--json", GPU_TUNED_SOCKET=daemon.path)
        text = command("status", GPU_TUNED_SOCKET=daemon.path)
    assert json.loads(done.stdout) == newer
    assert text.returncode == 0


@pytest.mark.parametrize("who", ["5", "c3:00.0", "0000:c3:00.0", "GPU-91AA60B3", "91aa60b3", "c3"])
def test_one_gpu_is_picked_and_shown_in_full(who: str, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Status": document("eight")}) as daemon:
        done = command("status", who, "--socket", daemon.path)
    assert done.returncode == 5
    assert "LOST: Xid 79 at 14:02" in done.stdout
    assert "gpu clock" in done.stdout
    assert "1b:00.0" not in done.stdout


def test_status_of_a_gpu_in_order_is_in_order_beside_a_lost_one(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Status": document("eight")}) as daemon:
        assert command("status", "0", "--socket", daemon.path).returncode == 0


@pytest.mark.parametrize("who", ["8", "GPU-91aa", "nobody"])
def test_a_gpu_that_is_none_or_many_is_refused_with_the_list(who: str, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Status": document("eight")}) as daemon:
        done = command("status", who, "--socket", daemon.path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "\ngpu-tunedctl:   7  df:00.0  GPU-91aa8761\n" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 80


@pytest.mark.parametrize("verb", ["status", "verify", "throttle", "show", "restore", "release"])
def test_a_gpu_that_is_none_for_want_of_a_driver_is_the_driver_s_trouble(verb: str, tmp_path: Path) -> None:
    absent = document("no_driver")
    with fake_daemon(tmp_path, {"Status": absent, "Throttle": absent}) as daemon:
        done = command(verb, "0", "--socket", daemon.path)
    assert (done.returncode, done.stdout) == (5, "")
    assert f"no GPU '0' here: driver absent: {absent['driver']['message']}" in done.stderr


def test_nobody_listens(tmp_path: Path) -> None:
    for verb in (["status"], ["verify"], ["throttle"], ["watch"], ["apply"], ["release", "0"]):
        done = command(*verb, "--socket", str(tmp_path / "none"))
        assert (done.returncode, done.stdout) == (3, "")
        assert str(tmp_path / "none") in done.stderr
        assert "Traceback" not in done.stderr


def test_writing_verbs_say_what_the_daemon_says_and_send_uuids(tmp_path: Path) -> None:
    uuid = document("two")["gpus"][1]["uuid"]
    answers = {
        verb: {"format": 1, "message": f"{verb} done"} for verb in ("Apply", "Reload", "Restore", "Release", "Resume")
    }
    with fake_daemon(tmp_path, {"Status": document("two"), **answers}) as daemon:
        for argv, asked in (
            (["apply"], ("Apply", {})),
            (["reload"], ("Reload", {})),
            (["restore"], ("Restore", {})),
            (["restore", "1"], ("Restore", {"gpu": uuid})),
            (["restore", "41:00.0", "power_limit_w"], ("Restore", {"gpu": uuid, "setting": "power_limit_w"})),
            (["release", "GPU-0c4f", "--for", "1h30m"], ("Release", {"gpu": uuid, "for_s": 5400.0})),
            (["release", "--all"], ("Release", {})),
            (["resume"], ("Resume", {})),
            (["resume", "1"], ("Resume", {"gpu": uuid})),
        ):
            done = command(*argv, "--socket", daemon.path)
            assert (done.returncode, done.stdout, done.stderr) == (0, f"{asked[0]} done\n", "")
            assert daemon.calls[-1] == asked


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (("NotPermitted", {"method": "Apply", "needed": "uid 0"}), 4, "root or membership in the group gpu-tuned"),
        (("PolicyRefused", {"problems": ["a.toml: one", "a.toml: two"]}), 2, "a.toml: two"),
        (("NotAnswering", {"since": "2026-11-22T14:02:11Z"}), 5, "has not answered since"),
        (("DriverTrouble", {"message": "GPU is lost"}), 5, "GPU is lost"),
    ],
)
def test_errors_of_the_daemon_have_their_codes(error: Any, code: int, said: str, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Apply": error}) as daemon:
        done = command("apply", "--socket", daemon.path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert all(line.startswith("gpu-tunedctl: ") for line in done.stderr.splitlines())


def test_usage() -> None:
    for argv, said in (
        ([], "exit codes:"),
        (["statsu"], "did you mean 'status'?"),
        (["--frobnicate", "status"], "unrecognized arguments"),
        (["release"], "--all"),
        (["release", "0", "--all"], "contradict"),
        (["release", "0", "--for", "10"], "10m"),
        (["check"], "FILE"),
    ):
        done = command(*argv)
        assert done.returncode == 2, argv
        assert said in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_has_the_exit_codes_and_an_example(verb: str) -> None:
    done = command(*([verb] if verb else []), "--help", COLUMNS="80")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    for word in ("examples:", "exit codes:", "--no-color"):
        assert word in done.stdout
    told = {int(code) for code in re.findall(r"^  (\d)  ", done.stdout.partition("exit codes:\n")[2], re.MULTILINE)}
    assert told == set(VERBS[verb].exits if verb else EXIT_CODES)


@pytest.mark.parametrize("argv", [["--help"], ["status", "--help"], ["--version"]])
@pytest.mark.parametrize(("shut", "code"), [(">/dev/full", 5), (">&-", 0), ("0<&- >&- 2>&-", 0)])
def test_help_goes_where_the_rest_goes(argv: list[str], shut: str, code: int) -> None:
    """What a full disk did not take was not told; where nobody wants to read, nothing was lost."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {shut}', "sh", sys.executable, "-c", ENTRY, *argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ("cannot be told: No space left" in done.stderr) == bool(code)


def test_version() -> None:
    assert re.fullmatch(r"gpu-tunedctl \d+\.\d+\.\d+\n", command("--version").stdout)


def test_plan_by_the_daemon(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, {"Plan": reply("plan_changes")}) as daemon:
        done = command("plan", "--socket", daemon.path)
        assert json.loads(command("plan", "--json", "--socket", daemon.path).stdout) == reply("plan_changes")
        daemon.answers["Plan"] = reply("plan_nothing")
        nothing = command("plan", "--socket", daemon.path)
    assert (done.returncode, nothing.returncode) == (1, 0)
    assert "575 W -> 450 W" in done.stdout
    assert nothing.stdout == "nothing to write\n"


@pytest.mark.parametrize("argv", [("verify",), ("status", "--json")])
@pytest.mark.parametrize("how", ["nobody reads", "full", "closed", "all closed"])
@pytest.mark.parametrize(("name", "code"), [("eight", 5), ("one", 0)])
def test_the_exit_code_is_that_of_what_was_found_whatever_becomes_of_the_output(
    argv: tuple[str, ...], how: str, name: str, code: int, tmp_path: Path
) -> None:
    """`gpu-tunedctl verify | true` must not say that all is well because nobody reads that it is not."""
    ours, theirs = os.pipe()
    os.close(ours)
    out = os.open("/dev/full", os.O_WRONLY) if how == "full" else theirs
    shut = {"closed": "1>&-", "all closed": "0<&- 1>&- 2>&-"}.get(how, "")
    with fake_daemon(tmp_path, {"Status": document(name)}) as daemon:
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {shut}', "sh", sys.executable, "-c", ENTRY, *argv, "--socket", daemon.path],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    os.close(theirs)
    # What could not be told is no success.
    assert done.returncode == (5 if how == "full" and not code else code)
    assert "Traceback" not in done.stderr
    assert ("cannot be told" in done.stderr) == (how == "full")
