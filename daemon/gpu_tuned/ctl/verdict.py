"""What a status document amounts to: the exit code, and which GPUs are not as wished."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Driver, Gpu, StatusReply, UnmatchedRule

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


def driver_words(driver: Driver) -> str:
    """A driver that is not in order, and why, as far as it is told."""
    words = f"driver {driver['state'].replace('_', ' ')}"
    return f"{words}: {driver['message']}" if driver["message"] else words


def unmatched(document: StatusReply) -> list[UnmatchedRule]:
    """Rules by UUID or PCI address that speak of no GPU here: what they ask for is not so."""
    return [rule for rule in document["policy"].get("unmatched") or () if rule.get("fails")]


def out_of_order(document: StatusReply) -> list[Gpu]:
    """The GPUs that are not as wished. One that cannot be looked at is none of them only where somebody wanted that:
    the daemon knows, and says so."""
    return [gpu for gpu in document["gpus"] if not gpu["in_order"]]


def faults(document: StatusReply) -> list[str]:
    """The faults that slow a GPU down, one of each GPU: heat, power brake, hardware slowdown."""
    return [fault["reason"] for gpu in document["gpus"] if (fault := gpu["throttle"]["fault"]) is not None]


def missing_all(document: StatusReply) -> bool:
    """Whether no GPU is here although the policy marks settings as required: those of a rule by name may be meant for
    other hosts while a GPU is here, and for none where there is none at all."""
    met = document["driver"]["state"] in ("ok", "released")
    return met and not document["gpus"] and bool(document["policy"].get("required"))


def exit_code(document: StatusReply) -> int:
    """0, 1 or 5. A fault that slows a GPU is shown and does not count: its settings are as wished all the same."""
    if document["driver"]["state"] in ("absent", "mismatch", "trouble", "not_answering"):
        return TROUBLE
    if any(gpu["state"] in GPU_TROUBLE for gpu in out_of_order(document)) or document["host"].get("message"):
        return TROUBLE
    policy = document["policy"]
    if policy["state"] == "none" or policy["error"] or unmatched(document) or missing_all(document):
        return DIFFERS
    wrong = document["driver"]["state"] not in ("ok", "released") or not document["host"]["in_order"]
    return DIFFERS if wrong or out_of_order(document) else IN_ORDER


def verdict(document: StatusReply) -> tuple[str, str]:
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
    elif policy.get("misfit"):
        doubtful = policy.get("misfit_certain") is False
        words = "MAY BE OVER THE POWER BUDGET" if doubtful else "OVER THE POWER BUDGET"
    elif policy["error"]:
        words = "IN ORDER, NEW POLICY REFUSED"
    elif missing_all(document):
        words = "NO GPU, AND SOME IS REQUIRED"
    else:
        words = "IN ORDER" if gpus else "NO GPU"
    if hot:
        heat = all(reason in HEAT for reason in hot)
        words += f", {len(hot)} {'HOT' if heat else 'SLOWED BY A FAULT'}"
    code = exit_code(document)
    if code == TROUBLE:
        return words, "bad"
    if bad and code:
        return words, "bad"
    return words, "warn" if code or hot or not gpus or driver != "ok" else "good"
