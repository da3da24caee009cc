"""EnvironmentFile= as systemd reads it, and not as a shell would."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_tuned.init.environment_file import assignments
from gpu_tuned.init.model import UNKNOWN
from tests.init_host import limit_of_unit

READ = {
    "A=1\nB = 2\n  C=3\n": {"A": "1", "B": "2", "C": "3"},
    "A='x y' # no comment\n": {"A": "x y# no comment"},
    "A=280 # no comment\n": {"A": "280 # no comment"},
    "A=\"x\"'y'z\n": {"A": "xyz"},
    'A=x"y"\n': {"A": 'x"y"'},
    "A=b\\\nc\nB=1\n": {"A": "bc", "B": "1"},
    "A= d\\\ne  \\\nf  \n": {"A": "de  f"},
    'A="one\nB=2\n"\nC=3\n': {"A": "one\nB=2\n", "C": "3"},
    "A='\\n\\$'\n": {"A": "\\n\\$"},
    'A="\\n\\$"\n': {"A": "\\n$"},
    "A=\\$x\n": {"A": "$x"},
    "A=$B\n": {"A": "$B"},
    "export A=1\nA B=1\nwords\n=1\nA=2": {"A": "2"},
    "A=\r\nB=1\r\n": {"A": "", "B": "1"},
    "# old \\\nA=1\nB=2\n": {"A": UNKNOWN, "B": "2"},
    "; old \\\n# new\nA=1\n": {"A": "1"},
}


@pytest.mark.parametrize("text", READ)
def test_a_file_of_variables_is_read_as_systemd_reads_it(text: str) -> None:
    assert assignments(text) == READ[text]


CALL = "ExecStart=/usr/bin/nvidia-smi -pl ${WATTS}"
FILES: dict[str, tuple[str, dict[str, str], int | None]] = {
    "a text over several lines that looks like a variable": (
        "/etc/default/gpu",
        {"/etc/default/gpu": 'NOTE="\nWATTS=200\n"\n'},
        300,
    ),
    "all files that fit a pattern, in their order": (
        "/etc/gpu.d/*.env",
        {"/etc/gpu.d/20.env": "WATTS=280\n", "/etc/gpu.d/10.env": "WATTS=200\n", "/etc/gpu.d/.30.env": "WATTS=210\n"},
        280,
    ),
    "a pattern that nothing fits": ("/etc/gpu.d/*.env", {"/etc/gpu.d/env": "WATTS=280\n"}, None),
    "a pattern that nothing has to fit": ("-/etc/gpu.d/*.env", {}, 300),
    "a pattern of folders": ("-/etc/*/gpu.env", {"/etc/default/gpu.env": "WATTS=280\n"}, None),
    "a file named after the unit": ("-/etc/default/%N", {"/etc/default/gpu": "WATTS=280\n"}, 280),
    "a file in a folder of the system's": ("-%E/gpu.env", {"/etc/gpu.env": "WATTS=280\n"}, 280),
    "a file named after the machine": ("-/etc/gpu/%H.env", {}, None),
    "a file that a boot does not find": ("-/run/gpu.env", {"/run/gpu.env": "WATTS=280\n"}, None),
    "a file that cannot be read": ("-/etc/gpu.env", {"/etc/gpu.env/x": ""}, None),
}


@pytest.mark.parametrize("case", FILES)
def test_what_a_variable_has_after_all_files(tmp_path: Path, case: str) -> None:
    path, files, watts = FILES[case]
    found = limit_of_unit(
        tmp_path, "Type=oneshot", "Environment=WATTS=300", f"EnvironmentFile={path}", CALL, files=files
    )
    assert found == watts
