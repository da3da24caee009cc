"""Where people put what sets GPUs, as data: what each place means for when it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


def _targets(text: str) -> frozenset[str]:
    return frozenset(f"{name}.target" for name in text.split())


UNIT_PATHS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where systemd looks for units, the first one wins."""
OWN_UNITS = "/etc/systemd/system"

BOOT_TARGETS = _targets("""
    default multi-user sysinit basic local-fs network network-online sockets paths timers getty remote-fs
    nss-user-lookup time-sync time-set swap cryptsetup machines cloud-init
""")
"""Targets that every boot reaches. graphical.target is one where it is the default."""
SLEEP_TARGETS = _targets("sleep suspend hibernate hybrid-sleep suspend-then-hibernate") | frozenset(
    f"systemd-{kind}.service" for kind in ("suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate")
)
BUS_NAMES = tuple(f"{folder}/dbus-1/system-services" for folder in ("/etc", "/usr/local/share", "/usr/share", "/run"))
"""Files by which the system's bus starts units."""
NOT_BY_ITSELF = _targets("""
    shutdown reboot poweroff halt kexec umount final exit soft-reboot rescue emergency initrd graphical
""")
"""Targets of a host that ends, or that is being repaired, and the one of a desktop, where that is not the default."""

SHIPPED = frozenset(
    f"nvidia-{name}.service"
    for name in ["persistenced", "powerd", "fabricmanager", "suspend", "hibernate", "resume", "imex", "cdi-refresh"]
)
"""Units of NVIDIA's own packages that live well beside the daemon."""

PACKAGES = (
    "/usr/lib/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/share/",
    "/usr/libexec/",
    "/lib/",
    "/bin/",
    "/sbin/",
    "/run/",
)
FLEETING = ("/run/", "/var/run/", "/tmp/", "/dev/shm/")
"""Folders that are empty after a boot."""
STORES = ("/nix/store/", "/gnu/store/", "/ostree/", "/snap/")

_MANAGERS = "ansible|puppet|chef|salt|saltstack|cfengine|home-manager|bcfg2"
MANAGED = re.compile(
    rf"\b(?:({_MANAGERS})[ -]+managed|(?:managed|generated|written) (?:by|with) ({_MANAGERS}))\b", re.I
)
"""What configuration management puts at the head of its files."""

_FOLDERS = """
    etc etc/default root tmp home mnt srv boot opt dev dev/shm bin sbin usr usr/bin usr/sbin usr/lib usr/local
    usr/local/bin usr/local/sbin usr/local/etc var var/log var/lib var/run var/tmp var/cache run run/lock
"""
EVERYWHERE = frozenset({"", *(f"/{path}" for path in _FOLDERS.split())})
"""Folders that every host has, be they missing in a copy of it."""

RC_LOCAL = ("/etc/rc.local", "/etc/rc.d/rc.local")
SUSE_LOCAL = tuple(f"/etc/init.d/{name}.local" for name in ("boot", "before", "after"))
"""What SUSE's boot runs, and no other distribution's; which of them depends on its version."""
INIT_SCRIPTS = ("/etc/init.d", "/etc/rc.d/init.d")
RUN_LEVELS = tuple(f"/etc/rc{level}.d" for level in "S2345") + tuple(f"/etc/rc.d/rc{level}.d" for level in "2345")
SYSTEM_CRONTABS = ("/etc/crontab",)
ANACRONTAB = "/etc/anacrontab"
CRON_UNITS = ("cron.service", "crond.service", "cronie.service")
CRON_FOLDER = "/etc/cron.d"
FCRON = ("/var/spool/fcron/", "/usr/local/var/spool/fcron/")
"""Tables as their users wrote them, in USER.orig, beside what fcron makes of them: fcrontab(1)."""
USER_CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")
SYSCTL = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
SYSCTL_FILE = "/etc/sysctl.conf"


@dataclass(frozen=True, slots=True)
class Hook:
    """A folder whose files something runs: `when`, in words; `timer`: a clock does, and not an event."""

    folder: str
    when: str
    depth: int = 0
    timer: bool = False


