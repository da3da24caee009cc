"""Types for the checker alone: `typing` is not imported at run time, it costs a tenth of a `status`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]
