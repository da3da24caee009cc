"""Commands that a script may call, as data: what stands before another command, what does nothing to a GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PREFIXES = _words("""
    sudo doas nice ionice timeout nohup setsid chrt taskset stdbuf command unbuffer
""")
"""They run the command that follows and leave it what it is. `runuser -u` and `env` are handled beside them."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a boot's commands are looked for, unless something says otherwise."""

HOME = ("/usr/bin", "/bin", "/run/current-system/sw/bin")
"""Where a driver's package puts nvidia-smi."""

TOOL = re.compile(
    r"/(?:usr/)?(?:local/)?s?bin/|/run/current-system/sw/bin/|/nix/store/|/usr/lib/wsl/lib/|/opt/\S*/bin/"
)
"""Folders in which nvidia-smi is NVIDIA's, where it is in them."""

VALUED: Mapping[str, tuple[str, ...]] = {
    "sudo": ("-u", "--user", "-g", "--group", "-h", "-p", "-C", "-T", "-D", "-R"),
    "doas": ("-u", "-C"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n", "--class", "--classdata"),
    "timeout": ("-k", "-s", "--kill-after", "--signal"),
    "stdbuf": ("-i", "-o", "-e"),
    "env": ("-u", "--unset", "-C", "--chdir"),
}
"""Their options that take a word of its own."""

SHELLS = _words("""
    sh bash dash ash ksh su runuser
""")

IDLE = _words("""
    : true echo printf sleep date logger sync wait umask tput clear nvidia-modprobe modprobe udevadm
    systemd-notify systemd-cat tee hostname exec
""")
"""They succeed, and set no GPU."""

MUTE = _words("""
    ssh man alias grep egrep fgrep head tail awk sed cut tr wc sort false cat ls cp mv rm ln mkdir touch chmod chown
    install systemctl journalctl notify-send wall mail curl wget jq
""")
"""They set no GPU of this host, whatever stands in their words; how they end is not known."""

RUNNERS = _words("""
    xargs parallel find watch at batch flock systemd-run script screen tmux docker podman nerdctl chroot
    nsenter unshare kubectl pkexec daemonize start-stop-daemon coproc
""")
"""They run a command from their words, at a time or with words that are not known here."""

FEEDING = _words("""
    xargs parallel
""")
"""Those of them that add what they read to the command."""

AT_ONCE = FEEDING | _words("""
    find flock script chroot nsenter unshare pkexec
""")
"""Those of them that end when the command does."""

CALLED = re.compile(r"(?:^|[\s/'\"=,(\[])nvidia-smi(?:[\s'\",\]]|$)")

ELSEWHERE = frozenset({"pdsh", "ansible", "srun", "salt"})
"""They run it on other hosts."""

RIVALS: Mapping[str, str] = {
    "nvidia_oc": "nvidia_oc",
    "lact": "LACT",
    "lactd": "LACT",
    "coolercontrold": "CoolerControl",
    "gwe": "GreenWithEnvy",
    "tuxclockerd": "TuxClocker",
    "dcgmi": "DCGM",
    "zeusd": "Zeus",
    "nvoc": "nvoc",
}
"""Programs that set GPUs by settings of their own."""

SOURCES = frozenset(
    (
        "/lib/lsb/init-functions",
        "/etc/init.d/functions",
        "/etc/rc.d/init.d/functions",
        "/etc/rc.status",
        "/etc/os-release",
    )
)
"""Files of the distribution that scripts take in, and that neither set a GPU nor end the script."""