HOOKS = (
    *(
        Hook(f"/etc/cron.{each}", f"cron runs it {each}", timer=True)
        for each in ("hourly", "daily", "weekly", "monthly")
    ),
    *(
        Hook(folder, "systemd runs it before and after each sleep")
        for folder in ("/etc/systemd/system-sleep", "/usr/lib/systemd/system-sleep", "/lib/systemd/system-sleep")
    ),
    *(
        Hook(f"{folder}/system-sleep", "elogind runs it before and after each sleep")
        for folder in ("/etc/elogind", "/usr/lib/elogind", "/lib/elogind")
    ),
    *(
        Hook(f"{folder}/systemd/system-generators", "systemd runs it at each boot and reload, before it reads units")
        for folder in ("/etc", "/usr/local/lib")
    ),
    *(
        Hook(folder, "at runs it once, at its time", timer=True)
        for folder in ("/var/spool/cron/atjobs", "/var/spool/at")
    ),
    Hook("/usr/lib/systemd/system-shutdown", "systemd runs it at the end of a shutdown"),
    Hook("/etc/pm/sleep.d", "pm-utils runs it before and after each sleep"),
    Hook("/etc/pm/power.d", "pm-utils runs it when the power supply changes"),
    Hook("/etc/acpi", "acpid runs it on an event", 2),
    Hook("/etc/NetworkManager/dispatcher.d", "NetworkManager runs it when a connection changes", 1),
    Hook("/etc/networkd-dispatcher", "networkd-dispatcher runs it when a connection changes", 1),
    Hook("/etc/network", "ifupdown runs it when an interface changes", 1),
    Hook("/etc/apcupsd", "apcupsd runs it when the power supply changes"),
    Hook("/etc/nut", "NUT runs it when the power supply changes"),
    Hook("/etc/laptop-mode", "laptop-mode runs it when the power supply changes", 2),
    Hook("/etc/libvirt/hooks", "libvirt runs it when a guest starts or stops", 3),
    *(
        Hook(f"/etc/{folder}/{name}.d", f"Slurm runs it at the {when} of a job")
        for folder in ("slurm", "slurm-llnl")
        for name, when in (("prolog", "begin"), ("epilog", "end"))
    ),
    Hook("/etc/tuned", "TuneD runs it when its profile is chosen", 2),
    Hook("/var/lib/cloud/scripts/per-boot", "cloud-init runs it at each boot"),
    Hook("/var/lib/cloud/scripts/per-instance", "cloud-init runs it at the first boot"),
    Hook("/var/lib/cloud/scripts/per-once", "cloud-init runs it once"),
    Hook("/var/lib/cloud/instance/scripts", "cloud-init runs it at the first boot"),
    Hook("/var/lib/vz/snippets", "Proxmox runs it when a guest starts or stops"),
    Hook("/boot/config/plugins/user.scripts/scripts", "Unraid runs it when a user's script is due", 1),
    Hook("/etc/kernel/postinst.d", "it runs when a kernel is installed"),
    Hook("/usr/share/sddm/scripts", "the display manager runs it"),
    Hook("/etc/sddm", "the display manager runs it", 1),
    Hook("/etc/gdm3", "the display manager runs it", 1),
    Hook("/etc/gdm", "the display manager runs it", 1),
    Hook("/etc/local.d", "OpenRC runs it at boot, where that is the init"),
    Hook("/etc/sv", "runit runs it, where that is the init", 2),
    Hook("/etc/profile.d", "a shell reads it at each login"),
    Hook("/etc/X11/Xsession.d", "X reads it at each login"),
    Hook("/etc/X11/xinit/xinitrc.d", "X reads it at each login"),
)
HOOK_FILES: Mapping[str, str] = {
    "/etc/profile": "a shell reads it at each login",
    "/etc/bash.bashrc": "a shell reads it at each start",
    "/etc/rc.shutdown": "it runs at a shutdown",
    "/etc/init.d/halt.local": "it runs at a shutdown",
    "/etc/ssh/sshrc": "a login by SSH runs it",
    "/boot/config/go": "Unraid runs it at boot",
    **{
        f"/var/spool/{system}/mom_priv/{name}": f"{system.upper()} runs it with every job"
        for system in ("pbs", "torque")
        for name in ("prologue", "epilogue")
    },
}
TEXTS: Mapping[str, str] = {
    "/etc/supervisor": "supervisord runs it",
    "/etc/supervisord.d": "supervisord runs it",
    "/etc/cloud/cloud.cfg.d": "cloud-init runs it, at the first boot or at each",
    "/etc/kubernetes/manifests": "the kubelet runs it in a pod",
    "/etc/containers/systemd": "Podman runs it in a container",
    "/etc/monit": "Monit runs it",
    "/etc/pm2": "pm2 runs it",
    "/etc/lightdm": "the display manager runs it",
    "/etc/sddm.conf.d": "the display manager runs it",
    "/etc/greetd": "the display manager runs it",
    "/etc/logrotate.d": "logrotate runs it",
    "/etc/pam.d": "a login runs it",
    "/etc/incron.d": "incron runs it when a file changes",
    "/var/spool/incron": "incron runs it when a file changes",
    "/etc/pve": "Proxmox runs it with a guest",
    "/etc/lxc": "LXC runs it with a container",
    "/var/lib/rancher/k3s/server/manifests": "the kubelet runs it in a pod",
    "/var/lib/rancher/rke2/server/manifests": "the kubelet runs it in a pod",
    "/etc/apt/apt.conf.d": "APT runs it with packages",
    "/etc/pacman.d/hooks": "pacman runs it with packages",
    **dict.fromkeys((folder.rstrip("/") for folder in FCRON), "fcron runs it"),
    "/etc/initramfs-tools/scripts": "the initramfs runs it, before the host's own boot",
    "/etc/initramfs-tools/hooks": "it runs when an initramfs is built",
    "/usr/lib/dracut/modules.d": "the initramfs runs it, before the host's own boot, or dracut when it builds one",
    "/etc/initcpio/hooks": "the initramfs runs it, before the host's own boot",
    "/etc/initcpio/install": "it runs when an initramfs is built",
    "/etc/initcpio/post": "it runs when an initramfs was built",
}
"""Folders whose files name commands in a form of their own: they are told, and no value is taken from them."""
TEXT_FILES: Mapping[str, str] = {
    "/etc/supervisord.conf": "supervisord runs it",
    "/etc/gamemode.ini": "GameMode runs it when a game begins or ends",
    "/usr/share/gamemode/gamemode.ini": "GameMode runs it when a game begins or ends",
    "/etc/cloud/cloud.cfg": "cloud-init runs it, at the first boot or at each",
    "/etc/inittab": "init runs it",
    "/etc/fcrontab": "fcron runs it",
    "/etc/sddm.conf": "the display manager runs it",
    "/var/lib/cloud/instance/user-data.txt": "cloud-init runs it, at the first boot or at each",
}

