"""Whether a value is one that the reader takes, and whether a legal one does harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gpu_tuned.environment import legal
from gpu_tuned.environment.audit import alloc, harmful, nearest
from gpu_tuned.environment.audit.model import Assignment, Certainty, Environment, Finding, line_with
from gpu_tuned.environment.facts import Role, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.environment.catalogue import Catalogue

_SHORT = 60


def findings(catalogue: Catalogue, environment: Environment) -> Iterator[Finding]:
    for one in environment.assignments:
        if not one.value:  # not known, or empty, which most readers take for not set
            continue
        if one.name in alloc.NAMES:
            yield from _alloc(one, environment)
            continue
        if one.name in _COMPILER_FLAGS:
            yield from _nvcc(one, environment)
        own = _OWN.get(one.name)
        if own is not None:
            yield from own(one, environment)
        row = catalogue.values.get(_SAME_AS.get(one.name, one.name))
        judged = row is not None and row.rule not in ("", "presence") and _applies(catalogue, row, environment)
        if row is not None and judged and legal.is_legal(row, one.value) is False:
            yield _illegal(one, row, environment)
            continue
        rule = harmful.BY_NAME.get(one.name)
        if rule is not None and not one.build_only:
            found = rule(one.value, environment)
            if found is not None:
                message, certainty, replacement = found
                yield Finding(
                    "harmful-value",
                    one.name,
                    one.place,
                    certainty,
                    f"{one.name}={_shown(one.value)}: {message}",
                    _line(one, replacement),
                    where=environment.label,
                )


def _applies(catalogue: Catalogue, row: Value, environment: Environment) -> bool:
    """A word that an engine has made its own (ATTENTION, PORT) means something only where that engine runs."""
    roles = [catalogue.components[id].role for id in row.components if id in catalogue.components]
    if not roles or not all(role is Role.ENGINE for role in roles):
        return row.name not in _GENERIC or bool(set(row.components) & set(environment.components))
    if set(row.components) & set(environment.components):
        return True
    engines = [
        id
        for id in environment.components
        if id in catalogue.components and catalogue.components[id].role is Role.ENGINE
    ]
    return catalogue.namespace(row.name) is not None and not engines


_SAME_AS = {"LLAMA_ARG_CACHE_TYPE_V": "LLAMA_ARG_CACHE_TYPE_K"}
_GENERIC = frozenset({"FORCE_DETERMINISTIC"})


def _illegal(one: Assignment, row: Value, environment: Environment) -> Finding:
    value = one.value or ""
    wrong = ", ".join(legal.illegal_items(row, value)) if row.rule == "items" else value
    unit = (
        f" ({row.unit})" if row.unit in ("bytes", "percent", "seconds", "MiB", "KiB", "GiB", "ms", "tokens") else ""
    )
    harm = f"; {row.harm}" if row.harm and len(row.harm) < 90 and one.name in _SAY_HARM else ""
    message = f"{one.name}: {_shown(wrong)} is not legal; legal: {row.legal}{unit}{harm}"
    if one.name == "NCCL_DEBUG_SUBSYS":
        debug = environment.effective().get("NCCL_DEBUG")
        if debug is None or (debug.value or "").upper() not in ("INFO", "TRACE"):
            message += "; and it has no effect without NCCL_DEBUG=INFO"
    if one.name == "VLLM_PORT" and value.startswith("tcp://"):
        message = (
            "VLLM_PORT is what Kubernetes injects for a Service called vllm, and stops vLLM; give the Service "
            "another name, or set enableServiceLinks: false"
        )
    meant = nearest.BY_NAME.get(one.name)
    spellings = [word for word in nearest.switches(value) if legal.is_legal(row, word)]
    spellings.sort(key=lambda word: word not in re.split(r"[ |,]+", row.legal))  # the documented one before others
    near = meant(value) if meant else "".join(spellings[:1])
    if not near or legal.is_legal(row, near) is False:
        near = legal.nearest(row, value)
    certainty = Certainty.LOW if one.doubtful else Certainty.CERTAIN
    return Finding(
        "illegal-value",
        one.name,
        one.place,
        certainty,
        message,
        _line(one, near),
        where=environment.label,
    )


_SAY_HARM = frozenset({"OLLAMA_FLASH_ATTENTION", "TRTLLM_ENABLE_PDL", "VLLM_SKIP_P2P_CHECK", "VLLM_USE_DEEP_GEMM"})


def _alloc(one: Assignment, environment: Environment) -> Iterator[Finding]:
    value = one.value or ""
    wrong = list(alloc.illegal(value))
    groups = (
        (wrong, "illegal-value", Certainty.CERTAIN),
        (
            [] if wrong else alloc.contradictory(value),
            "alloc-conf-contradiction",
            Certainty.LIKELY,
        ),
        ([] if wrong else alloc.inert(value), "alloc-conf-inert", Certainty.LOW),
    )
    for problems, id, certainty in groups:
        found = list(problems)
        if not found:
            continue
        if not all(problem.sure for problem in found):
            certainty = Certainty.LOW if not any(problem.sure for problem in found) else certainty
        text = "; ".join(problem.message for problem in found)
        # With several faults no single mended value mends them all; the parts are then mended one after another.
        right = _all_mended(value) if id == "illegal-value" else found[0].right
        yield Finding(
            id,
            one.name,
            one.place,
            certainty,
            f"{one.name}: {text}",
            _line(one, right or ""),
            found[0].key,
            environment.label,
        )


_COMPILER_FLAGS = frozenset(
    {"CUDAFLAGS", "NVCC_FLAGS", "NVCC_APPEND_FLAGS", "NVCC_PREPEND_FLAGS", "CMAKE_CUDA_FLAGS"}
)


def _nvcc(one: Assignment, environment: Environment) -> Iterator[Finding]:
    """An architecture without its own suffix lacks what only it has."""
    value = one.value or ""
    for option in re.findall(r"-gencode[ =]\S+|(?<!\w)-{1,2}(?:gpu-)?arch(?:itecture)?[ =]\S+", value):
        plain = re.search(r"(?:sm|compute)_(\d{2,3})(?![\daf])", option)
        if plain and int(plain[1]) >= 90:
            right = re.sub(r"((?:sm|compute)_\d+)(?![\daf])", r"\1a", option)
            message = f"{option} lacks what the architecture alone has (FP4 and FP8 matrix instructions): {right}"
            mended = line_with(one, one.name, value.replace(option, right))
            yield Finding(
                "nvcc-flags",
                one.name,
                one.place,
                Certainty.LOW,
                message,
                mended,
                part=option,
                where=environment.label,
            )


def _all_mended(value: str) -> str:
    for _ in range(8):
        problem = next(alloc.illegal(value), None)
        if problem is None:
            return value
        if problem.right is None or problem.right == value:
            return ""
        value = problem.right
    return ""


def _shown(value: str) -> str:
    value = value.replace("\n", " ")
    return f'"{value}"' if len(value) <= _SHORT else f'"{value[:_SHORT]}..."'


def _line(one: Assignment, value: str) -> str:
    if value.startswith("--"):
        return value
    return line_with(one, one.name, value) if value else ""


# --- values with a rule of their own ------------------------------------------------------------------------------


def _finding(
    one: Assignment, environment: Environment, message: str, right: str = "", certainty: Certainty = Certainty.CERTAIN
) -> Finding:
    return Finding(
        "illegal-value",
        one.name,
        one.place,
        Certainty.LOW if one.doubtful else certainty,
        f"{one.name}: {message}",
        _line(one, right),
        where=environment.label,
    )


def _tf32(one: Assignment, environment: Environment) -> Iterator[Finding]:
    if one.value != "0":
        yield _finding(
            one,
            environment,
            f"{_shown(one.value or '')} is not documented to do anything; 0 forbids TF32, "
            "unset leaves it to the library",
            certainty=Certainty.LIKELY,
        )


def _go_bool(one: Assignment, environment: Environment) -> Iterator[Finding]:
    if one.value not in ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"):
        right = {"off": "0", "no": "0", "on": "1", "yes": "1"}.get((one.value or "").lower(), "")
        yield _finding(
            one, environment, f"{_shown(one.value or '')} is no boolean to Ollama, which takes it for true", right
        )


def _home(one: Assignment, environment: Environment) -> Iterator[Finding]:
    if (one.value or "").startswith("~"):
        yield _finding(one, environment, "~ is not expanded here; write the whole path", certainty=Certainty.LIKELY)
    elif one.name == "CUDA_CACHE_PATH" and re.match(r"(?![A-Za-z]:)[\w.]", one.value or "") and not one.build_only:
        yield _finding(one, environment, "the path must be absolute", f"/{one.value}", Certainty.LIKELY)


def _words(*words: str, per_function: bool = False) -> Callable[[Assignment, Environment], Iterator[Finding]]:
    known = {word.lower() for word in words}

    def rule(one: Assignment, environment: Environment) -> Iterator[Finding]:
        text = (one.value or "").lstrip("^")
        parts = [part.rpartition(":")[2] if per_function else part for part in re.split(r"[,;]", text)]
        wrong = [part.strip() for part in parts if part.strip().lstrip("^").lower() not in known]
        if wrong:
            yield _finding(
                one,
                environment,
                f"{_shown(', '.join(wrong))} is not legal; {', '.join(words)}",
                certainty=Certainty.LIKELY,
            )

    return rule


_OWN: dict[str, Callable[[Assignment, Environment], Iterator[Finding]]] = {
    "NVIDIA_TF32_OVERRIDE": _tf32,
    **dict.fromkeys(("OLLAMA_NOHISTORY", "OLLAMA_NOPRUNE", "OLLAMA_SCHED_SPREAD", "OLLAMA_NO_CLOUD"), _go_bool),
    **dict.fromkeys(("CUDA_CACHE_PATH", "NCCL_DEBUG_FILE", "CUDA_MPS_PIPE_DIRECTORY"), _home),
    "NCCL_PROTO": _words("LL", "LL128", "Simple", per_function=True),
    "NCCL_ALGO": _words(
        "Ring", "Tree", "CollnetChain", "CollnetDirect", "NVLS", "NVLSTree", "PAT", "Collnet", per_function=True
    ),
}
