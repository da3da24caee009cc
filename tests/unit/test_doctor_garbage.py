"""Whatever stands in a host's files, the doctor says something: garbage costs the check that reads it alone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_tuned.adapters.host_files import look
from gpu_tuned.core.policy.expected import CHECK_IDS
from gpu_tuned.core.verdict import Verdict
from gpu_tuned.doctor.examine import examine
from tests.doctor_host import healthy
from tests.doctor_views import gpu
from tests.init_host import put

GARBAGE = {
    "empty": b"",
    "words": b"no such thing\n",
    "binary": bytes(range(256)) * 8,
    "negative": b"-1\n",
    "huge": b"99999999999999999999999999\n" * 50,
    "hex": b"0xffffffffffffffff 0xffffffffffffffff 0xffffffffffffffff\n" * 7,
    "json": b'["a", {"runtimes": 3}]',
    "toml": b'[nvidia-container-runtime]\nmode = ["x"]\n',
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A healthy host without a simulated driver: one GPU in sysfs."""
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    for name, text in {"vendor": "0x10de", "class": "0x030000", "device": "0x2b85", "numa_node": "0",
                       "max_link_width": "16"}.items():  # fmt: skip
        put(device, name, f"{text}\n")
    put(tmp_path, "/sys/module/nvidia/version", "580.159.04\n")
    put(tmp_path, "/sys/devices/system/node/has_memory", "0\n")
    healthy(tmp_path)
    return tmp_path


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def test_the_host_is_read(host: Path) -> None:
    view = look(str(host))
    found = {f.check: f.verdict for f in examine(replace(view, gpus=(gpu(),))).findings}
    for check in ("above-4g", "pcie-errors", "start-order", "cdi", "container-runtime", "xid", "open-files", "iommu"):
        assert found[check] is Verdict.OK, (check, found)
    assert len(files(host)) > 25


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_in_any_file(host: Path, kind: str) -> None:
    for path in files(host):
        before = path.read_bytes()
        path.write_bytes(GARBAGE[kind])
        found = examine(look(str(host))).findings
        assert tuple(one.check for one in found) == CHECK_IDS, path
        path.write_bytes(before)


@pytest.mark.parametrize("what", ["a folder", "a link in circles", "nothing", "not readable"])
def test_any_file_is_something_else(host: Path, what: str) -> None:
    for path in files(host):
        before = path.read_bytes()
        path.unlink()
        if what == "a folder":
            path.mkdir()
        elif what == "a link in circles":
            path.symlink_to(path.name)
        elif what == "not readable":
            path.write_bytes(before)
            path.chmod(0)
        assert tuple(one.check for one in examine(look(str(host))).findings) == CHECK_IDS, path
        if what == "a folder":
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(before)


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(host: Path) -> None:
    for name in ("dev/kmsg", "etc/docker/daemon.json", "etc/cdi/pipe.yaml", "etc/systemd/system/pipe.service"):
        path = host / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    assert len(examine(look(str(host))).findings) == len(CHECK_IDS)
