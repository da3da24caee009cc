"""docs/from-the-seed.md answers the widely copied guide: no heading, command, variable or promise lacks its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpu_tuned.core.policy.expected import CHECK_IDS
from gpu_tuned.ctl.verbs import VERBS
from tests.guide import read

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "from-the-seed.md").read_text().replace("\\|", "|")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
GUIDE = read()


def section(heading: str) -> str:
    """What stands below a heading of the page, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def test_the_guide_was_taken_apart() -> None:
    assert (len(GUIDE.headings), len(GUIDE.commands), len(GUIDE.variables), len(GUIDE.promises)) == (34, 25, 43, 7)
    assert 'echo "kernel.numa_balancing = 0" | sudo tee -a /etc/sysctl.conf' in GUIDE.commands
    assert "sudo nvidia-smi -c DEFAULT" in GUIDE.commands


@pytest.mark.parametrize("heading", GUIDE.headings)
def test_every_heading_has_its_section_with_something_in_it(heading: str) -> None:
    assert section(heading).strip()


@pytest.mark.parametrize("command", GUIDE.commands)
def test_every_command_has_its_row(command: str) -> None:
    assert any(f"`{command}`" in row for row in ROWS)


@pytest.mark.parametrize("name", GUIDE.variables)
def test_every_variable_has_its_row(name: str) -> None:
    assert any(row.startswith(f"| `{name}`") for row in ROWS)


@pytest.mark.parametrize("option", GUIDE.options)
def test_every_compose_option_has_its_row(option: str) -> None:
    assert any(f"`{option}`" in row for row in ROWS)


@pytest.mark.parametrize("item", GUIDE.items)
def test_every_item_of_a_list_is_answered(item: str) -> None:
    assert any(item in row for row in ROWS)


@pytest.mark.parametrize("promise", GUIDE.promises)
def test_every_promise_has_what_is_known_of_it(promise: str) -> None:
    (row,) = [row for row in section("Performance Impact").splitlines() if row.startswith(f"| {promise}: ")]
    _, known, source = (cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("| ")))
    assert known and source


def test_what_the_page_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (DOCS / target).exists(), target
    for check in re.findall(r"doctor: \*([a-z0-9-]+)\*", PAGE):
        assert check in CHECK_IDS, check
    for verb in re.findall(r"`?gpu-tunedctl ([a-z-]+)", PAGE):
        assert verb in VERBS, verb


def test_another_guide_of_the_kind_is_taken_apart_as_well() -> None:
    """What would be missed in another edition is named by the same reading."""
    other = read(
        '# New\n```bash\n# note\nsudo nvidia-smi -pl 300 # low\necho "done"\n```\n```dockerfile\nENV FOO=1\n```\n'
    )
    assert (other.headings, other.commands, other.variables) == (["New"], ["sudo nvidia-smi -pl 300"], ["FOO"])
