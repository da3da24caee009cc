"""What a shell refuses to read, `init` must not read either: from the place of the mistake on nothing runs.

Each text stands in an arm of a `case` that is never taken, so that only the reading of it counts.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from gpu_tuned.init.shell_nodes import NotUnderstood
from gpu_tuned.init.shell_parse import parse

TEXTS = [
    *(
        "nvidia-smi() { :; }",
        "f.g() { :; }",
        "1f() { :; }",
        "function f { :; }",
        "f() ( true )",
        "f() :",
        "f() if :; fi",
    ),
    *("a=(1 2)", "a+=(3)", "a[0]=1", "x[0", "echo ${a[0]}", "echo ${a//b/c}", "echo ${a:0:1}", 'echo ${a-"b}'),
    *(
        "if true; then fi",
        "if true; then :; else fi",
        "while true; do done",
        "{ }",
        "( )",
        "{ true }",
        "fi",
        "done done",
    ),
    *("true &; true", "; true", ";;;", "true && && true", "true | | true", "! true", "time true", "in case", "]] x"),
    *("for 1x in a; do :; done", "for x-y in a; do :; done", "for x; do :; done", "for x in a; ; do :; done"),
    *("for ((i = 0; i < 3; i++)); do :; done", "for ((i = 0; i++)); do :; done", "((x = 1))", "x=$[1 + 1]"),
    *("cat <<< x", "echo a &> /dev/null", "echo a |& cat", "echo a >| /dev/null", "cat < 2> x", "echo <(true)"),
    *(
        "[[ -n $x ]] && :",
        "select x in a; do :; done",
        "case x in (x) :;; (y) : ;; esac",
        "case a in a) : ;& b) :;; esac",
    ),
    *("echo $(", "echo $(fi)", "echo $(true; ; true)", "echo `", 'echo "$(', "echo $((1 +", "echo a)", "(echo a"),
    *("cat <<E\n$(true\nE", "cat <<E\n${x\nE", "cat <<E\nno end", "echo 'a", 'echo "a'),
]


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_the_shell_does_not_read_is_not_read(shell: str, text: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    script = f'case "${{1:-no}}" in\nnever)\n{text}\n;;\nesac\necho reached\n'
    ran = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False)
    if "reached" in ran.stdout:
        return
    with pytest.raises(NotUnderstood):
        parse(script, bash=shell == "bash")


@pytest.mark.parametrize(
    "text", ["x=1; nvidia-smi -pl 300", "if true; then\n\n  :\nfi", "for x in a b; do :; done &"]
)
def test_what_every_shell_reads_is_read(text: str) -> None:
    assert parse(text, bash=False) and parse(text, bash=True)
