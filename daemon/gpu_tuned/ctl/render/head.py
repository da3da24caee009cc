"""The first lines of `status`: the verdict, the mode, the age of what was seen, the driver, and what is wrong."""

from __future__ import annotations

from gpu_tuned.ctl import verdict
from gpu_tuned.ctl.render.text import WIDTH, Colour, clean, wrap
from gpu_tuned.ctl.render.values import ago, epoch, moment, silent_since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Driver, Host, Policy, StatusReply


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
    """What is wrong with the whole, each as (style, sentence)."""
    below = "; below is what was seen before" if document["gpus"] else ""
    return [
        *_of_driver(document["driver"], now, below),
        *_of_policy(document["policy"]),
        *_of_host(document["host"], now, document["policy"]["warnings"]),
    ]


def _of_driver(driver: Driver, now: float, below: str) -> list[tuple[str, str]]:
    """`below`: what is to be said of the GPUs that are shown although the driver does not answer."""
    troubles = []
    since = driver["not_answering_since"]
    if since:
        text, message = silent_since(since, now), driver["message"] or since
        text += "" if since in message else f": {message}"  # the usual message says only the same
        troubles.append(("bad", text + below))
    elif driver["message"] and driver["state"] != "ok":
        style = "bad" if driver["state"] in ("absent", "mismatch") else "warn"
        troubles.append((style, f"driver: {driver['message']}"))
    loaded, installed = driver["loaded"], driver["installed"]
    if loaded and installed and loaded != installed:
        text = f"the kernel runs driver {loaded}; {installed} takes over when it is loaded anew"
        troubles.append(("warn", text))
    return troubles


def _of_policy(policy: Policy) -> list[tuple[str, str]]:
    troubles = []
    misfit = policy.get("misfit")
    if misfit:
        held = policy["state"] == "restricted"
        kept = "only its required limits that lower are written" if held else "it stays in force"
        troubles += [("bad", f"policy: it does not suit the boards here; {kept}:"), ("bad", f"- {clean(misfit)}")]
    refused = [line for line in (policy["error"] or "").splitlines() if line != misfit]
    if refused:
        kept = {
            "in_force": "the running policy stays in force; the new one was refused",
            "none": "no policy is in force and nothing is written; the files were refused",
        }.get(policy["state"], "the last good policy is in force; the files were refused")
        troubles.append(("bad", f"policy: {kept}:"))
        troubles += [("bad", f"- {clean(problem)}") for problem in refused]
    elif not misfit and policy["state"] == "none":
        troubles.append(("bad", "policy: none is in force, so nothing is written"))
    elif not misfit and policy["state"] == "last_good":
        troubles.append(("warn", "policy: the last good one is in force"))
    if policy.get("pending"):
        troubles.append(("warn", "policy: the files were changed and are not loaded yet: gpu-tunedctl reload"))
    return troubles


def _of_host(host: Host, now: float, warnings: list[str]) -> list[tuple[str, str]]:
    """`warnings`: the policy's own."""
    message = host.get("message")
    troubles = [("bad", message)] if message else []
    troubles += [("warn", f"warning: {warning}") for warning in warnings]
    troubles += [("warn", f"warning: {rival['message']}") for rival in host.get("rivals", [])]
    for stall in host.get("stalled", []):
        since = moment(stall["since"], now, seconds=True)
        troubles.append(("warn", f"warning: since {since} {clean(stall['message'])}"))
    return troubles
