"""Advice: hazards that are known of a wish on a board, each with a page of its own (docs/advice/ID.md).

The catalogue is data and pure conditions. Nothing here refuses a wish: what cannot be is `goal`'s business, and what
the owner has read and lives with he silences by id (`accept`).

`advise` is asked of one GPU (`show`), `advise_policy` of a policy on all boards (`plan`, the daemon's `status`), and
`advise_offline` of a policy where no board is known (`check`).
"""

from gpu_tuned.core.advice.case import Advice, Around, Case, Hazard, Severity
from gpu_tuned.core.advice.catalogue import ADVICE_IDS, CATALOGUE, advise, advise_offline, advise_policy

__all__ = [
    "ADVICE_IDS",
    "CATALOGUE",
    "Advice",
    "Around",
    "Case",
    "Hazard",
    "Severity",
    "advise",
    "advise_offline",
    "advise_policy",
]
