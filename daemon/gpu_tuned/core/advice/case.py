"""The words of advice: a hazard, the case that it is looked for in, and what is known of models beyond their
answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase

from gpu_tuned.core.ladder import Fitted, lock_on
from gpu_tuned.core.model import Board, ClockLock, Gpu, Reading, Setting
from gpu_tuned.core.wish import Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpu_tuned.core.wire import Advice as AdviceRow

PAGES = "docs/advice"


class Severity(str, Enum):
    """`HARM`: it does the opposite of what it is written for. `CAUTION`: it fails, or costs, on some hosts. `NOTE`:
    what it costs, for one who wants to know."""

    HARM = "harm"
    CAUTION = "caution"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of a model beyond its board's answers. `boost_mhz`: where its clock goes under load, unlocked.
    `top_memory_mhz`: its highest memory clock. `decode_w`: the most that token generation was seen to draw."""

    name: str
    boost_mhz: int = 0
    top_memory_mhz: int = 0
    decode_w: int = 0
    gb202: bool = False
    blackwell: bool = False


# From recordings where there are any, else from public dumps and issues (docs/advice tells which).
MODELS = (
    Model("NVIDIA GeForce RTX 5090", 2850, 14001, gb202=True, blackwell=True),
    Model("NVIDIA GeForce RTX 5090 D", 2850, 14001, gb202=True, blackwell=True),
    Model("NVIDIA GeForce RTX 5090 D v2", 0, 14001, gb202=True, blackwell=True),
    Model("NVIDIA RTX PRO 5000 Blackwell", 0, 14001, gb202=True, blackwell=True),
    Model("NVIDIA RTX PRO 6000 Blackwell *", 0, 14001, gb202=True, blackwell=True),
    Model("NVIDIA GeForce RTX 50*", blackwell=True),
    Model("NVIDIA H200*", 1980, 3201, decode_w=300),
    Model("NVIDIA H100 80GB HBM3", 1980, 2619),
)


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of the host. None: not known, and no advice hangs on it then."""

    driver: str | None = None
    mps: bool | None = None
    persistenced: bool | None = None
    laptop: bool | None = None


UNKNOWN = Around()


@dataclass(frozen=True, slots=True)
class Case:
    """One GPU with all that is wished of it. `found`: its settings as they are, as far as they were read."""

    board: Board
    wishes: Mapping[Setting, Wish]
    found: Mapping[Setting, Reading] = field(default_factory=dict)
    around: Around = UNKNOWN

    @property
    def model(self) -> Model | None:
        """The first row of MODELS whose name fits."""
        return next((model for model in MODELS if fnmatchcase(self.board.gpu.name, model.name)), None)

    def lock(self, setting: Setting) -> ClockLock | None:
        """The lock that is wished and written. A memory clock's maximum is the rung that it comes to: they lie far
        apart."""
        wish = self.wish(setting)
        if wish is None or not isinstance(wish.target, ClockLock):
            return None
        fitted = lock_on(self.board.memory_ladder_mhz, wish.target) if setting is Setting.MEMORY_CLOCK else None
        return replace(wish.target, max_mhz=fitted.lock.max_mhz) if isinstance(fitted, Fitted) else wish.target

    def wish(self, setting: Setting) -> Wish | None:
        """A wish that is written; a watched setting is somebody else's."""
        wish = self.wishes.get(setting)
        return None if wish is None or wish.watched else wish


@dataclass(frozen=True, slots=True)
class Hazard:
    """One row of the catalogue. `applies`: what to say in this case, None where the hazard is not there."""

    id: str
    severity: Severity
    setting: Setting
    applies: Callable[[Case], str | None]

    @property
    def page(self) -> str:
        return f"{PAGES}/{self.id}.md"


@dataclass(frozen=True, slots=True)
class Advice:
    """A hazard met. `origin`: where the wish stands that brings it, "" where it is the lack of one."""

    id: str
    severity: Severity
    gpu: Gpu
    setting: Setting
    message: str
    """What happens, to be read without the page."""
    origin: str
    page: str

    def wire(self) -> AdviceRow:
        """As every command and the interface tells it."""
        return {
            "id": self.id,
            "severity": self.severity.value,
            "gpu": self.gpu.uuid,
            "pci": self.gpu.pci,
            "name": self.gpu.name,
            "setting": self.setting.value,
            "message": self.message,
            "origin": self.origin or None,
            "page": self.page,
        }

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        return f"{self.severity.value}: {where}{self.message} [{self.id}]"
