"""Whole hosts: scripts of generate.py and what starts them, or does not."""

from __future__ import annotations

import random

from tests.init.boards import HOSTS, model
from tests.init.generate import Script
from tests.init.layout import Group, Layout, Step
from tests.init.words import LONG, Scope

UNITS = "/etc/systemd/system"
WANTS = f"{UNITS}/multi-user.target.wants"


def make(seed: int) -> Layout:
    """The host of one seed."""
    rng = random.Random(seed)
    layout = Layout(seed, rng.choice(HOSTS))
    kinds = [
        (10, unit_with_script),
        (8, unit_with_lines),
        (6, rc_local),
        (4, reboot_job),
        (2, init_d),
        (2, not_started),
        (2, timed),
        (2, template),
        (2, two_units),
        (1, sleep_hook),
    ]
    build = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
    layout.kinds.append(build.__name__)
    build(rng, layout)
    layout.prior = (dict(prior(rng, layout)), dict(prior(rng, layout)))
    return layout


def prior(rng: random.Random, layout: Layout) -> dict[str, object]:
    """Settings that every GPU has before; they stand for what an earlier boot, a person or nobody left."""
    boards = [model(board) for board in layout.boards]
    least, most = max(m.power_w[0] for m in boards), min(m.power_w[1] for m in boards)
    rungs = sorted(boards[0].gpu_mhz.intersection(*[m.gpu_mhz for m in boards]))
    found: dict[str, object] = {
        "persistence_mode": rng.random() < 0.5,
        "power_limit_w": float(rng.randrange(int(least) + 1, int(most), 7)),
        "gpu_clock_mhz": rng.choice(["unlocked", {"min": 0, "max": rng.choice(rungs)}]),
        "memory_clock_mhz": "unlocked",
        "compute_mode": rng.choice(["default", "default", "exclusive_process"]),
    }
    return found


def script(rng: random.Random, layout: Layout, path: str, statements: int | None = None) -> str:
    """A script at `path`; returns the path."""
    made = Script(rng, layout, bash=rng.random() < 0.65, folder=path.rpartition("/")[0])
    layout.files[path] = made.text(statements or rng.randint(1, 6))
    layout.modes[path] = 0o755
    return path


def unit(layout: Layout, name: str, lines: list[str], enabled: bool = True, install: bool = True) -> None:
    text = ["[Unit]", "Description=GPU", "", "[Service]", *lines]
    if install:
        text += ["", "[Install]", "WantedBy=multi-user.target"]
    layout.files[f"{UNITS}/{name}"] = "\n".join(text) + "\n"
    if enabled:
        layout.links[f"{WANTS}/{name}"] = f"{UNITS}/{name}"


def unit_with_script(rng: random.Random, layout: Layout) -> None:
    path = script(rng, layout, rng.choice(["/usr/local/sbin/gpu-setup", "/opt/gpu/setup.sh", "/root/gpu.sh"]))
    words: tuple[str, ...] = (path,)
    if rng.random() < 0.25:
        words = (*words, rng.choice(["start", "250", "300", "-w 240", "quiet"]))
    if rng.random() < 0.15:
        words = (rng.choice(["/bin/bash", "/bin/sh", "/usr/bin/bash"]), *words)
    words = tuple(part for word in words for part in word.split())
    lines = ["Type=oneshot"]
    env: dict[str, str] = {}
    if rng.random() < 0.15 and layout.variables:
        name = rng.choice(sorted(layout.variables))
        value = next(v for v in layout.variables.pop(name) if v is not None)
        lines.append(f"Environment={name}={value}")
        env[name] = value
    lines += [f"ExecStart={' '.join(words)}"]
    steps = [Step(words, env)]
    if rng.random() < 0.3:
        watts = f"{rng.randrange(200, 300, 10)}"
        lines.append(f"ExecStop=/usr/bin/nvidia-smi -pl {watts}")
        if rng.random() < 0.7:
            lines.append("RemainAfterExit=yes")
        else:  # it ends at once, and stops
            steps.append(Step(("/usr/bin/nvidia-smi", "-pl", watts), env))
    unit(layout, "gpu-setup.service", lines)
    layout.boot.append(Group("gpu-setup", tuple(steps)))


def unit_with_lines(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout)
    lines = [rng.choice(["Type=oneshot", "Type=oneshot\nRemainAfterExit=yes"])]
    steps: list[tuple[int, Step]] = []
    env: dict[str, str] = {}
    for number in range(rng.randint(0, 2)):
        option = maker.option()
        name, value = f"E{number}", maker.value(option)
        lines += given(rng, layout, name, value, maker.value(option), f"/etc/default/gpu{number}")
        env[name] = value
        used = rng.choice([f"${name}", f"${{{name}}}"])
        lines.append(f"ExecStart=/usr/bin/nvidia-smi {option} {used}")
        steps.append((1, Step(("/usr/bin/nvidia-smi", option, value), env)))
    for _ in range(rng.randint(1, 4)):
        sign = rng.choice(["", "", "", "-", "+", "-+"])
        key = rng.choice(
            ["ExecStart"] * 5 + ["ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload"]
        )
        line, words = command(rng, maker)
        lines.append(f"{key}={sign}{line}")
        order = STARTS if "RemainAfterExit" in lines[0] else (*STARTS, "ExecStop", "ExecStopPost")
        if key in order:
            steps.append((order.index(key), Step(words, env, "-" in sign)))
    if not any(line.startswith("ExecStart=") for line in lines):
        lines.append("ExecStart=/bin/true")
    unit(layout, "gpu-lines.service", lines)
    layout.boot.append(Group("gpu-lines", tuple(step for _, step in sorted(steps, key=lambda pair: pair[0]))))


