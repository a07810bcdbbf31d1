"""What happened, in the past tense. Only one of these can change the supervisor's mind."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.books.budgets import Calendar, Span, Spent
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    InstanceId,
    ModelId,
    NodeId,
    ProviderName,
    RequestId,
)
from exo_supervisor.core.network import Why
from exo_supervisor.core.outcomes import SERVED, Failure
from exo_supervisor.core.policy import Policy


class BaseEvent(Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """The class name is the tag, so that an event logs, streams and replays as itself."""


class NodeSighted(BaseEvent, frozen=True, kw_only=True):
    """A discovery source saw a node; `seeded` means that a person named it.

    `claimed` is who the source says it is, where others than Exo may speak by the same name.
    """

    node: Address
    url: str
    source: str
    seeded: bool = False
    claimed: NodeId | None = None


class SourceHeard(BaseEvent, frozen=True, kw_only=True):
    """A discovery source has told of everything that it could know at the start."""

    source: str


class ProbeAnswered(BaseEvent, frozen=True, kw_only=True):
    """A node said who it is; `latency` in seconds. `state_paths`: it has `/state/{path}`."""

    node: Address
    generation: Generation
    node_id: NodeId | None
    latency: float
    state_paths: bool = True
    version: str | None = None


class ProbeFailed(BaseEvent, frozen=True, kw_only=True):
    """A node did not say who it is; `detail` says what answered instead.

    `lived_at` is when an answer that it gives made progress last.
    """

    node: Address
    why: Why
    detail: str = ""
    lived_at: float | None = None


class PlacementRead(BaseEvent, frozen=True, kw_only=True):
    """A node told what its cluster runs; `listed` are the node ids that it knows of.

    `runners` are how many its instances have; `orphans` are those of no instance that are shutting
    down, by their ids. `downloaded` are the models that some node has on its disk, None where
    nobody asked; `asked_at` is when the reading began, None if just now.
    """

    node: Address
    listed: tuple[NodeId, ...]
    models: tuple[Placed, ...]
    index: int | None = None
    runners: int = 0
    orphans: tuple[str, ...] = ()
    asked_at: float | None = None
    downloaded: tuple[ModelId, ...] | None = None


class CapacityRead(BaseEvent, frozen=True, kw_only=True):
    """A node told what the machines of its cluster have and bear; `own` is its own, if it says so.

    `ghosts` are how many nodes its state still names that are in no cluster any more.
    """

    node: Address
    capacities: dict[NodeId, Capacity]
    own: Capacity | None = None
    ghosts: int = 0


class PlacementFailed(BaseEvent, frozen=True, kw_only=True):
    """A node that is up did not tell what its cluster runs."""

    node: Address
    why: Why


class CardsRead(BaseEvent, frozen=True, kw_only=True):
    """A node told which models Exo knows of, placed or not, and what each of them can."""

    node: Address
    cards: dict[ModelId, tuple[str, ...]]


class PlacementChosen(BaseEvent, frozen=True, kw_only=True):
    """A node is about to be asked to create this instance; what stands may still forbid it."""

    key: ModelId
    instance: InstanceId


class PlacementSettled(BaseEvent, frozen=True, kw_only=True):
    """A node was asked to place a model: what it said, or that its answer was lost.

    `stands`: it has one already; `unfit`: it cannot take it now. `detail` is short and says why.
    """

    key: ModelId
    ticket: int
    told: Literal["accepted", "stands", "lost", "unfit", "failed"]
    detail: str = ""


class ModelRemoved(BaseEvent, frozen=True, kw_only=True):
    """A cluster was asked to delete so many instances of a model; `why` says why not all went.

    `surplus`: only those that were one too many.
    """

    model: ModelId
    cluster: ClusterKey
    count: int
    why: str = ""
    surplus: bool = False


class ModelOrdered(BaseEvent, frozen=True, kw_only=True):
    """A person wants a model placed once, or removed; `models` are its ids at Exo."""

    models: tuple[ModelId, ...]
    order: Literal["place", "remove"]


class NodeTrusted(BaseEvent, frozen=True, kw_only=True):
    """A person trusts a node, or does so no more; a pin holds across restarts."""

    node: Address
    trusted: bool


class NodesForgotten(BaseEvent, frozen=True, kw_only=True):
    """A person wants to hear no more of the nodes that are not up."""


class LinkSeen(BaseEvent, frozen=True, kw_only=True):
    """A pinned node's link-layer address was seen for the first time, or is another than before."""

    node: Address
    link: str


class AddressesRead(BaseEvent, frozen=True, kw_only=True):
    """A node's state told where the members of its cluster are: `host` or `host:port` each."""

    node: Address
    addresses: dict[NodeId, tuple[str, ...]]


class ProviderListed(BaseEvent, frozen=True, kw_only=True):
    """A provider told which models it has, of some the tokens that they take, and what they can.

    `prices` are what it asks for them, None for what nobody can know beforehand.
    """

    provider: ProviderName
    models: tuple[ModelId, ...]
    contexts: dict[ModelId, int] = {}
    capabilities: dict[ModelId, tuple[str, ...]] = {}
    prices: dict[ModelId, Price | None] = {}


