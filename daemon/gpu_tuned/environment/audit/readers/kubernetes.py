"""Kubernetes manifests, custom resources that hold containers (KServe, Ray, NIM), and plain Helm values.

What they have in common is taken: a mapping with `env` beside an image is a container, whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpu_tuned.environment.audit.interpolation import names_in
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Mount, Place, Reading, Trap
from gpu_tuned.environment.audit.readers import nodes
from gpu_tuned.environment.audit.readers.words import command_of

if TYPE_CHECKING:
    from yaml.nodes import Node

_ENV_KEYS = ("env", "extraEnv", "extraEnvVars", "envVars", "environment", "extraEnvs", "environmentVariables", "envs")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_A_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_FORM = '- {{ name: {name}, value: "{value}" }}'.replace("{{", "{").replace("}}", "}")
_MAP_FORM = '{name}: "{value}"'
_MOST_DEEP = 60


@dataclass(slots=True)
class _Around:
    """What stands above a container: the pod's volumes, the nearest name."""

    name: str = ""
    image: str = ""
    volumes: Node | None = None
    links: bool = True
    """enableServiceLinks."""
    kubernetes: bool = False


@dataclass(slots=True)
class _File:
    file: str
    reading: Reading = field(default_factory=Reading)
    config_maps: dict[str, list[Assignment]] = field(default_factory=dict)
    referred: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)


def read(documents: list[Node], file: str) -> Reading:
    """An environment for each container, and for each ConfigMap of variables that no container here refers to."""
    state = _File(file)
    for document in _resources(documents):
        kind = nodes.text_of(nodes.get(document, "kind"))
        name = nodes.text_of(nodes.get(document, "metadata", "name")) or ""
        if kind == "ConfigMap":
            state.config_maps[name] = _of_map(nodes.get(document, "data"), state, checked=True)
        elif kind == "Service":
            state.services.add(name)
    for document in _resources(documents):
        kind = nodes.text_of(nodes.get(document, "kind"))
        for generator in ("configMapGenerator", "secretGenerator"):
            for item in nodes.items(nodes.get(document, generator)):
                _generated(item, state)
        if kind in ("ConfigMap", "Secret", "CustomResourceDefinition", "Kustomization"):
            continue
        around = _Around(
            name=nodes.text_of(nodes.get(document, "metadata", "name")) or "",
            kubernetes=kind is not None and nodes.get(document, "apiVersion") is not None,
        )
        _walk(document, around, state, 0)
    for name, assignments in state.config_maps.items():
        found = [one for one in assignments if _LIKE_A_VARIABLE.fullmatch(one.name)]
        if name not in state.referred and found:
            state.reading.environments.append(
                Environment(f"ConfigMap {name}", found[0].place, found, container=True, fragment=True)
            )
    return state.reading


def _generated(item: Node, state: _File) -> None:
    """What Kustomize makes a ConfigMap or a Secret of: literals, each NAME=value."""
    assignments = []
    for literal in nodes.items(nodes.get(item, "literals")):
        name, equals, value = (nodes.text_of(literal) or "").partition("=")
        if equals and _LIKE_A_VARIABLE.fullmatch(name):
            place = nodes.place(literal, state.file)
            quoted = literal.style in ("'", '"')
            place = replace(place, column=place.column + quoted)
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]  # as Kustomize does
            assignments.append(Assignment(name, value, place, "- {name}={value}"))
    if assignments:
        label = f"ConfigMap {nodes.text_of(nodes.get(item, 'name')) or ''}".rstrip()
        state.reading.environments.append(
            Environment(label, assignments[0].place, assignments, container=True, fragment=True)
        )


def _resources(documents: list[Node]) -> Iterator[Node]:
    for document in documents:
        if nodes.text_of(nodes.get(document, "kind")) == "List":
            yield from nodes.items(nodes.get(document, "items"))
        else:
            yield document


def _walk(node: Node, around: _Around, state: _File, depth: int) -> None:
    if depth > _MOST_DEEP or id(node) in state.seen or node.id == "scalar":
        return
    state.seen.add(id(node))
    if nodes.is_list(node):
        for item in node.value:
            _walk(item, around, state, depth + 1)
        return
    parts = nodes.mapping(node)
    image = _image(node)
    if not _is_variable(parts):
        around = _Around(around.name, image or around.image, around.volumes, around.links, around.kubernetes)
    name = nodes.text_of(nodes.get(node, "name")) or nodes.text_of(nodes.get(node, "modelSpec", "name"))
    if "volumes" in parts:
        around = _Around(around.name, around.image, parts["volumes"][1], around.links, around.kubernetes)
    if nodes.text_of(nodes.get(node, "enableServiceLinks")) == "false":
        around = replace(around, links=False)
    env = {key: parts[key][1] for key in _ENV_KEYS if key in parts}
    env = {key: value for key, value in env.items() if _is_env(value)}
    if env or "envFrom" in parts or ("image" in parts and {"command", "args"} & parts.keys()):
        state.reading.environments.append(_container(node, name or around.name, env, around, state))
    for key, (_, value) in parts.items():
        if key not in env:
            _walk(value, around, state, depth + 1)


