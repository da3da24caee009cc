"""What people write in scripts that set GPUs: calls, variables, conditions, loops, functions, files that are read."""

from __future__ import annotations

from tests.init.boards import uuid
from tests.init.words import CONDITIONS, IDLE, OTHERS, QUIET, READS, Scope, Words


class Ordinary(Words):
    """Each method makes one statement."""

    def setting(self, scope: Scope) -> list[str]:
        if self.chance(0.03):  # bash: both outputs; another shell: in the background
            self.layout.racing = True
            return [f"{self.call(scope)} &> /dev/null"]
        return [self.call(scope) + self.pick(QUIET)]

    def reading(self, scope: Scope) -> list[str]:
        return [self.pick(READS) + self.pick(["", "", " || true"])]

    def idling(self, scope: Scope) -> list[str]:
        return [self.pick(IDLE)]

    def other_setting(self, scope: Scope) -> list[str]:
        return [f"nvidia-smi {self.selector(scope)}{self.pick(OTHERS)}"]

    def chain(self, scope: Scope) -> list[str]:
        sign = self.pick(["&&", "&&", ";", "||", "&", "|"])
        self.layout.racing |= sign in ("&", "|")
        return [f"{self.call(scope)} {sign} {self.call(scope)}"]

    def by_variable(self, scope: Scope) -> list[str]:
        option = self.option()
        name, value = self.name("V"), self.value(option)
        quote = self.pick(["", '"', "'"])
        said = self.pick([f"{name}={quote}{value}{quote}", f"{name}={quote}{value}{quote}", f"export {name}={value}"])
        used = self.pick([f"${name}", f'"${name}"', f"${{{name}}}", f'"${{{name}}}"', f"'${name}'"])
        rows = [said]
        if self.chance(0.15):
            rows += self.pick_rows(
                [[f"unset {name}"], [f"{name}={self.value(option)}"], [f"{name}=$({name} 2>/dev/null)"]]
            )
        if self.chance(0.1):
            rows += [f"if {self.unsure()}; then {name}={self.value(option)}; fi"]
        if self.chance(0.1):
            rows += [f'{self.pick(CONDITIONS)[:0]}[ -n "$GPU_OVERRIDE" ] && {name}=$GPU_OVERRIDE']
            self.layout.variables["GPU_OVERRIDE"] = [None, self.value(option)]
        if self.chance(0.1):
            return [f"{name}={value} {self.call(scope, option, used)}"]
        return [*rows, self.call(scope, option, used) + self.pick(QUIET)]

    def condition(self, scope: Scope) -> list[str]:
        kind = self.rng.randrange(6)
        if kind == 0:
            return [f"{self.unsure()} {self.pick(['&&', '||'])} {self.call(scope)}"]
        if kind == 1:
            return [f"{self.unsure()} && {self.call(scope)} || {self.call(scope)}"]
        test = self.unsure()
        if kind == 2 and self.chance(0.5):
            test = self.pick(["true", "[ 1 -eq 1 ]", "false", '[ "$(id -u)" -eq 0 ]', "[ -x /usr/bin/nvidia-smi ]"])
        rows = [f"if {test}; then", *self.block(scope)]
        if self.chance(0.3):
            rows += [f"elif {self.unsure()}; then", *self.block(scope)]
        if self.chance(0.5):
            rows += ["else", *self.block(scope)]
        if self.chance(0.2):  # the same value on both sides: certain after all
            call = self.call(scope)
            rows = [f"if {self.unsure()}; then", f"  {call}", "else", f"  {call}"]
        return [*rows, "fi"]

    def case(self, scope: Scope) -> list[str]:
        subject = self.pick(['"$1"', '"${1:-start}"', '"$(hostname)"', '"$GPU_MODE"', "start"])
        if "hostname" in subject:
            self.layout.unknown["hostname"] = [(0, "node1\n"), (0, "start\n")]
        if "GPU_MODE" in subject:
            self.layout.variables["GPU_MODE"] = [None, "quiet", "start"]
        rows = [f"case {subject} in", "start)", *self.block(scope), ";;"]
        rows += [self.pick(["stop)", "quiet|low)", "node*)"]), *self.block(scope), ";;"]
        if self.chance(0.5):
            rows += ["*)", *self.block(scope, 1), ";;"]
        return [*rows, "esac"]

    def loop_over_gpus(self, scope: Scope) -> list[str]:
        name = self.name("g")
        words = ["0 1", "0 1", "$(seq 0 1)", "0", f"{uuid(0)} {uuid(1)}", "`seq 0 1`"]
        words += ["$(nvidia-smi --query-gpu=index --format=csv,noheader)"]
        words += ["$(nvidia-smi --query-gpu=uuid --format=csv,noheader)"]
        if self.bash:
            words += ["{0..1}", "{0..1}", "{0,1}"]
        inner = Scope(scope.depth + 1, scope.bash, f"${name}", scope.function)
        body = [f"  {row}" for row in self.setting(inner)]
        if self.chance(0.3):
            body += [f"  {row}" for row in self.setting(inner)]
        if self.chance(0.15):
            body.insert(0, self.pick([f"  [ ${name} = 1 ] && continue", f"  {self.unsure()} && break", "  sleep 1"]))
        if self.bash and self.chance(0.15):
            return [f"for (({name} = 0; {name} < 2; {name}++)); do", *body, "done"]
        if self.chance(0.15):
            return [f"for {name} in {self.pick(words)}; do {body[-1].strip()}; done"]
        if self.chance(0.1):
            return [f"{name}=0", f"while [ ${name} -lt 2 ]; do", *body, f"  {name}=$(({name} + 1))", "done"]
        return [f"for {name} in {self.pick(words)}", "do", *body, "done"]

    def loop_over_values(self, scope: Scope) -> list[str]:
        name, option = self.name("w"), self.pick(["-pl", "-lgc", "-pm"])
        values = [self.value(option) for _ in range(self.rng.randint(1, 3))]
        rows = [f"for {name} in {' '.join(values)}; do", f"  {self.call(scope, option, '$' + name)}"]
        if self.chance(0.3):
            rows.append(f"  marker ${name}")
        return [*rows, "done"]

    def endless(self, scope: Scope) -> list[str]:
        head = self.pick(["while true; do", "while :; do", "until false; do", "while sleep 30; do"])
        return [head, *self.block(scope), *([] if "sleep" in head else ["  sleep 30"]), "done"]

    def in_function(self, scope: Scope) -> list[str]:
        name = self.name("f")
        head = f"{name}() {{" if not self.bash or self.chance(0.7) else f"function {name} {{"
        if self.chance(0.5):
            inner = Scope(scope.depth + 1, scope.bash, scope.gpu, True)
            rows = [head, *[f"  {row}" for row in self.setting(inner)]]
            if self.chance(0.2):
                rows.append(self.pick(["  return 0", f"  {self.unsure()} && return"]))
                rows += [f"  {row}" for row in self.setting(inner)]
            return [*rows, "}", *[name] * self.rng.randint(1, 2)]
        option = self.option()
        used = self.pick(["$1", '"$1"', "${1}", f'"${{1:-{self.value(option)}}}"'])
        rows = [head]
        if self.chance(0.3):
            rows, used = [head, f"  local v={used}"], self.pick(["$v", '"$v"'])
        rows += [f"  {self.call(scope, option, used)}", "}"]
        times = self.rng.randint(1, 2)
        rows += [f"{name} {self.value(option)}" for _ in range(times)]
        return rows

    def never_called(self, scope: Scope) -> list[str]:
        return [f"{self.name('unused')}() {{", *self.block(Scope(scope.depth + 1, scope.bash, scope.gpu, True)), "}"]

    def leaves(self, scope: Scope) -> list[str]:
        word = "return" if scope.function else "exit"
        return [self.pick([f"{self.unsure()} && {word} 0", f"{self.unsure()} || {word} 0", f"{word} 0", f"{word}"])]

    def sourced(self, scope: Scope) -> list[str]:
        option = self.option()
        name = self.name("S")
        path = self.pick(["/etc/default/gpu", "/etc/gpu.conf", f"{self.folder}/gpu-lib.sh"]) + str(self.named)
        content = f"{name}={self.value(option)}\n"
        more = ["exit 0\n", "return 0\n", f"{self.call(scope)}\n", f"{self.unsure()} && return\n{name}=1\n"]
        full = content + (self.pick(more) if self.chance(0.15) else "")
        dot = self.pick([".", "source"]) if self.bash else "."
        default = [f"{name}={self.value(option)}"] if self.chance(0.6) else []
        there = self.chance(0.6)
        if there:
            self.layout.files[path] = full
        else:  # of one that is not there, nobody can tell more than which variable is meant
            self.layout.coming[path] = [None, content]
        load = f"[ -r {path} ] && {dot} {path}" if self.chance(0.7) or not there else f"{dot} {path}"
        return [*default, load, self.call(scope, option, self.pick([f"${name}", f"${{{name}}}", f'"${name}"']))]

    def by_argument(self, scope: Scope) -> list[str]:
        option = self.option()
        used = self.pick(
            ["$1", '"$1"', f"${{1:-{self.value(option)}}}", f"${{1-{self.value(option)}}}", "${2}", "$*"]
        )
        return [self.call(scope, option, used)]

    def options(self, scope: Scope) -> list[str]:
        value = self.value("-pl")
        rows = [f"W={value}", 'while getopts "w:rh" o; do', "  case $o in", "  w) W=$OPTARG ;;"]
        rows += [f"  r) {self.call(scope, '-lgc')}; exit 0 ;;", "  h) echo usage; exit 1 ;;", "  esac", "done"]
        return [*rows, self.call(scope, "-pl", "$W")]

    def trap(self, scope: Scope) -> list[str]:
        return [f"trap '{self.call(scope).replace(chr(39), '')}' {self.pick(['EXIT', 'INT TERM', 'EXIT TERM'])}"]

    def computed(self, scope: Scope) -> list[str]:
        base = self.watts()
        least = "--query-gpu=power.min_limit --format=csv,noheader,nounits -i 0"
        kinds = [f"$(({base} - 0))", f"$(nvidia-smi {least})", f"$(echo {base})", f"`echo {base}`", "$(date +%H)"]
        value = self.pick(kinds)
        if "date" in value:
            self.layout.unknown["date"] = [(0, f"{base}\n"), (0, f"{self.watts()}\n")]
        if self.chance(0.4):
            name = self.name("C")
            return [f"{name}={value}", self.call(scope, "-pl", f"${name}")]
        return [self.call(scope, "-pl", value)]

    def indirect(self, scope: Scope) -> list[str]:
        call = self.call(scope).replace('"', "")
        rest = call.partition("nvidia-smi")[2].strip().replace("\\\n", " ")
        name = self.name("N")
        kinds = [
            [f"{name}=nvidia-smi", f"${name} {rest}"],
            [f'{name}="/usr/bin/nvidia-smi"', f'"${name}" {rest}'],
            [f'{name}="nvidia-smi {rest}"', f"${name}"],
            [f'eval "nvidia-smi {rest}"'],
            [f"echo {rest.split()[-1]} | xargs nvidia-smi {' '.join(rest.split()[:-1])}"],
            [f'{name}() {{ nvidia-smi {rest} "$@"; }}', name],
            ["nvidia-smi() { echo not now; }", f"nvidia-smi {rest}", "unset -f nvidia-smi"],
        ]
        if self.bash:
            kinds += [[f"{name}=(nvidia-smi {rest})", f'"${{{name}[@]}}"'], [f"nvidia-smi {rest} <<< yes"]]
            kinds += [[f"{name}=(nvidia-smi {rest})", f'"${{{name}}}"']]
        return self.pick_rows(kinds)

    def retry(self, scope: Scope) -> list[str]:
        call = self.call(scope)
        return self.pick_rows(
            [
                ["for try in 1 2 3; do", f"  {call} && break", "  sleep 1", "done"],
                [f"until {call}; do", "  sleep 2", "done"],
                [f"{call} || {{ sleep 1; {call}; }}"],
                [f"if ! {call}; then", "  exit 1", "fi"],
            ]
        )

    def presence(self, scope: Scope) -> list[str]:
        probe = self.pick(
            ["command -v nvidia-smi > /dev/null", "which nvidia-smi >/dev/null 2>&1", "[ -x /usr/bin/nvidia-smi ]"]
        )
        call = self.call(scope)
        kinds = [[f"{probe} || exit 0"], [f"if ! {probe}; then", "  exit 1", "fi"], [f"{probe} && {call}"]]
        return self.pick_rows([*kinds, [f"if {probe}; then", f"  {call}", "fi"]])

    def quoted(self, scope: Scope) -> list[str]:
        call = self.call(scope).replace("'", "").replace('"', "")
        kinds = [f"echo '{call}'", f'echo "to undo:\n  {call}"', f"# {call}", f"printf '%s\\n' '{call}'", f": {call}"]
        return [self.pick([*kinds, f"HELP='\n{call}\n'", f"true # && {call}"])]

    def here_document(self, scope: Scope) -> list[str]:
        call = self.call(scope).replace("\\\n", " ")
        quote = self.pick(["", "'"])
        end = self.name("EOF")
        into = self.pick(["cat", "cat > /tmp/gpu.sh", "sh", "bash", "logger"])
        return ["\n".join([f"{into} <<{quote}{end}{quote}", "usage:" if into == "cat" else "true", call, end])]

    def nested_shell(self, scope: Scope) -> list[str]:
        call = self.call(scope).replace("'", "").replace("\\\n", " ")
        return [f"{self.pick(['sh', 'bash', '/bin/sh', '/bin/bash'])} {self.pick(['-c', '-ec', '-c'])} '{call}'"]

    def group(self, scope: Scope) -> list[str]:
        a, b = self.call(scope), self.call(scope)
        self.layout.racing = True
        return [
            self.pick(
                [
                    f"( {a}; {b} )",
                    f"{{ {a}; {b}; }}",
                    f"( {a} ) &\nwait",
                    f"! {a}",
                    f"{a} & wait",
                    f"(sleep 30; {a}) &",
                ]
            )
        ]

    def host_knob(self, scope: Scope) -> list[str]:
        return [self.pick(["echo 0 > /proc/sys/kernel/numa_balancing", "sysctl -w vm.swappiness=10"])]