class ProviderFailed(BaseEvent, frozen=True, kw_only=True):
    """A provider did not tell which models it has; `answered`: it did give an HTTP answer."""

    provider: ProviderName
    why: Why
    detail: str = ""
    answered: bool = False


class ProviderVetted(BaseEvent, frozen=True, kw_only=True):
    """A provider of the house told which models it serves itself; None: it hands none on."""

    provider: ProviderName
    housed: frozenset[ModelId] | None


class RequestArrived(BaseEvent, frozen=True, kw_only=True):
    """A client wants an answer.

    `deadline` is an instant, by which the answer must have begun; `demands` are the fields that
    change the answer and that some target ignores; `native_demands` are those of them that only a
    target of the client's own `dialect` can be asked for; `hazards` are those whose value ends some
    target, and the kind of that value; `size` are the bytes of the prompt; `draw` is a random
    number in [0, 1); `client` names the rule of who asks; `session` tells conversations apart,
    where it is not 0; `mid_turn`: the last word is a tool's, not the user's. `extent` are the bytes
    of all that it says, the tokens that it allows each answer, 0 for any number, and how many
    answers it wants: one argument, since Python calls with over 15 names five times as slowly.
    """

    request: RequestId
    model: str
    deadline: float
    draw: float
    route: Literal["exo", "cloud"] | None = None
    local_only: bool = False
    demands: frozenset[str] = frozenset()
    native_demands: frozenset[str] = frozenset()
    dialect: str = "openai"
    hazards: Mapping[str, str] = {}
    size: int = 0
    client: str = "default"
    session: int = 0
    mid_turn: bool = False
    extent: tuple[int, int, int] = (0, 0, 1)


class ContentSeen(BaseEvent, frozen=True, kw_only=True):
    """An attempt brought its first content, `ttft` seconds after it began, and its head `head`.

    `allowances` are what its head told of how much more is taken there.
    """

    request: RequestId
    attempt: int
    ttft: float
    head: float | None = None
    allowances: tuple[Allowance, ...] = ()


class AttemptQuieted(BaseEvent, frozen=True, kw_only=True):
    """An attempt has made no progress for `silence` seconds, nor content if not `begun`."""

    request: RequestId
    attempt: int
    silence: float
    begun: bool


class AttemptSettled(BaseEvent, frozen=True, kw_only=True):
    """An attempt ended; every permit ever granted comes back in exactly one of these.

    `resumable`: what the client was told by now is a plain text that another target can go on with.
    `body` tells this request from others, where a provider declined it. `unsent`: the answer was
    whole, and its client has yet to take the end of it; a `RequestEnded` says that it is over.
    `tokens` are those of prompt and answer, as far as anybody told or saw them; `cost` is what is
    to be paid for it, in pico-units, None for nothing.
    """

    request: RequestId
    attempt: int
    draw: float
    failure: Failure = SERVED
    committed: bool = False
    resumable: bool = False
    unsent: bool = False
    body: int = 0
    tokens: int = 0
    cost: int | None = None


class RequestEnded(BaseEvent, frozen=True, kw_only=True):
    """The client left, whatever stage its request was in; or it has taken its whole answer.

    `tokens` and `cost` are those of an attempt that ends with it.
    """

    request: RequestId
    tokens: int = 0
    cost: int | None = None


class CalendarRead(BaseEvent, frozen=True, kw_only=True):
    """Which day it is where budgets are reckoned; its instants are the core's."""

    calendar: Calendar


class SpendingRead(BaseEvent, frozen=True, kw_only=True):
    """What earlier runs paid in this day or month, or for sessions of late."""

    span: Span
    paid: tuple[Spent, ...]


class BreakerForced(BaseEvent, frozen=True, kw_only=True):
    """An operator decreed a breaker's state; None returns it to the automaton."""

    target: str
    model: ModelId | None
    forced: Literal["open", "closed"] | None


class PolicyChanged(BaseEvent, frozen=True, kw_only=True):
    """The configuration was read anew: from here on decisions are made by this policy."""

    policy: Policy


class Ticked(BaseEvent, frozen=True, kw_only=True):
    """An instant that the core had asked for went by."""


Event = (
    NodeSighted
    | SourceHeard
    | ProbeAnswered
    | ProbeFailed
    | PlacementRead
    | PlacementFailed
    | CapacityRead
    | CardsRead
    | PlacementChosen
    | PlacementSettled
    | ModelRemoved
    | ModelOrdered
    | NodeTrusted
    | NodesForgotten
    | LinkSeen
    | AddressesRead
    | ProviderListed
    | ProviderFailed
    | ProviderVetted
    | RequestArrived
    | ContentSeen
    | AttemptQuieted
    | AttemptSettled
    | RequestEnded
    | BreakerForced
    | PolicyChanged
    | CalendarRead
    | SpendingRead
    | Ticked
)
