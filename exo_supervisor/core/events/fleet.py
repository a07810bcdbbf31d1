"""What discovery, probes and readings tell of nodes, clusters, models and providers."""

from collections.abc import Mapping
from typing import Literal

from exo_supervisor.core.books.price import Price
from exo_supervisor.core.events.base import BaseEvent
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    InstanceId,
    ModelId,
    NodeId,
    ProviderName,
)
from exo_supervisor.core.network import Why


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
    contexts: Mapping[ModelId, int] = {}
    capabilities: Mapping[ModelId, tuple[str, ...]] = {}
    prices: Mapping[ModelId, Price | None] = {}


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
