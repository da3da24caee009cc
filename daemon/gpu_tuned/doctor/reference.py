"""What a healthy board of a model is: what its driver offers where nobody holds it down.

A rented board may have been capped by its host before it was handed over; its own default and maximum then lie below
the model's. Only models whose figures a recording or several public dumps agree on stand here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """One model by NVML's name. `default_w`: the least default power limit that boards of it leave the factory with,
    watts. `max_gpu_mhz`: its highest graphics clock, MHz. `source`: where the figures are from."""

    name: str
    default_w: int
    max_gpu_mhz: int
    source: str


REFERENCES = (
    Reference("NVIDIA H200", 700, 1980, "recorded, driver 580.159.04"),
    Reference("NVIDIA H100 80GB HBM3", 700, 1980, "recorded, driver 580.159.04"),
    Reference("NVIDIA A100-SXM4-40GB", 400, 1410, "nvidia-smi -q -x, driver 570"),
    Reference("NVIDIA A100-SXM4-80GB", 400, 1410, "nvidia-smi -q -x of the 40 GB board; the same module power"),
    Reference("NVIDIA L40S", 350, 2520, "nvidia-smi -q -x, driver 595"),
    Reference("Tesla T4", 70, 1590, "nvidia-smi -q -x, driver 595"),
    Reference("NVIDIA GeForce RTX 5090", 575, 3090, "public dumps; some boards have 600 W"),
    Reference("NVIDIA GeForce RTX 4090", 450, 3105, "public dumps; up to 3120 MHz"),
)


def reference_for(name: str) -> Reference | None:
    """The row of a model; the whole name must match, so that the Laptop GPU is not taken for the card."""
    return next((row for row in REFERENCES if row.name == name), None)
