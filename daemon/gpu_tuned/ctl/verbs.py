"""Every verb of gpu-tunedctl, a row each: what parses it, completes it and documents it reads this table.

A row is all there is to say of a verb in one line; what is longer (EXAMPLES, options that take a value) stands in the
verb's module, which is imported when the verb is asked for. EXAMPLES is a text, or one for each verb of the module.
"""

from __future__ import annotations

from gpu_tuned.core.errors import UsageError

TYPE_CHECKING = False  # `typing` itself would be the dearest import on the way to `status`
if TYPE_CHECKING:
    from types import ModuleType

READ_S = 10.0
"""How long a read waits: the daemon answers from memory, also while the driver hangs."""
COMMAND_S = 60.0
"""How long a command waits: the daemon gives up after 30 s when the driver hangs, and says so."""

EXIT_CODES = {
    0: "in order",
    1: "differs or refused",
    2: "usage, or a bad policy file",
    3: "daemon not reachable",
    4: "not permitted",
    5: "driver or GPU trouble",
}


class Verb:
    """One row.

    `summary`: what help, man page, completions and README say. `module`: the file in ctl/ with its `run(options)`.
    `gpu`: help of the positional GPU, "" for a verb that takes none. `flags`: switches and their help. `exits`: the
    codes it can end with. `timeout_s`: how long it waits for the daemon's answer, None where it asks no daemon.
    `repeats`: it takes --every TIME. `plain`: this row has its whole command line; of any other,
    `arguments(parser, verb)` in its module adds the rest.
    """

    __slots__ = ("exits", "flags", "gpu", "module", "plain", "repeats", "summary", "timeout_s")

    def __init__(  # noqa: PLR0913 - the fields of a row, each by its name
        self,
        summary: str,
        module: str,
        *,
        gpu: str = "",
        flags: dict[str, str] | None = None,
        exits: tuple[int, ...] = tuple(EXIT_CODES),
        timeout_s: float | None = READ_S,
        plain: bool = False,
        repeats: bool = False,
    ) -> None:
        self.summary, self.module, self.gpu, self.flags = summary, module, gpu, flags or {}
        self.exits, self.timeout_s, self.plain, self.repeats = exits, timeout_s, plain, repeats


_ONE = "this GPU alone: index, PCI address, UUID or the beginning of one"
_ANSWER = {"--json": "print the answer as JSON"}

VERBS = {
    "status": Verb(
        "every GPU: what was wished, what is, what slows it down",
        "status",
        gpu="show this GPU in full",
        flags={
            "--all": "show every GPU in full",
            "--advice": "also what is known to go wrong with what is wished",
            "--json": "print the document itself, for programs",
        },
        plain=True,
        repeats=True,
    ),
    "verify": Verb(
        "in order, or what differs",
        "verify",
        gpu=_ONE,
        flags={"--json": "print what differs as JSON"},
        plain=True,
    ),
    "plan": Verb(
        "what would be written and why, what is refused; writes nothing",
        "plan",
        flags={
            "--offline": "do not ask the daemon; look at the boards once",
            "--json": "print the plan as JSON",
        },
        exits=(0, 1, 2, 4, 5),
    ),
    "apply": Verb(
        "look and put right at once, without waiting for the interval",
        "commands",
        flags=_ANSWER,
        timeout_s=COMMAND_S,
        plain=True,
    ),
    "reload": Verb("read the policy files again", "commands", flags=_ANSWER, timeout_s=COMMAND_S, plain=True),
    "restore": Verb(
        "put back what was found at first; `apply` takes it up again",
        "commands",
        gpu=_ONE,
        flags=_ANSWER,
        timeout_s=COMMAND_S,
    ),
    "release": Verb(
        "let go of a GPU: for a reset, a MIG change, a driver upgrade",
        "commands",
        gpu="index, PCI address, UUID or the beginning of one",
        flags={"--all": "let go of every GPU", **_ANSWER},
        timeout_s=COMMAND_S,
    ),
    "resume": Verb(
        "take back what was released",
        "commands",
        gpu="the GPU that was released; all come back with it",
        flags={"--all": "every GPU, as without naming one", **_ANSWER},
        timeout_s=COMMAND_S,
        plain=True,
    ),
    "watch": Verb(
        "events as they come",
        "watch",
        flags={"--json": "one JSON object a line, as the socket sends them"},
        exits=(0, 2, 3, 4, 5),
        plain=True,
    ),
    "throttle": Verb(
        "what slowed the GPUs down, in seconds by reason",
        "throttle",
        gpu=_ONE,
        flags={"--json": "print seconds as JSON"},
        exits=(0, 2, 3, 4, 5),
        plain=True,
    ),
    "check": Verb("what is wrong with a policy file, without a daemon", "check", exits=(0, 2), timeout_s=None),
    "init": Verb(
        "a first policy for this host, from what is and what was there",
        "init",
        flags={
            "--json": "one JSON document",
            "--write": "write the policy, and disable what it replaces",
            "--replace": "with --write: also where a policy is in place already",
        },
        exits=(0, 2, 4, 5),
        timeout_s=None,
    ),
    "probe": Verb(
        "what one GPU answers to every read-only call of NVML",
        "probe",
        gpu="needed where there are several: index, PCI address, UUID or the beginning of one",
        exits=(0, 2, 5),
        timeout_s=None,
        plain=True,
    ),
    "show": Verb(
        "one board on one screen: ranges, costs, heat, memory, processes",
        "show",
        gpu="needed where there are several: index, PCI address, UUID or the beginning of one",
        flags={"--json": "print the document itself, for programs"},
        exits=(0, 2, 5),
        plain=True,
        repeats=True,
    ),
    "doctor": Verb(
        "the host: what keeps its GPUs from running as they could",
        "doctor",
        flags={
            "--fix": "print the commands that would help, and run none",
            "--quiet": "leave out what is ok",
            "--json": "print the findings as JSON, for programs",
        },
        exits=(0, 1, 2, 5),
        timeout_s=None,
    ),
    "env": Verb(
        "which environment variables GPU programs read, and which help", "env", exits=(0, 1, 2, 4), timeout_s=None
    ),
    "wait": Verb("until the settings are in force, or the time is over", "wait", exits=(0, 1, 2, 3, 4)),
    "install-units": Verb(
        "the systemd units, after an install with pip or pipx", "install_units", exits=(0, 2, 4), timeout_s=None
    ),
}
"""By name, in the order in which they are shown."""


def find(verb: str) -> Verb:
    """The row of this verb. Raises UsageError naming the nearest one."""
    row = VERBS.get(verb)
    if row is None:
        from gpu_tuned.core.words import did_you_mean

        raise UsageError(f"there is no verb {verb!r}; {did_you_mean(verb, VERBS)}")
    return row


def module_of(verb: str) -> ModuleType:
    """The module that runs it. Raises UsageError for a verb that there is not."""
    module: ModuleType = __import__(f"gpu_tuned.ctl.{find(verb).module}", fromlist=["run"])
    return module


def examples(verb: str) -> str:
    """What help says below the options: examples, and what else is to be known."""
    told: str | dict[str, str] = module_of(verb).EXAMPLES
    return told if isinstance(told, str) else told[verb]


def exit_codes(codes: tuple[int, ...] = tuple(EXIT_CODES)) -> str:
    """What help says of them."""
    return "exit codes:\n" + "".join(f"  {code}  {EXIT_CODES[code]}\n" for code in codes)
