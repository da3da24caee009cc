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
        "container.d/20-all.conf": "[Container]\nEnvironment=VLLM_USE_V1=1\n",
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
        ("container.d/20-all.conf", False),
    ]


def test_a_slip_in_a_drop_in_is_found_from_the_folder_and_from_its_unit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, count in ((folder, 2), (folder / "a.container", 1), (folder / "b.service", 1)):
        assert run(["env", "audit", str(path)], OfEnv()) == 1
        assert capsys.readouterr().out.count("did you mean") == count, path


DROP_INS = {
    "container.d": 1,
    "llm-.container.d": 1,
    "llm-chat@.container.d": 1,
    "llm-chat@a.container.d": 1,
    "chat.container.d": 0,
    "service.d": 0,
}


@pytest.mark.parametrize("where", DROP_INS)
def test_a_quadlet_is_read_with_all_drop_ins_that_podman_takes(tmp_path: Path, where: str) -> None:
    (tmp_path / where).mkdir()
    (tmp_path / where / "10.conf").write_text("[Container]\n" + SLIP)
    (tmp_path / "llm-chat@a.container").write_text(QUADLET)
    assert run(["env", "audit", str(tmp_path / "llm-chat@a.container")], OfEnv()) == DROP_INS[where]


def test_of_two_drop_ins_of_one_name_the_nearest_counts(tmp_path: Path) -> None:
    for where, line in (("container.d", SLIP), ("a.container.d", "Environment=VLLM_LOGGING_LEVEL=INFO\n")):
        (tmp_path / where).mkdir()
        (tmp_path / where / "10.conf").write_text("[Container]\n" + line)
    (tmp_path / "a.container").write_text(QUADLET)
    assert run(["env", "audit", str(tmp_path / "a.container")], OfEnv()) == 0
