"""Scripts: what they set on every way through them, and why the rest is not certain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gpu_tuned.core.model import ClockLock, NumaBalancing, PowerLimit, Setting
from gpu_tuned.init.model import Effect, Kind
from gpu_tuned.init.shell_run import Walk
from gpu_tuned.init.shell_scripts import script
from gpu_tuned.init.shell_seen import Seen
from gpu_tuned.init.shell_state import Here
from gpu_tuned.init.shell_values import Text, Variables


@dataclass
class Files:
    """Scripts by their paths."""

    texts: dict[str, str] = field(default_factory=dict)

    def script(self, path: str) -> tuple[str, str] | None:
        return (path, self.texts[path]) if path in self.texts else None

    def runs(self, path: str) -> bool:
        return True

    def there(self, path: str) -> bool:
        return path in self.texts

    def folder(self, path: str) -> bool:
        return path in ("/tmp", "/root")

    def find(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if f"/usr/bin/{name}" in self.texts else None


def read(text: str, *arguments: str, root: bool = True, **more: str) -> list[Effect]:
    """What a script does that something starts; `more` are scripts at /NAME."""
    files = Files({"/x": text, **{f"/{name}": other for name, other in more.items()}})
    walk = Walk(Seen("test"), files)
    here = Here("/unit", Variables({}, {}, None), root=root)
    script(walk, Text("/x"), tuple(Text(word) for word in arguments), here, 1)
    return walk.seen.effects


def certain(text: str, *arguments: str, **more: Any) -> list[tuple[object, tuple[str, ...] | None]]:
    found = [e for e in read(f"#!/bin/bash\n{text}\n", *arguments, **more) if e.doubt is None]
    return [(watts(e.target), e.gpus) for e in found]


def watts(target: object) -> object:
    return target.limit_mw // 1000 if isinstance(target, PowerLimit) else target


def kinds(text: str, *arguments: str, **more: Any) -> list[str]:
    return [e.doubt.kind.value if e.doubt else "" for e in read(f"#!/bin/bash\n{text}\n", *arguments, **more)]


ALWAYS = {
    "nvidia-smi -pl 300": [(300, ())],
    "sudo -n /usr/bin/nvidia-smi -pl 300 >/dev/null 2>&1 || true": [(300, ())],
    "env LANG=C timeout 10 nice -n 5 nvidia-smi -pl 300 &": [(300, ())],
    "sh -c 'nvidia-smi -pl 300; nvidia-smi -i 1 -pl 200'": [(300, ()), (200, ("1",))],
    "nvidia-smi -pl 300 | tee -a /var/log/gpu.log": [(300, ())],
    "(sleep 30; nvidia-smi -pl 300) &": [(300, ())],
    "W=300\nSMI='/usr/bin/nvidia-smi -pl '\n$SMI $W": [(300, ())],
    'W=300; nvidia-smi -i 0 \\\n  -pl "${W}"': [(300, ("0",))],
    "W=300; nvidia-smi -pl ${W:-400}": [(300, ())],
    "for i in 0 1; do nvidia-smi -i $i -pl 300; done": [(300, ("0",)), (300, ("1",))],
    "for i in {0..1}; do\n nvidia-smi -i $i -pl 300\ndone": [(300, ("0",)), (300, ("1",))],
    "for i in $(seq 0 1); do nvidia-smi -i $i -pl 300; done": [(300, ("0",)), (300, ("1",))],
    'gpus=(0 1)\nfor i in "${gpus[@]}"; do nvidia-smi -i $i -pl 300; done': [(300, ("0",)), (300, ("1",))],
    "f() { nvidia-smi -pl 300; }\nf": [(300, ())],
    'main() { nvidia-smi -pl 300; }\nmain "$@"': [(300, ())],
    "command -v nvidia-smi >/dev/null || exit 0\nnvidia-smi -pl 300": [(300, ())],
    "if [ -x /usr/bin/nvidia-smi ]; then nvidia-smi -pl 300; fi": [(300, ())],
    "if ! which nvidia-smi; then exit 1; fi\nnvidia-smi -pl 300": [(300, ())],
    "[ -e /dev/nvidia0 ] && nvidia-smi -pl 300": [(300, ())],
    'if [ "$EUID" -ne 0 ]; then exit 1; fi\nnvidia-smi -pl 300': [(300, ())],
    "until nvidia-smi >/dev/null; do sleep 1; done\nnvidia-smi -pl 300": [(300, ())],
    "while true; do nvidia-smi -pl 300; sleep 60; done": [(300, ())],
    "while sleep 30; do nvidia-smi -pl 300; done": [(300, ())],
    "set -e\necho start\nnvidia-smi -pl 300": [(300, ())],
    "set -e\nfor i in 1 2 3; do if nvidia-smi -pm 1; then break; fi; sleep 2; done\nnvidia-smi -pl 300": [
        (True, ()),
        (300, ()),
    ],
    "/limits.sh": [(300, ())],
    ". /limits.sh": [(300, ())],
    "bash /limits.sh": [(300, ())],
    "eval 'nvidia-smi -pl 300'": [(300, ())],
    "[ -r /limits.sh ] && . /limits.sh": [(300, ())],
    "if [ -f /limits.sh ]; then . /limits.sh; fi": [(300, ())],
    "nvidia-smi() { :; }\ncommand nvidia-smi -pl 300": [(300, ())],
    "nvidia-smi() { :; }\nsudo nvidia-smi -pl 300": [(300, ())],
    "nvidia-smi() { :; }\nunset -f nvidia-smi\nnvidia-smi -pl 300": [(300, ())],
    "alias nvidia-smi=true\nhash -r\nnvidia-smi -pl 300": [(300, ())],
    "export PATH=/usr/local/cuda/bin:$PATH\nnvidia-smi -pl 300": [(300, ())],
    "LIMIT=300W\nnvidia-smi -pl ${LIMIT%W}": [(300, ())],
    "W=\nnvidia-smi -pl ${W:-300}": [(300, ())],
    "cat <<E\nnvidia-smi -pl 400\nE\nnvidia-smi -pl 300": [(300, ())],
    "echo 'nvidia-smi -pl 400'\nprintf '\n nvidia-smi -pl 400\n'\nnvidia-smi -pl 300": [(300, ())],
}


@pytest.mark.parametrize("text", ALWAYS)
def test_what_every_way_through_a_script_sets(text: str) -> None:
    found = certain(text, **{"limits.sh": "#!/bin/sh\nnvidia-smi -pl 300\n"})
    assert list(dict.fromkeys(found)) == ALWAYS[text]


DOUBTFUL = {
    'if [ "$1" = off ]; then nvidia-smi -pl 300; fi': "branch",
    "if lspci | grep -q NVIDIA; then nvidia-smi -pl 300; fi": "branch",
    'case "$1" in start) nvidia-smi -pl 300;; esac': "branch",
    "systemctl is-active x && nvidia-smi -pl 300": "branch",
    "systemctl is-active x || nvidia-smi -pl 300": "branch",
    "[ -r /etc/quiet ] && nvidia-smi -pl 300": "branch",
    "systemctl is-active x || exit 0\nnvidia-smi -pl 300": "branch",
    "if [ -e /etc/quiet ]; then exit 0; fi\nnvidia-smi -pl 300": "branch",
    "set -e\n/opt/something\nnvidia-smi -pl 300": "branch",
    'set -u\necho "$MODE"\nnvidia-smi -pl 300': "branch",
    "while [ -e /x ]; do sleep 1; done\nnvidia-smi -pl 300": "branch",
    "trap 'nvidia-smi -pl 300' EXIT": "branch",
    "trap 'nvidia-smi -pl 300' TERM": "stop",
    "nvidia-smi -pl 200 | nvidia-smi -pl 300": "branch",
    "for w in 200 300; do nvidia-smi -pl $w; done": "loop",
    "for x in $LIST; do nvidia-smi -pl 300; done": "loop",
    "nvidia-smi -pl $WATTS": "computed",
    "nvidia-smi -pl $(cat /etc/watts)": "computed",
    "nvidia-smi -pl $((300 - 20))": "computed",
    "nvidia-smi $OPTIONS": "computed",
    "$SMI -pl 300": "computed",
    "W=300; read W; nvidia-smi -pl $W": "computed",
    "W=300\nif big; then W=400; fi\nnvidia-smi -pl $W": "computed",
    "W=300\n[ -r /c ] && . /c\nnvidia-smi -pl $W": "computed",
    "declare -i W=300\nW=W+1\nnvidia-smi -pl $W": "computed",
    "set_gpu() { nvidia-smi -i 0 -pl $1; }\nset_gpu 300": "computed",
    "nvidia-smi -L | xargs -I{} nvidia-smi -i {} -pl 300": "computed",
    'eval "nvidia-smi -pl $X"': "computed",
    "nvidia-smi -i $GPU -pl 300": "other-gpu-unknown",
    "for i in $(nvidia-smi -L); do nvidia-smi -i $i -pl 300; done": "other-gpu-unknown",
    "while true; do if hot; then nvidia-smi -pl 300; fi; sleep 9; done": "controller",
    "while sleep 9; do nvidia-smi -pl $((x)); done": "controller",
    "nvidia-smi -pl 300; ((": "unreadable",
    "bash <<E\nnvidia-smi -pl 300\nE": "unreadable",
    "bash <<< 'nvidia-smi -pl 300'": "unreadable",
    "echo 'nvidia-smi -pl 300' | sh": "unreadable",
    "echo 'nvidia-smi -pl 300' | at now + 5 minutes": "unreadable",
    "nvidia-smi -pl 250 -pl 300": "unreadable",
    "coproc nvidia-smi -pl 300": "computed",
    "retry 5 nvidia-smi -pl 300": "computed",
    "echo -pl=300 | xargs nvidia-smi": "computed",
    'run() { "$@"; }\nrun nvidia-smi -pl 300': "computed",
}
HIDDEN = [
    "out=$(nvidia-smi -pl 300 2>&1)",
    'logger "$(nvidia-smi -pl 300)"',
    'if [ -n "$(nvidia-smi -pl 300)" ]; then :; fi',
    'case "$(nvidia-smi -pl 300)" in *) ;; esac',
    "for row in $(nvidia-smi -pl 300); do :; done",
    "set_it() { nvidia-smi -pl 300; }\nout=$(set_it)",
    "x=${Y:-$(nvidia-smi -pl 300)}",
    'C="nvidia-smi -pl $W"\n$C',
    'C="nvidia-smi -pl $W"\neval "$C"',
    'C=(nvidia-smi)\nC+=(-pl 300)\n"${C[@]}"',
    'C=(nvidia-smi -pl "$W")\n"${C[@]}"',
    'set -- nvidia-smi -pl "$W"\n"$@"',
    "printf -v C 'nvidia-smi -pl %s' 300\n$C",
    "cat > /tmp/x.sh <<E\nnvidia-smi -pl 300\nE\nsh /tmp/x.sh",
    "echo 'nvidia-smi -pl 300' > /run/x\n/run/x",
    "echo 'nvidia-smi -pl 300' | tee /run/x\n. /run/x",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_call_is_seen_wherever_it_stands(text: str) -> None:
    assert [effect.setting for effect in read(f"#!/bin/bash\n{text}\n")] == [Setting.POWER_LIMIT]


MEANT = "nvidia-smi -pl 300"
ANOTHER = [
    f'if [ -n "$DRY_RUN" ]; then nvidia-smi() {{ :; }}; fi\n{MEANT}',
    f"nvidia-smi() {{ :; }}\ncase $1 in a) unset -f nvidia-smi ;; esac\n{MEANT}",
    f"nvidia-smi() {{ :; }}\nunset -f $NAME\n{MEANT}",
    f"for x in $LIST; do nvidia-smi() {{ :; }}; done\n{MEANT}",
    f"while read -r x; do {MEANT}; nvidia-smi() {{ :; }}; done",
    f"shopt -s expand_aliases\nalias nvidia-smi=true\n{MEANT}",
    f"hash -p /opt/smi nvidia-smi\n{MEANT}",
    f"enable -f /opt/smi.so nvidia-smi\n{MEANT}",
    f'. "$LIB/lib.sh"\n{MEANT}',
    f'eval "$SETUP"\n{MEANT}',
    f"PATH=/nowhere\n{MEANT}",
    f"PATH=/nowhere {MEANT}",
    f"env PATH=/nowhere {MEANT}",
    f"PATH=$HOME/bin:$PATH\n{MEANT}",
    f"PATH=.:$PATH\n{MEANT}",
    f"PATH=$(getconf PATH)\n{MEANT}",
    f"./{MEANT}",
    f"/opt/own/{MEANT}",
    "sh -c 'PATH=/nowhere; nvidia-smi -pl 300'",
    "export PATH=/nowhere\nsh -c 'nvidia-smi -pl 300'",
    "nvidia-smi() { :; }\nexport -f nvidia-smi\nbash -c 'nvidia-smi -pl 300'",
]
"""Scripts in which nvidia-smi may not be NVIDIA's."""


