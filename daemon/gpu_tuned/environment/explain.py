"""Everything about one name, as one document: what `gpu-tunedctl env explain NAME` draws its page from."""

from __future__ import annotations

from dataclasses import asdict

from gpu_tuned.environment.catalogue import Catalogue
from gpu_tuned.environment.facts import Prescribed
from gpu_tuned.environment.judge import Running, Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def explain(catalogue: Catalogue, name: str, running: tuple[Running, ...]) -> dict[str, Any]:
    """What is known of `name` where `running` runs (nothing named: anywhere).

    Keys: name, verdict (standing, certainty and the facts it rests on), readers, removed, values, guide (what a
    well-known guide prescribes of it), advice (what a host should have), namespace, elsewhere (who else may read it
    in that namespace, or builds with it), near. Every row has its source.
    """
    facts, verdict = catalogue.facts(name), catalogue.judge(name, running)
    other = catalogue.elsewhere(name)
    unheard = verdict.standing in (Standing.UNREAD, Standing.UNKNOWN, Standing.WRAPPER)
    return {
        "name": name,
        "verdict": {
            **asdict(verdict),
            "standing": verdict.standing.value,
            "certainty": verdict.certainty.value,
            "kind": verdict.kind.value if verdict.kind else "",
            "label": label(catalogue, verdict.component),
        },
        "readers": [
            {**asdict(row), "kind": row.kind.value, **_part(catalogue, row.component)} for row in facts.readers
        ],
        "removed": [
            {**asdict(row), "state": row.state.value, **_part(catalogue, row.component)} for row in facts.removed
        ],
        "values": [asdict(row) for row in facts.values],
        "guide": [asdict(row) for row in (*facts.prescribed, *_keys(catalogue, name))],
        "advice": [asdict(row) for row in facts.recommended],
        "namespace": asdict(facts.namespace) if facts.namespace else None,
        "elsewhere": asdict(other) if other else None,
        "near": catalogue.near(name) if unheard and other is None else [],
    }


def _keys(catalogue: Catalogue, name: str) -> list[Prescribed]:
    """What a guide says of the keys inside of a value ("PYTORCH_CUDA_ALLOC_CONF:max_split_size_mb")."""
    return [row for key, rows in catalogue.prescribed.items() if key.startswith(f"{name}:") for row in rows]


def label(catalogue: Catalogue, component: str) -> str:
    """A component's name as people know it, or "" for none."""
    return catalogue.components[component].label if component in catalogue.components else ""


def _part(catalogue: Catalogue, component: str) -> dict[str, str]:
    return {"label": label(catalogue, component), "role": catalogue.components[component].role.value}


def components(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every component: id, label, role, the version that was looked at, and how many names it reads."""
    counts = catalogue.counts
    return [
        {
            "id": row.id,
            "label": row.label,
            "role": row.role.value,
            "looked_at": row.looked_at,
            "names": counts.get(row.id, 0),
        }
        for row in catalogue.components.values()
    ]
