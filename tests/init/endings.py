"""What ends a script early, what reaches the lines behind an endless loop, and names that are not what they seem."""

from __future__ import annotations

from tests.init.words import Scope, Words


class Endings(Words):
    """Each method makes one statement."""

    def ends_early(self, scope: Scope) -> list[str]:
        """A line that may end the script, in a shell of its own or in this one."""
        self.layout.variables["GPU_MODE"] = [None, "quiet", "08"]
        name = self.name("k")
        kinds = [
            [': "${GPU_MODE:?not set}"'],
            ["set -u", f"{name}=$GPU_MODE"],
            ["set -u", '[ -n "${GPU_MODE#x}" ]', "set +u"],
            [f"{name}=$((GPU_MODE + 1))"],
            [f"{name}=0", f"{name}=$(({name} + 1))", f"{name}=$(({name} * 2))"],
            ["shift 3"],
            ["kill $$"],
            [f"trap '{self.pick(['exit 1', 'echo failed', 'exit 0'])}' ERR"],
            [
                "set -e",
                self.pick(
                    [f"{self.unsure()} && false", "true && false", "(false; true)", "case x in x) false ;; esac"]
                ),
            ],
            ["set -e", f"{name}() {{ {self.unsure()} && true; }}", name],
            ["set -e", f"{{ {self.unsure()} && true; }}"],
            ["set -e", f"{self.unsure()} &", "wait $!"],
            ["return 0"],
            [f"{name}() {{ {self.unsure()} && return; exit; }}", name],
            [f"{name}() {{ {self.unsure()} || return 0; {self.call(scope)}; }}", name],
            [f"readonly {name}=1", f"{name}=2"],
            [": > /run/nothing/x"],
            ["exec > /run/nothing/log"],
            ["command exit 0"],
            ["set -n"],
            ["export -f gpu"],
            ["local x=1"],
            [f"until {self.unsure()}; do", f"  {self.call(scope)}", "  exit 1", "done"],
        ]
        return self.pick_rows(kinds)

    def watches(self, scope: Scope) -> list[str]:
        """A loop without an end that may be left, in this shell or in one of its own."""
        call, other = self.call(scope), self.call(scope)
        leave = self.pick(
            [f"{self.unsure()} && break", f"{self.unsure()} || exit 1", f"{call} || break", "nvidia-smi -L"]
        )
        body = self.pick([f"{leave}; {call}", f"{call}; {leave}", f"{call}; {other}", call])
        head = self.pick(["while true", "while sleep 5", "until false", "while nvidia-smi -L", f"while {other}"])
        loop = f"{head}; do {body}; sleep 5; done"
        path = f"/opt/gpu/watch{self.name('')}.sh"
        name = self.name("w")
        quiet = loop.replace("'", "").replace("\\\n", " ")
        kinds = [
            [loop],
            [f"( {loop} )"],
            [f"( set -e; {loop} )"],
            [f"bash -ec '{quiet}'"],
            [f"{loop} | cat"],
            [f"{name}() {{ {loop.replace('exit 1', 'return 1')}; }}", name],
            [path],
            [f"{path} || {self.call(scope)}"],
            [f". {path}"],
        ]
        self.layout.files[path] = f"#!/bin/bash{self.pick(['', ' -e'])}\n{loop}\n"
        self.layout.modes[path] = 0o755
        return [*self.pick_rows(kinds), *([self.call(scope)] if self.chance(0.7) else [])]

    def at_its_end(self, scope: Scope) -> list[str]:
        """What a trap runs, by a function that comes later."""
        name = self.name("c")
        call = self.call(scope)
        signals = self.pick(["EXIT", "EXIT", "0", "TERM", "USR1", "DEBUG", "RETURN", "INT TERM EXIT"])
        send = self.pick(["", "", "", "kill -USR1 $$; sleep 1"])
        return [f"trap {name} {signals}", f"{name}() {{ {call}; }}", self.call(scope), *([send] if send else [])]

    def redirected(self, scope: Scope) -> list[str]:
        """Calls that a shell runs only where a file can be opened."""
        call = self.call(scope)
        self.layout.variables["LOG"] = [None, "/var/log/gpu.log"]
        kinds = [
            [f"{call} > /run/nothing/log"],
            [f"{call} >> $LOG"],
            [f'{call} >> "$LOG"'],
            [f'{call} >> "/var/log/$LOG.log"'],
            [f"{call} < /etc/nothing"],
            [f"{{ {call}; }} > /run/nothing/log 2>&1"],
            ["mkdir -p /run/there", f"{call} > /run/there/log"],
            [f"{call} > /run/gpu-$(date +%F).log"],
            [f"{call} 2>&1 | tee -a /run/nothing/log"],
        ]
        self.layout.unknown["date"] = [(0, "2026-01-01\n")]
        return self.pick_rows(kinds)

    def other_values(self, scope: Scope) -> list[str]:
        """Variables whose value is another one than the line before says."""
        option, name = self.option(), self.name("z")
        first, second = self.value(option), self.value(option)
        call = self.call(scope, option, f"${name}")
        kinds = [
            [f"readonly {name}={first}", f"{name}={second}", call],
            [f"{name}={first}", f"f{name}() {{ {self.unsure()} && return; {name}={second}; }}", f"f{name}", call],
            [f"{name}={first}", f"for x in 0 1; do {self.unsure()} && break; {name}={second}; done", call],
            [f"{name}={first}", f"f{name}() {{ {name}={second}; }}", f"{name}=1 f{name}", call],
            [f"{name}={first}", f"export {name}={second} V{name}=${name}", self.call(scope, option, f"$V{name}")],
            ["IFS=,", f"{name}={first}", call, "unset IFS"],
            ["IFS=0", f"{name}={first}", call, "unset IFS"],
            [f"set -- {option} {first}", 'nvidia-smi "$*"'],
            [f"set -- {option} {first}", 'nvidia-smi "$@"'],
            [f"{name}='*'", f"case abc in ${name}) {call.replace('$' + name, first)} ;; esac"],
            [f"case 5 in [^0-9]) {call.replace('$' + name, first)} ;; esac"],
            [f"f{name}() {{ break; }}", f"for x in 0 1; do f{name}; {call.replace('$' + name, first)}; done"],
        ]
        if self.bash:
            kinds += [
                [f"declare -n R{name}={name}", f"{name}={first}", f"R{name}={second}", call],
                [f"declare -r {name}={first}", f"{name}={second}", call],
                ["shopt -s nocasematch", f"case ON in on) {call.replace('$' + name, first)} ;; esac"],
            ]
        if option == "-pl":
            kinds += [
                [f"{name}={first}", f": $(({name}={second}))", call],
                [f"{name}={first}", f"[ $(({name}-=5)) -gt 0 ]", call],
            ]
        return self.pick_rows(kinds)
