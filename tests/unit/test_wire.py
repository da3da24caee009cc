"""The interface file is the one source of the status document: of its types, of its schema, and of its keys."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).parents[2]
DAEMON = TOP / "daemon/gpu_tuned"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = spec_from_file_location("make_wire", TOP / "packaging/wire/make.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_made_from_the_interface_file_is_made_from_this_one(make: ModuleType) -> None:
    for path, text in make.made().items():
        assert path.read_text() == text, f"{path.name} is not what packaging/wire/make.py makes: run it"


def test_every_word_of_the_interface_file_reaches_both(make: ModuleType) -> None:
    """A comment is a description in the schema and a comment of the type: neither is written twice."""
    types, schema = make.made().values()
    unwrapped = re.sub(r"\n {4}#? ?", " ", types)
    for (member, field), text in make.docs_of(make.SOURCE.read_text()).items():
        if text and (field or member == "Setting"):
            assert text in unwrapped, (member, field)
    assert "a lock: when the clocks under load were last seen to obey it" in schema


# A key spelled wrongly where a document is made, and where one is read.
MISSPELLED = {
    "core/status.py": ('"power_limit_w": in_watts', '"power_limits_w": in_watts'),
    "core/plan.py": ('"nearest": wire(', '"nearst": wire('),
    "loop/snapshot.py": ('"gpus_here": host.here', '"gpu_here": host.here'),
    "core/throttle/meter.py": ('row["uncounted_s"]', 'row["uncountd_s"]'),
    "control/methods.py": ('"throttle": gpu["throttle"]', '"throttle": gpu["throtle"]'),
    "ctl/verdict.py": ('if not gpu["in_order"]', 'if not gpu["in_oder"]'),
    "ctl/wait.py": ('row["origin"] is not None', 'row["orign"] is not None'),
    "ctl/verify.py": ('"observed": setting["observed"]', '"observed": setting["observd"]'),
    "ctl/plan.py": ('quantity(row["wanted"])', 'quantity(row["wnted"])'),
    "ctl/status.py": ('document["host"]["settings"]:', 'document["host"]["setings"]:'),
    "ctl/throttle.py": ('reason["active"] else ""', 'reason["activ"] else ""'),
    "ctl/render/head.py": ('["policy"]["warnings"]', '["policy"]["warning"]'),
    "ctl/render/full.py": ("doing['power_w']", "doing['power']"),
    "ctl/render/rows.py": ('setting["original"]', 'setting["orignal"]'),
    "ctl/render/slowed.py": ('reason["sampled"]', 'reason["smpled"]'),
    "ctl/which.py": ('driver["state"]', 'driver["stat"]'),
    "ctl/render/fleet.py": ('setting["observed"]', 'setting["observe"]'),
}


def test_a_misspelled_key_is_an_error_on_either_side(tmp_path: Path) -> None:
    """With each of these planted, the type checker names the file."""
    shadows = []
    for i, (name, (right, wrong)) in enumerate(MISSPELLED.items()):
        source = (DAEMON / name).read_text()
        assert source.count(right) >= 1, f"{name} has no {right}"
        planted = tmp_path / f"{i}.py"
        planted.write_text(source.replace(right, wrong))
        shadows += ["--shadow-file", f"daemon/gpu_tuned/{name}", str(planted)]
    command = [sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}/cache", *shadows]
    files = [f"daemon/gpu_tuned/{name}" for name in MISSPELLED]
    found = subprocess.run([*command, *files], cwd=TOP, capture_output=True, text=True, timeout=100)
    errors = [line for line in found.stdout.splitlines() if "typeddict" in line]
    assert {line.partition(":")[0] for line in errors} == set(files), found.stdout + found.stderr


READERS = [
    "verdict",
    "wait",
    "watch",
    "verify",
    "plan",
    "status",
    "throttle",
    "render/head",
    "render/full",
    "render/rows",
    "render/slowed",
    "render/fleet",
]
OF_VALUES = {"min", "max", "memory", "gpu"}
"""The keys of a clock lock and of a pair of clocks."""


def test_what_is_asked_for_with_get_is_a_field(make: ModuleType) -> None:
    """The checker lets `document.get("no such key")` pass."""
    source = make.SOURCE.read_text()
    fields = {field for _, field in make.docs_of(source)} | set(re.findall(r"(\w+): [\[?\w]", source))
    asked = {}
    for name in READERS:
        for node in ast.walk(ast.parse((DAEMON / f"ctl/{name}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                key = node.args[0]
                if isinstance(key, ast.Constant):
                    asked[key.value] = name
    assert asked.keys() & {"message", "uncounted_s"}
    assert not asked.keys() - fields - OF_VALUES
