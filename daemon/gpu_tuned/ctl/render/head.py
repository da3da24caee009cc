"""The first lines of `status`: the verdict, the mode, the age of what was seen, the driver, and what is wrong."""

from __future__ import annotations

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import WIDTH, Colour, clean, wrap
from gpu_tuned.ctl.render.values import ago, epoch, moment, silent_since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Driver, StatusReply


def head(document: StatusReply, now: float, colour: Colour) -> list[str]:
    """The verdict's line and one paragraph for each thing that is wrong with the whole."""
    words, style = verdict.verdict(document)
    mode, seen, driver = _mode(document), _seen(document, now), _driver(document["driver"])
    brief = driver.removesuffix(" (= installed)")
    for told, versions in ((f"seen {seen}", driver), (seen, driver), (f"seen {seen}", brief), (seen, brief)):
        told = told.replace("seen not", "not")
        room = WIDTH - len(f"{words}  {mode}, {told}{versions}")
        if room >= 2:
            lines = [f"{colour(style, words)}  {mode}, {told}{' ' * room}{versions}"]
            break
    else:
        lines = [f"{colour(style, words)}  {mode}, {seen}", f"  {driver}"]
    for kind, text in _troubles(document, now):
        lines += [colour(kind, line) for line in wrap(text, "  ", "    ")]
    return lines


def _mode(document: StatusReply) -> str:
    if document["policy"]["mode"] == "observe":
        return "observing, never writing"
    return "enforcing"


def _seen(document: StatusReply, now: float) -> str:
    seen = epoch(document["host"]["seen_at"])
    return "not seen yet" if seen is None else ago(now - seen)


def _driver(driver: Driver) -> str:
    # WSL and sandboxes: the kernel shows no driver, and the library speaks to one all the same.
    loaded, installed = driver["loaded"] or driver.get("library"), driver["installed"]
    if not loaded:
        return f"no driver loaded, {installed} installed" if installed else "no driver loaded"
    if not installed:
        return f"driver {loaded}"
    return f"driver {loaded} (= installed)" if loaded == installed else f"driver {loaded}, {installed} installed"


def _troubles(document: StatusReply, now: float) -> list[tuple[str, str]]:
    policy, driver = document["policy"], document["driver"]
    troubles = []
    since = driver["not_answering_since"]
    if since:
        text, message = silent_since(since, now), driver["message"] or since
        text += "" if since in message else f": {message}"  # the usual message says only the same
        troubles.append(("bad", text + ("; below is what was seen before" if document["gpus"] else "")))
    elif driver["message"] and driver["state"] != "ok":
        style = "bad" if driver["state"] in ("absent", "mismatch") else "warn"
        troubles.append((style, f"driver: {driver['message']}"))
    loaded, installed = driver["loaded"], driver["installed"]
    if loaded and installed and loaded != installed:
        text = f"the kernel runs driver {loaded}; {installed} takes over when it is loaded anew"
        troubles.append(("warn", text))
    if policy["error"]:
        kept = {
            "in_force": "the running policy stays in force; the new one was refused",
            "last_good": "the last good policy is in force; the files were refused",
            "restricted": "it does not suit the boards here, so only its required limits that lower are written",
            "none": "no policy is in force and nothing is written; the files were refused",
        }.get(policy["state"], "refused")
        troubles.append(("bad", f"policy: {kept}:"))
        troubles += [("bad", f"- {clean(problem)}") for problem in policy["error"].splitlines()]
    elif policy["state"] == "none":
        troubles.append(("bad", "policy: none is in force, so nothing is written"))
    elif policy["state"] == "last_good":
        troubles.append(("warn", "policy: the last good one is in force"))
    if policy.get("pending"):
        troubles.append(("warn", "policy: the files were changed and are not loaded yet: gpu-tunedctl reload"))
    of_host = document["host"].get("message")
    if of_host:
        troubles.append(("bad", of_host))
    troubles += [("warn", f"warning: {warning}") for warning in policy["warnings"]]
    troubles += [("warn", f"warning: {rival['message']}") for rival in document["host"].get("rivals", [])]
    for stall in document["host"].get("stalled", []):
        troubles.append(
            ("warn", f"warning: since {moment(stall['since'], now, seconds=True)} {clean(stall['message'])}")
        )
    return troubles
