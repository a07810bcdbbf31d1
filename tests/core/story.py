"""Tells the machine a story by hand: who is there, who asks, how attempts end.

Each verb feeds one event and returns its effects, announcements left out (`said` keeps those).
"""

from typing import Literal

from msgspec import structs

from exo_supervisor.core.books.book import Prices
from exo_supervisor.core.effects import Announce, Effect, Refuse, StartAttempt, Timers
from exo_supervisor.core.events import (
    AttemptQuieted,
    AttemptSettled,
    BreakerForced,
    CardsRead,
    ContentSeen,
    Event,
    NodeSighted,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
    ProviderListed,
    RequestArrived,
    RequestEnded,
    Ticked,
)
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import (
    Address,
    Generation,
    InstanceId,
    ModelId,
    NodeId,
    ProviderName,
    RequestId,
)
from exo_supervisor.core.network import Why
from exo_supervisor.core.outcomes import Failure, Fault, Refusal
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from exo_supervisor.wire.exo.traits import PEERS

M, X = ModelId("m"), ModelId("x")
P, Q = ProviderName("p"), ProviderName("q")
CLOUDS = (Cloud(P, "https://p.example", 1), Cloud(Q, "https://q.example", 2))
CHAT = ModelRule("chat", exo=(M,), cloud=((P, X), (Q, X)))
ANY = Timers(2.0, 8.0, 30.0, 300.0, 20.0)
BOTH = Policy(clouds=CLOUDS, models=(CHAT,))
LOCAL = Policy(models=(CHAT,))


class Story:
    """A machine, a clock that only we turn, and what was said."""

    def __init__(
        self,
        policy: Policy = BOTH,
        *nodes: str,
        generation: Generation = "C",
        prices: Prices | None = None,
    ) -> None:
        """Begin after the first look, with nodes that each are a cluster of their own.

        Where the policy says nothing of the kinds of Exo, they are as they are.
        """
        self.now = 0.0
        policy = policy if policy.peers else structs.replace(policy, peers=PEERS)
        self.machine = Machine(policy, 0.0, prices)
        self.said: list[Announce] = []
        for cloud in policy.clouds:
            self.tell(ProviderListed(provider=cloud.name, models=(X,)))
        for node in nodes:
            self.up(node, generation=generation)
            self.read(node, M)
        self.tick(5.0)

    def tell(self, event: Event) -> list[Effect]:
        """Feed an event."""
        effects = self.machine.handle(event, self.now)
        self.said += [effect for effect in effects if isinstance(effect, Announce)]
        return [effect for effect in effects if not isinstance(effect, Announce)]

    def tick(self, until: float) -> list[Effect]:
        """Let time pass, ringing each alarm at its time."""
        effects: list[Effect] = []
        while (alarm := self.machine.deadline()) is not None and alarm <= until:
            self.now = max(self.now, alarm)
            effects += self.tell(Ticked())
        self.now = until
        return effects

    def wait(self, seconds: float) -> list[Effect]:
        """Let some seconds pass."""
        return self.tick(self.now + seconds)

    def up(
        self, node: str, *, generation: Generation = "C", born: int = 0, seeded: bool = False
    ) -> list[Effect]:
        """Let a node be found, and say who it is."""
        at = Address(node)
        self.tell(NodeSighted(node=at, url=f"http://{node}", source="test", seeded=seeded))
        name = None if generation == "A" else NodeId(f"{node}#{born}")
        return self.tell(ProbeAnswered(node=at, generation=generation, node_id=name, latency=0.01))

    def miss(
        self, node: str, *, why: Why = "refused", lived_at: float | None = None
    ) -> list[Effect]:
        """Let a node miss a probe."""
        return self.tell(ProbeFailed(node=Address(node), why=why, lived_at=lived_at))

    def down(self, node: str, *, why: Why = "refused") -> list[Effect]:
        """Let a node miss three probes."""
        return [*self.miss(node, why=why), *self.miss(node, why=why), *self.miss(node, why=why)]

    def read(
        self, node: str, *ready: str, loading: str = "", mates: str = "", index: int | None = None
    ) -> list[Effect]:
        """Let a node tell its state; `mates` are nodes it lists, besides itself."""
        models = [Placed(ModelId(model), ready=True) for model in ready]
        models += [Placed(ModelId(model), ready=False) for model in loading.split()]
        listed = tuple(NodeId(f"{name}#0") for name in (node, *mates.split()))
        at = Address(node)
        return self.tell(PlacementRead(node=at, listed=listed, models=tuple(models), index=index))

    def tells(
        self,
        node: str,
        *models: Placed,
        mates: str = "",
        index: int | None = None,
        runners: int = 1,
        orphans: str = "",
        asked_at: float | None = None,
    ) -> list[Effect]:
        """Let a node tell its state in full, each model with its instances (see `stand`)."""
        return self.tell(
            PlacementRead(
                node=Address(node),
                listed=tuple(NodeId(f"{name}#0") for name in (node, *mates.split())),
                models=models,
                index=index,
                runners=runners,
                orphans=tuple(orphans.split()),
                asked_at=asked_at,
            )
        )

    def cards(self, node: str, *cards: str) -> list[Effect]:
        """Let a node tell which models Exo knows of."""
        return self.tell(CardsRead(node=Address(node), cards={ModelId(card): () for card in cards}))

    def ask(  # noqa: PLR0913 - a client may say each of these
        self,
        request: str,
        model: str = "chat",
        *,
        deadline: float = 900.0,
        draw: float = 0.0,
        route: Literal["exo", "cloud"] | None = None,
        local_only: bool = False,
        demands: tuple[str, ...] = (),
        native: tuple[str, ...] = (),
        dialect: str = "anthropic",
        hazards: dict[str, str] | None = None,
        size: int = 0,
        client: str = "default",
        session: int = 0,
        mid_turn: bool = False,
        body: int = 0,
        max_tokens: int = 0,
        choices: int = 1,
        unpriced: str = "",
    ) -> list[Effect]:
        """Let a client ask; the deadline is in seconds from now."""
        return self.tell(
            RequestArrived(
                request=RequestId(request),
                model=model,
                deadline=self.now + deadline,
                draw=draw,
                route=route,
                local_only=local_only,
                demands=frozenset(demands + native),
                native_demands=frozenset(native),
                dialect=dialect if native else "openai",
                hazards=hazards or {},
                size=size,
                client=client,
                session=session,
                mid_turn=mid_turn,
                extent=(body, max_tokens, choices, unpriced),
            )
        )

    def fail(  # noqa: PLR0913 - a target may say each of these
        self,
        request: str,
        fault: Fault,
        *,
        retry_after: float | None = None,
        status: int = 0,
        message: str = "",
        of_key: bool = False,
        committed: bool = False,
        field: str = "",
        tokens: int = 0,
        cost: int | None = None,
    ) -> list[Effect]:
        """End a request's attempt."""
        return self.tell(
            AttemptSettled(
                request=RequestId(request),
                attempt=self.number(request),
                failure=Failure(
                    fault, message, status, retry_after, message, field=field, of_key=of_key
                ),
                draw=0.0,
                committed=committed,
                tokens=tokens,
                cost=cost,
            )
        )

    def begin(
        self, request: str, ttft: float = 0.5, allowances: tuple[Allowance, ...] = ()
    ) -> list[Effect]:
        """Let a request's attempt bring its first content."""
        attempt = self.number(request)
        return self.tell(
            ContentSeen(
                request=RequestId(request), attempt=attempt, ttft=ttft, allowances=allowances
            )
        )

    def succeed(self, request: str, ttft: float = 0.5, *, cost: int | None = None) -> list[Effect]:
        """Let a request's attempt begin and end well."""
        return self.begin(request, ttft) + self.fail(request, Fault.NONE, committed=True, cost=cost)

    def quiet(self, request: str, silence: float, *, begun: bool = False) -> list[Effect]:
        """Let a request's attempt be silent."""
        number = self.number(request)
        return self.tell(
            AttemptQuieted(request=RequestId(request), attempt=number, silence=silence, begun=begun)
        )

    def leave(self, request: str) -> list[Effect]:
        """Let a client leave."""
        return self.tell(RequestEnded(request=RequestId(request)))

    def force(
        self, target: str, forced: Literal["open", "closed"] | None, model: str | None = None
    ) -> list[Effect]:
        """Let the operator decree."""
        finer = None if model is None else ModelId(model)
        return self.tell(BreakerForced(target=target, model=finer, forced=forced))

    def number(self, request: str) -> int:
        """Tell the number of the attempt that a request has out."""
        state = self.machine.dispatch.requests.get(RequestId(request))
        return 0 if state is None or state.attempt is None else state.attempt.number

    def waits(self, request: str) -> bool:
        """Say whether a request waits."""
        return RequestId(request) in self.machine.dispatch.waiting

    def state(self, target: str, model: str | None = None) -> str:
        """Name a breaker's state."""
        finer = None if model is None else ModelId(model)
        cell = self.machine.tables.breakers.get((Address(target), finer))
        return "closed" if cell is None else cell.state()

    def failures(self, target: str, model: str | None = None) -> int:
        """Tell how many failures in a row a closed breaker has seen."""
        finer = None if model is None else ModelId(model)
        cell = self.machine.tables.breakers.get((Address(target), finer))
        return 0 if cell is None else getattr(cell.breaker, "failures", -1)

    def names(self) -> list[str]:
        """List the names of what was said since the last call."""
        names = [announced.name for announced in self.said]
        self.said.clear()
        return names

    def idle(self) -> bool:
        """Say whether nothing is left of any request."""
        machine = self.machine
        return not (
            machine.dispatch.requests
            or machine.dispatch.waiting
            or machine.dispatch.stall_check.silences
            or machine.tables.concurrency.taken
            or machine.tables.concurrency.at
        )


