"""Makes the manual pages: the prose of *.in, with options, verbs and keys from the code that parses them.

    make.py DESTINATION        (needs gpu_tuned importable, and nothing else)

A key that the code knows and keys.txt does not describe, or the other way round, is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

from gpu_tuned import __version__
from gpu_tuned.core.policy import DaemonOptions
from gpu_tuned.core.policy.keys import DAEMON, HOST, RULE, SETTINGS
from gpu_tuned.core.policy.words import Problems, Reader, Spot

HERE = Path(__file__).resolve().parent
TABLES: Mapping[str, Mapping[str, Reader]] = {
    "daemon": DAEMON,
    "host": HOST,
    "gpu": {key: reader for key, reader in RULE.items() if key not in SETTINGS},
    "settings": SETTINGS,
}


def main(destination: Path) -> None:
    os.environ.pop("GPU_TUNED_SOCKET", None)  # a default that help shows
    os.environ["COLUMNS"] = "100"
    destination.mkdir(parents=True, exist_ok=True)
    when = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), timezone.utc)
    parts: dict[str, Callable[[], str]] = {
        "VERSION": lambda: __version__,
        "DATE": lambda: when.strftime("%Y-%m-%d"),
        "DAEMON_OPTIONS": lambda: options(daemon_parser()),
        "VERBS": verbs,
        "COMMON_OPTIONS": common_options,
        "EXIT_CODES": exit_codes,
        **{f"KEYS_{table.upper()}": lambda table=table: keys(table) for table in TABLES},  # type: ignore[misc]
    }
    for source in sorted(HERE.glob("*.in")):
        text = re.sub(r"@([A-Z_]+)@", lambda found: parts[found[1]](), source.read_text())
        (destination / source.stem).write_text(text)


def roff(text: str) -> str:
    """Text as roff shows it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("~", "\\(ti")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.splitlines())


# --- the command line ---------------------------------------------------------------------------------------------


def daemon_parser() -> argparse.ArgumentParser:
    """The parser that `gpu-tuned` makes for itself, taken at the moment it would parse."""
    from gpu_tuned.daemon import options_of

    class Taken(Exception):
        pass

    def take(self: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        raise Taken(self)

    parse, argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_args, take  # type: ignore[method-assign]
    try:
        options_of([])
    except Taken as taken:
        parser: argparse.ArgumentParser = taken.args[0]
        return parser
    finally:
        argparse.ArgumentParser.parse_args = parse  # type: ignore[method-assign]
    raise SystemExit("man: gpu-tuned parses its command line in another way now")


def options(parser: argparse.ArgumentParser, without: Iterable[str] = ()) -> str:
    """A tagged paragraph for each option and argument that has a help text."""
    lines = []
    for action in parser._actions:
        if action.help in (None, argparse.SUPPRESS) or set(without) & {*action.option_strings, action.dest}:
            continue
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in action.option_strings)
        value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        takes = f"\\fI{roff(value)}\\fR" if action.nargs != 0 else ""
        lines += [".TP", f"{names} {takes}".strip(), roff(action.help % vars(action) if action.help else "")]
    return "\n".join(lines)


COMMON = ("-h", "--socket", "--timeout", "--no-color", "--version")


def verbs() -> str:
    from gpu_tuned.ctl.parser import parser_of
    from gpu_tuned.ctl.verbs import VERBS, examples

    lines = []
    for verb, row in VERBS.items():
        parser = parser_of(verb)
        usage = parser.format_usage().removeprefix("usage: ")
        for name in (r"\[-h\]", r"\[--socket PATH\]", r"\[--timeout TIME\]", r"\[--no-color\]", r"\[--version\]"):
            usage = re.sub(rf"\s+{name}", "", usage)
        lines += [f".SS {roff(verb)}", f"\\fB{roff(' '.join(usage.split()))}\\fR", ".PP"]
        lines += [roff(row.summary[:1].upper() + row.summary[1:] + "."), options(parser, COMMON), *sub_verbs(parser)]
        lines += said_below(examples(verb))
    return "\n".join(line for line in lines if line)


