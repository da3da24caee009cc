"""What the doctor's look at files makes of a file that is there and cannot be read: not known, and never absent.

A pipe stands for it: nobody may read that as a file, root neither."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_tuned.adapters.container_files import containers
from gpu_tuned.adapters.host_files import look
from gpu_tuned.adapters.unit_files import units
from gpu_tuned.core.host_view import UnitView
from gpu_tuned.core.model import Unread
from tests.doctor_host import healthy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True)
    healthy(tmp_path)
    return tmp_path


def pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("file", ["chat.service", "chat.service.d/10-gpu.conf"])
def test_a_unit_is_kept_as_unread(root: Path, file: str) -> None:
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chat.service").write_text("[Service]\nExecStart=/opt/chat\n")
    assert "chat.service" not in {unit.name for unit in known(root)}
    pipe(folder / file)
    assert [unit.unread for unit in known(root) if unit.name == "chat.service"] == [True]


def test_a_link_to_nowhere_is_no_unit(root: Path) -> None:
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gone.service").symlink_to("/nowhere/gone.service")
    assert "gone.service" not in {unit.name for unit in known(root)}


def known(root: Path) -> tuple[UnitView, ...]:
    found = units(str(root))
    assert not isinstance(found, Unread)
    return found


def test_a_cdi_folder_that_cannot_be_listed(root: Path) -> None:
    assert not isinstance(containers(str(root)).cdi, Unread)
    (root / "etc").mkdir(exist_ok=True)
    pipe(root / "etc/cdi")
    found = containers(str(root)).cdi
    assert isinstance(found, Unread) and "/etc/cdi cannot be listed" in found.why


def test_a_kernel_whose_modules_cannot_be_read(root: Path) -> None:
    assert not isinstance(look(str(root)).driver.kernels, Unread)
    pipe(root / "lib/modules/9.9.9-amd64/modules.dep")
    found = look(str(root)).driver.kernels
    assert isinstance(found, Unread) and "9.9.9-amd64/modules.dep cannot be read" in found.why
