"""Longer pieces as scripts in public repositories have them: a log, a check for root, retries, tables of limits."""

from __future__ import annotations

from tests.init.words import Scope, Words

INDICES = "nvidia-smi --query-gpu=index --format=csv,noheader"


class Everyday(Words):
    """Each method makes one statement."""

    def logged(self, scope: Scope) -> list[str]:
        """Calls beside a function that writes a log."""
        name = self.name("log")
        call = self.call(scope)
        bodies = [
            'echo "$(date +%T) $*"',
            'echo "$*" | tee -a /var/log/gpu.log',
            'logger -t gpu "$@"',
            'printf "%s\\n" "$1" >&2',
            '[ -n "$VERBOSE" ] && echo "$*"',
        ]
        self.layout.unknown["date"] = [(0, "12:00:00\n")]
        self.layout.variables["VERBOSE"] = [None, "1"]
        rows = [f"{name}() {{ {self.pick(bodies)}; }}", f'{name} "setting limits"']
        return rows + self.pick_rows(
            [
                [call, f"{name} done"],
                [f"{call} && {name} done"],
                [f"{call} || {name} failed"],
                [f"{call} || {{ {name} failed; exit 1; }}"],
                [f"if {call}; then {name} done; else {name} failed; exit 1; fi"],
                [f"if ! {call} > /dev/null 2>&1; then", f"  {name} failed", "fi"],
            ]
        )

    def as_root(self, scope: Scope) -> list[str]:
        """What many scripts begin with."""
        return self.pick_rows(
            [
                ['if [ "$(id -u)" -ne 0 ]; then', '  echo "run as root" >&2', "  exit 1", "fi"],
                ["[ `id -u` = 0 ] || { echo root; exit 1; }"],
                ["if [[ $EUID -ne 0 ]]; then exit 1; fi"] if self.bash else ["test $(id -u) -eq 0 || exit 1"],
                ['if ! command -v nvidia-smi >/dev/null 2>&1; then echo "no driver"; exit 0; fi'],
                ["nvidia-smi > /dev/null 2>&1 || exit 1"],
                ["for try in 1 2 3; do nvidia-smi > /dev/null 2>&1 && break; sleep 2; done"],
                ["until nvidia-smi -L > /dev/null; do sleep 1; done"],
                ['n=0; while ! nvidia-smi > /dev/null; do n=$((n+1)); [ "$n" -ge 3 ] && exit 1; sleep 1; done'],
            ]
        )

    def defaults(self, scope: Scope) -> list[str]:
        """A value that the environment may give, or a file, or nothing."""
        option, name = self.option(), self.name("LIMIT")
        value = self.value(option)
        self.layout.variables[name] = [None, self.value(option)]
        call = self.call(scope, option, self.pick([f"${name}", f'"${{{name}}}"']))
        return self.pick_rows(
            [
                [f"{name}=${{{name}:-{value}}}", call],
                [f': "${{{name}:={value}}}"', call],
                [f"{name}={value}", call],
                [f'if [ -z "${name}" ]; then {name}={value}; fi', call],
                [f"readonly {name}={value}", call],
                [f"{name}={value}", f'if [ -n "$1" ]; then {name}=$1; fi', call],
                [f"{name}={value}", f"while read -r x; do {name}=$x; done < /etc/gpu-{name}", call],
            ]
        )

    def table(self, scope: Scope) -> list[str]:
        """Limits for each GPU."""
        a, b, name = self.watts(), self.watts(), self.name("T")
        kinds = [
            [f'for p in 0:{a} 1:{b}; do nvidia-smi -i "${{p%%:*}}" -pl "${{p##*:}}"; done'],
            ["set_limit() { nvidia-smi -i $1 -pl $2; }", f"set_limit 0 {a}", f"set_limit 1 {b}"],
            [f"while IFS=, read -r g w; do nvidia-smi -i $g -pl $w; done <<E{name}\n0,{a}\n1,{b}\nE{name}"],
            ["for g in 0 1; do", f"  case $g in 0) w={a} ;; *) w={b} ;; esac", "  nvidia-smi -i $g -pl $w", "done"],
            [
                "N=$(nvidia-smi -L | wc -l)",
                f"i=0; while [ $i -lt $N ]; do nvidia-smi -i $i -pl {a}; i=$((i+1)); done",
            ],
            [f"{INDICES} | while read -r g; do nvidia-smi -i $g -pl {a}; done"],
        ]
        if self.bash:
            kinds += [
                [f"{name}=({a} {b})", f'for i in 0 1; do nvidia-smi -i $i -pl "${{{name}[$i]}}"; done'],
                [f"{name}=({a} {b})", f'for i in "${{!{name}[@]}}"; do nvidia-smi -i $i -pl ${{{name}[i]}}; done'],
                [
                    f"declare -A {name}=([0]={a} [1]={b})",
                    f"for i in 0 1; do nvidia-smi -i $i -pl ${{{name}[$i]}}; done",
                ],
                [f"for ((i=0; i<$(nvidia-smi -L | wc -l); i++)); do nvidia-smi -i $i -pl {a}; done"],
            ]
        return self.pick_rows(kinds)

    def beside(self, scope: Scope) -> list[str]:
        """Another script or file that lies beside this one."""
        name = self.name("side")
        path = f"{self.folder}/{name}.sh"
        option = self.option()
        other = self.value(option)
        self.layout.files[path] = f"#!/bin/sh\n{name}={other}\n{self.call(scope)}\n"
        self.layout.modes[path] = 0o755
        use = self.call(scope, option, f"${name}")
        dot = "." if not self.bash else self.pick([".", "source"])
        return self.pick_rows(
            [
                [f'"$(dirname "$0")/{name}.sh"'],
                [f'{dot} "$(dirname "$0")/{name}.sh"', use],
                ['DIR=$(cd "$(dirname "$0")" && pwd)', f'sh "$DIR/{name}.sh"'],
                ['cd "$(dirname "$0")"', f"./{name}.sh"],
                ['cd "$(dirname "$0")" || exit 1', f"{dot} ./{name}.sh", use],
                [f"cd {self.folder}/ && sh {name}.sh"],
                [f'"${{0%/*}}/{name}.sh" &', "wait"],
                ['HERE=$(dirname "$(readlink -f "$0")")', f'[ -f "$HERE/{name}.sh" ] && {dot} "$HERE/{name}.sh"'],
            ]
        )

    def library(self, scope: Scope) -> list[str]:
        """Functions of another file: their lines are that file's."""
        name = self.name("lib")
        path = f"{self.folder}/{name}.sh"
        blank = self.pick(["", "\n", "\n\n\n", "\n\n\n\n\n\n"])
        body = "\n".join(f"  {row}" for row in [self.call(scope), *self.pick_rows([[], [self.call(scope)]])])
        self.layout.files[path] = f"#!/bin/sh\n{blank}apply{name}() {{\n{body}\n}}\nother{name}() {{ :; }}\n"
        self.layout.modes[path] = 0o755
        taken_in = self.pick(
            [f'. "$(dirname "$0")/{name}.sh"', f". {path}", f'cd "$(dirname "$0")" && . ./{name}.sh']
        )
        return self.pick_rows(
            [
                [taken_in, f"apply{name}"],
                [taken_in, f"again{name}() {{ apply{name}; }}", f"again{name}"],
                [taken_in, f"other{name}", f"apply{name} || echo failed"],
                [f"[ -f {path} ] && . {path}", f"apply{name}"],
                [taken_in, f"trap apply{name} EXIT"],
            ]
        )

    def tool(self, scope: Scope) -> list[str]:
        """nvidia-smi by a variable that says where it is."""
        name = self.name("SMI")
        rest = self.call(scope).replace('"nvidia-smi"', "nvidia-smi").partition("nvidia-smi ")[2]
        return self.pick_rows(
            [
                [f"{name}=$(command -v nvidia-smi)", f"${name} {rest}"],
                [f"{name}=$(command -v nvidia-smi) || exit 0", f'"${name}" {rest}'],
                [f'{name}="$(which nvidia-smi)"', f'[ -x "${name}" ] || exit 0', f'"${name}" {rest}'],
                [f"{name}=/usr/bin/nvidia-smi", f'[ -x "${name}" ] && "${name}" {rest}'],
                [f'{name}="sudo nvidia-smi"', f"${name} {rest}"],
                [f'{name}="nvidia-smi -i 0"', f"${name} {rest}"],
            ]
        )

    def structured(self, scope: Scope) -> list[str]:
        """A script of functions, with a main one at its end."""
        name = self.name("main")
        a, b = self.call(scope), self.call(scope)
        self.layout.unknown["systemctl"] = [(0, ""), (1, "")]
        return self.pick_rows(
            [
                [
                    f"apply{name}() {{ {a}; }}",
                    f"reset{name}() {{ {b}; }}",
                    f"{name}() {{ apply{name}; }}",
                    f'{name} "$@"',
                ],
                [
                    f"usage{name}() {{ echo usage; exit 1; }}",
                    f'case "${{1:-start}}" in start) {a} ;; stop) {b} ;; *) usage{name} ;; esac',
                ],
                [f'fail{name}() {{ echo "$1" >&2; exit 1; }}', f"{a} || fail{name} no", b],
                [
                    f'try{name}() {{ for t in 1 2 3; do "$@" && return 0; sleep 1; done; return 1; }}',
                    f"try{name} {a}",
                ],
                [f"{name}() {{ local rc=0; {a} || rc=$?; return $rc; }}", f"{name} || exit 1", b],
                [f"{name}() {{ {a}; {b}; }}", f"{name} > /dev/null 2>&1 &", "wait"],
                [f"{name}() {{ {a}; }}", f"if systemctl is-active --quiet docker; then {name}; else {name}; fi"],
            ]
        )
