"""The table of verbs: README shows it, and every row fits the module that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.core.errors import UsageError
from gpu_tuned.ctl.parser import parser_of
from gpu_tuned.ctl.verbs import EXIT_CODES, VERBS, examples, find, module_of

README = Path(__file__).parents[2] / "README.md"


def positionals(verb: str) -> str:
    """What follows the verb on a command line, options aside: "[GPU] [SETTING]"."""
    found = [action for action in parser_of(verb)._actions if not action.option_strings]
    return "".join(f" [{action.metavar}]" if action.nargs == "?" else f" {action.metavar}" for action in found)


def test_readme_shows_the_table() -> None:
    rows = [f"| `gpu-tunedctl {verb}{positionals(verb)}` | {row.summary} |" for verb, row in VERBS.items()]
    table = "\n".join(["| command | what it does |", "|---|---|", *rows])
    assert table in README.read_text(), f"README's table of commands is to be:\n{table}"


@pytest.mark.parametrize("verb", VERBS)
def test_a_row_fits_its_module(verb: str) -> None:
    row, module = VERBS[verb], module_of(verb)
    assert callable(module.run)
    assert examples(verb).startswith("examples:\n")
    assert max(map(len, examples(verb).splitlines())) <= 80
    assert len(f"  {verb:<15}{row.summary}") <= 80
    assert set(row.exits) <= set(EXIT_CODES)
    assert row.timeout_s is None or row.timeout_s > 0
    assert all(flag.startswith("--") and help_ for flag, help_ in row.flags.items())


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_the_socket_where_it_is_asked(verb: str) -> None:
    """And takes it everywhere: it may stand before the verb."""
    parser = parser_of(verb)
    assert ("--socket" in parser.format_help()) == (VERBS[verb].timeout_s is not None)
    assert "--socket" in parser._option_string_actions


@pytest.mark.parametrize("verb", [verb for verb, row in VERBS.items() if not row.plain])
def test_a_row_that_is_not_all_leaves_something_to_its_module(verb: str) -> None:
    known = {"help", "socket", "timeout", "no_color", "version", "gpu", *(flag[2:] for flag in VERBS[verb].flags)}
    assert {action.dest for action in parser_of(verb)._actions} - known


def test_no_such_verb() -> None:
    with pytest.raises(UsageError, match="did you mean 'status'"):
        find("statsu")
    with pytest.raises(UsageError, match="there are status, verify, plan"):
        find("xyzzy")
