"""Files below a root: no link leads out, and what others could lead elsewhere is not written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from gpu_tuned.init import modes
from gpu_tuned.init.carry_out import make_folders, refuse, write_file
from gpu_tuned.init.rooted import Rooted
from tests.init_host import link, look, put

CALL = "#!/bin/sh\nnvidia-smi -pl 300\n"
WAYS = pytest.mark.parametrize("openat2", [True, False], ids=["kernel", "by-hand"])


@WAYS
def test_no_link_leads_out_of_the_root(tmp_path: Path, openat2: bool) -> None:
    outside = put(tmp_path, "/outside.sh", CALL)
    root = tmp_path / "root"
    link(root, "/root/a.sh", str(outside))
    link(root, "/root/b.sh", "../../../../../../../../.." + str(outside))
    link(root, "/opt", str(tmp_path))
    link(root, "/etc/rc.local", "/etc/rc.local")
    with Rooted(str(root), openat2=openat2) as files:
        for path in ("/root/a.sh", "/root/b.sh", "/opt/outside.sh", "/etc/rc.local", "/../outside.sh"):
            assert files.text(path) is None
        assert files.names("/opt") == []


@WAYS
def test_an_absolute_link_starts_at_the_root_again(tmp_path: Path, openat2: bool) -> None:
    put(tmp_path, "/data/rc", CALL)
    link(tmp_path, "/etc/rc.local", "/data/rc")
    link(tmp_path, "/srv", "data")
    with Rooted(str(tmp_path), openat2=openat2) as files:
        assert files.text("/etc/rc.local") == CALL
        assert files.text("/srv/rc") == CALL
        assert files.resolve("/etc/rc.local") == "/data/rc"


@WAYS
def test_a_name_that_no_file_can_have_is_not_there(tmp_path: Path, openat2: bool) -> None:
    """What only a running host knows stands in a name as NUL, where the kernel would end it: "/etc/gpu%H.env" is not
    the file /etc/gpu."""
    put(tmp_path, "/etc/gpu", CALL)
    with Rooted(str(tmp_path), openat2=openat2) as files:
        for path in ("/etc/gpu\0.env", "/etc\0/gpu", "/etc/\0"):
            assert files.text(path) is None
            assert files.resolve(path) is files.target(path) is None
            assert files.names(path) == [*files.walk(path, 1)] == []
            assert not files.there(path) and not files.is_folder(path)
            assert not modes.writable_by_others(files, path)
        assert files.text("/etc/gpu") == CALL
        assert files.unread == {}


@WAYS
def test_special_files_are_not_opened(tmp_path: Path, openat2: bool) -> None:
    os.mkfifo(tmp_path / "fifo")
    with Rooted(str(tmp_path), openat2=openat2) as files:
        assert files.text("/fifo") is None


def test_what_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        put(root, "/etc/rc.local", CALL, 0o600)
        put(root, "/root/x.sh", CALL)
        (root / "root").chmod(0o700)
        me = os.geteuid()
        if me:
            (root / "root").chmod(0)
            (root / "etc/rc.local").chmod(0)
        else:
            os.seteuid(65534)
        try:
            found = dict(look(root).scan.unread)
        finally:
            if not me:
                os.seteuid(0)
            (root / "root").chmod(0o700)
    assert found["/etc/rc.local"] == "no permission to read it"
    assert "no permission to read it" in {why for path, why in found.items() if path.startswith("/root")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("given", ["home", "home/ada", "home/ada/bin", "home/ada/bin/gpu.sh"])
def test_what_somebody_else_owns_on_the_way_is_left(tmp_path: Path, given: str) -> None:
    put(tmp_path, "/home/ada/bin/gpu.sh", CALL, 0o755)
    put(tmp_path, "/etc/rc.local", "#!/bin/sh\n/home/ada/bin/gpu.sh\n", 0o755)
    assert look(tmp_path).actions == {"/home/ada/bin/gpu.sh": "edit"}
    os.chown(tmp_path / given, 1000, 1000)
    change = look(tmp_path).changes["/home/ada/bin/gpu.sh"]
    assert (change.action.value, f"/{given} belongs to user 1000, not to root" in change.why) == ("leave", True)


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_where_everybody_writes_nothing_is_changed(tmp_path: Path, mode: int) -> None:
    file = put(tmp_path, "/etc/rc.local", CALL, 0o755)
    file.parent.chmod(mode)
    change = look(tmp_path).changes["/etc/rc.local"]
    assert (change.action.value, change.why) == ("leave", "everybody may write to /etc")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to a group")
def test_where_a_group_writes_neither(tmp_path: Path) -> None:
    file = put(tmp_path, "/etc/rc.local", CALL, 0o755)
    os.chown(file.parent, 0, 50)
    file.parent.chmod(0o2775)
    assert look(tmp_path).changes["/etc/rc.local"].why == "group 50 may write to /etc"


def test_a_file_with_a_second_name_is_left(tmp_path: Path) -> None:
    os.link(put(tmp_path, "/etc/rc.local", CALL, 0o755), tmp_path / "etc/other")
    assert "hard link" in look(tmp_path).changes["/etc/rc.local"].why


def test_a_link_on_the_way_is_refused_for_a_write(tmp_path: Path) -> None:
    put(tmp_path, "/elsewhere/x", "")
    link(tmp_path, "/etc/gpu-tuned", str(tmp_path / "elsewhere"))
    with Rooted(str(tmp_path)) as files:
        with pytest.raises(OSError, match="/etc/gpu-tuned is a link"):
            refuse(files, "/etc/gpu-tuned/gpu-tuned.toml")
        with pytest.raises(OSError):
            write_file(files, "/etc/gpu-tuned/gpu-tuned.toml", b"x", 0o644)
        with pytest.raises(OSError):
            make_folders(files, "/etc/gpu-tuned/deeper", 0o755)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["x"]


def test_a_file_that_changed_since_the_look_is_not_overwritten(tmp_path: Path) -> None:
    file = put(tmp_path, "/etc/rc.local", "now\n")
    with Rooted(str(tmp_path)) as files, pytest.raises(OSError, match="changed in the meantime"):
        write_file(files, "/etc/rc.local", b"new\n", None, b"then\n")
    assert file.read_text() == "now\n"
    assert os.listdir(file.parent) == ["rc.local"]
