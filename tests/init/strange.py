"""What people seldom write, and shells do all the same."""

from __future__ import annotations

from tests.init.words import IDLE, Scope, Words


class Strange(Words):
    """Each method makes one statement."""

    def changed_later(self, scope: Scope) -> list[str]:
        """A variable or function that is not any more what the text says first."""
        option, name = self.option(), self.name("L")
        first, second = self.value(option), self.value(option)
        call = self.call(scope, option, f"${name}")
        return self.pick_rows(
            [
                [f"{name}={first}", f"f{name}() {{ {name}={second}; }}", f"f{name}", call],
                [f"{name}={first}", f"( {name}={second} )", call],
                [f"{name}={first}", f"f{name}() {{ local {name}={second}; {call}; }}", f"f{name}", call],
                [f"{name}={first}", f"true && {name}={second}", call],
                [f"{name}={first}", f"echo x | while read -r _; do {name}={second}; done", call],
                [f"{name}={first}", f"for {name} in {second}; do :; done", call],
                [f"{name}={first}", f"eval {name}={second}", call],
                [f": ${{{name}:={first}}}", call],
                [f"{name}=", f"{name}=${{{name}:-{first}}}", call],
                [f"f{name}() {{ nvidia-smi -pl 100; }}", f"f{name}() {{ {self.call(scope)}; }}", f"f{name}"],
                [f"{name}={first} true", call],
                [f"export {name}", f"{name}={first}", f"sh -c 'nvidia-smi {option} ${name}'"],
                [f"{name}={first}", f"sh -c 'nvidia-smi {option} ${name}'"],
                [f"{name}={first}", f"unset {name}", f"nvidia-smi {option} ${{{name}:-{second}}}"],
            ]
        )

    def positional(self, scope: Scope) -> list[str]:
        """set --, shift, "$@", and arguments of a function."""
        a, b, name = self.watts(), self.watts(), self.name("p")
        return self.pick_rows(
            [
                [f"set -- {a} {b}", self.call(scope, "-pl", "$1"), "shift", self.call(scope, "-pl", '"$1"')],
                [f"set -- {a}", 'for w in "$@"; do', f"  {self.call(scope, '-pl', '$w')}", "done"],
                [f"{name}() {{ nvidia-smi -i $1 -pl $2; }}", f"{name} 0 {a}", f"{name} 1 {b}"],
                [f'{name}() {{ nvidia-smi "$@"; }}', f"{name} -pl {a}"],
                [f"{name}() {{ nvidia-smi -pl $# ; }}", f"{name} {a}"],
                [f"{name}() {{ shift; nvidia-smi -pl $1; }}", f"{name} {a} {b}"],
                [f"{name}() {{ nvidia-smi -pl ${{2:-{a}}}; }}", f"{name} {b}"],
            ]
        )

    def nested_function(self, scope: Scope) -> list[str]:
        outer, inner = self.name("o"), self.name("i")
        call = self.call(scope)
        return self.pick_rows(
            [
                [f"{outer}() {{", f"  {inner}() {{ {call}; }}", f"  {inner}", "}", outer],
                [f"{outer}() {{", f"  {inner}() {{ {call}; }}", "}", outer],
                [f"{inner}() {{ return 1; }}", f"{inner} && {call}"],
                [f"{inner}() {{ true; }}", f"if {inner}; then {call}; fi"],
                [f"{inner}() {{ {call}; }}", f"{outer}={inner}", f"${outer}"],
                [f"{inner}() {{ {call}; }} > /dev/null 2>&1", inner],
            ]
        )

    def word_games(self, scope: Scope) -> list[str]:
        """Words that become others by quoting, joining or globbing."""
        a = self.watts()
        name = self.name("q")
        kinds = [
            [f"nvidia-smi '-pl' \"{a}\""],
            [f"nvidia-smi -p''l {a}"],
            [f"nvidia\\-smi -pl {a}"],
            [f'nvidia-smi -pl {a[:-1]}"{a[-1]}"'],
            [f"nvidia-smi -pl '{a} '"],
            [f"nvidia-smi -pl {a} #0"],
            [f"nvidia-smi -pl {a}#0"],
            [f"{name}='-pl {a}'", f"nvidia-smi ${name}"],
            [f"{name}='-pl {a}'", f'nvidia-smi "${name}"'],
            [f"{name}={a}", f"nvidia-smi -pl ${name}0"],
            [f"{name}={a}W", f"nvidia-smi -pl ${{{name}%W}}"],
            [f"{name}={a}", f"nvidia-smi -pl=${name}"],
            ["IFS=,", f"{name}=0,{a}", f"set -- ${name}", "nvidia-smi -pl $2", "unset IFS"],
            [f'nvidia-smi -pl {a} -i ""'],
            [f"nvidia-smi -i 0, -pl {a}"],
            [f"nvidia-smi -i 0 -i 1 -pl {a}"],
            [f"nvidia-smi -pl {a} -pm 1"],
            [f"nvidia-smi -pm 1 -pl {a} -lgc 210,1500 -i 0"],
        ]
        if self.bash:
            kinds += [[f"nvidia-smi -pl $'{a}'"], [f"{name}=({a} 100)", f"nvidia-smi -pl ${{{name}[0]}}"]]
            kinds += [
                [f"{name}=x{a}", f"nvidia-smi -pl ${{{name}#x}}"],
                [f"{name}=({a})", f"{name}+=(1)", f"nvidia-smi -pl ${name}"],
            ]
            kinds += [[f"declare -i {name}={a}-5", f"nvidia-smi -pl ${name}"], [f"nvidia-smi -{{pl,i}} {a}"]]
        return self.pick_rows(kinds)

    def read_values(self, scope: Scope) -> list[str]:
        a = self.watts()
        path = "/etc/gpu-watts"
        self.layout.files[path] = f"{a}\n"
        name = self.name("r")
        return self.pick_rows(
            [
                [f"nvidia-smi -pl $(cat {path})"],
                [f"read -r {name} < {path}", f"nvidia-smi -pl ${name}"],
                [f"while read -r {name}; do nvidia-smi -pl ${name}; done < {path}"],
                [f"echo 0 {a} | while read -r i w; do nvidia-smi -i $i -pl $w; done"],
                [f"while read -r i w; do nvidia-smi -i $i -pl $w; done <<END{name}\n0 {a}\n1 {a}\nEND{name}"],
                [f"printf '%s\\n' {a} | xargs -n1 nvidia-smi -pl"],
            ]
        )

    def path_games(self, scope: Scope) -> list[str]:
        """Another nvidia-smi than the one that is meant, or none."""
        call = self.call(scope).replace("/usr/bin/", "").replace('"', "").replace("command ", "")
        return self.pick_rows(
            [
                ["PATH=/nowhere", call, "PATH=/usr/bin"],
                ["alias nvidia-smi=true", call],
                [f"cd /tmp && {call}"],
                [f"cd /nowhere && {call}"],
                [f"./nvidia-smi -pl {self.watts()}"],
                [f"exec {call}"],
                [f"( exec {call} )"],
                ["exec > /dev/null 2>&1", call],
                [f"hash -r; {call}"],
            ]
        )

    def another_tool(self, scope: Scope) -> list[str]:
        """A function, an alias or a file that stands where nvidia-smi is meant, surely or perhaps."""
        call = self.call(scope).replace("\\\n", " ").replace('"', "").replace("'", "")
        bare = f"nvidia-smi -pl {self.watts()}"
        stand_in = self.pick(["nvidia-smi() { :; }", 'nvidia-smi() { echo "$@"; }'])
        kinds = [
            ["export PATH=/opt/gpu/bin:$PATH", bare],
            [f"PATH=/nowhere {bare}"],
            [f"env PATH=/nowhere {bare}", call],
            [f"if {self.unsure()}; then {stand_in}; fi", bare],
            [stand_in, f"{self.unsure()} && unset -f nvidia-smi", bare],
            ['nvidia-smi() { command nvidia-smi "$@"; }', call],
            [stand_in, f"sudo {bare}", "unset -f nvidia-smi"],
            [f"for x in $NOTHING; do {stand_in}; done", bare],
            ["hash -p /usr/bin/true nvidia-smi", bare],
            ["shopt -s expand_aliases", "alias nvidia-smi=true", bare],
            ['run() { "$@"; }', f"run {bare}"],
            [f"echo '{bare}' | sh"],
            [f"echo '-pl {self.watts()}' | xargs nvidia-smi"],
        ]
        if self.chance(0.5):
            self.layout.files["/opt/gpu/bin/nvidia-smi"] = "#!/bin/sh\nexit 0\n"
            self.layout.modes["/opt/gpu/bin/nvidia-smi"] = 0o755
        if self.bash:
            kinds += [[f"bash <<< '{bare}'"], [stand_in, "export -f nvidia-smi", f"bash -c '{bare}'"]]
        return self.pick_rows(kinds)

    def overwritten(self, scope: Scope) -> list[str]:
        """One setting twice, the later line being the last word, or not."""
        option = self.option()
        first, second = self.call(scope, option, self.value(option)), self.call(scope, option, self.value(option))
        other, safe = self.call(scope), first.replace("'", "").replace("\\\n", " ")
        self.layout.racing |= (kind := self.rng.randrange(8)) == 0
        return [
            [f"{first} &", second],
            [first, second],
            [first, self.pick(IDLE), second],
            [f"{self.unsure()} && {first}", second],
            [f"{self.unsure()} && {first}", f"{other} || exit 1", second],
            [first, f"{other} && {second}"],
            [f"trap '{safe}' EXIT", second],
            ["set -e", first, second],
        ][kind]

    def status(self, scope: Scope) -> list[str]:
        """What depends on how the last command ended."""
        a, b = self.call(scope), self.call(scope)
        return self.pick_rows(
            [
                [a, f"[ $? -eq 0 ] && {b}"],
                [a, f"if [ $? -ne 0 ]; then {b}; exit 1; fi"],
                [f"if {a}; then {b}; fi"],
                [f"if {a}; then {b}; else {a}; fi"],
                [f"{a} || exit 1", b],
                [f"! {a} && {b}"],
                [f"{a} && exit 0", b],
                [f"false || {a}"],
                [f"false && {a}"],
                [f"true || {a}"],
                ["nvidia-smi -q > /dev/null || exit 1", a],
                [f"nvidia-smi -L | grep -q NVIDIA && {a}"],
                [f"nvidia-smi -L | grep -q Quadro && {a}"],
                [f"while ! {a}; do sleep 1; done", b],
            ]
        )

    def counted(self, scope: Scope) -> list[str]:
        """Loops that count, end early, or never run."""
        a = self.watts()
        name = self.name("n")
        kinds = [
            [
                f"{name}={a}",
                f"while [ ${name} -gt {int(a) - 10} ]; do {name}=$(({name} - 5)); done",
                f"nvidia-smi -pl ${name}",
            ],
            [f"for {name} in 0 1; do [ ${name} = 1 ] && break; nvidia-smi -i ${name} -pl {a}; done"],
            [f"for {name} in 0 1; do [ ${name} = 0 ] && continue; nvidia-smi -i ${name} -pl {a}; done"],
            [f"for {name} in; do nvidia-smi -pl {a}; done"],
            [f"for {name} in $NOTHING; do nvidia-smi -pl {a}; done"],
            [f"for {name} in /nowhere/*; do nvidia-smi -pl {a}; done"],
            [f"for {name} in 0 1 2; do nvidia-smi -i ${name} -pl $(({a} + {name})); done"],
            [f"{name}=3", f"until [ ${name} -eq 0 ]; do nvidia-smi -pl {a}; {name}=$(({name} - 1)); done"],
            [f"while false; do nvidia-smi -pl {a}; done"],
            [f"for {name} in 0 1; do nvidia-smi -i ${name} -pl {a} || break; done"],
        ]
        if self.bash:
            kinds += [[f"for {name} in {{{a}..{int(a) + 10}..5}}; do nvidia-smi -pl ${name}; done"]]
            kinds += [[f"select {name} in 0 1; do nvidia-smi -i ${name} -pl {a}; break; done < /dev/null"]]
        return self.pick_rows(kinds)

    def other_script(self, scope: Scope) -> list[str]:
        """Another script, and what its end means for this one."""
        path = f"/opt/gpu/part{self.name('')}.sh"
        ends = ["", "", "exit 1\n", "exit 0\n", f"{self.unsure()} || exit 1\n", f"{self.call(scope)}\n"]
        self.layout.files[path] = (
            f"#!/bin/sh\n{self.pick(ends)}{self.call(scope, '-pl', self.pick(['$1', self.watts()]))}\n"
        )
        self.layout.modes[path] = 0o755 if self.chance(0.9) else 0o644
        run = self.pick([path, f"sh {path}", f"{path} {self.watts()}", f". {path}", f"bash {path} {self.watts()}"])
        return [
            self.pick(
                [
                    run,
                    run,
                    f"{run} || exit 1",
                    f"{run} && {self.call(scope)}",
                    f"if {run}; then {self.call(scope)}; fi",
                ]
            )
        ]

    def guarded(self, scope: Scope) -> list[str]:
        """Tests whose outcome is written in the script, and tests that only look so."""
        name, call = self.name("t"), self.call(scope)
        kinds = [
            [f"{name}=on", f'[ "${name}" = on ] && {call}'],
            [f"{name}=off", f'[ "${name}" = on ] && {call}'],
            [f"{name}=1", f"if [ ${name} -gt 0 ] && [ -n x ]; then", f"  {call}", "fi"],
            [f"{name}=", f'if [ -z "${name}" ]; then {call}; fi'],
            [f"{name}=", f"[ ${name} ] || {call}"],
            [f"{name}=on", f"case ${name} in o*) {call} ;; *) {self.call(scope)} ;; esac"],
            [f"{name}=$(nvidia-smi -L | wc -l)", f"[ ${name} -eq 2 ] && {call}"],
            [f"{name}=$(id -u)", f"[ ${name} -ne 0 ] && exit 1", call],
            ['[ "$#" -eq 0 ] || exit 1', call],
            ["[ -t 1 ] && exit 0", call],
        ]
        if self.bash:
            kinds += [[f"{name}=on", f"[[ ${name} == o* && -n ${name} ]] && {call}"], [f"(( 1 + 1 == 2 )) && {call}"]]
            kinds += [[f"{name}=abc", f"if [[ ${name} =~ ^a ]]; then {call}; fi"], [f"let {name}=0 || {call}"]]
        return self.pick_rows(kinds)