STARTS = ("ExecStartPre", "ExecStart", "ExecStartPost")


def given(rng: random.Random, layout: Layout, name: str, value: str, other: str, path: str) -> list[str]:
    """Lines of a unit that give a variable its value, the last word of a file above that of the unit."""
    kind = rng.randrange(5)
    if kind == 0:
        return [rng.choice([f"Environment={name}={value}", f'Environment="{name}={value}"'])]
    if kind == 1:
        layout.files[path] = rng.choice([f"{name}={value}\n", f'# watts\n{name}="{value}"\n'])
        return [f"EnvironmentFile={rng.choice(['', '-'])}{path}"]
    if kind == 2:
        layout.files[path] = f"{name}={value}\n"
        return [f"EnvironmentFile={path}", f"Environment={name}={other}"]
    if kind == 3:
        return [f"Environment={name}={other} OTHER=1 {name}={value}"]
    return [f"Environment={name}={value}", f"EnvironmentFile=-{path}"]  # the file is not there


def command(rng: random.Random, maker: Script) -> tuple[str, tuple[str, ...]]:
    """What stands behind ExecStart=, and the words that systemd makes of it."""
    call, roll = plain(maker), rng.random()
    if roll < 0.25:
        script = call + rng.choice(["", " || true", f" && {plain(maker)}", f"; {plain(maker)}"])
        return f"/bin/sh -c '{script}'", ("/bin/sh", "-c", script)
    if roll < 0.32:
        script = f"for g in 0 1; do /usr/bin/nvidia-smi -i $g -pl {maker.watts()}; done"
        return "/bin/bash -c '" + script.replace("$g", "$$g") + "'", ("/bin/bash", "-c", script)
    return call, tuple(call.split())


def plain(maker: Script) -> str:
    """A call that a unit can start without a shell."""
    option = maker.option()
    value = maker.value(option)
    which = maker.pick(["", "", "-i 0 ", "-i 1 ", "-i 0,1 ", "--id=1 "])
    words = maker.pick([f"{option} {value}", f"{option} {value}", f"{LONG[option]}={value}", f"{option}={value}"])
    return f"/usr/bin/nvidia-smi {which}{words}"


def hello(layout: Layout) -> None:
    """Something executable, so that what is not is so on purpose."""
    layout.files["/usr/local/bin/hello"] = "#!/bin/sh\necho hello\n"
    layout.modes["/usr/local/bin/hello"] = 0o755


def rc_local(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout, bash=rng.random() < 0.5, folder="/etc")
    text = maker.text(rng.randint(1, 5))
    if rng.random() < 0.3:
        text += "exit 0\n"
    if rng.random() < 0.3:
        inner = script(rng, layout, "/usr/local/bin/gpu-limits.sh")
        call = rng.choice([inner, f"{inner} &", f"bash {inner}", f"[ -x {inner} ] && {inner}", f"sh {inner} start"])
        layout.racing |= call.endswith("&")
        text = text.replace("\n", f"\n{call}\n", 1)
    path = "/etc/rc.local"
    layout.files[path] = text
    runs = rng.random() < 0.9
    layout.modes[path] = 0o755 if runs else 0o644
    if not runs:
        hello(layout)
    if runs:
        layout.boot.append(Group("rc.local", (Step((path, "start")),)))


def reboot_job(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout, bash=False)
    job = rng.choice([plain(maker), f"sleep 30 && {plain(maker)}", f"{plain(maker)}; {plain(maker)} >/dev/null 2>&1"])
    if rng.random() < 0.4:
        job = script(rng, layout, "/root/gpu-boot.sh")
    if rng.random() < 0.5:
        layout.files["/etc/cron.d/gpu"] = f"SHELL=/bin/sh\n# at boot\n@reboot root {job}\n"
    else:
        layout.files["/var/spool/cron/crontabs/root"] = f"@reboot {job}\n"
        layout.modes["/var/spool/cron/crontabs/root"] = 0o600
    layout.boot.append(Group("cron", (Step(("/bin/sh", "-c", job)),)))