def _is_variable(parts: nodes.Mapping) -> bool:
    """Whether a mapping is one variable ({name, value}) and no container."""
    return "value" in parts or "valueFrom" in parts


def _is_env(value: Node) -> bool:
    if nodes.is_list(value):
        return any(nodes.get(item, "name") is not None for item in value.value)
    scalars = [pair[1].id == "scalar" for pair in nodes.mapping(value).values()]
    return bool(scalars) and all(scalars)


def _image(node: Node) -> str:
    """`image: name:tag`, `image: {repository, tag}`, or repository and tag beside each other."""
    image = nodes.get(node, "image")
    written = nodes.text_of(image)
    if written:
        return written
    repository = nodes.text_of(nodes.get(image, "repository")) or (
        nodes.text_of(nodes.get(node, "repository")) if image is None else None
    )
    if not repository:
        return ""
    tag = nodes.text_of(nodes.get(image, "tag")) or (nodes.text_of(nodes.get(node, "tag")) if image is None else None)
    registry = nodes.text_of(nodes.get(image, "registry"))
    whole = f"{registry}/{repository}" if registry else repository
    return f"{whole}:{tag}" if tag else whole


def _container(node: Node, name: str, env: dict[str, Node], around: _Around, state: _File) -> Environment:
    found = Environment(f"container {name}" if name else "container", nodes.place(node, state.file), container=True)
    found.image = _image(node) or around.image
    found.fragment = not found.image
    for key in ("command", "args", "extraArgs"):
        value = nodes.get(node, key)
        words = nodes.words_of(value)
        state.reading.used |= {one for word in words for one in names_in(word) | set(_REFERENCE.findall(word))}
        found.command += tuple(words) if nodes.is_list(value) else command_of(" ".join(words))
    for item in nodes.items(nodes.get(node, "envFrom")):
        source = nodes.text_of(nodes.get(item, "configMapRef", "name")) or ""
        if source in state.config_maps and nodes.get(item, "prefix") is None:
            state.referred.add(source)
            found.assignments += state.config_maps[source]
    for value in env.values():
        if nodes.is_list(value):
            found.assignments += _of_list(value, state, kubernetes=around.kubernetes)
        else:
            found.assignments += _of_map(value, state)
    if any(word.rsplit("/", 1)[-1] in ("sh", "bash") for word in found.command[:3]):
        for key in ("command", "args"):
            found.assignments += nodes.script(nodes.get(node, key), state.file)
    found.mounts = _mounts(node, around.volumes, state.file)
    limit = nodes.text_of(nodes.get(node, "resources", "limits", "nvidia.com/gpu"))
    if limit and limit.isdecimal():
        found.device_count = int(limit)
    if around.links and around.kubernetes:
        found.service_names = frozenset(state.services)
    return found


def _of_list(node: Node, state: _File, *, kubernetes: bool) -> list[Assignment]:
    found = []
    for item in nodes.items(node):
        key = nodes.get(item, "name")
        name = nodes.text_of(key)
        if key is None or not name or not _VARIABLE.fullmatch(name):
            continue
        value = nodes.get(item, "value")
        place = nodes.place(key, state.file)
        found.append(Assignment(name, _value(value, state), place, _FORM if value is not None else ""))
        if kubernetes and value is not None and nodes.is_other_scalar(value):
            _not_a_string(name, value, place, state)
    return found


def _not_a_string(name: str, value: Node, place: Place, state: _File) -> None:
    message = f"the value of {name} must be a string: Kubernetes refuses {value.value} without quotes"
    state.reading.traps.append(
        Trap("kubernetes-value", name, place, Certainty.CERTAIN, message, f'value: "{value.value}"')
    )


def _of_map(node: Node | None, state: _File, *, checked: bool = False) -> list[Assignment]:
    found = []
    for name, (key, value) in nodes.mapping(node).items():
        if _VARIABLE.fullmatch(name) and value.id == "scalar":
            place = nodes.place(key, state.file)
            found.append(Assignment(name, _value(value, state), place, _MAP_FORM))
            if checked and nodes.is_other_scalar(value):
                _not_a_string(name, value, place, state)
    return found


def _value(node: Node | None, state: _File) -> str | None:
    """None where it comes from elsewhere, refers to another variable, or is to be filled in by a template."""
    text = nodes.text_of(node)
    if text is None:
        return "" if node is not None and node.id == "scalar" else None
    if references := _REFERENCE.findall(text):
        state.reading.used |= set(references)
        return None
    return None if "${" in text or "{{" in text else text


def _mounts(node: Node, volumes: Node | None, file: str) -> list[Mount]:
    memory = {
        nodes.text_of(nodes.get(volume, "name"))
        for volume in nodes.items(volumes)
        if nodes.text_of(nodes.get(volume, "emptyDir", "medium")) == "Memory"
    }
    found = []
    for item in nodes.items(nodes.get(node, "volumeMounts")):
        target = nodes.text_of(nodes.get(item, "mountPath"))
        if target:
            tmpfs = nodes.text_of(nodes.get(item, "name")) in memory
            found.append(Mount(target, tmpfs, noexec=False, place=nodes.place(item, file), written=target))
    return found