@pytest.mark.parametrize("text", ANOTHER)
def test_a_name_that_may_stand_for_another_command_sets_nothing_for_certain(text: str) -> None:
    assert set(kinds(text)) == {"branch"}


def test_a_script_of_the_tool_s_name_that_comes_first_is_another_command() -> None:
    own = {"usr/local/bin/nvidia-smi": "#!/bin/sh\nexit 0\n"}
    assert kinds(MEANT, **own) == ["branch"]
    assert certain(f"/usr/bin/{MEANT}", **own) == [(300, ())]


def test_what_the_environment_names_is_read_by_bash_alone() -> None:
    files = Files({"/x": f"#!/bin/bash\n{MEANT}\n", "/y": f"#!/bin/sh\n{MEANT}\n"})
    for path, sure in (("/x", False), ("/y", True)):
        walk = Walk(Seen("test"), files, {"BASH_ENV": Text("/env")})
        script(walk, Text(path), (), Here("/unit", Variables({}, {}, None)), 1)
        assert [effect.doubt is None for effect in walk.seen.effects] == [sure]


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_is_not_certain_and_why(text: str) -> None:
    found = kinds(text)
    assert found != []
    assert set(found) == {DOUBTFUL[text]}


@pytest.mark.parametrize(
    "text",
    [
        "exit 0\nnvidia-smi -pl 300",
        "f() { nvidia-smi -pl 300; }",
        "# nvidia-smi -pl 300",
        "if false; then nvidia-smi -pl 300; fi",
        "while true; do sleep 1; done\nnvidia-smi -pl 300",
        "exec sleep 1\nnvidia-smi -pl 300",
        'echo "put it back:\n  nvidia-smi -pl 300\n"',
        "ssh other nvidia-smi -pl 300",
        "grep -c 'nvidia-smi -pl 300' /var/log/syslog",
        "nvidia-smi dmon -c 2",
        "builtin nvidia-smi -pl 300",
    ],
)
def test_what_is_never_come_to(text: str) -> None:
    assert kinds(text) == []


