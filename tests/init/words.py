"""Words of generated scripts: values, selectors, spellings of nvidia-smi's options, and conditions.

Only words of these tables end up in a script, so that none can do what the sandbox does not have.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.init.boards import model, uuid
from tests.init.layout import Layout

CONDITIONS = ("on_ac_power", "pgrep -x trainer", "systemctl is-active --quiet display-manager", "lspci -d 10de:")
READS = (
    "nvidia-smi",
    "nvidia-smi -q",
    "nvidia-smi -L",
    "nvidia-smi -q -d POWER | grep Limit",
    "nvidia-smi --query-gpu=power.limit --format=csv,noheader",
    "nvidia-smi dmon -c 2",
    "nvidia-smi pmon -c 3 -i 0",
    "nvidia-smi topo -c 3",
    "nvidia-smi nvlink -c -i 0",
    "nvidia-smi stats -c 2",
    "nvidia-smi vgpu -c",
    "nvidia-smi mig -i 0 -lgi",
    "nvidia-smi clocks -rac",
    "nvidia-smi boost-slider --vboost 1",
)
OTHERS = ("-gtt 80", "-e 0", "-am 1", "-caa", "--gom=0", "-acp UNRESTRICTED", "-cc 0", "-pl 220 -sc 1", "-lmcd 810")
IDLE = ("echo starting", "logger gpu", "marker one", "sleep 1", "modprobe nvidia", "true", ":", "mkdir -p /run/gpu")
QUIET = (
    "",
    "",
    "",
    "",
    " > /dev/null",
    " >/dev/null 2>&1",
    " || true",
    " >> /var/log/gpu.log 2>&1",
    " 2>/dev/null || :",
)
SUDO = ("", "", "", "", "", "", "sudo ", "sudo -n ", "nice -n 5 ", "timeout 10 ", "nohup ", "env LANG=C ", "command ")
SMI = ("nvidia-smi", "nvidia-smi", "nvidia-smi", "/usr/bin/nvidia-smi", "/usr/bin/nvidia-smi", '"nvidia-smi"')


LONG = {
    "-pm": "--persistence-mode",
    "-pl": "--power-limit",
    "-lgc": "--lock-gpu-clocks",
    "-c": "--compute-mode",
    "-lmc": "--lock-memory-clocks",
    "-ac": "--applications-clocks",
}
RESETS = {"-lgc": "-rgc", "-lmc": "-rmc", "-ac": "-rac"}


@dataclass
class Scope:
    """What the statement at hand may refer to. `depth` of nesting; `functions` that were defined."""

    depth: int = 0
    bash: bool = True
    gpu: str | None = None
    function: bool = False


@dataclass
class Words:
    """Makes the words of one script for one layout. `bash`: whatever shell runs it knows bash's own syntax."""

    rng: random.Random
    layout: Layout
    bash: bool = True
    named: int = 0
    folder: str = "/usr/local/sbin"

    def statement(self, scope: Scope) -> list[str]:
        """One statement, a row for each line; nested ones in it."""
        raise NotImplementedError

    def pick(self, choices: list[str] | tuple[str, ...]) -> str:
        return self.rng.choice(choices)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def name(self, stem: str) -> str:
        self.named += 1
        return f"{stem}{self.named}"

    def watts(self) -> str:
        least = max(model(board).power_w[0] for board in self.layout.boards)
        most = min(model(board).power_w[1] for board in self.layout.boards)
        if self.chance(0.03):
            return str(int(most) + 400)
        return str(self.rng.randrange(int(least), int(most) + 1, 5))

    def clock(self, memory: bool) -> str:
        boards = [model(board) for board in self.layout.boards]
        ladders = [m.memory_mhz if memory else m.gpu_mhz for m in boards]
        return str(self.rng.choice(sorted(ladders[0].intersection(*ladders))))

    def value(self, option: str) -> str:
        """A literal for one option."""
        if option == "-pm":
            return self.pick(["1", "1", "1", "0", "ENABLED"])
        if option == "-c":
            return self.pick(["0", "3", "DEFAULT", "EXCLUSIVE_PROCESS"])
        if option == "-pl":
            return self.watts()
        if option == "-ac":
            return f"{self.clock(True)},{self.clock(False)}"
        low, high = sorted([int(self.clock(option == "-lmc")), int(self.clock(option == "-lmc"))])
        if self.chance(0.3):
            return str(high)
        return f"{0 if self.chance(0.4) else low},{high}"

    def option(self) -> str:
        options = ["-pl"] * 8 + ["-pm"] * 4 + ["-lgc"] * 5 + ["-lmc"] * 2 + ["-c"]
        if model(self.layout.boards[0]).applications:
            options += ["-ac"] * 2
        return self.pick(options)

    def selector(self, scope: Scope) -> str:
        if scope.gpu is not None:
            return self.pick([f"-i {scope.gpu} ", f'-i "{scope.gpu}" ', f"--id={scope.gpu} "])
        if self.chance(0.55):
            return ""
        which = self.pick(["0", "1", "0,1", uuid(0), uuid(1), "00000000:01:00.0", "0000:02:00.0", "7"])
        return self.pick([f"-i {which} ", f"-i {which} ", f"--id={which} ", f"-i={which} ", f"--id {which} "])

    def call(self, scope: Scope, option: str | None = None, value: str | None = None) -> str:
        """One call of nvidia-smi that sets something."""
        option = option or self.option()
        if value is None and option in RESETS and self.chance(0.15):
            words = self.pick([RESETS[option]])
        else:
            value = self.value(option) if value is None else value
            short, long = f"{option} {value}", f"{LONG[option]}={value}"
            words = self.pick([short, short, short, long, long.replace("=", " "), f"{option}={value}"])
        which = self.selector(scope)
        after = self.chance(0.15)
        call = f"{self.pick(SUDO)}{self.pick(SMI)} " + (f"{words} {which}".rstrip() if after else f"{which}{words}")
        if self.chance(0.03):
            call = call.replace(" -", " \\\n    -", 1)
        return call

    def pick_rows(self, choices: list[list[str]]) -> list[str]:
        return self.rng.choice(choices)

    def unsure(self) -> str:
        """A condition that nobody can know beforehand."""
        kind = self.rng.randrange(4)
        if kind == 0:
            self.layout.variables["GPU_MODE"] = [None, "quiet", "fast"]
            return self.pick(['[ "$GPU_MODE" = quiet ]', '[ -n "$GPU_MODE" ]', 'test -z "${GPU_MODE:-}"'])
        if kind == 1:
            path = self.pick(["/etc/gpu-quiet", "/run/gpu-quiet"])
            self.layout.coming[path] = [None, "x\n"]
            return self.pick([f"[ -f {path} ]", f"! [ -e {path} ]", f"test -s {path}"])
        command = self.pick(CONDITIONS)
        self.layout.unknown[command.split()[0]] = [(0, ""), (1, "")]
        return self.pick([command, f"! {command}", f"{command} > /dev/null"])

    def block(self, scope: Scope, most: int = 2) -> list[str]:
        inner = Scope(scope.depth + 1, scope.bash, scope.gpu, scope.function)
        rows: list[str] = []
        for _ in range(self.rng.randint(1, most)):
            rows += self.statement(inner)
        return [row if "\n" in row or row.endswith("EOF") else f"  {row}" for row in rows]
