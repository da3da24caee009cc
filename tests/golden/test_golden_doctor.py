"""What `gpu-tunedctl doctor` prints: for one ill GPU, for eight, for a healthy host, and the commands of --fix."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import jsonschema
import pytest

from gpu_tuned.core.container_view import ContainerView
from gpu_tuned.core.host_view import CdiSpec, HostView, LinkSample
from gpu_tuned.core.model import ComputeMode, Unread
from gpu_tuned.core.verdict import Diagnosis
from gpu_tuned.ctl import doctor
from gpu_tuned.ctl.render.text import WIDTH, Colour
from gpu_tuned.doctor.examine import examine
from gpu_tuned.doctor.inside import examine_inside
from gpu_tuned.doctor.say import Check
from tests.contract.test_doctor import SCHEMA
from tests.doctor_views import DESKTOP, RACK, SANDBOX, busy, device, gpu, h100, unit
from tests.golden.kept import compare

ILL = replace(
    DESKTOP,
    gpus=(gpu(persistence=False, compute_mode=ComputeMode.EXCLUSIVE_PROCESS, bar1_mib=256, temperature_c=88),),
    driver=replace(DESKTOP.driver, library="595.71.05"),
    services=replace(
        DESKTOP.services,
        running=frozenset({"lactd.service"}),
        leftovers=("/scripts/optimizations/setup-gpu.sh", "/etc/sysctl.conf"),
        units=(*DESKTOP.services.units[:2], unit("vllm.service", "vLLM")),  # type: ignore[index]
    ),
    containers=replace(
        DESKTOP.containers,
        toolkit="1.17.4",
        cdi=(CdiSpec("/etc/cdi/nvidia.yaml", "nvidia.com/gpu", frozenset({"570.86.10"})),),
    ),
    log=Unread("the kernel's log cannot be read (/dev/kmsg: Operation not permitted); root can"),
)
EIGHT = replace(
    RACK,
    gpus=tuple(
        replace(
            h100(i, utilization_percent=99, reasons=4, gpu_clock_mhz=1410, temperature_c=85 if i == 3 else 66),
            links=(LinkSample(3 if i == 5 else 5, 16, True),) * 5,
            enforced_mw=500_000 if i in (6, 7) else 700_000,
        )
        for i in range(8)
        if i != 2
    ),
    left_out={2: "the GPU is lost: it fell off the bus, or cannot be reached any more"},
    pci=tuple(device(i, numa_node=-1 if i > 3 else 0) for i in range(8)),
)
HOSTS: dict[str, HostView] = {
    "healthy": replace(DESKTOP, gpus=(busy(),)),
    "ill": ILL,
    "eight": EIGHT,
    "sandbox": SANDBOX,
}
DETACHED = ContainerView(
    engine="docker",
    name="llama-gpu",
    asked=("all",),
    devices=("nvidia0", "nvidiactl", "nvidia-uvm"),
    environment={"NVIDIA_DRIVER_CAPABILITIES": "compute", "CUDA_VISIBLE_DEVICES": "0"},
    gpus=Unread("Failed to initialize NVML: Unknown Error"),
)


def diagnosis(name: str) -> Diagnosis:
    return examine_inside(DETACHED, 0.4) if name == "container" else examine(HOSTS[name], 0.7)


@pytest.mark.parametrize("name", [*HOSTS, "container"])
def test_page(name: str) -> None:
    lines = doctor.page(diagnosis(name), Colour(on=False))
    assert [line for line in lines if len(line) > WIDTH] == []
    compare(f"doctor_{name}", lines)


def test_fix() -> None:
    compare("doctor_fix", doctor.script(diagnosis("ill")))


def test_fix_says_what_it_could_not_see() -> None:
    """A host that could not be looked at is not one with nothing to do."""
    unseen = Diagnosis((Check("xid", "Xid errors").unknown("no log"), Check("acs", "ACS").unknown("no root")), 0.1)
    assert doctor.script(unseen) == [
        "# Nothing to mend was seen.",
        "",
        "# 2 checks could not see enough: gpu-tunedctl doctor says why.",
    ]
    seen = Diagnosis((Check("xid", "Xid errors").ok("none"),), 0.1)
    assert doctor.script(seen) == ["# Nothing is to be mended: every check is ok."]


def test_what_could_not_be_seen_is_no_comfort() -> None:
    """The first line counts what is ok, and never says of a host that nothing is wrong with it."""
    blind = Diagnosis((Check("xid", "Xid errors").unknown("no log"), Check("acs", "ACS").ok("off")), 0.1)
    head, *_ = doctor.page(blind, Colour(on=False))
    assert head == "1 OF 2 CHECKS OK  1 could not see enough; in 0.1 s"


@pytest.mark.parametrize("name", ["ill", "eight", "container"])
def test_a_command_can_be_pasted(name: str) -> None:
    """Also one that takes several lines: a shell makes the same of it."""
    page = "\n".join(doctor.page(diagnosis(name), Colour(on=False)))
    commands = [command for finding in diagnosis(name).findings for command in finding.commands]
    pasted = re.sub(r" \\\n +", " ", page)
    assert commands
    assert [
        command for command in commands if command[0] != "#" and f"\n         $ {command}\n" not in f"{pasted}\n"
    ] == []
    for line in page.splitlines():
        if line.endswith(" \\"):
            shlex.split(line[:-2])  # not within quotes, where the backslash would stay


def test_colour_changes_no_letter() -> None:
    plain, painted = (doctor.page(diagnosis("ill"), Colour(on=on)) for on in (False, True))
    bare = [line.replace("\x1b[0m", "") for line in painted]
    for code in ("1;32", "1;31", "33", "2", "1"):
        bare = [line.replace(f"\x1b[{code}m", "") for line in bare]
    assert bare == plain


def test_quiet_leaves_out_what_is_well() -> None:
    lines = doctor.page(diagnosis("healthy"), Colour(on=False), quiet=True)
    assert len(lines) == 1 and lines[0].startswith("HEALTHY")


@pytest.mark.parametrize("name", [*HOSTS, "container"])
def test_json_keeps_its_promise(name: str) -> None:
    jsonschema.validate(doctor.document(diagnosis(name)), SCHEMA)