def test_arguments_decide_where_they_are_given() -> None:
    text = 'case "$1" in start) nvidia-smi -pl 300;; stop) nvidia-smi -pl 350;; esac'
    assert certain(text, "start") == [(300, ())]
    assert certain(text, "stop") == [(350, ())]
    assert certain(text) == []
    assert certain('nvidia-smi -pl "$1"', "300") == [(300, ())]


def test_a_command_that_has_to_succeed_first_is_named() -> None:
    first, second = read("#!/bin/sh -e\nnvidia-smi -pl 300\nnvidia-smi -lgc 1500\n")
    assert (first.needs, second.needs) == (frozenset(), frozenset({first.number}))
    first, second = read("#!/bin/sh\nnvidia-smi -pl 300 && nvidia-smi -lgc 1500\n")
    assert second.needs == {first.number}


def test_a_fallback_is_told_from_what_it_stands_in_for() -> None:
    for text in ("nvidia-smi -pl 500 || nvidia-smi -pl 450", "if ! nvidia-smi -pl 500; then nvidia-smi -pl 450; fi"):
        first, second = read(f"#!/bin/sh\n{text}\n")
        assert (first.unless, second.unless) == (frozenset(), frozenset({first.number}))


def test_what_resets_the_gpu_takes_back_what_was_set() -> None:
    assert kinds("nvidia-smi -pl 300\nnvidia-smi -r -i 0") == ["branch", "unsupported"]


