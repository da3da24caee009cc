"""`gpu-tunedctl verify`: in order, or the diff. The exit code alone is enough for a script."""

from __future__ import annotations

import json
import sys

from gpu_tuned.control import client
from gpu_tuned.core.words import counted, watched_word
from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import Colour, colour_for, say, wrap
from gpu_tuned.ctl.render.values import LOCKS, briefly, heading, label, origin, value
from gpu_tuned.ctl.which import one_gpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from gpu_tuned.core.wire import Gpu, Setting, StatusReply
    from gpu_tuned.ctl.options import Options

    class Difference(TypedDict):
        """One setting that is not as wished; the fields are those of Setting, and whose it is."""

        gpu: str | None
        pci: str | None
        name: str | None
        setting: str
        wished: object
        accepted: object
        observed: object
        state: str
        fits: bool | None
        origin: str | None
        required: bool
        message: str | None

    class Report(TypedDict):
        """What `verify --json` prints."""

        format: int
        in_order: bool
        differs: list[Difference]
        problems: list[str]


EXAMPLES = """\
examples:
  gpu-tunedctl verify && start-the-job    only where all is as wished
  gpu-tunedctl verify --json | jq '.differs[] | [.pci, .setting, .message]'
"""


def run(options: Options) -> int:
    document = client.call(options.socket, "Status", {}, options.timeout)
    if options.gpu is not None:
        document = {**document, "gpus": [one_gpu(document["gpus"], options.gpu, document["driver"])]}
    report = compare(document)
    if options.json:
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        say(page(document, report, colour_for(sys.stdout, no_color=options.no_color)))
    return verdict.exit_code(document)


def compare(document: StatusReply) -> Report:
    """What keeps a document from being in order: settings in `differs`, sentences about the rest in `problems`."""
    differs = []
    for gpu in document["gpus"]:
        differs += [_row(gpu, setting) for setting in gpu["settings"] if not setting["in_order"]]
    differs += [_row(None, setting) for setting in document["host"]["settings"] if not setting["in_order"]]
    in_order = verdict.exit_code(document) == verdict.IN_ORDER
    # A driver that was let go of on purpose is told of on the page, and keeps nothing from being in order.
    problems = [] if in_order else _problems(document)
    return {"format": 1, "in_order": in_order, "differs": differs, "problems": problems}


def _row(gpu: Gpu | None, setting: Setting) -> Difference:
    return {
        "gpu": gpu["uuid"] if gpu else None,
        "pci": gpu["pci"] if gpu else None,
        "name": gpu["name"] if gpu else None,
        "setting": setting["setting"],
        "wished": setting["wished"],
        "accepted": setting["accepted"],
        "observed": setting["observed"],
        "state": setting["state"],
        "fits": setting.get("fits"),
        "origin": setting["origin"],
        "required": setting["required"],
        "message": setting["message"],
    }


def _problems(document: StatusReply) -> list[str]:
    driver, policy = document["driver"], document["policy"]
    problems = []
    if driver["state"] != "ok":
        problems.append(verdict.driver_words(driver))
    misfit = policy.get("misfit")
    if misfit:
        problems.append(f"policy: {misfit}")
    refused = [line for line in (policy["error"] or "").splitlines() if line != misfit]
    if refused:
        problems.append("policy refused: " + "\n".join(refused))
    elif policy["state"] == "none":
        problems.append("no policy is in force")
    if verdict.missing_all(document):
        problems.append("no GPU is here, and the policy marks settings as required")
    for rule in verdict.unmatched(document):
        problems.append(f"{rule['origin']}: matches no GPU here ({rule['match']})")
    message = document["host"].get("message")
    if message:
        problems.append(message)
    for gpu in verdict.out_of_order(document):
        if gpu["state"] != "ok":
            problems.append(_away(gpu))
    return problems


def _away(gpu: Gpu) -> str:
    words = f"{briefly(gpu)} {gpu['state']}"
    return f"{words}: {gpu['message']}" if gpu["message"] else words


def page(document: StatusReply, report: Report, colour: Colour) -> list[str]:
    if report["in_order"]:
        told = [_away(gpu) for gpu in document["gpus"] if gpu["state"] != "ok"]
        lines = [line for text in told for line in wrap(text, "  ", "    ")]
        return [f"{colour('good', 'in order')}: {_counted(document)}", *lines]
    # A driver that does not answer proves nothing about the settings, neither way.
    lines = [colour("bad", "NOT IN ORDER" if document["driver"]["state"] == "ok" else "NOT VERIFIED")]
    for problem in report["problems"]:
        lines += wrap(problem, "  ", "    ")
    before: str | None = ""
    told_of = {gpu["uuid"] for gpu in document["gpus"] if gpu["state"] != "ok"}  # told above, in one line each
    for row in report["differs"]:
        if row["gpu"] in told_of:
            continue
        if row["gpu"] != before:
            before = row["gpu"]
            who = heading(row["name"], row["pci"], row["gpu"]) if row["gpu"] else "host"
            lines += ["", colour("bold", who)]
        lines += _difference(row, colour)
    return lines


def _difference(row: Difference, colour: Colour) -> list[str]:
    key = row["setting"]
    unread = row["observed"] is None
    found = (
        "cannot be read back" if unread and key in LOCKS else "not known" if unread else value(key, row["observed"])
    )
    required = ", required" if row["required"] else ""
    state = watched_word(fits=row["fits"]) if row["state"] == "watched" else row["state"]
    lines = [
        f"  {label(key)}: {state}{required}",
        colour("bad", f"    - {found}"),
        *(
            colour("good", line)
            for line in wrap(f"{value(key, row['wished'])}   ({origin(row['origin'], key)})", "    + ", "      ")
        ),
    ]
    return lines + (wrap(row["message"], "    ") if row["message"] else [])


def _counted(document: StatusReply) -> str:
    # Of one that sleeps or was let go of, which is told below, no setting is known.
    here = [gpu for gpu in document["gpus"] if gpu["state"] == "ok"]
    every = [s for gpu in here for s in gpu["settings"]] + document["host"]["settings"]
    settings = [setting for setting in every if setting["origin"] is not None]
    locks = sum(s["state"] == "requested" for s in settings)
    what = "a lock" if locks == 1 else "locks"
    unread = f", {locks} of them {what} that no driver call can read back" if locks else ""
    gpus = counted(len(here), "GPU") if document["gpus"] else "no GPU is here, and no rule demands one"
    return f"{gpus}, {counted(len(settings), 'setting')}{unread}" if settings or document["gpus"] else gpus
