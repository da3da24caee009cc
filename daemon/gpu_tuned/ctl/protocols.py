"""Types for the checker alone: `typing` is not imported at run time, it costs a tenth of a `status`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Protocol

    from gpu_tuned.core.audit_request import AuditRequest
    from gpu_tuned.core.verdict import Diagnosis
    from gpu_tuned.core.wire import Gpu, PlanReply

    Json = dict[str, Any]

    class Environment(Protocol):
        """What main hands to `env`: environment/verbs.py, which a sibling may not import."""

        def explain(self, name: str, components: Sequence[str]) -> Json: ...
        def show(self, profile: str, format: str, *, bare: bool = False) -> str: ...
        def write_cdi(self, profile: str, folder: str) -> dict[str, str]: ...
        def listing(self, pattern: str | None) -> Json: ...
        def audit(self, request: AuditRequest) -> Json: ...

    class Looks(Protocol):
        """What verbs look at beside the socket, as main hands it to them: one method each. A method raises errors of
        core.errors, and imports what it needs when it is called."""

        def plan(self, config: str | None) -> PlanReply:
            """The reply that `Plan` would give, from one look at the boards without a daemon (None: the usual
            policy file). Raises PolicyError, and DriverError where no board can be looked at."""

        def problems(self, path: str) -> tuple[list[str], str | None]:
            """What is wrong with a policy file, a sentence each, [] for a good one; and why its power budget could
            not be judged (None: it was, or there is none)."""

        def first_policy(self, root: str | None) -> Json:
            """What `init` proposes for the host below `root` (None: this one), as a document. Raises DriverError,
            UsageError."""

        def write_first_policy(self, root: str | None, *, replace: bool) -> Json:
            """The same, and put in place; `replace`: also where a policy is there. Raises NotPermitted as well."""

        def probe(self, gpu: str | None) -> Iterator[str]:
            """The dump of one GPU, line by line. Raises UsageError and DriverError."""

        def environment(self) -> Environment:
            """What `env` asks."""

        def gpu_pids(self) -> tuple[int, ...]:
            """The processes that the driver lists on the GPUs. Raises DriverError."""

        def examine(self, root: str | None, container: str | None) -> Diagnosis:
            """What the doctor finds on the host below `root` (None: this one), or in a container by its name."""

        def show(self, gpu: str | None, told: Gpu | None) -> Json:
            """The document of `show`; `told`: this GPU in the daemon's document, None without a daemon."""

        def advice(self, path: str) -> list[str]:
            """What is known to go wrong with what a good policy file wishes, a sentence each."""