def test_who_is_not_root_sets_nothing() -> None:
    (effect,) = read("#!/bin/sh\nnvidia-smi -pl 300\n", root=False)
    assert effect.doubt is not None and effect.doubt.kind is Kind.NOT_ROOT
    assert kinds("sudo -u ada nvidia-smi -pl 300") == ["not-root"]


@pytest.mark.parametrize(
    "text", ["function f { :; }", "f-g() { :; }", "[[ x ]]", "a=(1 2)", "((x++))", "cat <<< x", "source /y"]
)
def test_bash_s_own_syntax_means_something_else_to_another_shell(text: str) -> None:
    (effect,) = read(f"#!/bin/sh\n{text}\nnvidia-smi -pl 300\n")
    assert effect.doubt is not None and effect.doubt.kind is Kind.UNREADABLE
    assert any(e.doubt is None for e in read(f"#!/bin/bash\n{text}\nnvidia-smi -pl 300\n"))


@pytest.mark.parametrize(
    "text",
    [
        "echo 0 > /proc/sys/kernel/numa_balancing",
        "echo 0 | sudo tee /proc/sys/kernel/numa_balancing",
        "echo 0 |\n  tee /proc/sys/kernel/numa_balancing",
        "sysctl -w kernel.numa_balancing=0",
    ],
)
def test_the_kernel_s_knob(text: str) -> None:
    (effect,) = read(f"#!/bin/sh\n{text}\n")
    assert (effect.setting, effect.target) == (Setting.NUMA_BALANCING, NumaBalancing.OFF)


