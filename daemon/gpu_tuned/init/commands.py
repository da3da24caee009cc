"""Commands that a script may call, as data: what stands before another command, what does nothing to a GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PREFIXES = _words("""
    sudo doas nice ionice timeout nohup setsid chrt taskset stdbuf command unbuffer systemd-cat
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

SYSTEM_S = re.compile(r"/(?:usr/)?s?bin/[^/]+")
"""Commands of the system itself, some of which are scripts."""

VALUED: Mapping[str, tuple[str, ...]] = {
    "sudo": ("-u", "--user", "-g", "--group", "-h", "-p", "-C", "-T", "-D", "-R"),
    "doas": ("-u", "-C"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n", "--class", "--classdata"),
    "timeout": ("-k", "-s", "--kill-after", "--signal"),
    "stdbuf": ("-i", "-o", "-e"),
    "systemd-cat": ("-t", "--identifier", "-p", "--priority"),
    "env": ("-u", "--unset", "-C", "--chdir"),
}
"""Their options that take a word of its own."""

SHELLS = _words("""
    sh bash dash ash ksh su runuser
""")

IDLE = _words("""
    : true echo printf pwd jobs times sleep date logger sync umask nvidia-modprobe modprobe systemd-cat tee hostname
    exec
""")
"""They succeed, but for those of SURE, and set no GPU."""

SURE: Mapping[str, re.Pattern[str]] = {
    "sleep": re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd]? ?)+"),
    "date": re.compile(r"(?:-u ?|[+].*)?", re.DOTALL),
    "hostname": re.compile(""),
    "modprobe": re.compile(r"(?:-a )?(?:nvidia[\w-]* ?)+"),
    "nvidia-modprobe": re.compile(r"(?:-\S+ ?|[0-9]+ ?)*"),
}
"""The words with which they do succeed, or without which nothing can be set in any case."""

FOR_EVER: Mapping[str, re.Pattern[str]] = {
    "sleep": re.compile(r"inf(?:inity)?"),
    "watch": re.compile(r".*", re.DOTALL),
    "udevadm": re.compile(r"monitor.*", re.DOTALL),
    "journalctl": re.compile(r"(?:.* )?(?:-\w*f\w*|--follow)(?: .*)?", re.DOTALL),
    "dmesg": re.compile(r"(?:.* )?(?:-\w*w\w*|--follow)(?: .*)?", re.DOTALL),
    "tail": re.compile(r"(?!.*--pid).*(?:^| )(?:-\w*[fF]\w*|--follow\S*)(?: .*|$)"),
    "nvidia-smi": re.compile(
        r"(?:dmon|pmon)(?!.*(?: -c ?\S| --count)).*|(?:.* )?(?:-l|-lms|--loop(?:-ms)?)(?:[ =].*|$)", re.DOTALL
    ),
}
"""The words with which they do not end by themselves."""

MUTE = _words("""
    ssh man alias grep egrep fgrep head tail sed cut tr wc sort false cat ls cp mv rm ln mkdir touch chmod chown
    install systemctl journalctl notify-send wall mail curl wget jq tput clear udevadm systemd-notify pkill killall
    pgrep pidof ps lspci lsmod lsusb lscpu id uname whoami tty on_ac_power readlink realpath basename dirname stat
    expr seq getent getconf nproc free df mount umount swapon swapoff sysctl chcpu cpupower cpufreq-set ethtool ip iw
    rfkill setpci dmidecode powerprofilesctl tuned-adm xset xrandr nvidia-xconfig nvidia-ctk ldconfig depmod which
    loginctl timedatectl hostnamectl dmesg touch truncate mktemp mkfifo mknod tr uniq column paste od xxd bc nl rev
    apt apt-get dnf yum pip pip3 git update-initramfs dracut service
""")
"""They set no GPU of this host, whatever stands in their words; how they end is not known."""

ENDED_BY_REDIRECTION = _words("""
    : . eval exec exit export readonly return set shift times trap unset
""")
"""Builtins that end a plain shell where a redirection of theirs cannot be opened; `exec` ends every one."""

RUNNERS = _words("""
    xargs parallel find watch at batch flock systemd-run script screen tmux docker podman nerdctl chroot
    nsenter unshare kubectl pkexec daemonize start-stop-daemon coproc awk gawk mawk
""")
"""They run a command from their words, at a time or with words that are not known here."""

FEEDING = _words("""
    xargs parallel
""")
"""Those of them that add what they read to the command."""

FOLDER_RUNNERS: Mapping[str, str] = {
    "run-parts": "*",
    "find": "*",
    "make": "[Mm]akefile",
    "gmake": "[Mm]akefile",
    "just": "[Jj]ustfile",
    "task": "[Tt]askfile.y*ml",
}
"""Programs that run what lies in a folder, and which of its files those are."""

AT_ONCE = FEEDING | _words("""
    find flock script chroot nsenter unshare pkexec awk gawk mawk
""")
"""Those of them that end when the command does."""

CALLED = re.compile(r"(?:^|[\s/'\"=,(\[])nvidia-smi(?:[\s'\",\]]|$)")

SPEAKS_OF_GPUS = re.compile(r"nvidia|smi|gpu|cuda", re.IGNORECASE)
"""Text of a file that may have to do with GPUs at all."""

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

SET_BY_BASH = _words("""
    RANDOM SECONDS LINENO EUID UID HOSTNAME BASH BASH_VERSION BASH_SOURCE FUNCNAME HOSTTYPE OSTYPE PIPESTATUS
""")
ALWAYS_SET = _words("""
    PATH PWD PPID IFS OPTIND @ * # ? $ ! - 0
""")
"""Variables that every shell sets by itself."""

STOPPING = _words("""
    INT TERM HUP QUIT PWR 1 2 3 15
""")
"""Signals by which a script is stopped from outside."""

HARMLESS = _words("""
    -s -u -q nullglob globstar dotglob extglob nocaseglob checkwinsize histappend cmdhist inherit_errexit
""")
"""Options of bash's `shopt` that change nothing of what is understood here."""

INTERPRETERS = re.compile(r"(?:python|pypy|perl|node|ruby|java|lua|deno|bun)[0-9.]*$")

SERVES = re.compile(r"(?:^|[ /-])(?:serve|server|daemon|--listen|--port|--host)(?:[ =]|$)")
"""Words of a program that answers others, and does not end by itself."""

STARTING = _words("""
    start restart try-restart reload-or-restart isolate enable reenable
""")
"""Verbs of systemctl after which a unit may run."""

RELOADS: Mapping[str, re.Pattern[str]] = {
    "rmmod": re.compile(r".*\bnvidia\b.*", re.DOTALL),
    "modprobe": re.compile(r"(?=.*(?:^| )(?:-r|--remove)\b).*\bnvidia\b.*", re.DOTALL),
    "systemctl": re.compile(r"(?=.*\b(?:stop|restart|try-restart|kill)\b).*\bnvidia-persistenced\b.*", re.DOTALL),
    "service": re.compile(r"nvidia-persistenced (?:stop|restart)"),
}
"""Commands after which the driver may have let go of the GPU, and what was set is gone."""

RESETS = re.compile(r"/sys/bus/pci/.*/(?:remove|reset|unbind)", re.DOTALL)
"""Files of the kernel whose writing takes a device from its driver."""

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
