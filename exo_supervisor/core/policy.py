"""What the machine is told of the configuration: plain values, already checked."""

from msgspec import Raw, Struct

from exo_supervisor.core.breakers.automaton import Rules
from exo_supervisor.core.effects import OwnInstances, Timers
from exo_supervisor.core.names import (
    Address,
    Generation,
    ModelId,
    ProviderName,
    Side,
    TrustRule,
)

ANY_TIMERS = Timers(
    connect=2.0, headers=8.0, first_content=30.0, first_content_max=300.0, stall=20.0
)


class Waits(Struct, frozen=True):
    """Seconds that no setting reaches; a test hands in shorter ones."""

    settle: float = 10.0
    """For a cluster after each election, and for all after a change of grouping."""
    restarted: float = 15.0
    """After our own start, in which Exo may still carry out what our former self ordered."""
    appears: float = 30.0
    """After a yes, in which the instance may still appear, in this session or in the next.

    While a cluster forms, a placement was carried out 14 s after the yes."""
    jitter: float = 3.0
    """At most, of our own choice, before the last look that precedes a placement."""
    idle: float = 10.0
    """For which a model may be ready and at no work while a request waits for it."""
    cold_load: float = 900.0
    """That who loads late may need for a model that it was not seen to answer with yet."""
    legacy_first_content: float = 120.0
    """At least, of the silence before a first token of who loads late."""


WAITS = Waits()


class PeerRules(Struct, frozen=True):
    """In what the kinds of Exo differ, as far as decisions depend on it: one row a generation.

    `wire.exo.traits` has the rows, and the border hands them in, since this part imports no wire.
    The defaults are what the youngest Exo does.
    """

    timers: Timers = ANY_TIMERS
    ignored: frozenset[str] = frozenset()
    """Fields that change an answer and that it silently drops."""
    dies_of: frozenset[str] = frozenset()
    """Kinds of values that end its process: it must never be asked such a thing."""
    has_state: bool = True
    """It tells which instances of which model stand where, takes orders to place some, and keeps
    the prompts of answers that were cut. Without, what it can run is taken as ready."""
    knows_itself: bool = True
    """It tells its own id. Without, that is hidden among those that it lists."""
    ring: bool = False
    """Each token of an answer goes around all the nodes that it lists."""
    one_at_a_time: bool = False
    """A second request at its cluster evicts what is cached of the first, whatever its model."""
    batches_by_paths: bool = False
    """Only one that has `/state/{path}` (1.0.70) works for sure on several requests at once."""
    loads_late: bool = False
    """It loads a model at its first request, and sends no head before its first token."""


ANY_PEER = PeerRules()

NEW_LIMIT = "max_tokens"
"""Takes a limit of the answer's tokens as `max_completion_tokens` only."""
OLD_LIMIT = "max_completion_tokens"
"""Takes it as `max_tokens` only."""
NO_STREAM_OPTIONS = "stream_options"
"""Takes none of them, and tells its usage unasked if at all."""


class Limits(Struct, frozen=True):
    """Pico-units of money that may be spent in a day, a month and a session; 0: no limit."""

    day: int = 0
    month: int = 0
    session: int = 0


NO_LIMITS = Limits()


class BudgetRules(Struct, frozen=True):
    """What holds for the money of the whole house.

    `session_requests` may go to clouds in one session, 0 for any number. `denies_unknown`: where
    money has a limit, nothing is sent whose price nobody knows.
    """

    house: Limits = NO_LIMITS
    session_requests: int = 0
    denies_unknown: bool = True
    currency: str = "USD"


