"""What starts something that nobody enabled, and what keeps from starting what is enabled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.init_host import limit_of, limit_of_unit, link, look, machine, pull, put

UNITS = "/etc/systemd/system"
CALL = "ExecStart=/usr/bin/nvidia-smi -pl 300"
LOWER = "[Service]\nType=oneshot\nExecStart=/usr/bin/nvidia-smi -pl 200\n"


@pytest.mark.parametrize(
    "folder",
    ["dev-nvidia0.device.wants", "systemd-suspend.service.requires", "quiet.target.wants"],
)
def test_what_something_else_than_a_boot_pulls_in_may_set_it_as_well(tmp_path: Path, folder: str) -> None:
    pull(tmp_path, "low.service", folder)
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files={f"{UNITS}/low.service": LOWER}) is None


@pytest.mark.parametrize("folder", ["shutdown.target.wants", "rescue.target.wants"])
def test_what_starts_when_the_host_ends_sets_nothing_that_counts(tmp_path: Path, folder: str) -> None:
    pull(tmp_path, "low.service", folder)
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files={f"{UNITS}/low.service": LOWER}) == 300


PULLS = {
    "/etc/udev/rules.d/90-gpu.rules": 'ACTION=="add", TAG+="systemd", ENV{SYSTEMD_WANTS}+="low.service"\n',
    "/etc/udev/rules.d/91-gpu.rules": 'SUBSYSTEM=="power_supply", RUN+="/usr/bin/systemctl --no-block start low"\n',
    "/etc/cron.d/low": "0 22 * * * root systemctl start low\n",
    "/etc/NetworkManager/dispatcher.d/10-low": "#!/bin/sh\nservice low start\n",
    "/etc/udev/rules.d/92-gpu.rules": 'KERNEL=="nvidia0", \\\n  PROGRAM="/usr/bin/systemctl start low"\n',
    "/etc/udev/rules.d/93-gpu.rules": 'KERNEL=="nvidia0", \\\n  RUN:="/usr/bin/systemctl start low"\n',
    "/usr/share/dbus-1/system-services/org.low.service": "[D-BUS Service]\nSystemdService=low.service\n",
    "/etc/cron.d/low-often": "-*/15 * * * * root systemctl start low\n",
    "/etc/cron.d/low-somewhen": "0~59 8 * * mon-fri root systemctl start low\n",
    "/etc/acpi/low": "#!/bin/sh\nsystemctl --quiet reload-or-restart low.service\n",
}


@pytest.mark.parametrize("path", PULLS)
def test_a_unit_that_is_not_enabled_is_started_by_others(tmp_path: Path, path: str) -> None:
    files = {f"{UNITS}/low.service": LOWER, path: PULLS[path]}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=files) is None


PYTHON = "import pynvml\npynvml.nvmlDeviceSetPowerManagementLimit(h, 200000)\n"
LATER = {
    "a unit of a timer": ("ExecStart=/usr/bin/nvidia-smi -pl 200", f"{UNITS}/low.service", "timer"),
    "a script of a timer": ("ExecStart=/opt/low.sh", "/opt/low.sh", "timer"),
    "a program of a timer": ("ExecStart=/usr/bin/python3 /opt/low.py", "/opt/low.py", "timer"),
}


@pytest.mark.parametrize("case", LATER)
def test_what_a_timer_starts_goes_on_setting_gpus(tmp_path: Path, case: str) -> None:
    command, file, kind = LATER[case]
    put(tmp_path, "/opt/low.sh", "#!/bin/sh\nnvidia-smi -pl 200\n", 0o755)
    put(tmp_path, "/opt/low.py", PYTHON)
    put(tmp_path, f"{UNITS}/low.service", f"[Service]\nType=oneshot\n{command}\n")
    put(tmp_path, f"{UNITS}/low.timer", "[Timer]\nOnCalendar=22:00\n")
    pull(tmp_path, "low.timer", "timers.target.wants")
    assert [(writer.file, writer.kind) for writer in look(tmp_path).scan.writers] == [(file, kind)]


@pytest.mark.parametrize(("accept", "name"), [("no", "low.service"), ("yes", "low@.service")])
def test_a_unit_that_a_socket_starts(tmp_path: Path, accept: str, name: str) -> None:
    socket = {f"{UNITS}/low.socket": f"[Socket]\nListenStream=/run/low\nAccept={accept}\n"}
    files = {f"{UNITS}/{name}": LOWER, **socket}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=files) == 300
    pull(tmp_path, "low.socket", "sockets.target.wants")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=files) is None


def test_a_unit_that_starts_where_another_one_fails(tmp_path: Path) -> None:
    lower = {f"{UNITS}/low.service": LOWER}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=lower) == 300
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, unit="OnFailure=low.service", files=lower) is None


def test_drop_ins_of_resume_and_of_names_that_begin_alike(tmp_path: Path) -> None:
    post = "[Service]\nExecStartPost=/usr/bin/nvidia-smi -pl 200\n"
    shipped = "/usr/lib/systemd/system/nvidia-resume.service"
    link(tmp_path, f"{UNITS}/systemd-suspend.service.requires/nvidia-resume.service", shipped)
    files = {shipped: "[Service]\nType=oneshot\nExecStart=/usr/bin/nvidia-sleep.sh resume\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=files) == 300
    put(tmp_path, f"{UNITS}/nvidia-resume.service.d/limit.conf", post)
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL) is None
    put(tmp_path, f"{UNITS}/nvidia-resume.service.d/limit.conf", "")
    put(tmp_path, f"{UNITS}/rig-limit.service", f"[Service]\nType=oneshot\n{CALL}\n")
    put(tmp_path, f"{UNITS}/rig-.service.d/limit.conf", post)
    pull(tmp_path, "rig-limit.service")
    assert limit_of_unit(tmp_path, "Type=oneshot", "ExecStart=/bin/true") == 200


TIMER = "[Timer]\nOnBootSec=1min\n"


@pytest.mark.parametrize(("timer", "watts"), [(TIMER, 300), (f"[Unit]\nConditionACPower=true\n{TIMER}", None)])
def test_a_condition_of_a_timer_decides(tmp_path: Path, timer: str, watts: int | None) -> None:
    pull(tmp_path, "gpu.timer", "timers.target.wants")
    service = f"[Service]\nType=oneshot\n{CALL}\n"
    assert limit_of(tmp_path, {f"{UNITS}/gpu.timer": timer, f"{UNITS}/gpu.service": service}) == watts


def test_a_timer_of_a_target_that_a_person_chooses(tmp_path: Path) -> None:
    pull(tmp_path, "low.timer", "quiet.target.wants")
    files = {f"{UNITS}/low.timer": TIMER, f"{UNITS}/low.service": LOWER}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=files) is None


CRONTABS = {
    "@reboot root nvidia-smi -pl 300\n": 300,
    "SHELL=/bin/bash\n@reboot root [[ -x /usr/bin/nvidia-smi ]] && nvidia-smi -pl 300\n": 300,
    "@reboot root [[ -x /usr/bin/nvidia-smi ]] && nvidia-smi -pl 300\n": None,
    "SHELL=/usr/bin/fish\n@reboot root nvidia-smi -pl 300\n": None,
    "@reboot root sleep 9 % ; nvidia-smi -pl 300\n": None,
    "@reboot root nvidia-smi -pl 300": None,
    "PATH=/opt\n@reboot root nvidia-smi -pl 300\n": None,
    "@reboot\troot\tnvidia-smi -pl 300\n": 300,
    "@reboot  root  nvidia-smi -pl 300\n": 300,
    "W=300\n@reboot root nvidia-smi -pl $W\nW=250\n": 300,
    "@reboot root nvidia-smi -pl $W\nW=250\n": None,
    'W=250\n@reboot root true\nW = "300" \n@reboot root nvidia-smi -pl $W\n': 300,
    'W=300 # watts\n@reboot root nvidia-smi -pl "$W"\n': None,
    "@reboot root nvidia-smi -pl 300\nSHELL=/usr/bin/fish\n": 300,
}


@pytest.mark.parametrize("text", CRONTABS)
def test_a_crontab_is_what_cron_makes_of_it(tmp_path: Path, text: str) -> None:
    assert limit_of(tmp_path, {"/etc/cron.d/gpu": text}) == CRONTABS[text]


def test_cron_passes_over_a_crontab_that_others_may_write(tmp_path: Path) -> None:
    put(tmp_path, "/etc/cron.d/gpu", "@reboot root nvidia-smi -pl 300\n", 0o664)
    assert look(tmp_path, machine()).taken == {}


CRON = {"/lib/systemd/system/cron.service": "[Service]\nExecStart=/usr/sbin/cron -f\n"}


def test_cron_has_to_be_started_by_something(tmp_path: Path) -> None:
    files = {"/etc/cron.d/gpu": "@reboot root nvidia-smi -pl 300\n"}
    assert limit_of(tmp_path, {**CRON, **files}) is None
    assert look(tmp_path).scan.writers == ()
    link(tmp_path, f"{UNITS}/multi-user.target.wants/cron.service", "/lib/systemd/system/cron.service")
    assert limit_of(tmp_path, files) == 300


def test_a_job_of_anacron_is_one_of_times(tmp_path: Path) -> None:
    put(tmp_path, "/etc/anacrontab", "SHELL=/bin/sh\n1 5 gpu nvidia-smi -pl 300\n@monthly 9 x true\n")
    found = look(tmp_path)
    assert (found.taken, found.left) == ({}, {("/etc/anacrontab", 2): "timer"})
    assert [writer.file for writer in found.scan.writers] == ["/etc/anacrontab"]


ALIASES = {
    "a drop-in of a link to the unit": ({"power.service": "gpu.service"}, "power.service.d", 200),
    "a drop-in of what the unit is a link to": ({"gpu.service": "power.service"}, "power.service.d", 200),
    "a drop-in of a unit with another file": ({}, "power.service.d", 300),
}


@pytest.mark.parametrize("case", ALIASES)
def test_a_unit_has_the_drop_ins_of_all_its_names(tmp_path: Path, case: str) -> None:
    links, folder, watts = ALIASES[case]
    names = {"gpu.service": CALL, "power.service": CALL}
    for name in names.keys() - links.keys():
        put(tmp_path, f"{UNITS}/{name}", f"[Service]\nType=oneshot\n{CALL}\n")
    for name, target in links.items():
        link(tmp_path, f"{UNITS}/{name}", target)
    pull(tmp_path, "gpu.service")
    drop_in = "[Service]\nExecStart=\nExecStart=/usr/bin/nvidia-smi -pl 200\n"
    assert limit_of(tmp_path, {f"{UNITS}/{folder}/own.conf": drop_in}) == watts


LOWERS = {"/opt/gpu/low.sh": "#!/bin/bash\nnvidia-smi -pl 200\n"}
FOLDER = {"/etc/gpu.d/10-low.sh": "#!/bin/sh\nnvidia-smi -pl 200\n"}
RUN_ALL = {
    "ExecStart=/bin/run-parts /etc/gpu.d": None,
    "ExecStart=/usr/bin/find /etc/gpu.d -name *.sh -exec {} ;": None,
    "ExecStart=/usr/bin/find /etc/gpu.d -name *.sh -exec sh {} ;": None,
    "ExecStart=/usr/bin/find /etc/gpu.d -mtime +9 -exec gzip {} ;": 300,
    "ExecStart=/bin/bash -c 'for f in /etc/gpu.d/*.sh; do . \"$f\"; done'": None,
    "ExecStart=/bin/bash -c 'D=/etc/gpu.d; for f in $D/*; do \"$f\"; done'": None,
    "ExecStart=/bin/bash -c '/etc/gpu.d/$(hostname).sh'": None,
    "ExecStart=/bin/bash -c 'for f in /etc/gpu.d/*.conf; do . \"$f\"; done'": 300,
    "ExecStart=/bin/bash -c 'for f in /etc/gpu.e/*.sh; do . \"$f\"; done'": 300,
}
MAKES = {
    "ExecStart=/usr/bin/make -C /etc/gpu.d": "Makefile",
    "ExecStart=/usr/bin/just -f /etc/gpu.d/limits": "limits",
    "WorkingDirectory=/etc/gpu.d\nExecStart=/usr/bin/make all": "makefile",
    "ExecStart=/usr/bin/ansible-playbook -c local /etc/gpu.d/gpu.yml": "gpu.yml",
    "ExecStart=/usr/bin/flock /run/x /usr/bin/make -C /etc/gpu.d/": "Makefile",
}


@pytest.mark.parametrize("command", RUN_ALL)
def test_what_lies_in_a_folder_of_which_something_runs_a_part_may_set_it(tmp_path: Path, command: str) -> None:
    all_of_it = {**FOLDER, f"{UNITS}/all.service": f"[Service]\nType=oneshot\n{command}\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=all_of_it) == 300
    pull(tmp_path, "all.service")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL) == RUN_ALL[command]


@pytest.mark.parametrize("command", MAKES)
def test_a_text_that_a_program_is_given_may_set_it(tmp_path: Path, command: str) -> None:
    text = {f"/etc/gpu.d/{MAKES[command]}": "limits:\n\tnvidia-smi -pl 200\n"}
    unit = {f"{UNITS}/make.service": f"[Service]\nType=oneshot\n{command}\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files={**text, **unit}) == 300
    pull(tmp_path, "make.service")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL) is None


RUNS = {
    "in its own folder": ('#!/bin/bash\n"$(dirname "$0")/low.sh"\n', 200),
    "in its own folder, by a variable": ('#!/bin/sh\nD=$(cd "$(dirname "$0")" && pwd)\nsh "$D/low.sh"\n', 200),
    "without dirname": ('#!/bin/sh\n"${0%/*}/low.sh"\n', 200),
    "after a cd": ("#!/bin/sh\ncd /opt/gpu\n./low.sh\n", 200),
    "in a folder that is not known": ('#!/bin/bash\n"${BASH_SOURCE%/*}/low.sh"\n', None),
    "by a name of which the folder is not known": ('#!/bin/bash\ncd "$HOME"\nbash low.sh\n', None),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_script_is_found_in_the_folder_where_it_is_run(tmp_path: Path, case: str) -> None:
    text, watts = RUNS[case]
    files = {**LOWERS, "/opt/gpu/main.sh": text}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, "ExecStart=/opt/gpu/main.sh", files=files) == watts


def test_the_folder_of_a_script_that_is_run_by_its_name_alone_is_that_of_then(tmp_path: Path) -> None:
    files = {
        **LOWERS,
        "/opt/gpu/main.sh": "#!/bin/sh\ncd /opt/gpu\nsh other.sh\n",
        "/opt/gpu/other.sh": '#!/bin/sh\ncd /tmp\n"$(dirname "$0")/low.sh"\n',
    }
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, "ExecStart=/opt/gpu/main.sh", files=files) is None


@pytest.mark.parametrize(
    "command",
    ["/usr/bin/python3 fan.py", "/opt/venv/bin/python -m fan", "/usr/bin/python3 $APP/fan.py"],
)
def test_a_program_in_a_folder_of_its_own_may_set_it_as_well(tmp_path: Path, command: str) -> None:
    put(tmp_path, "/opt/fan/fan.py", "import pynvml\npynvml.nvmlDeviceSetPowerManagementLimit(h, 200000)\n")
    put(tmp_path, f"{UNITS}/fan.service", f"[Service]\nWorkingDirectory=/opt/fan\nExecStart={command}\n")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL) == 300
    pull(tmp_path, "fan.service")
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL) is None


def test_a_script_that_has_its_name_from_a_tool_is_read(tmp_path: Path) -> None:
    files = {"/opt/gpu/install": "#!/bin/sh\nnvidia-smi -pl 200\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, "ExecStart=/opt/gpu/install", files=files) == 200


def test_a_drop_in_that_is_gone_after_a_boot_is_not_read(tmp_path: Path) -> None:
    runtime = {"/run/systemd/system/gpu.service.d/x.conf": "[Service]\nExecStartPost=/usr/bin/nvidia-smi -pl 200\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=runtime) == 300


@pytest.mark.parametrize(
    ("path", "text", "service"),
    [
        ("/etc/rc.local", "#!/bin/sh\nnvidia-smi -pl 300\n", "rc-local.service"),
        ("/etc/cron.d/gpu", "@reboot root nvidia-smi -pl 300\n", "cron.service"),
        ("/etc/init.d/gpu", "#!/bin/sh\nnvidia-smi -pl 300\n", "gpu.service"),
    ],
)
def test_what_starts_it_may_be_masked(tmp_path: Path, path: str, text: str, service: str) -> None:
    link(tmp_path, "/etc/rc3.d/S20gpu", "../init.d/gpu")
    assert limit_of(tmp_path, {path: text}) == 300
    link(tmp_path, f"{UNITS}/{service}", "/dev/null")
    assert limit_of(tmp_path, {path: text}) is None


def test_a_unit_stands_in_for_an_init_script_of_its_name(tmp_path: Path) -> None:
    link(tmp_path, "/etc/rc3.d/S20gpu", "../init.d/gpu")
    files = {
        "/etc/init.d/gpu": "#!/bin/sh\nnvidia-smi -pl 300\n",
        f"{UNITS}/gpu.service": "[Service]\nExecStart=/opt/x\n",
    }
    assert limit_of(tmp_path, files) is None


NAMED = {
    "/etc/supervisor/conf.d/low.conf": "[program:low]\ncommand=/opt/gpu/low.sh\n",
    "/opt/gpu/docker-compose.yml": 'services:\n  low:\n    entrypoint: ["./low.sh"]\n',
    "/home/ada/.config/hypr/hyprland.conf": "exec-once = sudo /opt/gpu/low.sh\n",
    "/home/ada/.config/gamemode.ini": "[custom]\nstart=sudo nvidia-smi -pl 200\n",
    "/root/.config/i3/config": "exec --no-startup-id nvidia-smi -pl 200\n",
}


@pytest.mark.parametrize("path", NAMED)
def test_other_programs_run_scripts_that_their_configuration_names(tmp_path: Path, path: str) -> None:
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files=LOWERS) == 300
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, files={path: NAMED[path]}) is None


def test_runuser_runs_a_command_as_who_is_named(tmp_path: Path) -> None:
    lower = "/usr/bin/nvidia-smi -pl 200"
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, f"ExecStart=/usr/sbin/runuser -u root -- {lower}") == 200
    assert limit_of_unit(tmp_path, "Type=oneshot", CALL, f"ExecStart=/usr/sbin/runuser -u ada -- {lower}") is None


def test_a_script_may_send_what_it_says_to_a_process(tmp_path: Path) -> None:
    script = {"/opt/gpu/log.sh": "#!/bin/bash\nexec > >(tee -a /var/log/gpu.log) 2>&1\nnvidia-smi -pl 300\n"}
    assert limit_of_unit(tmp_path, "Type=oneshot", "ExecStart=/opt/gpu/log.sh", files=script) == 300
