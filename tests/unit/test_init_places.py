"""Places on a host: what starts what is found there, who else needs it, and what is nobody's wish."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_tuned.core.model import PowerLimit
from gpu_tuned.init import rooted
from gpu_tuned.init.rooted import Rooted
from gpu_tuned.init.scan import scan
from tests.init_host import LINK, RTX_3090, enable, link, look, machine, put, set_up_by_hand, unit

CALL = "#!/bin/sh\nnvidia-smi -pl 300\n"
SMI = "ExecStart=/usr/bin/nvidia-smi -pl 300"
HELD = {("0", "power_limit_w"): 300}


def test_a_host_with_nothing(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert (found.taken, found.left, found.actions) == ({}, {}, {})
    assert found.scan.unread == ()


@pytest.mark.parametrize(
    ("path", "text", "action"),
    [
        ("/etc/rc.local", CALL, "edit"),
        ("/etc/rc.d/rc.local", CALL, "edit"),
        ("/etc/crontab", "@reboot root nvidia-smi -pl 300\n", "edit"),
        ("/etc/cron.d/gpu", "W=300\n@reboot root nvidia-smi -pl $W\n", "edit"),
        ("/var/spool/cron/crontabs/root", "@reboot sleep 60 && nvidia-smi -pl 300\n", "edit"),
    ],
)
def test_what_a_boot_runs_is_taken_over(tmp_path: Path, path: str, text: str, action: str) -> None:
    put(tmp_path, path, text, 0o755)
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {path: action})


def test_an_enabled_unit_goes_with_its_links(tmp_path: Path) -> None:
    path = unit(tmp_path, "gpu.service", "RemainAfterExit=yes", SMI, "ExecStop=/usr/bin/nvidia-smi -pl 350")
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {path: "move"})
    assert found.changes[path].links == ("/etc/systemd/system/multi-user.target.wants/gpu.service",)
    assert found.left == {(path, 5): "stop"}


def test_a_linked_unit_goes_with_its_link(tmp_path: Path) -> None:
    put(tmp_path, "/data/gpu.service", f"[Service]\nType=oneshot\n{SMI}\n")
    link(tmp_path, "/etc/systemd/system/gpu.service", "/data/gpu.service")
    enable(tmp_path, "gpu.service")
    found = look(tmp_path)
    assert found.actions == {"/data/gpu.service": "move"}
    assert "/etc/systemd/system/gpu.service" in found.changes["/data/gpu.service"].links


def test_a_drop_in_counts_with_its_unit(tmp_path: Path) -> None:
    put(tmp_path, "/usr/lib/systemd/system/vllm.service", "[Service]\nExecStart=/opt/vllm/serve\n")
    link(tmp_path, "/etc/systemd/system/multi-user.target.wants/vllm.service", "/usr/lib/systemd/system/vllm.service")
    path = "/etc/systemd/system/vllm.service.d/power.conf"
    put(tmp_path, path, "[Service]\nExecStartPre=/usr/bin/nvidia-smi -pl 300\n")
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {path: "edit"})
    assert found.changes[path].content == (
        "[Service]\n# gpu-tuned holds this now: ExecStartPre=/usr/bin/nvidia-smi -pl 300\n"
    )


def test_an_empty_line_takes_back_what_came_before(tmp_path: Path) -> None:
    unit(tmp_path, "gpu.service", SMI)
    put(
        tmp_path,
        "/etc/systemd/system/gpu.service.d/x.conf",
        "[Service]\nExecStart=\nExecStart=/usr/bin/nvidia-smi -pl 200\n",
    )
    assert look(tmp_path).taken == {("0", "power_limit_w"): 200}


def test_a_template_s_instances_name_their_gpus(tmp_path: Path) -> None:
    put(tmp_path, "/etc/systemd/system/cap@.service", "[Service]\nExecStart=nvidia-smi -i %i -pl 250\n")
    for number in (0, 1):
        link(tmp_path, f"/etc/systemd/system/multi-user.target.wants/cap@{number}.service", "../cap@.service")
    found = look(tmp_path, machine(RTX_3090, RTX_3090))
    assert found.taken == {("0", "power_limit_w"): 250, ("1", "power_limit_w"): 250}
    assert found.actions == {"/etc/systemd/system/cap@.service": "leave"}


def test_variables_of_a_unit_are_known_where_they_are_written(tmp_path: Path) -> None:
    put(tmp_path, "/etc/default/gpu", '# watts\nWATTS="300"\n')
    unit(
        tmp_path,
        "gpu.service",
        "EnvironmentFile=-/etc/default/gpu",
        "Environment=CLOCKS=210,1500 OTHER=x",
        "ExecStart=/usr/bin/nvidia-smi -pl ${WATTS}",
        "ExecStart=/usr/bin/nvidia-smi -lgc $CLOCKS",
    )
    assert look(tmp_path).taken == {**HELD, ("0", "gpu_clock_mhz"): {"min": 210, "max": 1500}}


def test_a_script_anywhere_is_found_by_what_runs_it(tmp_path: Path) -> None:
    put(tmp_path, "/data/ml/tune", CALL, 0o755)
    unit(tmp_path, "tune.service", "ExecStart=/data/ml/tune now")
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {"/data/ml/tune": "edit"})


def test_a_service_that_runs_on_is_to_be_started_anew(tmp_path: Path) -> None:
    put(tmp_path, "/opt/hold.sh", "#!/bin/sh\nwhile true; do\n  nvidia-smi -pl 300\n  sleep 60\ndone\n", 0o755)
    unit(tmp_path, "hold.service", "ExecStart=/opt/hold.sh", kind="simple")
    found = look(tmp_path)
    assert found.taken == HELD
    assert found.changes["/opt/hold.sh"].restart == ("hold.service",)
    assert found.changes["/opt/hold.sh"].lines == (3,)


NOBODYS = {
    "/etc/systemd/system/gpu.service": f"[Service]\n{SMI}\n[Install]\nWantedBy=multi-user.target\n",
    "/etc/systemd/system/gpu.service.bak": f"[Service]\n{SMI}\n",
    "/etc/systemd/system/gpu.service.d/x.conf": "[Service]\nExecStartPre=/usr/bin/nvidia-smi -pl 300\n",
    "/etc/systemd/system/some.target.wants/x": CALL,
    "/etc/cron.d/gpu.disabled": "@reboot root nvidia-smi -pl 300\n",
    "/etc/init.d/gpu": CALL,
    "/usr/local/bin/limits.sh": CALL,
    "/usr/local/sbin/limits": CALL,
    "/opt/vendor/gpu/limits.sh": CALL,
    "/root/setup-gpu.sh": CALL,
    "/root/setup-gpu.sh.bak": CALL,
    "/home/ada/bin/setup-gpu.sh": CALL,
    "/opt/gpu/power.py": "import subprocess\nsubprocess.run(['nvidia-smi', '-pl', '300'])\n",
}


@pytest.mark.parametrize("path", NOBODYS)
def test_what_nothing_starts_is_no_wish(tmp_path: Path, path: str) -> None:
    put(tmp_path, path, NOBODYS[path], 0o755)
    found = look(tmp_path)
    assert found.taken == {}
    assert set(found.left.values()) <= {"not-started"}
    assert set(found.actions.values()) <= {"leave"}


def test_masked_is_not_started(tmp_path: Path) -> None:
    put(tmp_path, "/usr/lib/systemd/system/gpu.service", f"[Service]\n{SMI}\n")
    link(tmp_path, "/etc/systemd/system/gpu.service", "/dev/null")
    link(tmp_path, "/etc/systemd/system/multi-user.target.wants/gpu.service", "/usr/lib/systemd/system/gpu.service")
    assert look(tmp_path).taken == {}


def test_a_script_that_may_not_be_executed_starts_nothing(tmp_path: Path) -> None:
    put(tmp_path, "/etc/rc.local", CALL, 0o644)
    found = look(tmp_path)
    assert (found.taken, found.left) == ({}, {("/etc/rc.local", 2): "not-started"})


def test_graphical_units_start_where_the_default_target_is_graphical(tmp_path: Path) -> None:
    unit(tmp_path, "gpu.service", SMI, enabled=False)
    enable(tmp_path, "gpu.service", "graphical.target")
    assert look(tmp_path).taken == HELD
    link(tmp_path, "/etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target")
    put(tmp_path, "/usr/lib/systemd/system/multi-user.target", "[Unit]\n")
    assert look(tmp_path).taken == {}


WRITERS = {
    "/etc/crontab": ("0 22 * * * root nvidia-smi -pl 300\n", "timer"),
    "/etc/cron.daily/gpu": (CALL, "timer"),
    "/etc/systemd/system-sleep/gpu": (CALL, "hook"),
    "/usr/lib/systemd/system-sleep/gpu": (CALL, "hook"),
    "/etc/NetworkManager/dispatcher.d/50-gpu": (CALL, "hook"),
    "/etc/acpi/gpu.sh": (CALL, "hook"),
    "/etc/profile.d/gpu.sh": (CALL, "hook"),
    "/etc/slurm/prolog.d/gpu": (CALL, "hook"),
    "/etc/udev/rules.d/70-gpu.rules": ('ACTION=="add", RUN+="/usr/bin/nvidia-smi -pl 300"\n', "hook"),
    "/etc/xdg/autostart/gpu.desktop": ("[Desktop Entry]\nExec=sudo nvidia-smi -pl 300\n", "hook"),
    "/etc/modprobe.d/nvidia.conf": ("install nvidia /sbin/modprobe -i nvidia && nvidia-smi -pl 300\n", "hook"),
    "/etc/lact/config.yaml": ("gpus:\n  x:\n    power_cap: 240.0\n", "rival"),
    "/etc/nvidia_oc.json": ('{"sets": {"0": {"powerLimit": 200000}}}\n', "rival"),
    "/etc/lightdm/lightdm.conf": ("[Seat:*]\ndisplay-setup-script=nvidia-smi -pl 300\n", "hook"),
    "/usr/share/sddm/scripts/Xsetup": (CALL, "hook"),
    "/var/lib/vz/snippets/gpu.sh": (CALL, "hook"),
    "/etc/pve/lxc/101.conf": ("lxc.hook.pre-start: sh -c 'nvidia-smi -pl 300'\n", "hook"),
    "/var/lib/rancher/k3s/server/manifests/gpu.yaml": ('command: ["nvidia-smi", "-pl", "300"]\n', "hook"),
    "/var/lib/cloud/instance/user-data.txt": ("#cloud-config\nbootcmd:\n  - nvidia-smi -pl 300\n", "hook"),
    "/var/spool/pbs/mom_priv/prologue": (CALL, "hook"),
    "/etc/apt/apt.conf.d/99gpu": ('DPkg::Post-Invoke {"nvidia-smi -pl 300 || true";};\n', "hook"),
    "/boot/config/go": (CALL, "hook"),
    "/boot/config/plugins/user.scripts/scripts/gpu/script": (CALL, "hook"),
    "/home/u/.config/autostart-scripts/gpu.sh": (CALL, "hook"),
    "/home/u/.config/containers/systemd/gpu.container": ("[Container]\nExec=nvidia-smi -pl 300\n", "hook"),
    "/root/.config/systemd/user/gpu.service": ("[Service]\nExecStart=/usr/bin/nvidia-smi -pl 300\n", "hook"),
    "/root/.zshrc": (CALL, "hook"),
    "/etc/logrotate.d/gpu": ("/var/log/x {\n  postrotate\n    nvidia-smi -pl 300\n  endscript\n}\n", "hook"),
    "/etc/ssh/sshrc": (CALL, "hook"),
    "/etc/pam.d/sshd": ("session optional pam_exec.so /usr/bin/nvidia-smi -pl 300\n", "hook"),
    "/etc/systemd/system-generators/gpu": (CALL, "hook"),
    "/etc/elogind/system-sleep/gpu": (CALL, "hook"),
    "/var/spool/cron/atjobs/a00001019f": (CALL, "timer"),
    "/etc/incron.d/gpu": ("/srv/flag IN_MODIFY nvidia-smi -pl 300\n", "hook"),
    "/var/spool/fcron/root.orig": ("&bootrun 0 8 * * * nvidia-smi -pl 300\n", "hook"),
    "/etc/fcrontab": ("@ 30 nvidia-smi -pl 300\n", "hook"),
    "/etc/init.d/halt.local": (CALL, "hook"),
    "/etc/initramfs-tools/scripts/local-bottom/gpu": (CALL, "hook"),
    "/etc/initramfs-tools/hooks/gpu": (CALL, "hook"),
    "/usr/lib/dracut/modules.d/90gpu/gpu.sh": ("gpu() {\n    nvidia-smi -pl 300\n}\n", "hook"),
    "/etc/initcpio/hooks/gpu": ("run_hook() {\n    nvidia-smi -pl 300\n}\n", "hook"),
    "/srv/llm/compose.yaml": ("entrypoint: sh -c 'nvidia-smi -pl 300; serve'\n", "program"),
}


@pytest.mark.parametrize("path", WRITERS)
def test_what_goes_on_setting_gpus_is_named_and_left(tmp_path: Path, path: str) -> None:
    text, kind = WRITERS[path]
    put(tmp_path, path, text, 0o755)
    found = look(tmp_path)
    assert (found.taken, found.actions) == ({}, {path: "leave"})
    assert [(writer.file, writer.kind) for writer in found.scan.writers] == [(path, kind)]
    assert [left.effect.file for left in found.decision.left] == [path]


@pytest.mark.parametrize("path", ["/etc/cron.daily/gpu", "/etc/systemd/system-sleep/gpu", "/etc/acpi/gpu.sh"])
def test_what_a_link_in_such_a_folder_leads_to_is_read(tmp_path: Path, path: str) -> None:
    put(tmp_path, "/home/u/dotfiles/gpu", CALL, 0o755)
    link(tmp_path, path, "/home/u/dotfiles/gpu")
    link(tmp_path, f"{path}-nowhere", "/home/u/nothing")
    link(tmp_path, f"{path}-folder", "/home/u/dotfiles")
    found = look(tmp_path)
    assert found.taken == {}
    assert [writer.file for writer in found.scan.writers] == ["/home/u/dotfiles/gpu"]


@pytest.mark.parametrize("name", ["boot", "before", "after"])
def test_what_suse_runs_at_boot_is_told_and_spoils_what_others_set(tmp_path: Path, name: str) -> None:
    path = f"/etc/init.d/{name}.local"
    put(tmp_path, path, "#!/bin/sh\nnvidia-smi -pl 300\n", 0o755)
    put(tmp_path, "/etc/rc.local", "#!/bin/sh\nnvidia-smi -pl 250\n", 0o755)
    found = look(tmp_path)
    assert found.taken == {}
    assert found.left[(path, 2)] == "branch"
    (tmp_path / path.lstrip("/")).chmod(0o644)
    found = look(tmp_path)
    assert found.left[(path, 2)] == "not-started"


def test_what_a_unit_of_suse_s_starts_is_taken_over(tmp_path: Path) -> None:
    put(tmp_path, "/etc/init.d/after.local", CALL, 0o755)
    unit(
        tmp_path,
        "after-local.service",
        "ExecStart=/etc/init.d/after.local",
        "TimeoutSec=0",
        "RemainAfterExit=yes",
    )
    assert look(tmp_path).taken == HELD


def test_a_crontab_that_is_a_link_is_one(tmp_path: Path) -> None:
    put(tmp_path, "/opt/gpu.cron", "@reboot root nvidia-smi -pl 300\n")
    link(tmp_path, "/etc/cron.d/gpu", "/opt/gpu.cron")
    assert look(tmp_path).taken[("0", "power_limit_w")] == 300


def test_a_job_scheduler_s_scripts_are_found_by_its_configuration(tmp_path: Path) -> None:
    put(tmp_path, "/etc/slurm/slurm.conf", "Prolog=/shared/prolog.sh\nEpilog=/shared/epilog.d/*\nGpuFreqDef=high\n")
    put(tmp_path, "/shared/prolog.sh", CALL, 0o755)
    put(tmp_path, "/shared/epilog.d/10-gpu", CALL, 0o755)
    found = look(tmp_path)
    assert {writer.file for writer in found.scan.writers} == {
        "/etc/slurm/slurm.conf",
        "/shared/prolog.sh",
        "/shared/epilog.d/10-gpu",
    }


def test_timers(tmp_path: Path) -> None:
    path = unit(tmp_path, "gpu.service", SMI, enabled=False)
    put(tmp_path, "/etc/systemd/system/gpu.timer", "[Timer]\nOnCalendar=22:00\n")
    enable(tmp_path, "gpu.timer", "timers.target")
    assert look(tmp_path).left == {(path, 3): "timer"}
    put(tmp_path, "/etc/systemd/system/gpu.timer", "[Timer]\nOnBootSec=30\n")
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {path: "leave"})
    assert "gpu.timer starts it" in found.changes[path].why


@pytest.mark.parametrize("key", ["Requires", "Wants", "After", "BindsTo", "PartOf"])
def test_a_unit_that_others_name_stays(tmp_path: Path, key: str) -> None:
    path = unit(tmp_path, "gpu.service", SMI)
    put(
        tmp_path, "/etc/systemd/system/llm.service", f"[Unit]\n{key}=x.service gpu.service\n[Service]\nExecStart=/x\n"
    )
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {path: "leave"})
    assert f"llm.service needs it ({key}=, /etc/systemd/system/llm.service line 2)" in found.changes[path].why


def test_a_condition_of_a_unit_decides(tmp_path: Path) -> None:
    path = unit(tmp_path, "gpu.service", SMI)
    file = tmp_path / path.lstrip("/")
    file.write_text("[Unit]\nConditionPathExists=/dev/nvidia0\n" + file.read_text())
    assert look(tmp_path).taken == HELD
    file.write_text(file.read_text().replace("ConditionPathExists=/dev/nvidia0", "ConditionACPower=true"))
    assert look(tmp_path).left == {(path, 5): "branch"}


def test_who_is_not_root_may_not_set(tmp_path: Path) -> None:
    path = unit(tmp_path, "gpu.service", "User=ada", SMI)
    assert look(tmp_path).left == {(path, 4): "not-root"}
    put(tmp_path, "/var/spool/cron/crontabs/ada", "@reboot nvidia-smi -pl 200\n")
    assert look(tmp_path).left[("/var/spool/cron/crontabs/ada", 1)] == "not-root"


def test_programs_are_named_and_not_understood(tmp_path: Path) -> None:
    put(tmp_path, "/opt/gpu.py", "import pynvml\npynvml.nvmlDeviceSetPowerManagementLimit(h, 1)\n")
    unit(tmp_path, "gpu.service", "ExecStart=/usr/bin/python3 /opt/gpu.py")
    found = look(tmp_path, machine(power_limit_w=PowerLimit(285_000)))
    assert (found.taken, found.left) == ({}, {("/opt/gpu.py", 2): "program"})


def test_two_starts_with_two_values_are_none(tmp_path: Path) -> None:
    unit(tmp_path, "a.service", SMI)
    unit(tmp_path, "b.service", "ExecStart=/usr/bin/nvidia-smi -i 0 -pl 200")
    found = look(tmp_path, machine(RTX_3090, RTX_3090))
    assert found.taken == {("1", "power_limit_w"): 300}
    assert set(found.left.values()) == {"conflict"}
    assert set(found.actions.values()) == {"leave"}


@pytest.mark.parametrize("path", ["/usr/bin/gpu-watts.sh", "/nix/store/abc-gpu/bin/gpu-watts"])
def test_a_package_s_file_stays(tmp_path: Path, path: str) -> None:
    put(tmp_path, path, CALL, 0o755)
    put(tmp_path, "/usr/lib/systemd/system/watts.service", f"[Service]\nType=oneshot\nExecStart={path}\n")
    link(
        tmp_path, "/etc/systemd/system/multi-user.target.wants/watts.service", "/usr/lib/systemd/system/watts.service"
    )
    found = look(tmp_path)
    assert (found.taken, found.actions) == (HELD, {path: "leave"})


def test_the_distribution_s_own_units_are_not_ours_to_judge(tmp_path: Path) -> None:
    put(tmp_path, "/usr/lib/systemd/system/nvidia-persistenced.service", "[Service]\nExecStart=nvidia-persistenced\n")
    link(tmp_path, LINK, "/usr/lib/systemd/system/nvidia-persistenced.service")
    put(tmp_path, "/etc/systemd/system/gpu-tuned.service", "[Service]\nExecStart=nvidia-smi -pm 1\n")
    enable(tmp_path, "gpu-tuned.service")
    found = look(tmp_path)
    assert (found.taken, found.left) == ({}, {})


def test_what_somebody_added_to_them_is(tmp_path: Path) -> None:
    put(tmp_path, "/usr/lib/systemd/system/nvidia-persistenced.service", "[Service]\nExecStart=nvidia-persistenced\n")
    link(tmp_path, LINK, "/usr/lib/systemd/system/nvidia-persistenced.service")
    path = "/etc/systemd/system/nvidia-persistenced.service.d/limit.conf"
    put(tmp_path, path, "[Service]\nExecStartPost=/usr/bin/nvidia-smi -pl 300\n")
    found = look(tmp_path)
    assert found.taken == {**HELD, ("0", "persistence_mode"): True}
    assert found.actions == {
        path: "edit",
        "/usr/lib/systemd/system/nvidia-persistenced.service": "leave",
    }


def test_mps_is_noticed_in_a_unit_and_by_its_link(tmp_path: Path) -> None:
    link(tmp_path, "/etc/systemd/system/multi-user.target.wants/gpu-tuned-mps.service", "/usr/lib/x")
    assert look(tmp_path).scan.mps


def test_the_host_of_the_guide(tmp_path: Path) -> None:
    set_up_by_hand(tmp_path)
    found = look(tmp_path)
    assert found.taken == {("0", "persistence_mode"): True, ("host", "numa_balancing"): "off"}
    assert found.actions == {
        "/etc/systemd/system/nvidia-persistenced.service": "move",
        "/etc/sysctl.conf": "edit",
        "/scripts/optimizations/setup-gpu.sh": "leave",
    }


def test_a_knob_that_this_kernel_has_not_stays_with_the_host(tmp_path: Path) -> None:
    set_up_by_hand(tmp_path)
    found = look(tmp_path, machine(numa=None))
    assert found.actions["/etc/sysctl.conf"] == "leave"
    assert found.left[("/etc/sysctl.conf", 2)] == "unsupported"


def test_binary_special_and_large_files_are_passed_by(tmp_path: Path) -> None:
    put(tmp_path, "/usr/local/bin/elf", "\x7fELF\0nvidia-smi -pl 450\n", 0o755)
    os.mkfifo(put(tmp_path, "/root/x", "").parent / "fifo.sh")
    put(tmp_path, "/root/big.sh", CALL + "#" * rooted.LARGEST_FILE)
    found = look(tmp_path)
    assert found.left == {}
    assert dict(found.scan.unread) == {"/root/big.sh": "larger than 256 KiB"}


def test_reading_ends_at_a_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooted, "MOST_FILES", 3)
    for number in range(5):
        put(tmp_path, f"/root/{number}.sh", CALL, 0o755)
    with Rooted(str(tmp_path)) as files:
        found = scan(files)
    assert len(found.effects) == 3
    assert [path for path, _ in found.unread] == ["/root"]
