"""Looking through a host: what is found where, what becomes of it, and where nobody looks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from gpu_tuned.core.leftover import Change, Step
from gpu_tuned.core.model import PowerLimit, Setting
from gpu_tuned.host import tree
from gpu_tuned.host.leftovers import scan
from tests.init_host import LINK, SCRIPT, SYSCTL, UNIT, link, put, set_up_by_hand

CALL = "#!/bin/sh\nnvidia-smi -pl 450\n"


def changes(root: Path, *kept: Setting) -> dict[str, Change]:
    return {change.file: change for change in scan(str(root), lambda said: said.setting in kept).changes}


def test_a_host_with_nothing(tmp_path: Path) -> None:
    found = scan(str(tmp_path))
    assert (found.asks, found.changes, dict(found.unread), found.mps) == ((), (), {}, False)


def test_the_host_of_the_guide(tmp_path: Path) -> None:
    set_up_by_hand(tmp_path)
    found = changes(tmp_path)
    assert {file: (change.step, change.lines) for file, change in found.items()} == {
        UNIT: (Step.MOVE, ()),
        SCRIPT: (Step.EDIT, (7, 10, 13, 14, 17, 20)),
        SYSCTL: (Step.EDIT, (2,)),
    }
    assert (found[UNIT].links, found[UNIT].unit) == ((LINK,), "nvidia-persistenced.service")
    assert (
        found[SYSCTL].content == b"net.ipv4.ip_forward = 1\n# gpu-tuned holds this now: kernel.numa_balancing = 0\n"
    )


def test_what_gpu_tuned_cannot_hold_here_stays_with_the_host(tmp_path: Path) -> None:
    set_up_by_hand(tmp_path)
    found = changes(tmp_path, Setting.NUMA_BALANCING)
    assert SYSCTL not in found
    assert found[SCRIPT].lines == (7, 10, 13, 14, 17)
    assert b"\necho 0 | sudo tee /proc/sys/kernel/numa_balancing\n" in found[SCRIPT].content


@pytest.mark.parametrize(
    ("path", "text", "step"),
    [
        ("/etc/rc.local", CALL, Step.EDIT),
        ("/etc/rc.d/rc.local", CALL, Step.EDIT),
        ("/etc/crontab", "@reboot root nvidia-smi -pl 450\n", Step.EDIT),
        ("/etc/cron.d/gpu", "@reboot root nvidia-smi -pl 450\n", Step.EDIT),
        ("/var/spool/cron/crontabs/root", "@reboot nvidia-smi -pl 450\n", Step.EDIT),
        ("/etc/systemd/system/gpu.service", "[Service]\nExecStart=nvidia-smi -pl 450\n", Step.MOVE),
        ("/etc/systemd/system/vllm.service.d/power.conf", "[Service]\nExecStartPre=nvidia-smi -pl 450\n", Step.EDIT),
        ("/etc/init.d/gpu", CALL, Step.EDIT),
        ("/usr/local/sbin/limits", CALL, Step.EDIT),
        ("/usr/local/bin/limits.sh", CALL, Step.EDIT),
        ("/opt/vendor/gpu/limits.sh", CALL, Step.EDIT),
        ("/root/setup-gpu.sh", CALL, Step.EDIT),
        ("/home/ada/bin/setup-gpu.sh", CALL, Step.EDIT),
    ],
)
def test_every_place_where_people_put_it(tmp_path: Path, path: str, text: str, step: Step) -> None:
    put(tmp_path, path, text)
    found = scan(str(tmp_path))
    assert [(ask.target, ask.place.file) for ask in found.asks] == [(PowerLimit(450_000), path)]
    assert [(change.file, change.step) for change in found.changes] == [(path, step)]


def test_a_script_anywhere_is_found_by_the_unit_that_runs_it(tmp_path: Path) -> None:
    put(tmp_path, "/data/ml/tune", CALL)
    put(tmp_path, "/etc/systemd/system/tune.service", "[Service]\nExecStart=/bin/sh /data/ml/tune now\n")
    found = scan(str(tmp_path))
    assert [ask.place.file for ask in found.asks] == ["/data/ml/tune"]
    assert found.asks[0].place.at_boot
    assert [(change.file, change.step) for change in found.changes] == [("/data/ml/tune", Step.EDIT)]


def test_what_runs_at_boot_has_the_last_word(tmp_path: Path) -> None:
    put(tmp_path, "/etc/rc.local", CALL)
    put(tmp_path, "/opt/old.sh", CALL.replace("450", "600"))
    assert [ask.words for ask in scan(str(tmp_path)).asks] == ["-pl 600", "-pl 450"]


def test_a_line_of_which_a_part_stays_is_left_to_a_person(tmp_path: Path) -> None:
    put(tmp_path, "/root/x.sh", "#!/bin/sh\nnvidia-smi -pm 1 && nvidia-smi -pl 450\nnvidia-smi -pl 450\n")
    found = changes(tmp_path, Setting.POWER_LIMIT)
    assert (found["/root/x.sh"].step, found["/root/x.sh"].lines) == (Step.LEAVE, (2,))


def test_a_unit_for_a_gpu_that_is_elsewhere_now_stays(tmp_path: Path) -> None:
    path = put(tmp_path, "/etc/systemd/system/gpu.service", "[Service]\nExecStart=nvidia-smi -i 9 -pl 300\n")
    found = scan(str(tmp_path), lambda said: said.gpus == ("9",))
    assert (found.changes, len(found.asks)) == ((), 1)
    path.write_text("[Service]\nExecStart=nvidia-smi -i 9 -pl 300\nExecStart=nvidia-smi -pm 1\n")
    (change,) = scan(str(tmp_path), lambda said: said.gpus == ("9",)).changes
    assert (change.step, change.lines) == (Step.EDIT, (3,))


def test_a_linked_unit_goes_with_its_link(tmp_path: Path) -> None:
    link(tmp_path, "/etc/systemd/system/gpu.service", "/data/gpu.service")
    put(tmp_path, "/data/gpu.service", "[Service]\nExecStart=nvidia-smi -pm 1\n")
    assert changes(tmp_path)["/data/gpu.service"].links == ("/etc/systemd/system/gpu.service",)


def test_a_udev_rule_is_shown_and_left(tmp_path: Path) -> None:
    path = "/etc/udev/rules.d/70-gpu.rules"
    put(tmp_path, path, '# x\nACTION=="add", RUN+="/usr/bin/nvidia-smi -pm 1"\n')
    assert (changes(tmp_path)[path].step, changes(tmp_path)[path].lines) == (Step.LEAVE, (2,))


def test_a_line_that_does_more_is_shown_and_left_beside_those_that_go(tmp_path: Path) -> None:
    put(tmp_path, "/root/x.sh", "#!/bin/sh\nnvidia-smi -pm 1\nnvidia-smi -pl 450; reboot\n")
    found = scan(str(tmp_path)).changes
    assert [(change.step, change.lines) for change in found] == [(Step.EDIT, (2,)), (Step.LEAVE, (3,))]
    assert b"nvidia-smi -pl 450; reboot" in found[0].content


def test_the_distribution_s_own_files_are_not_ours_to_judge(tmp_path: Path) -> None:
    put(tmp_path, "/usr/lib/systemd/system/nvidia-persistenced.service", "[Service]\nExecStart=nvidia-persistenced\n")
    link(tmp_path, LINK, "/usr/lib/systemd/system/nvidia-persistenced.service")
    put(tmp_path, "/etc/systemd/system/gpu-tuned.service", "[Service]\nExecStart=nvidia-smi -pm 1\n")
    assert scan(str(tmp_path)).changes == ()


def test_mps_is_noticed_in_a_unit_and_by_its_link(tmp_path: Path) -> None:
    link(tmp_path, "/etc/systemd/system/multi-user.target.wants/gpu-tuned-mps.service", "/usr/lib/x")
    assert scan(str(tmp_path)).mps


def test_no_link_leads_out_of_the_root(tmp_path: Path) -> None:
    outside = put(tmp_path, "/outside.sh", CALL)
    root = tmp_path / "root"
    link(root, "/root/a.sh", str(outside))
    link(root, "/root/b.sh", "../../../../../../../../.." + str(outside))
    link(root, "/opt", str(tmp_path))
    link(root, "/etc/rc.local", "/etc/rc.local")
    link(root, "/etc/crontab", "../../outside.sh")
    put(root, "/etc/systemd/system/x.service", f"[Service]\nExecStart={outside} /root/a.sh\n")
    assert scan(str(root)).asks == ()


def test_an_absolute_link_starts_at_the_root_again(tmp_path: Path) -> None:
    put(tmp_path, "/data/rc", CALL)
    link(tmp_path, "/etc/rc.local", "/data/rc")
    link(tmp_path, "/etc/systemd/system/gpu.service", "/data/gpu.service")
    put(tmp_path, "/data/gpu.service", "[Service]\nExecStart=nvidia-smi -pm 1\n")
    assert {ask.words for ask in scan(str(tmp_path)).asks} == {"-pl 450", "-pm 1"}


def test_binary_and_special_files_are_passed_by(tmp_path: Path) -> None:
    put(tmp_path, "/usr/local/bin/elf", "\x7fELF\0nvidia-smi -pl 450\n")
    os.mkfifo(put(tmp_path, "/root/x", "").parent / "fifo.sh")
    assert scan(str(tmp_path)).changes == ()


def test_bytes_that_are_no_text_survive_an_edit(tmp_path: Path) -> None:
    file = put(tmp_path, "/root/x.sh", "")
    file.write_bytes(b"#!/bin/sh\n# caf\xe9\r\nnvidia-smi -pl 450\n")
    (change,) = scan(str(tmp_path)).changes
    assert change.content == b"#!/bin/sh\n# caf\xe9\r\n: # gpu-tuned holds this now: nvidia-smi -pl 450\n"


def test_what_is_too_large_is_named(tmp_path: Path) -> None:
    put(tmp_path, "/root/big.sh", CALL + "#" * tree.LARGEST_FILE)
    found = scan(str(tmp_path))
    assert found.asks == ()
    assert dict(found.unread) == {"/root/big.sh": "larger than 256 KiB"}


def test_reading_ends_at_a_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST_FILES", 3)
    for number in range(5):
        put(tmp_path, f"/root/{number}.sh", CALL)
    found = scan(str(tmp_path))
    assert len(found.asks) == 3
    assert list(found.unread) == ["/root"]


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
            found = scan(folder)
        finally:
            if not me:
                os.seteuid(0)
            (root / "root").chmod(0o700)
    assert dict(found.unread) == {
        "/etc/rc.local": "no permission to read it",
        "/root": "no permission to read it",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_changes_no_file_of_somebody_else(tmp_path: Path) -> None:
    file = put(tmp_path, "/home/ada/setup-gpu.sh", CALL)
    os.chown(file, 1000, 1000)
    (change,) = scan(str(tmp_path)).changes
    assert (change.step, change.lines) == (Step.LEAVE, (2,))
    assert "belongs to user 1000" in change.why


def test_nothing_in_a_folder_that_everybody_writes_is_changed(tmp_path: Path) -> None:
    file = put(tmp_path, "/opt/x.sh", CALL)
    file.parent.chmod(0o777)
    (change,) = scan(str(tmp_path)).changes
    assert (change.step, "everybody may write there" in change.why) == (Step.LEAVE, True)