def test_lines_are_those_of_the_file() -> None:
    text = "#!/bin/sh\n# x\nnvidia-smi -lgc 0,1500\n\nfor i in 0 1; do\n  nvidia-smi -i $i \\\n    -pl 300\ndone\n"
    assert [(e.line, e.target) for e in read(text)] == [
        (3, ClockLock(0, 1500)),
        (6, PowerLimit(300_000)),
        (6, PowerLimit(300_000)),
    ]


def test_what_a_function_declares_ends_with_it() -> None:
    assert certain("L=250\nf() { local L=200; nvidia-smi -i 0 -lgc 0,1500; }\nf\nnvidia-smi -pl $L")[-1] == (250, ())


def test_a_path_without_the_usual_folders_finds_nothing() -> None:
    assert certain("PATH=/nowhere\nnvidia-smi -pl 250") == []
    assert certain("PATH=/usr/local/bin:/usr/bin:/bin\nnvidia-smi -pl 250") == [(250, ())]
    assert certain("PATH=/nowhere\n/usr/bin/nvidia-smi -pl 250") == [(250, ())]


def test_set_u_may_end_a_script_where_a_case_needs_what_nothing_sets() -> None:
    assert certain('set -u\ncase "$GPU_MODE" in a) ;; esac\nnvidia-smi -pl 250') == []
    assert certain("set -u\nfor x in $GPU_MODE; do :; done\nnvidia-smi -pl 250") == []