def said_below(examples: str) -> list[str]:
    """What stands below the options of a help text: a command, or a word, with what it is for; prose as such."""
    lines: list[str] = []
    for part in examples.strip().removeprefix("examples:").strip("\n").split("\n\n"):
        lines += [".PP", ".PD 0"]
        for number, line in enumerate(part.splitlines()):
            tag, _, about = line.strip().partition("  ")
            if line.startswith(" " * 20):
                lines.append(roff(line.strip()))  # goes on from the line before
            elif about:
                lines += [".TP", f"\\fB{roff(tag)}\\fR", roff(about.strip())]
            elif line.startswith(" "):
                lines += [".PP"] * (number > 0) + [".nf", f"\\fB{roff(tag)}\\fR", ".fi"]
            else:
                lines.append(roff(line))
        lines.append(".PD")
    return lines


def common_options() -> str:
    """Options of a verb that asks the daemon; the others lack --socket and --timeout."""
    from gpu_tuned.ctl.parser import parser_of

    parser = parser_of("status")
    return options(parser, [action.dest for action in parser._actions if not {*COMMON} & {*action.option_strings}])


def sub_verbs(parser: argparse.ArgumentParser) -> list[str]:
    """The verbs of a verb that has some: `gpu-tunedctl env show`."""
    lines = []
    for action in parser._actions:
        for part in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            usage = re.sub(r"\s+\[-h\]", "", " ".join(part.format_usage().removeprefix("usage: ").split()))
            lines += [".PP", f"\\fB{roff(usage)}\\fR", ".br", roff(part.description or ""), options(part, COMMON)]
    return lines


def exit_codes() -> str:
    from gpu_tuned.ctl.verbs import EXIT_CODES

    return "\n".join(
        f".TP\n\\fB{code}\\fR\n{roff(text[:1].upper() + text[1:])}." for code, text in EXIT_CODES.items()
    )


# --- the keys of a policy -----------------------------------------------------------------------------------------


def keys(table: str) -> str:
    """A tagged paragraph for each key: what it takes, by the parser's own words, and what it is for."""
    about = descriptions()
    lines = []
    for key, reader in TABLES[table].items():
        default = f" Default: {_default(key)}." if table == "daemon" else ""
        lines += [".TP", f"\\fB{roff(key)}\\fR", roff(f"{allowed(key, reader)}.{default}"), ".br", roff(about[key])]
    return "\n".join(lines)


def allowed(key: str, reader: Reader) -> str:
    """What a key takes, out of the sentence with which the parser refuses an empty text."""
    problems = Problems()
    reader(Spot("", key, "", problems))
    if not problems.sentences and key == "profile":  # needs to know the profiles; what it is, is no secret
        return 'The name of a profile, such as "rtx-5090-inference"'
    sentence = problems.sentences[0].partition(": must be ")[2]
    if not sentence:
        raise SystemExit(f"man: {key}: the parser says {problems.sentences[0]!r}, which tells no value it would take")
    # TOML knows `true`, and no "True".
    return sentence if sentence.startswith("true") else sentence[:1].upper() + sentence[1:]


def _default(key: str) -> str:
    value = getattr(DaemonOptions(), key)
    return f"{value:g}" if isinstance(value, float) else f'"{value.value}"'


def descriptions() -> dict[str, str]:
    """Key -> what it is for. Raises SystemExit where this and the parser know different keys."""
    about: dict[str, str] = {}
    for paragraph in (HERE / "keys.txt").read_text().split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        if lines:
            about[lines[0].strip()] = " ".join(line.strip() for line in lines[1:])
    known = {key for table in TABLES.values() for key in table}
    if known != set(about):
        raise SystemExit(f"man: keys.txt and the parser differ in: {', '.join(sorted(known ^ set(about)))}")
    return about


if __name__ == "__main__":
    main(Path(sys.argv[1]))
