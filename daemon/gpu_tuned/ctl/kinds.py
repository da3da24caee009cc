"""Types for the checker alone: `typing` is not imported at run time, it costs a tenth of a `status`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from gpu_tuned.core.verdict import Diagnosis

    Json = dict[str, Any]

    class Environment(Protocol):
        """What main hands to `env`: environment/verbs.py, which a sibling may not import."""

        def explain(self, name: str, components: Sequence[str]) -> Json: ...
        def formats(self) -> dict[str, str]: ...
        def show(self, profile: str, format: str, *, bare: bool = False) -> str: ...
        def write_cdi(self, profile: str, folder: str) -> dict[str, str]: ...
        def listing(self, pattern: str | None) -> Json: ...
        @property
        def gpu_pids(self) -> Callable[[], tuple[int, ...]]: ...
        def audit(
            self,
            paths: Sequence[str],
            *,
            reader: str | None,
            components: Sequence[str],
            pids: Sequence[int],
            everything: bool,
            standard_input: Callable[[], str],
        ) -> Json: ...

    class Looks(Protocol):
        """What some verbs look at beside the socket. Each method raises errors of core.errors."""

        def examine(self, root: str | None, container: str | None) -> Diagnosis:
            """What the doctor finds on the host below `root` (None: this one), or in a container by its name."""

        def show(self, gpu: str | None, told: Json | None) -> Json:
            """The document of `show`; `told`: this GPU in the daemon's document, None without a daemon."""

        def advice(self, path: str) -> list[str]:
            """What is known to go wrong with what a good policy file wishes, a sentence each."""