def stand(model: str, *instances: str, why: str = "", running: bool = False) -> Placed:
    """Place a model: each instance is its id and its hosts, as `i1@a:1,b:1`."""
    ready, found = not why, list[Instance]()
    for one in instances:
        name, _, hosts = one.partition("@")
        ids = tuple(NodeId(f"{host}#0") for host in hosts.split(",") if host)
        found.append(Instance(InstanceId(name), ready, why, hosts=ids, running=running))
    return Placed(ModelId(model), ready=ready, why=why, instances=tuple(found))


def told(effects: list[Effect]) -> list[str]:
    """Put effects into short words: `start a:1 m`, `start p x #2 /shift`, `refuse 503 code`."""
    return [word(effect) for effect in effects]


def word(effect: Effect) -> str:
    """Put one effect into short words."""
    match effect:
        case StartAttempt():
            shift = "" if effect.shift is None else f" /{effect.shift}"
            key = f" #{effect.key + 1}" if effect.key else ""
            return f"start {effect.target} {effect.model}{key}{shift}"
        case Refuse():
            return f"refuse {effect.refusal.status} {effect.refusal.code}"
        case Announce():
            return effect.name
        case _:
            fault = getattr(effect, "fault", None)
            at = getattr(effect, "node", None)
            name = type(effect).__name__
            return f"{name} {at or getattr(fault, 'value', fault)}"


def refusal(effects: list[Effect]) -> Refusal:
    """Pick the one refusal among effects."""
    [found] = [effect.refusal for effect in effects if isinstance(effect, Refuse)]
    return found
