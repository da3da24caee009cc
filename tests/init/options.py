"""nvidia-smi's options and subcommands, from its help, as the simulated one has them."""

from __future__ import annotations

SUBCOMMANDS = [
    "dmon",
    "pmon",
    "topo",
    "stats",
    "daemon",
    "replay",
    "drain",
    "nvlink",
    "clocks",
    "encodersessions",
    "fbcsessions",
    "vgpu",
    "mig",
    "compute-policy",
    "boost-slider",
    "power-hint",
    "conf-compute",
    "gpm",
    "c2c",
    "power-smoothing",
    "power-profiles",
    "rusd",
    "pci",
    "prm",
]

# option -> (its short form, the setting that its value is for); None: it changes or says nothing of ours.
VALUED: dict[str, tuple[str, str | None]] = {
    "--id": ("-i", None),
    "--persistence-mode": ("-pm", "persistence_mode"),
    "--power-limit": ("-pl", "power_limit_w"),
    "--lock-gpu-clocks": ("-lgc", "gpu_clock_mhz"),
    "--lock-memory-clocks": ("-lmc", "memory_clock_mhz"),
    "--applications-clocks": ("-ac", "application_clocks_mhz"),
    "--compute-mode": ("-c", "compute_mode"),
    "--lock-memory-clocks-deferred": ("-lmcd", None),
    "--scope": ("-sc", None),
    "--mode": ("-m", None),
    "--ecc-config": ("-e", None),
    "--reset-ecc-errors": ("-p", None),
    "--gom": ("", None),
    "--virt-mode": ("-vm", None),
    "--cuda-clocks": ("-cc", None),
    "--accounting-mode": ("-am", None),
    "--auto-boost-default": ("", None),
    "--auto-boost-permission": ("", None),
    "--applications-clocks-permission": ("-acp", None),
    "--multi-instance-gpu": ("-mig", None),
    "--gpu-target-temp": ("-gtt", None),
    "--format": ("", None),
    "--display": ("-d", None),
    "--filename": ("-f", None),
    "--loop": ("-l", None),
    "--loop-ms": ("-lms", None),
}
FLAGS: dict[str, tuple[str, str | None]] = {
    "--reset-gpu-clocks": ("-rgc", "gpu_clock_mhz"),
    "--reset-memory-clocks": ("-rmc", "memory_clock_mhz"),
    "--reset-applications-clocks": ("-rac", "application_clocks_mhz"),
    "--reset-memory-clocks-deferred": ("-rmcd", None),
    "--gpu-reset": ("-r", None),
    "--clear-accounted-apps": ("-caa", None),
    "--error-on-warning": ("-eow", None),
    "--query": ("-q", None),
    "--xml-format": ("-x", None),
    "--list-gpus": ("-L", None),
    "--help": ("-h", None),
}
LONG: dict[str, str] = {}
for _table in (VALUED, FLAGS):
    LONG |= {short: name for name, (short, _) in _table.items() if short}
READS = {"--query", "--xml-format", "--list-gpus", "--help", "--format", "--display"}
_MODES = {"0": "default", "2": "prohibited", "3": "exclusive_process"}
MODES: dict[str, object] = {**_MODES, **{name: name for name in _MODES.values()}}
SWITCHES: dict[str, object] = {"1": True, "enabled": True, "0": False, "disabled": False}
