"""Whole files: those in clean/ are without a mistake and must have no finding; those in faulty/ must have exactly
what expected.tsv says."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gpu_tuned.core.audit_request import AuditRequest
from gpu_tuned.environment.audit import answer, run
from gpu_tuned.environment.audit.ids import IDS
from gpu_tuned.environment.audit.model import Finding
from gpu_tuned.environment.shipped import shipped

CORPUS = Path(__file__).parents[1] / "environment_audit"
CLEAN = sorted(path for path in (CORPUS / "clean").rglob("*") if path.is_file())
FAULTY = sorted(path for path in (CORPUS / "faulty").iterdir() if path.suffix != ".tsv")
SCHEMA = json.loads((files("gpu_tuned.ctl") / "audit.schema.json").read_text())
Draft202012Validator.check_schema(SCHEMA)


def found_in(*paths: Path, everything: bool = False) -> tuple[Finding, ...]:
    result = run.of_files(shipped(), [str(path) for path in paths])
    assert result.unreadable == ()
    return run.visible(result.findings, everything=everything)


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.name)
def test_a_clean_file_has_no_finding(path: Path) -> None:
    assert [(one.place.line, one.id, one.message) for one in found_in(path)] == []


def test_clean_files_are_clean_together_as_well() -> None:
    """What one file says about another must not make a finding either."""
    assert found_in(CORPUS / "clean") == ()


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.name)
def test_a_faulty_file_has_exactly_its_findings(path: Path) -> None:
    with (CORPUS / "faulty/expected.tsv").open() as rows:
        expected = [
            (int(row["line"]), row["kind"], row["name"], row["certainty"])
            for row in csv.DictReader(rows, delimiter="\t")
            if row["file"] == path.name
        ]
    found = [(one.place.line, one.kind.value, one.name, one.certainty.value) for one in found_in(path)]
    assert sorted(found) == sorted(expected)


def test_what_was_written_down_before_there_was_an_audit() -> None:
    """by-hand.tsv comes from the facts, not from a run: it is never to be made anew from what is found."""
    with (CORPUS / "faulty/by-hand.tsv").open() as rows:
        wanted = [(row["file"], row["name"], row["kind"]) for row in csv.DictReader(rows, delimiter="\t")]
    paths = sorted({file for file, _, _ in wanted})
    found = [(path, one.name, one.kind.value) for path in paths for one in found_in(CORPUS / "faulty" / path)]
    assert sorted(found) == sorted(wanted)


def test_every_finding_has_a_known_id_and_stands_where_its_name_does() -> None:
    findings = found_in(CORPUS, everything=True)
    assert len(findings) > 150
    for one in findings:
        assert one.id in IDS, one
        line = Path(one.place.file).read_text().splitlines()[one.place.line - 1]
        at = line[one.place.column - 1 :]
        # Kubernetes and Compose findings about a whole container stand at its name.
        if one.id not in ("service-link", "tmpfs-noexec", "dockerfile-run-export") and "." not in one.name:
            assert one.name in at or one.id == "removed", (one, line)


@pytest.fixture(scope="module")
def answered() -> dict[str, Any]:
    """Everything that is to be said about the whole corpus."""
    return answer.audit(AuditRequest(paths=(str(CORPUS),), everything=True))


def test_the_json_keeps_its_promise(answered: dict[str, Any]) -> None:
    assert list(Draft202012Validator(SCHEMA).iter_errors({"findings": answered["findings"]})) == []


def test_the_schema_says_the_words_of_the_code() -> None:
    from gpu_tuned.environment.audit.ids import Kind
    from gpu_tuned.environment.audit.model import Certainty

    words = SCHEMA["properties"]["findings"]["items"]["properties"]
    assert words["kind"]["enum"] == [kind.value for kind in Kind]
    assert words["certainty"]["enum"] == [one.value for one in Certainty]


def test_no_message_holds_a_token(answered: dict[str, Any]) -> None:
    told = json.dumps(answered)
    assert "HF_TOKEN" in told
    assert "aB3dE5fG7h" not in told


def test_every_id_has_its_section_and_every_section_an_id() -> None:
    page = (Path(__file__).parents[2] / "docs/environment/audit.md").read_text()
    sections = {line.removeprefix("### ").strip() for line in page.splitlines() if line.startswith("### ")}
    assert sections == set(IDS)


def test_what_the_project_itself_hands_out_is_clean(tmp_path: Path) -> None:
    """Every profile in every format that has a reader here, and the examples of docs/containers."""
    from gpu_tuned.environment import verbs

    names = {
        "env": ".env",
        "dockerfile": "Dockerfile",
        "compose": "compose.yaml",
        "systemd": "a.service",
        "quadlet": "a.container",
        "kubernetes": "pod.yaml",
    }
    for profile in verbs.listing(None)["profiles"]:
        for format, name in names.items():
            path = tmp_path / profile["name"] / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(verbs.show(profile["name"], format))
            assert found_in(path) == (), (profile["name"], format)
    assert found_in(Path(__file__).parents[2] / "docs/containers") == ()
