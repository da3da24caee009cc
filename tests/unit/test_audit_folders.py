"""Which files of a folder are looked into: those with a name of a kind, and drop-ins of units and quadlets."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.ctl.main import run
from gpu_tuned.environment.audit import files
from tests.golden.kept import OfEnv

QUADLET = "[Container]\nImage=docker.io/vllm/vllm-openai:v0.11.0\n"
SLIP = "Environment=VLLM_ATENTION_BACKEND=FLASH_ATTN\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "a.container": QUADLET,
        "a.container.d/10-env.conf": "[Container]\n" + SLIP,
        "b.service": "[Service]\nExecStart=/usr/bin/vllm serve x\n",
        "b.service.d/10-env.conf": "[Service]\n" + SLIP,
        "nginx.d/10-env.conf": "[Container]\n" + SLIP,
        "node_modules/c.service.d/x.conf": "[Service]\n" + SLIP,
        "note.conf": SLIP,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_stands_for_its_units_quadlets_and_their_drop_ins(folder: Path) -> None:
    found = [(Path(path).relative_to(folder).as_posix(), named) for path, named in files.expand(str(folder))]
    assert sorted(found) == [
        ("a.container", False),
        ("a.container.d/10-env.conf", False),
        ("b.service", False),
        ("b.service.d/10-env.conf", False),
    ]


def test_a_slip_in_a_drop_in_is_found_from_the_folder_and_from_its_unit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, count in ((folder, 2), (folder / "a.container", 1), (folder / "b.service", 1)):
        assert run(["env", "audit", str(path)], OfEnv()) == 1
        assert capsys.readouterr().out.count("did you mean") == count, path
