"""Compose files: services with their environment, env files, image, command, mounts and GPUs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gpu_tuned.environment.audit.interpolation import interpolate, names_in
from gpu_tuned.environment.audit.model import (
    Assignment,
    Certainty,
    Environment,
    Kind,
    Mount,
    Place,
    Reader,
    Reading,
    Trap,
    Unreadable,
)
from gpu_tuned.environment.audit.readers import dockerfile, envfile, nodes
from gpu_tuned.environment.audit.readers.words import command_of

if TYPE_CHECKING:
    from yaml.nodes import Node

Load = Callable[[str], "str | None"]
"""The text of another file by its path, or None where it cannot be had."""

_MAP_FORM = '{name}: "{value}"'
_LIST_FORM = "- {name}={value}"
_MOST_EXTENDS = 20
_ENTRY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\s*)=(.*)", re.DOTALL)


def is_compose(documents: list[Node]) -> bool:
    return any(nodes.is_mapping(nodes.get(document, "services")) for document in documents)


def read(documents: list[Node], file: str, load: Load) -> Reading:
    """An environment for each service of the file."""
    return _File(documents, file, load).read()


class _File:
    """One Compose file while it is read."""

    def __init__(self, documents: list[Node], file: str, load: Load) -> None:
        self._file = file
        self._load = load
        self._folder = posixpath.dirname(file)
        self._services = {
            name: pair
            for document in documents
            for name, pair in nodes.mapping(nodes.get(document, "services")).items()
        }
        self._reading = Reading()
        self._dotenv = self._known()

    def read(self) -> Reading:
        for name, (key, body) in self._services.items():
            if nodes.is_mapping(body):
                self._reading.environments.append(self.service(name, key, body, 0))
        return self._reading

    def _known(self) -> Mapping[str, str]:
        """What the .env beside the file says; a shell that runs Compose may say otherwise."""
        text = self._load(posixpath.join(self._folder, ".env"))
        if text is None:
            return {}
        found = envfile.read(text, ".env", Reader.COMPOSE).environments[0].assignments
        return {one.name: one.value for one in found if one.value is not None}

    def service(self, name: str, key: Node, body: Node, depth: int) -> Environment:
        config = nodes.mapping(body)
        found = self._extended(config, depth) or Environment("", Place(self._file, 1, 1))
        found.label, found.place = f"service {name}", nodes.place(key, self._file)
        found.container = found.complete = True
        found.fragment = not {"image", "build", "extends"} & config.keys()  # an override, or a part of a guide
        found.image = self._text(config, "image") or found.image
        if "entrypoint" in config or "command" in config:
            entrypoint = self._command(config, "entrypoint")
            found.command = entrypoint + (self._command(config, "command") or (found.command if entrypoint else ()))
        if "build" in config:
            self._build(config["build"][1], found, has_image="image" in config)
        if "env_file" in config:
            found.assignments += self._env_files(config["env_file"][1])
        if "environment" in config:
            found.assignments += self._environment(config["environment"][1])
        for key in ("entrypoint", "command"):
            if _is_shell(nodes.get(body, "entrypoint"), nodes.get(body, "command")):
                found.assignments += nodes.script(nodes.get(body, key), self._file)
        found.mounts += self._mounts(config)
        capabilities = {word.removeprefix("CAP_") for word in nodes.words_of(nodes.get(body, "cap_add"))}
        found.may_place_memory |= (
            bool(capabilities & {"SYS_NICE", "ALL"}) or self._text(config, "privileged") == "true"
        )
        self._gpus(config, found)
        listens = bool(nodes.items(config["ports"][1])) if "ports" in config else False
        found.published = (found.published or listens) and self._text(config, "network_mode") != "host"
        return found

    # --- what a service takes over -----------------------------------------------------------------------------

    def _extended(self, config: nodes.Mapping, depth: int) -> Environment | None:
        if "extends" not in config or depth > _MOST_EXTENDS:
            return None
        extends = config["extends"][1]
        name = nodes.text_of(extends) or nodes.text_of(nodes.get(extends, "service"))
        path = nodes.text_of(nodes.get(extends, "file"))
        other = self
        if path:
            where = posixpath.join(self._folder, path)
            text = self._load(where)
            if text is None:
                return None
            try:
                other = _File(nodes.documents(text, where), where, self._load)
            except Unreadable:
                return None
        pair = other._services.get(name or "")
        return other.service(name or "", *pair, depth + 1) if pair and nodes.is_mapping(pair[1]) else None

    def _build(self, build: Node, found: Environment, *, has_image: bool) -> None:
        """What the Dockerfile says of image and command, where the service does not."""
        context = nodes.text_of(build) or nodes.text_of(nodes.get(build, "context")) or "."
        name = nodes.text_of(nodes.get(build, "dockerfile")) or "Dockerfile"
        path = posixpath.normpath(posixpath.join(self._folder, context, name))
        text = self._load(path)
        inline = nodes.text_of(nodes.get(build, "dockerfile_inline"))
        if inline is not None:
            text = inline
        if text is None:
            found.image = found.image if has_image else ""
            return
        built = dockerfile.read(text, path)
        self._reading.used |= built.used
        stage = nodes.text_of(nodes.get(build, "target"))
        last = next((one for one in built.environments if one.label == f"stage {stage}"), built.environments[-1])
        found.image = last.image
        found.command = found.command or last.command

    def _env_files(self, node: Node) -> list[Assignment]:
        found: list[Assignment] = []
        for item in nodes.items(node) or [node]:
            written = nodes.text_of(item) or nodes.text_of(nodes.get(item, "path"))
            if not written:
                continue
            path, used = interpolate(written, self._dotenv)
            self._reading.interpolated |= used
            if path is None:
                continue
            where = posixpath.normpath(posixpath.join(self._folder, path))
            reader = Reader.DOCKER if nodes.text_of(nodes.get(item, "format")) == "raw" else Reader.COMPOSE
            self._reading.refers[where] = reader
            text = self._load(where)
            if text is not None:
                read = envfile.read(text, where, reader)
                self._reading.traps += read.traps
                found += read.environments[0].assignments
        return found

    # --- environment -------------------------------------------------------------------------------------------

    def _environment(self, node: Node) -> list[Assignment]:
        for key in nodes.duplicates(node):
            self._trap("yaml-duplicate", key.value, key, f"{key.value} stands twice; Compose refuses the file")
        if nodes.is_mapping(node):
            return [self._of_map(name, *pair) for name, pair in nodes.mapping(node).items()]
        found = (self._of_list(item) for item in nodes.items(node))
        return [one for one in found if one is not None]

    def _of_map(self, name: str, key: Node, value: Node) -> Assignment:
        written = nodes.text_of(value)
        return self._assignment(name, written, nodes.place(key, self._file), _MAP_FORM)

    def _of_list(self, item: Node) -> Assignment | None:
        place = nodes.place(item, self._file)
        if nodes.is_mapping(item):
            for name, (_, value) in nodes.mapping(item).items():
                right = f"- {name}={nodes.text_of(value) or ''}"
                self._trap(
                    "compose-list-map", name, item, "an item of this list is NAME=value, not NAME: value", right
                )
                return self._assignment(name, nodes.text_of(value), place, _LIST_FORM)
            return None
        text = nodes.text_of(item)
        if text is None:
            return None
        if item.style in ("'", '"'):
            place = replace(place, column=place.column + 1)
        match = _ENTRY.fullmatch(text)
        if not match:
            name = text.strip()
            return Assignment(name, None, place) if re.fullmatch(r"[A-Za-z_]\w*", name) else None
        name, space, value = match.groups()
        if space or value[:1].isspace():
            right = f"- {name}={value.strip()}"
            sure = Certainty.CERTAIN if space else Certainty.LIKELY
            self._trap("compose-list-space", name, item, "the space at = belongs to name or value", right, sure)
            value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            right = f"- {name}={value[1:-1]}"
            message = f"the quotes belong to the value of {name}: leave them out, or put them around the whole item"
            sure = Certainty.CERTAIN if nodes.is_plain(item) else Certainty.LIKELY
            self._trap("compose-list-quotes", name, item, message, right, sure)
            value = value[1:-1]
        return self._assignment(name, value, place, _LIST_FORM)

    def _assignment(self, name: str, written: str | None, place: Place, form: str) -> Assignment:
        if written is None or "$" not in written:
            return Assignment(name, written, place, form)
        value, used = interpolate(written)
        self._reading.interpolated |= used
        borrowed = any(one in self._dotenv for one in used)
        if borrowed:
            value, _ = interpolate(written, self._dotenv)
        return Assignment(name, value, place, form, borrowed=borrowed)

    def _trap(  # noqa: PLR0913 - the fields of a trap
        self,
        id: str,
        name: str,
        node: Node,
        message: str,
        replacement: str = "",
        certainty: Certainty = Certainty.CERTAIN,
        kind: Kind = Kind.SYNTAX,
    ) -> None:
        self._reading.traps.append(
            Trap(id, name, nodes.place(node, self._file), certainty, message, replacement, kind)
        )

    # --- the rest of a service ---------------------------------------------------------------------------------

    def _text(self, config: nodes.Mapping, key: str) -> str:
        written = nodes.text_of(config[key][1]) if key in config else None
        if written is None:
            return ""
        value, used = interpolate(written, self._dotenv)
        self._reading.interpolated |= used
        if value is None:
            # An image whose tag is not known is still that image.
            bare = re.sub(
                r"\$\{(\w+)(?::?\?[^}]*)?\}|\$(\w+)", lambda name: self._dotenv.get(name[1] or name[2], ""), written
            )
            value, _ = interpolate(bare, self._dotenv)
        return (value or "").rstrip(":")

    def _command(self, config: nodes.Mapping, key: str) -> tuple[str, ...]:
        node = config[key][1] if key in config else None
        words = []
        for written in nodes.words_of(node):
            # "$$NAME" is for the shell inside.
            self._reading.used |= names_in(written.replace("$$", "$")) if "$$" in written else set()
            value, used = interpolate(written, self._dotenv)
            self._reading.interpolated |= used
            words.append(value if value is not None else written)
        return tuple(words) if nodes.is_list(node) else command_of(" ".join(words))

    def _mounts(self, config: nodes.Mapping) -> list[Mount]:
        found = []
        for item in nodes.items(config["volumes"][1]) if "volumes" in config else []:
            place = nodes.place(item, self._file)
            written = nodes.text_of(item)
            if written is not None:
                target = _target(written)
                if target:
                    found.append(Mount(target, tmpfs=False, noexec=False, place=place, written=written))
            elif path := nodes.text_of(nodes.get(item, "target")):
                tmpfs = nodes.text_of(nodes.get(item, "type")) == "tmpfs"
                found.append(Mount(path, tmpfs, tmpfs, place, path))
        if "tmpfs" in config:
            node = config["tmpfs"][1]
            for item in nodes.items(node) or [node]:
                if written := nodes.text_of(item):
                    target, _, options = written.partition(":")
                    noexec, place = "exec" not in options.split(","), nodes.place(item, self._file)
                    found.append(Mount(target, tmpfs=True, noexec=noexec, place=place, written=written))
        return found

    def _gpus(self, config: nodes.Mapping, found: Environment) -> None:
        requests = []
        if "deploy" in config:
            requests += nodes.items(nodes.get(config["deploy"][1], "resources", "reservations", "devices"))
        if "gpus" in config:
            node = config["gpus"][1]
            if nodes.text_of(node) == "all":
                found.devices = ("all",)
            requests += nodes.items(node)
        for request in requests:
            self._request(request, found)
        cdi = [
            word.partition("=")[2]
            for word in (nodes.words_of(config["devices"][1]) if "devices" in config else [])
            if word.startswith("nvidia.com/gpu=")
        ]
        if cdi:
            found.devices = tuple(cdi)

    def _request(self, request: Node, found: Environment) -> None:
        parts = nodes.mapping(request)
        ids = nodes.get(request, "device_ids")
        count = nodes.text_of(nodes.get(request, "count"))
        if ids is not None and count is not None:
            name = "deploy.resources.reservations.devices"
            message = "count and device_ids cannot stand together; Compose refuses the file"
            self._trap("compose-device-request", name, parts["count"][0], message, kind=Kind.CONTRADICTION)
        if ids is not None:
            found.devices = tuple(nodes.words_of(ids))
        elif count == "all" or (count is None and parts):
            found.devices = ("all",)
        elif count is not None and count.isdecimal():
            found.device_count = int(count)
        options = parts.get("options")
        driver = nodes.text_of(nodes.get(request, "driver")) or "nvidia"
        if options and driver in ("nvidia", "cdi") and (nodes.items(options[1]) or nodes.mapping(options[1])):
            what = "CDI refuses them" if driver == "cdi" else "the engine's nvidia driver never reads them"
            message = (
                f"options of a GPU request do nothing: {what}; a compute mode is set on the host, for every container"
            )
            self._trap(
                "compose-device-options",
                "deploy.resources.reservations.devices.options",
                options[0],
                message,
                'compute_mode = "..." in gpu-tuned\'s policy',
                kind=Kind.UNREAD,
            )


def _is_shell(*parts: Node | None) -> bool:
    words = [word for part in parts for text in nodes.words_of(part) for word in text.split(None, 2)[:2]]
    return any(word.rsplit("/", 1)[-1] in ("sh", "bash") for word in words[:4])


def _target(written: str) -> str:
    """The path inside of the container of `source:target:options`; a Windows drive is no source."""
    parts = re.sub(r"\$\{[^}]*\}", "x", written).split(":")
    return parts[0] if len(parts) == 1 else parts[1]