def init_d(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout, bash=False)
    rows = ["#!/bin/sh", "### BEGIN INIT INFO", "# Provides: gpu", "# Default-Start: 2 3 4 5", "### END INIT INFO"]
    start, stop = maker.call(Scope()), maker.call(Scope())
    rows += ['case "$1" in', "  start)", f"    {start}", "    ;;", "  stop)", f"    {stop}", "    ;;", "esac"]
    layout.files["/etc/init.d/gpu"] = "\n".join(rows) + "\n"
    layout.modes["/etc/init.d/gpu"] = 0o755
    hello(layout)
    layout.links["/etc/rc3.d/S01hello"] = "../init.d/hello"
    if rng.random() < 0.8:
        layout.links["/etc/rc3.d/S20gpu"] = "../init.d/gpu"
        layout.links["/etc/rc5.d/S20gpu"] = "../init.d/gpu"
        layout.boot.append(Group("init.d", (Step(("/etc/init.d/gpu", "start")),)))


def not_started(rng: random.Random, layout: Layout) -> None:
    """Scripts and units that lie around."""
    kind = rng.randrange(6)
    if kind == 0:
        script(rng, layout, rng.choice(["/usr/local/bin/gpu-quiet", "/home/lab/clocks.sh", "/root/sweep-gpu.sh"]))
    elif kind == 1:
        unit(layout, "gpu-fast.service", ["Type=oneshot", f"ExecStart={plain(Script(rng, layout))}"], enabled=False)
    elif kind == 2:
        name = rng.choice(["gpu.service.bak", "gpu.service.dpkg-old", "gpu.service.disabled"])
        unit(layout, name, ["Type=oneshot", f"ExecStart={plain(Script(rng, layout))}"], enabled=False)
    elif kind == 3:
        unit(layout, "gpu.service", [f"ExecStart={plain(Script(rng, layout))}"], enabled=False, install=False)
    elif kind == 4:
        layout.links[f"{UNITS}/gpu.service"] = "/dev/null"
        layout.links[f"{WANTS}/gpu.service"] = "/usr/lib/systemd/system/gpu.service"
        start = f"Type=oneshot\nExecStart={plain(Script(rng, layout))}"
        text = f"[Service]\n{start}\n[Install]\nWantedBy=multi-user.target\n"
        layout.files["/usr/lib/systemd/system/gpu.service"] = text
    else:
        layout.files["/etc/cron.d/gpu"] = f"#@reboot root {plain(Script(rng, layout))}\n"


def timed(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout, bash=False)
    jobs = [plain(maker) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.5:
        at = [f"0 {hour} * * *" for hour in rng.sample(range(24), len(jobs))]
        layout.files["/etc/cron.d/gpu"] = "".join(f"{a} root {j}\n" for a, j in zip(at, jobs, strict=True))
        layout.sometimes += [Group(f"cron{n}", (Step(("/bin/sh", "-c", j)),)) for n, j in enumerate(jobs)]
    else:
        unit(layout, "gpu-night.service", ["Type=oneshot", f"ExecStart={jobs[0]}"], enabled=False, install=False)
        timer = "[Timer]\nOnCalendar=22:00\n[Install]\nWantedBy=timers.target\n"
        layout.files[f"{UNITS}/gpu-night.timer"] = timer
        layout.links[f"{UNITS}/timers.target.wants/gpu-night.timer"] = f"{UNITS}/gpu-night.timer"
        layout.sometimes.append(Group("timer", (Step(tuple(jobs[0].split())),)))
    if rng.random() < 0.4:
        rc_local(rng, layout)


def template(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout)
    option = maker.option()
    value = maker.value(option)
    lines = ["Type=oneshot", f"ExecStart=/usr/bin/nvidia-smi -i %i {option} {value}"]
    unit(layout, "gpu-cap@.service", lines, enabled=False)
    for at in rng.choice([(0,), (1,), (0, 1), ()]):
        layout.links[f"{WANTS}/gpu-cap@{at}.service"] = f"{UNITS}/gpu-cap@.service"
        layout.boot.append(Group(f"gpu-cap@{at}", (Step(("/usr/bin/nvidia-smi", "-i", f"{at}", option, value)),)))


def two_units(rng: random.Random, layout: Layout) -> None:
    """Two units that may set the same, in an order that systemd may choose, or with a drop-in in between."""
    first = script(rng, layout, "/usr/local/sbin/gpu-first")
    unit(layout, "gpu-a.service", ["Type=oneshot", f"ExecStart={first}"])
    maker = Script(rng, layout)
    call = plain(maker)
    unit(layout, "gpu-b.service", ["Type=oneshot", f"ExecStart={call}"])
    if rng.random() < 0.4:
        call = plain(maker)
        drop_in = f"[Service]\nExecStart=\nExecStart={call}\n"
        layout.files[f"{UNITS}/gpu-b.service.d/override.conf"] = drop_in
    layout.boot += [Group("a", (Step((first,)),)), Group("b", (Step(tuple(call.split())),))]


def sleep_hook(rng: random.Random, layout: Layout) -> None:
    maker = Script(rng, layout, bash=False)
    path = rng.choice(["/etc/systemd/system-sleep/gpu", "/usr/lib/systemd/system-sleep/gpu"])
    layout.files[path] = f'#!/bin/sh\n[ "$1" = post ] && {plain(maker)}\n'
    layout.modes[path] = 0o755
    layout.sometimes.append(Group("resume", (Step((path, "post", "suspend")),)))
