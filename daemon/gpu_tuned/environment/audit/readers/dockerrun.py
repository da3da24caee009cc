"""`docker run` and `podman run` command lines, as units and quadlets hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpu_tuned.environment.audit.readers.words import Word

# Options of run that take no value; every other long one has it as the next word, where not behind "=".
_SHORT_WITH_VALUE = frozenset("evpuwmhl")
_WITHOUT_VALUE = frozenset(
    {
        "--rm",
        "--detach",
        "--interactive",
        "--tty",
        "--init",
        "--privileged",
        "--read-only",
        "--replace",
        "--no-healthcheck",
        "--oom-kill-disable",
        "--publish-all",
        "--quiet",
        "--sig-proxy",
        "--disable-content-trust",
        "--no-hosts",
        "--rmi",
        "--tls-verify",
        "--env-host",
        "--http-proxy",
        "--no-hostname",
        "--rootfs",
        "--systemd",
    }
)


@dataclass(slots=True)
class Run:
    """What a command line asks for."""

    image: str = ""
    command: tuple[str, ...] = ()
    env: list[tuple[Word, str, str | None]] = field(default_factory=list)
    """(word, name, value); value None: passed on from the caller's environment."""
    env_files: list[str] = field(default_factory=list)
    mounts: list[tuple[Word, str, bool, bool]] = field(default_factory=list)
    """(word, path in the container, tmpfs, noexec)"""
    gpus: tuple[str, ...] | None = None
    gpu_count: int | None = None
    published: bool = False
    on_host: bool = False
    """In the host's network: what it listens on is the host's."""


def is_run(words: list[Word]) -> bool:
    """Whether the words are `docker run ...` (also podman, nerdctl, with a path and with options before `run`)."""
    texts = [word.text for word in words]
    if not texts or texts[0].lstrip("-@+!:").rsplit("/", 1)[-1] not in ("docker", "podman", "nerdctl"):
        return False
    return any(text in ("run", "create") for text in texts[1:6])


def parse(words: list[Word]) -> Run:
    """The words behind `run`."""
    texts = [word.text for word in words]
    begin = next(at for at, text in enumerate(texts) if text in ("run", "create")) + 1
    return options(words[begin:])


def options(words: list[Word], *, image: bool = True) -> Run:
    """Options, then with `image` the image and its command."""
    found = Run()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.text.startswith("-"):
            if image:
                found.image = word.text
                found.command = tuple(one.text for one in words[at:])
                break
            continue
        name, equals, value = word.text.partition("=")
        holder = word
        if not equals and _takes_value(name) and at < len(words):
            holder, value = words[at], words[at].text
            at += 1
        elif not name.startswith("--") and len(name) > 2 and name[:2] in ("-e", "-v", "-p"):
            name, value = name[:2], word.text[2:]
        if handle := _OPTIONS.get(name):
            handle(found, holder, value)
    return found


def _takes_value(name: str) -> bool:
    if name.startswith("--"):
        return name not in _WITHOUT_VALUE
    return len(name) == 2 and name[1] in _SHORT_WITH_VALUE


def _env(found: Run, word: Word, value: str) -> None:
    name, equals, text = value.partition("=")
    found.env.append((word, name, text if equals else None))


def _volume(found: Run, word: Word, value: str) -> None:
    parts = value.split(":")
    found.mounts.append((word, parts[1] if len(parts) > 1 else parts[0], False, False))


def _tmpfs(found: Run, word: Word, value: str) -> None:
    target, _, options_ = value.partition(":")
    found.mounts.append((word, target, True, "exec" not in options_.split(",")))


def _mount(found: Run, word: Word, value: str) -> None:
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    target = parts.get("target") or parts.get("dst") or parts.get("destination")
    if target:
        found.mounts.append((word, target, parts.get("type") == "tmpfs", False))


def _gpus(found: Run, word: Word, value: str) -> None:
    value = value.strip("'\"")
    if value == "all":
        found.gpus = ("all",)
    elif value.isdecimal():
        found.gpu_count = int(value)
    elif value.startswith("device="):
        found.gpus = tuple(value.removeprefix("device=").split(","))


def _device(found: Run, word: Word, value: str) -> None:
    if value.startswith("nvidia.com/gpu="):
        found.gpus = (*(found.gpus or ()), value.partition("=")[2])


def _publish(found: Run, word: Word, value: str) -> None:
    found.published = True


def _network(found: Run, word: Word, value: str) -> None:
    found.on_host |= value == "host"


def _env_file(found: Run, word: Word, value: str) -> None:
    found.env_files.append(value)


_OPTIONS: dict[str, Callable[[Run, Word, str], None]] = {
    "-e": _env,
    "--env": _env,
    "--env-file": _env_file,
    "-v": _volume,
    "--volume": _volume,
    "--tmpfs": _tmpfs,
    "--mount": _mount,
    "--gpus": _gpus,
    "--device": _device,
    "-p": _publish,
    "--publish": _publish,
    "--network": _network,
    "--net": _network,
}
