"""Types for the checker alone: `typing` is not imported at run time, it costs a tenth of a `status`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    Json = dict[str, Any]

    class Environment(Protocol):
        """What main hands to `env`: environment/verbs.py, which a sibling may not import."""

        def explain(self, name: str, components: Sequence[str]) -> Json: ...
        def formats(self) -> dict[str, str]: ...
        def show(self, profile: str, format: str, *, bare: bool = False) -> str: ...
        def write_cdi(self, profile: str, folder: str) -> dict[str, str]: ...
        def listing(self, pattern: str | None) -> Json: ...
