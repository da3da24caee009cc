"""The variables of one environment, as rules about several of them ask for them."""

from __future__ import annotations

from gpu_tuned.environment.audit.model import Certainty, Environment, Finding, line_with


class Together:
    """The effective variables of an environment, by what they are set to."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.by_name = environment.effective()

    def __call__(self, name: str) -> str | None:
        found = self.by_name.get(name)
        return found.value if found is not None else None

    def on(self, name: str) -> bool:
        return self(name) == "1"

    def finding(
        self,
        name: str,
        message: str,
        certainty: Certainty = Certainty.CERTAIN,
        right: str = "",
        id: str = "contradiction",
    ) -> Finding:
        one = self.by_name[name]
        if one.doubtful:
            certainty = Certainty.LOW
        line = line_with(one, name, right) if right else ""
        message = f"{name} {message}" if message.startswith("has ") else message
        return Finding(id, name, one.place, certainty, message, line, where=self.environment.label)
