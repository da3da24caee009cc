"""`gpu-tunedctl wait`: until the settings are in force, or the time is over. What gpu-tuned.target waits for."""

from __future__ import annotations

import os
import time

from gpu_tuned.control import client
from gpu_tuned.core.errors import NotReachable
from gpu_tuned.core.words import watched_word
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.duration import duration_s
from gpu_tuned.ctl.render.text import complain
from gpu_tuned.ctl.render.values import briefly, label, origin, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from gpu_tuned.core.wire import Gpu, Setting, StatusReply
    from gpu_tuned.ctl.options import Options

FOR_S = 15.0
AGAIN_S = 0.2
FRESH_S = 5.0
"""How long what the daemon said last stands where it does not come to answering again: one user's requests for a
second are soon spent by a crowd of waits."""
EXAMPLES = """\
examples:
  gpu-tunedctl wait --for 60s && start-the-job
  systemctl start gpu-tuned.target              does this, with 15s

Ends with 0 as soon as every setting is in force, or refused with a reason, and
also when the time is over and none that the policy marks `required` is missing.
Ends with 1 where one is. Standard error says what is missing.
"""
_PENDING = ("drifted", "waiting", "contested", "absent")


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument(
        "--for", dest="for_s", metavar="TIME", type=duration_s, default=FOR_S, help="at most this long (default: 15s)"
    )


def run(options: Options) -> int:
    until_s = time.monotonic() + (FOR_S if options.for_s is None else options.for_s)
    known: StatusReply | None = None
    known_s = 0.0
    while True:
        left_s = until_s - time.monotonic()
        why = ""
        try:
            known = client.call(options.socket, "Status", {}, max(0.5, min(left_s, options.timeout)))
            known_s = time.monotonic()
            if settled(known):
                return tell(known)
        except (client.Late, client.Busy) as error:  # in a crowd, or hanging
            why = str(error)
        except NotReachable as error:  # not started yet, or starting again
            known, why = None, str(error)
        if left_s <= 0:
            if known is not None and time.monotonic() - known_s <= FRESH_S:
                return tell(known)
            raise NotReachable(f"nothing is known of the GPUs: {why}")
        time.sleep(min(AGAIN_S, max(0.0, left_s)))


def settled(document: StatusReply) -> bool:
    """Whether waiting longer changes nothing: every setting is in force or refused."""
    if document["driver"]["state"] != "ok":
        return False
    if document["policy"]["state"] == "none":
        return True
    if document["host"].get("message") or _unknown(document) or verdict.missing_all(document):
        return False
    return not any(row["state"] in _PENDING and not row["in_order"] for _, row in _rows(document))


def tell(document: StatusReply) -> int:
    """Say what is missing, and whether that is bad: 1 where something `required` is not in force."""
    bad, missing = [], []
    policy, driver = document["policy"], document["driver"]
    if policy["state"] == "none":
        bad.append(f"no policy is in force: {policy['error'] or 'there is none'}")
    if driver["state"] != "ok":
        words = verdict.driver_words(driver)
        required = policy.get("required") or ()
        missing.append(words)
        bad += [f"required, and cannot be in force: {words}; {rule}" for rule in required]
    for gpu, row in _rows(document):
        if not row["in_order"]:
            (bad if row["required"] else missing).append(_sentence(gpu, row))
    message = document["host"].get("message")
    if message:
        bad.append(message)
    for gpu in _unknown(document):
        words = f"{briefly(gpu)} {gpu['state']}: {gpu['message']}"
        missing.append(words)
        # Which rules speak of it cannot be known, so any may.
        bad += [f"required, and not known to be in force: {words}; {rule}" for rule in policy.get("required") or ()]
    for rule in verdict.unmatched(document) if driver["state"] == "ok" else ():
        (bad if rule.get("required") else missing).append(f"{rule['origin']}: matches no GPU here ({rule['match']})")
    if verdict.missing_all(document):
        bad += [f"required, and no GPU is here: {rule}" for rule in policy.get("required") or ()]
    _say(4, missing)
    _say(3, bad)
    return verdict.DIFFERS if bad else verdict.IN_ORDER


def _unknown(document: StatusReply) -> list[Gpu]:
    """The GPUs that ought to be here, and of which not even the name is known."""
    return [gpu for gpu in document["gpus"] if gpu.get("uuid") == "" and not gpu["in_order"]]


def _rows(document: StatusReply) -> list[tuple[Gpu | None, Setting]]:
    """Every setting that a rule wishes for, with its GPU (None: the host's)."""
    found: list[tuple[Gpu | None, Setting]] = [(gpu, row) for gpu in document["gpus"] for row in gpu["settings"]]
    found += [(None, row) for row in document["host"]["settings"]]
    return [(gpu, row) for gpu, row in found if row["origin"] is not None]


def _sentence(gpu: Gpu | None, row: Setting) -> str:
    key = row["setting"]
    where = f"{briefly(gpu)}: " if gpu else ""
    # What is contested may be in force at this moment, and will not be at the next.
    so = "not kept" if row["state"] == "contested" else "not in force"
    required = f"required, and {so}" if row["required"] else so
    why = f": {row['message']}" if row["message"] else ""
    wished = f"{value(key, row['wished'])} ({origin(row['origin'], key)})"
    state = watched_word(fits=row.get("fits")) if row["state"] == "watched" else row["state"]
    return f"{where}{label(key)} {wished} is {required}, {state}{why}"


def _say(priority: int, sentences: list[str]) -> None:
    # A service's standard error is the journal, which reads a priority from the beginning of a line.
    mark = f"<{priority}>" if "JOURNAL_STREAM" in os.environ else ""
    for sentence in sentences:
        complain(f"{mark}gpu-tunedctl: {' '.join(sentence.split())}")