_LOGIN = "bashrc profile bash_profile bash_login zshrc zprofile zshenv zlogin xinitrc xprofile xsession xsessionrc"
HOME_HOOKS = tuple(f".{name}" for name in _LOGIN.split())
HOME_FOLDERS: Mapping[str, str] = {
    ".config/autostart": "the desktop starts it at a login",
    ".config/autostart-scripts": "the desktop starts it at a login",
    ".config/plasma-workspace/env": "the desktop starts it at a login",
    ".config/systemd/user": "systemd starts it for a user, not as root",
}
_DESKTOPS = ("hypr", "i3", "sway", "river", "niri", "labwc", "openbox", "bspwm", "awesome", "lxsession", "qtile")
HOME_TEXTS: Mapping[str, str] = {
    ".config/containers/systemd": "Podman runs it in a container of a user",
    ".config/fish": "a shell reads it at each start",
    ".config/gamemode.ini": "GameMode runs it when a game begins or ends",
    **{f".config/{name}": "the desktop runs it at a login, or by a key" for name in _DESKTOPS},
}
"""Files and folders below a home of which the same is true as of TEXTS."""
AUTOSTART = "/etc/xdg/autostart"
USER_UNITS = "/etc/systemd/user"
UDEV = ("/etc/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d")
MODPROBE = ("/etc/modprobe.d", "/etc/modules-load.d")
SLURM = tuple(
    f"{folder}/slurm.conf" for folder in ("/etc/slurm", "/etc/slurm-llnl", "/usr/local/etc", "/opt/slurm/etc")
)
SLURM_SCRIPTS = re.compile(
    r"\s*((?:Task|Srun|Prolog|Epilog)?(?:Prolog|Epilog)(?:Slurmctld)?|ResumeProgram|RebootProgram)\s*=\s*(\S+)", re.I
)
SLURM_CLOCKS = re.compile(r"\s*GpuFreqDef\s*=\s*(\S+)", re.I)
NIXOS = ("/etc/NIXOS", "/run/current-system/nixos-version")
NIXOS_MARK = "/nix/store/"

SCRIPTS: Mapping[str, int] = {
    "/scripts": 3,
    "/root": 2,
    "/usr/local/bin": 1,
    "/usr/local/sbin": 1,
    "/home": 3,
    "/srv": 2,
    "/opt": 3,
}
"""Where scripts lie that nobody may run, and how many folders deep they are looked for; the large ones last."""
SCRIPT_NAMES = re.compile(r"(\.(?:ba)?sh|\.py)$|^[^.]+$|gpu|nvidia")
DEAD_NAMES = re.compile(r"(?:~|\.(?:bak|old|orig|save|disabled|dpkg-\w+|rpm\w+|ucf-\w+|swp))$")
"""Copies that nothing reads."""
NAMED_SCRIPTS = re.compile(r"[\w.+@-]+\.(?:sh|bash|py)\b|(?<=/)[\w.+@-]+(?=[\"'\s]|$)")
"""Names of files in a text that may be commands."""
COMPOSE = re.compile(r"(?:^|[-_.])compose[\w.-]*\.ya?ml$|^Dockerfile")
SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