class Cloud(Struct, frozen=True):
    """One provider: where it is, when it is tried, and what it may be asked for.

    `keys` are how many it has, one where it needs none; without any it is off. `models`, where not
    empty, is all it has.
    `learns_head`: how long its head may take is learnt, and `timers.headers` is the least of it.
    """

    name: ProviderName
    url: str
    priority: int = 1
    models: tuple[ModelId, ...] = ()
    timers: Timers = ANY_TIMERS
    learns_head: bool = False
    keys: int = 1
    streams: bool = True
    """It may be asked for a stream."""
    why_off: str = ""
    """Which keys are not there that were to be, in words; of a provider that is off, too."""
    dialect: str = "openai"
    """What it is asked in."""
    ignored: frozenset[str] = frozenset()
    """Demands that it does not honour."""
    quirks: frozenset[str] = frozenset()
    """Fields of its dialect that it does not take."""
    local: bool = False
    """A person said that it is one of the house."""
    budget: Limits = NO_LIMITS

    @property
    def side(self) -> Side:
        """Which side it belongs to."""
        return "exo" if self.local else "cloud"


class ModelRule(Struct, frozen=True):
    """One configured name and what it stands for; `cloud` holds (provider, id) pairs."""

    name: str
    exo: tuple[ModelId, ...] = ()
    cloud: tuple[tuple[ProviderName, ModelId], ...] = ()
    local_only: bool = False
    keep: bool = False
    on_demand: bool = False
    continues: bool = False
    """Another target may go on with a plain text whose target died in the middle."""
    commit_at_answer: bool = False
    """Nothing of an answer is shown before all of it is in, so that every fault fails over."""
    aliases: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    """Rows that are as good."""
    fallback: tuple[str, ...] = ()
    """Rows that stand in for this one, in order, where it cannot serve."""
    context: int = 0
    """The tokens that it takes; 0: as its target tells."""
    defaults: dict[str, Raw] = {}
    """Fields that a request gets which leaves them out."""


class ClientRule(Struct, frozen=True):
    """What one client may: who that is, whoever takes requests in finds out.

    `models` are names or patterns of rows, all where it is empty; `requests` and `tokens` are rates
    a minute, 0 for none.
    """

    name: str
    models: tuple[str, ...] = ()
    local_only: bool = False
    route: Side | None = None
    requests: int = 0
    tokens: int = 0
    profile: str = ""
    """How its answers differ from everybody's; nothing is decided by it."""
    admin: bool = False
    """It may give orders."""
    budget: Limits = NO_LIMITS

    def is_free(self) -> bool:
        """Say whether it may ask for whatever anybody may."""
        narrow = self.models or self.local_only or self.route or self.requests or self.tokens
        return not narrow


DEFAULT_CLIENT = ClientRule("default")
"""Whoever no rule fits."""


class Policy(Struct, frozen=True):
    """What the configuration says of decisions; `PolicyChanged` puts another in its place.

    What is only of the start (`pins`, `own`, `first_look`, `awaited`) is read once.
    """

    order: tuple[Side, ...] = ("exo", "cloud")
    balance: str = "fastest"
    local_only: bool = False
    patience: float = 5.0
    attempts: int = 3
    budget: float = 0.2
    rules: Rules = Rules()
    seeds: tuple[tuple[Address, str], ...] = ()
    trust: TrustRule = "private"
    pins: tuple[tuple[Address, str | None], ...] = ()
    """Pins of earlier runs, each with the link-layer address that was seen there."""
    own: tuple[OwnInstances, ...] = ()
    """Instances that earlier runs placed."""
    owned: bool = False
    """Whoever listens on loopback was looked up: see `Trust`."""
    clouds: tuple[Cloud, ...] = ()
    models: tuple[ModelRule, ...] = ()
    clients: tuple[ClientRule, ...] = ()
    budgets: BudgetRules = BudgetRules()
    peers: dict[Generation, PeerRules] = {}
    """How the kinds of Exo differ; one that is not named here is as the youngest."""
    ready_interval: float = 10.0
    load_wait: float = 300.0
    """Seconds that a request waits for a model that is being placed, where nothing else serves."""
    first_look: float = 4.0
    """Seconds for which requests may wait until every seed was looked at once."""
    waits: Waits = WAITS
    awaited: frozenset[str] = frozenset()
    """Sources of which the first look waits to hear, and for whom they tell of."""

    def keeps_strangers_out(self) -> bool:
        """Say whether no prompt at all goes to nodes that are only found."""
        return self.trust == "named" or (self.local_only and self.trust != "link")
