"""`gpu-tunedctl`: finds the verb, parses its arguments, runs it, and turns every error into an exit code.

`status` is typed all day, so its way is short: verbs are imported when they are asked for, and a plain command line
is understood without argparse (options.py).
"""

from __future__ import annotations

import gc
import os
import sys

from gpu_tuned.core.errors import GpuTunedError, NotPermitted, UsageError
from gpu_tuned.ctl.options import QUICK, Options, quick

TYPE_CHECKING = False  # `typing` itself would be the dearest import here
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from gpu_tuned.ctl.kinds import Json

VERBS = {
    "status": "what is: every GPU, its settings, what slows it down",
    "verify": "in order, or what differs",
    "plan": "what would be written and why, what is refused; writes nothing",
    "apply": "look and put right now, without waiting for the interval",
    "reload": "read the policy files anew",
    "restore": "put back what was found before the first write",
    "release": "let go of a GPU: for a reset, a MIG change, a driver upgrade",
    "resume": "take it back",
    "watch": "events as they come",
    "throttle": "what slowed the GPUs down, in seconds by reason",
    "check": "validate policy files, without a daemon",
    "init": "a first policy for this host, from what is and what was there",
    "wait": "until the settings are in force, for so long at most",
    "install-units": "the systemd units, after an install with pip or pipx",
}
_FILES = dict.fromkeys(("apply", "reload", "restore", "release", "resume"), "commands")
_FILES["install-units"] = "install_units"
EXIT_CODES = """\
exit codes:
  0  in order              3  daemon not reachable
  1  differs or refused    4  not permitted
  2  usage, or a bad       5  driver or GPU trouble
     policy file
"""


def run(
    argv: list[str],
    offline_plan: Callable[[str | None], Json],
    problems: Callable[[str], list[str]],
    first_policy: Callable[[str | None, bool, bool], Json],
) -> int:
    """Run one command line and return its exit code.

    `offline_plan(config)` looks at the boards without a daemon and gives the reply that `Plan` would (None: the
    usual policy file); it raises errors of core.errors. `problems(path)` is what is wrong with a policy file.
    `first_policy(root, write, replace)` is what `init` proposes, and does when told to write, as a document.
    """
    # A life this short gains nothing from collecting garbage, nor from a last collection at its end (`watch` does).
    gc.disable()
    try:
        before, verb, after = _split(argv)
        if verb is None:
            from gpu_tuned.ctl.parser import without_verb

            return without_verb(before)
        options = quick(verb, [*before, *after]) if verb in QUICK else None
        if options is None:
            from gpu_tuned.ctl.parser import parser_of

            options = parser_of(verb).parse_args([*before, *after], Options())
        options.offline_plan, options.problems = offline_plan, problems
        options.first_policy = first_policy
        _prepare_output()
        code: int = module_of(verb).run(options)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse: 0 after --help, 2 for usage
        return stop.code if isinstance(stop.code, int) else 2
    except GpuTunedError as error:
        _flush_quietly()
        for line in str(error).splitlines() or [type(error).__name__]:
            print(f"gpu-tunedctl: {line}", file=sys.stderr)
        if isinstance(error, NotPermitted) and "group gpu-tuned" not in str(error):
            print("gpu-tunedctl: this needs root or membership in the group gpu-tuned", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # `gpu-tunedctl status | head -1` is no error; without this the interpreter complains when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()


def _split(argv: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Options before the verb, the verb, what follows it: `gpu-tunedctl --socket X status` reads as naturally as
    the other way round."""
    i = 0
    while i < len(argv) and argv[i].startswith("-"):
        i += 2 if argv[i] in ("--socket", "--timeout") else 1
    return argv[:i], argv[i] if i < len(argv) else None, argv[i + 1 :]


def module_of(verb: str) -> ModuleType:
    if verb not in VERBS:
        from difflib import get_close_matches

        near = get_close_matches(verb, VERBS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(VERBS)}"
        raise UsageError(f"there is no verb {verb!r}{hint}")
    module: ModuleType = __import__(f"gpu_tuned.ctl.{_FILES.get(verb, verb)}", fromlist=["run"])
    return module


def _prepare_output() -> None:
    # A name from a policy must not end a command on a terminal that cannot show it.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")


def _flush_quietly() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
