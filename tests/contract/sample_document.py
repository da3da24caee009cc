"""A status document and an event as the daemon publishes them, every kind of value in them once. Numbers invented."""

from __future__ import annotations

from typing import Any


def setting(name: str, value: Any, **changed: Any) -> dict[str, Any]:
    row = {
        "setting": name,
        "wished": value,
        "accepted": value,
        "observed": value,
        "state": "held",
        "origin": "20-psu.toml gpu[0]." + name,
        "since": "2026-11-22T14:02:11Z",
        "required": False,
        "reason": None,
        "message": None,
        "in_order": True,
        "fits": None,
        "original": None,
        "original_assumed": False,
        "original_late": False,
        "written": False,
        "confirmed_at": None,
        "ceiling": False,
        "put_back": 0,
        "every_s": None,
    }
    return row | changed


def gpu(index: int = 0) -> dict[str, Any]:
    return {
        "index": index,
        "uuid": f"GPU-5b1c9f2e-0000-0000-0000-00000000000{index}",
        "pci": f"0000:0{index + 1}:00.0",
        "name": "NVIDIA GeForce RTX 5090",
        "state": "ok",
        "message": None,
        "in_order": True,
        "settings": [
            setting("power_limit_w", 450, original=575, required=True, reason="circuit 4B carries 1400 W"),
            setting("gpu_clock_mhz", {"min": 0, "max": 2550}, observed=None, state="requested"),
            setting("memory_clock_mhz", "unlocked", observed=None, state="requested"),
            setting("persistence_mode", True, wished=None, accepted=None, origin=None, state="watched"),
            setting("compute_mode", "default"),
        ],
        "telemetry": {
            "power_w": 412.5,
            "power_limit_w": 450,
            "gpu_clock_mhz": 2497,
            "memory_clock_mhz": 14001,
            "temperature_c": 71,
            "utilization_percent": None,
            "pstate": 1,
            "busy": True,
            "recovery_action": None,
        },
        "throttle": {
            "reasons": [
                {
                    "reason": "sw_power_cap",
                    "kind": "own",
                    "limiter": "own",
                    "active": True,
                    "sampled": False,
                    "uncounted_s": 2.0,
                    "minute_s": 15.36,
                    "hour_s": 15.36,
                    "day_s": 15.36,
                    "start_s": 15.36,
                }
            ],
            "fault": {"reason": "hw_slowdown", "since": "2026-11-22T14:02:11Z"},
        },
        "put_back": {
            "count": 1,
            "last": {
                "at": "2026-11-22T14:02:11Z",
                "setting": "power_limit_w",
                "found": 575,
                "cause": "factory_default",
                "text": "575 W, factory default",
            },
        },
        "no_xids": None,
        "last_xid": {"xid": 79, "at": "2026-11-22T14:02:11Z"},
    }


def plan() -> dict[str, Any]:
    return {
        "format": 1,
        "mode": "enforce",
        "changes": [
            {
                "gpu": "GPU-5b1c9f2e-0000-0000-0000-000000000000",
                "pci": "0000:01:00.0",
                "name": "NVIDIA GeForce RTX 5090",
                "setting": "power_limit_w",
                "found": 575,
                "wanted": 450,
                "origin": "20-psu.toml gpu[0].power_limit_w",
                "why": "differs",
            }
        ],
        "pending": False,
        "left": [],
        "notes": [],
        "advice": [],
        "refusals": [
            {
                "gpu": "GPU-5b1c9f2e-0000-0000-0000-000000000000",
                "pci": "0000:01:00.0",
                "name": "NVIDIA GeForce RTX 5090",
                "setting": "gpu_clock_mhz",
                "wanted": {"min": 0, "max": 2401},
                "why": "off the ladder",
                "nearest": {"min": 0, "max": 2400},
                "origin": None,
            }
        ],
        "not_answering_since": None,
    }


def document(gpus: int = 1, sequence: int = 1) -> Any:
    return {
        "format": 1,
        "policy": {
            "state": "in_force",
            "mode": "enforce",
            "files": ["/etc/gpu-tuned/gpu-tuned.toml"],
            "digest": "3fa9c1",
            "loaded_at": "2026-11-22T14:02:11Z",
            "error": None,
            "misfit": None,
            "misfit_certain": None,
            "warnings": [],
            "unmatched": [{"origin": "a.toml gpu[1]", "match": "name 'T4'", "fails": False, "required": False}],
            "pending": None,
            "required": ["a.toml gpu[0].power_limit_w"],
            "gpu_power_budget_w": None,
            "on_stop": "keep",
        },
        "driver": {
            "state": "ok",
            "loaded": "580.159.04",
            "installed": "580.159.04",
            "library": "580.159.04",
            "message": None,
            "answered_at": "2026-11-22T14:02:11Z",
            "not_answering_since": None,
        },
        "gpus": [gpu(index) for index in range(gpus)],
        "host": {
            "name": "host",
            "in_order": True,
            "message": None,
            "gpus_here": gpus,
            "gpus_wanted": None,
            "settings": [setting("numa_balancing", "off")],
            "daemon_version": "0.1.0",
            "pid": 123,
            "started_at": "2026-11-22T14:02:11Z",
            "seen_at": "2026-11-22T14:02:11Z",
            "poll_interval_s": 2,
            "sequence": sequence,
            "rivals": [],
            "stalled": [],
        },
        "plan": plan,
    }


def event(text: str = "power limit put back") -> dict[str, Any]:
    return {
        "kind": "put_back",
        "at": 1795356131.0,
        "message": text,
        "message_id": "fc0f40e9826341aca39afa8826c04e9b",
        "priority": 5,
        "gpu_uuid": None,
        "gpu_pci": None,
        "gpu_name": None,
        "setting": "power_limit_w",
        "wanted": 450,
        "found": 575,
        "cause": None,
        "origin": None,
        "detail": {"count": 1},
    }
