"""What a status document amounts to: the exit code, and which GPUs are not as wished."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.ctl.kinds import Json

IN_ORDER, DIFFERS, USAGE, NOT_REACHABLE, NOT_PERMITTED, TROUBLE = range(6)

DRIVER_WORDS = {
    "absent": "NO DRIVER",
    "mismatch": "DRIVER MISMATCH",
    "not_answering": "DRIVER NOT ANSWERING",
    "released": "RELEASED",
    "starting": "STARTING",
}
GPU_TROUBLE = ("lost", "absent")
HEAT = ("hw_thermal", "sw_thermal")


def unmatched(document: Json) -> list[Json]:
    """Rules by UUID or PCI address that speak of no GPU here: what they ask for is not so."""
    return [rule for rule in document["policy"].get("unmatched") or () if rule.get("fails")]


def out_of_order(document: Json) -> list[Json]:
    """The GPUs that are not as wished. One that cannot be looked at is none of them only where somebody wanted that:
    the daemon knows, and says so."""
    return [gpu for gpu in document["gpus"] if not gpu["in_order"]]


def faults(document: Json) -> list[Json]:
    """The GPUs that a fault slows down: heat, power brake, hardware slowdown."""
    return [gpu for gpu in document["gpus"] if gpu["throttle"]["fault"]]


def exit_code(document: Json) -> int:
    """0, 1 or 5. A fault that slows a GPU is shown and does not count: its settings are as wished all the same."""
    if document["driver"]["state"] in ("absent", "mismatch", "not_answering"):
        return TROUBLE
    if any(gpu["state"] in GPU_TROUBLE for gpu in out_of_order(document)) or document["host"].get("message"):
        return TROUBLE
    policy = document["policy"]
    wrong = policy["state"] == "none" or policy["error"] or unmatched(document)
    wrong = wrong or document["driver"]["state"] not in ("ok", "released") or not document["host"]["in_order"]
    return DIFFERS if wrong or out_of_order(document) else IN_ORDER


def verdict(document: Json) -> tuple[str, str]:
    """The first words of `status`, and their style."""
    driver, policy, gpus = document["driver"]["state"], document["policy"], document["gpus"]
    bad, hot = out_of_order(document), faults(document)
    if driver != "ok":
        words = DRIVER_WORDS.get(driver, driver.upper())
    elif policy["state"] == "none":
        words = "NO POLICY"
    elif bad:
        words = "NOT IN ORDER" if len(gpus) == 1 else f"{len(bad)} OF {len(gpus)} NOT IN ORDER"
    elif not document["host"]["in_order"]:
        words = "HOST NOT IN ORDER"
    elif unmatched(document):
        words = "A RULE MATCHES NO GPU"
    elif policy["error"]:
        words = "IN ORDER, NEW POLICY REFUSED"
    else:
        words = "IN ORDER" if gpus else "NO GPU"
    if hot:
        heat = all(gpu["throttle"]["fault"]["reason"] in HEAT for gpu in hot)
        words += f", {len(hot)} {'HOT' if heat else 'SLOWED BY A FAULT'}"
    code = exit_code(document)
    if code == TROUBLE:
        return words, "bad"
    if bad and code:
        return words, "bad"
    return words, "warn" if code or hot or not gpus or driver != "ok" else "good"
