"""What is to be done: the only way in which a decision acts on the world."""

from typing import Literal

from msgspec import Struct

from exo_supervisor.core.choice import ONLY, Choice
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    InstanceId,
    ModelId,
    RequestId,
    Target,
)
from exo_supervisor.core.outcomes import Fault, Refusal

Level = Literal["debug", "info", "warning", "error"]


class BaseEffect(Struct, frozen=True, kw_only=True, tag_field="effect", tag=True):
    """The class name is the tag, as with events."""


class Timers(Struct, frozen=True):
    """How long each stage of one attempt may take, in seconds; None: no limit of its own.

    `quiet` is how long it may make no progress before its first content until the state is asked,
    where that is sooner than half a stall.
    """

    connect: float
    headers: float | None
    first_content: float
    first_content_max: float
    stall: float
    quiet: float | None = None


class WatchNode(BaseEffect, frozen=True, kw_only=True):
    """Begin to ask a node how it is, and keep the beat however long it is silent if `seeded`."""

    node: Address
    url: str
    seeded: bool = False


class UnwatchNode(BaseEffect, frozen=True, kw_only=True):
    """Stop asking a node."""

    node: Address


class ReadPlacement(BaseEffect, frozen=True, kw_only=True):
    """Ask a node, soon, what its cluster runs.

    `cards`: and which models Exo knows of; `capacity`: and what the machines have and bear.
    """

    node: Address
    cards: bool = False
    capacity: bool = False


class PlaceModel(BaseEffect, frozen=True, kw_only=True):
    """Ask a node to place a model on its cluster, unless one of its ids stands there already.

    `models` are its ids, the preferred one first, `key` names it and `ticket` this try.
    """

    key: ModelId
    ticket: int
    node: Address
    url: str
    state_paths: bool
    models: tuple[ModelId, ...]


class RemoveModel(BaseEffect, frozen=True, kw_only=True):
    """Ask a node to delete every instance of some ids of one model from its cluster.

    `only`: none but these, and only while nothing runs on them and another one stands.
    """

    model: ModelId
    cluster: ClusterKey
    node: Address
    url: str
    state_paths: bool
    models: tuple[ModelId, ...]
    only: tuple[InstanceId, ...] = ()


class KeepPins(BaseEffect, frozen=True, kw_only=True):
    """Keep these pins across restarts: addresses, each with its link-layer address if known."""

    pins: tuple[tuple[Address, str | None], ...]


class OwnInstances(Struct, frozen=True):
    """The instances of a model that we placed: those that were seen, those that may yet come."""

    model: ModelId
    seen: tuple[InstanceId, ...] = ()
    ordered: tuple[InstanceId, ...] = ()


class KeepInstances(BaseEffect, frozen=True, kw_only=True):
    """Keep across restarts which instances are our own."""

    own: tuple[OwnInstances, ...]


class StartAttempt(BaseEffect, frozen=True):
    """Send a request to a target; a `generation` of None means a provider.

    `dialect` is what it is asked in; None: what its kind of peer speaks. `without` are fields that
    it does not take, and `key` is the place of the key that it is asked by.

    `shift` is why this is not the first choice; `commit_at_answer`: nothing is shown before the
    whole answer is in; `continues`: another target may go on with it, and `resumes`: this one does.
    `streamed`: it is asked for a stream, and with `usage` for one that tells its usage.
    """

    request: RequestId
    attempt: int
    target: Target
    url: str
    model: ModelId
    generation: Generation | None
    timers: Timers
    shift: str | None
    commit_at_answer: bool = False
    continues: bool = False
    resumes: bool = False
    streamed: bool = True
    usage: bool = True
    dialect: str | None = None
    without: frozenset[str] = frozenset()
    key: int = 0
    local: bool = False
    """It is a provider of the house."""
    reserved: int = 0
    """Pico-units that budgets hold for it: to be written down before it begins, where any are."""
    choice: Choice = ONLY
    private: bool = False
    """Nothing of the request may leave the house."""


class CancelAttempt(BaseEffect, frozen=True, kw_only=True):
    """End an attempt that can never finish, but not one that made progress after `unless_after`."""

    request: RequestId
    attempt: int
    fault: Fault
    unless_after: float | None = None


class KeepAwake(BaseEffect, frozen=True, kw_only=True):
    """Show the client of an attempt that is silent that somebody vouches for it."""

    request: RequestId
    attempt: int


class Refuse(BaseEffect, frozen=True, kw_only=True):
    """Answer a request with an error."""

    request: RequestId
    refusal: Refusal
    choice: Choice | None = None
    """Why no target is asked, where that is a reason."""


class Announce(BaseEffect, frozen=True, kw_only=True):
    """Tell the views: a log line's level, name (past tense) and facts."""

    level: Level
    name: str
    facts: dict[str, object]


def say(level: Level, name: str, /, **facts: object) -> Announce:
    """Announce something in a log line's terms."""
    return Announce(level=level, name=name, facts=facts)


Effect = (
    WatchNode
    | UnwatchNode
    | ReadPlacement
    | PlaceModel
    | RemoveModel
    | KeepPins
    | KeepInstances
    | StartAttempt
    | CancelAttempt
    | KeepAwake
    | Refuse
    | Announce
)
