"""A made-up house in virtual time: nodes, clouds and clients that misbehave under a seed.

It drives the real machine, carries its effects out against itself, and checks after every event
what must always hold (`tests/core/invariants.py`).
"""

from collections.abc import Callable
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Literal

import msgspec
from msgspec import Struct, field

from exo_supervisor.core.effects import (
    Announce,
    CancelAttempt,
    Effect,
    KeepAwake,
    KeepInstances,
    KeepPins,
    PlaceModel,
    ReadPlacement,
    Refuse,
    RemoveModel,
    StartAttempt,
    UnwatchNode,
    WatchNode,
)
from exo_supervisor.core.events import (
    AttemptQuieted,
    AttemptSettled,
    BreakerForced,
    ContentSeen,
    Event,
    NodeSighted,
    PlacementFailed,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
    RequestArrived,
    RequestEnded,
    Ticked,
)
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, Generation, ModelId, NodeId, ProviderName, RequestId
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from exo_supervisor.wire.exo.traits import PEERS

M1, M2, X = ModelId("m1"), ModelId("m2"), ModelId("x")
NEAR, FAR = ProviderName("near"), ProviderName("far")
POLICY = Policy(
    clouds=(Cloud(NEAR, "https://near.example", 1), Cloud(FAR, "https://far.example", 2)),
    trust="link",
    peers=PEERS,
    models=(
        ModelRule("chat", exo=(M1,), cloud=((NEAR, X), (FAR, X))),
        ModelRule("private", exo=(M2,), cloud=((NEAR, X),), local_only=True),
        ModelRule("either", exo=(M1,), cloud=((FAR, X),), any_of=("led",), aliases=("alias",)),
        ModelRule("led", exo=(M2,), fallback=("chat",), on_demand=True),
        ModelRule("kept", exo=(M1,), cloud=((NEAR, X),), fallback=("private",)),
        ModelRule("star-*", cloud=((FAR, X),), fallback=("kept", "chat")),
    ),
)
STAYS = frozenset({"private", "kept", "star-1"})
"""Names of which a row on the way keeps the whole request in the house."""
AT_ONCE = (
    Fault.CONNECT, Fault.RESET_EARLY, Fault.SERVER_ERROR, Fault.ERROR_EVENT, Fault.EMPTY,
    Fault.REJECTED, Fault.CONTEXT_LENGTH, Fault.NOT_PLACED, Fault.WRONG_MODEL, Fault.UNSUPPORTED,
    Fault.DECLINED, Fault.FIELD_REFUSED,
)  # fmt: skip
IN_MIDSTREAM = (Fault.RESET, Fault.STALL, Fault.ERROR_EVENT, Fault.UNFINISHED, Fault.OVERSIZED)
SPARE = ("", "stream", "stream_options", "top_p", "thinking")
PAUSES = (None, 0.0, 0.5, 3.0, 20.0)

Log = list[tuple[float, Event]]
_LINE = msgspec.json.Encoder()
_LOGGED = msgspec.json.Decoder(tuple[float, Event])


def write_line(entry: tuple[float, Event]) -> str:
    """Write one entry of a log as a line."""
    return _LINE.encode(entry).decode()


def read_line(line: str) -> tuple[float, Event]:
    """Read an entry back."""
    return _LOGGED.decode(line)


def digest(log: Log) -> str:
    """Name a whole story in a few characters, to tell whether two are the same."""
    return sha256("\n".join(map(write_line, log)).encode()).hexdigest()[:16]


class Group(Struct):
    """Nodes that share one state, as it really is."""

    models: dict[ModelId, bool] = field(default_factory=lambda: {M1: True, M2: True})
    index: int = 0


class Node(Struct):
    """A node as it really is; `addresses` has more than one where it is known twice."""

    addresses: list[Address]
    generation: Generation
    group: Group
    alive: bool = True
    born: int = 0

    def node_id(self) -> NodeId:
        """Name the node as it calls itself: anew after each start."""
        return NodeId(f"{self.addresses[0]}#{self.born}")


class Client(Struct):
    """A request as its client sees it."""

    event: RequestArrived
    streams: bool
    attempt: StartAttempt | None = None
    committed: bool = False
    served_by: list[StartAttempt] = field(default_factory=list[StartAttempt])
    refusal: Refuse | None = None
    ends: list[Literal["served", "broken", "refused", "left"]] = field(default_factory=list)
    """How it ended, each time that it did: it may be only once."""


class House:
    """Everything around the machine; `step` lets the next thing happen."""

    def __init__(self, seed: int, after: Callable[["House", list[Effect]], None]) -> None:
        self.random = Random(seed)  # noqa: S311 - a seed must replay, nothing here is secret
        self.now, self.trouble = 0.0, 0.1
        self.machine = Machine(POLICY, 0.0)
        self._after = after
        self.log: Log = []
        self.starts: list[StartAttempt] = []
        self.clients: dict[RequestId, Client] = {}
        self.visitors: list[Client] = []
        self.crowd = 0
        """How many requests have waited at once, at most."""
        self.watched: set[Address] = set()
        self.clouds: dict[ProviderName, str] = {NEAR: "well", FAR: "well"}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = count()
        one, two, old = Group(), Group(), Group()
        self.nodes = [
            Node([Address("n0:1"), Address("n0b:1")], "C", one),
            Node([Address("n1:1")], "C", one),
            Node([Address("n2:1")], "B", two),
            Node([Address("n3:1")], "B", two),
            Node([Address("a0:1")], "A", old),
        ]
        for node in self.nodes:
            self.sight(node)
        for name in self.clouds:
            self.later(self.random.random(), lambda name=name: self._list_cloud(name))

    def chance(self, share: float) -> bool:
        """Throw the dice."""
        return self.random.random() < share

    def later(self, delay: float, then: Callable[[], None]) -> None:
        """Let something happen after some seconds."""
        heappush(self._agenda, (self.now + delay, next(self._ticket), then))

    def step(self) -> None:
        """Let the next thing happen, or the machine's own alarm go off if it is sooner."""
        alarm = self.machine.deadline()
        if alarm is not None and alarm <= self._agenda[0][0]:
            self.now = max(self.now, alarm)
            self.feed(Ticked())
            return
        self.now, _, then = heappop(self._agenda)
        then()

    def feed(self, event: Event) -> None:
        """Tell the machine what happened, and carry out what it says."""
        self.log.append((self.now, event))
        effects = self.machine.handle(event, self.now)
        for effect in effects:
            self._carry_out(effect)
        self._after(self, effects)

    def sight(self, node: Node) -> None:
        """Let discovery come across a node."""
        for at in node.addresses:
            self.feed(NodeSighted(node=at, url=f"http://{at}", source="sim"))

    def ask(
        self,
        name: str,
        *,
        patience: float,
        deadline: float,
        streams: bool = True,
        route: Literal["exo", "cloud"] | None = None,
        local_only: bool = False,
        session: int = 0,
        mid_turn: bool = False,
    ) -> Client:
        """Let a client arrive, who leaves after `patience` seconds."""
        event = RequestArrived(
            request=RequestId(f"r{next(self._ticket)}"),
            model=name,
            deadline=self.now + deadline,
            draw=self.random.random(),
            route=route,
            local_only=local_only,
            session=session,
            mid_turn=mid_turn,
        )
        client = self.clients[event.request] = Client(event, streams)
        self.visitors.append(client)
        self.later(patience, lambda: self._leave(client))
        self.later(deadline, lambda: self._expire(client))
        self.feed(event)
        return client

    def force(self, target: str, model: ModelId | None, *, seconds: float) -> None:
        """Let an operator decree a breaker's state, and think better of it later."""
        forced = "open" if self.chance(0.5) else "closed"
        self.feed(BreakerForced(target=target, model=model, forced=forced))
        back = BreakerForced(target=target, model=model, forced=None)
        self.later(seconds, lambda: self.feed(back))

    def live(self, seconds: float) -> None:
        """Let some time pass."""
        end = self.now + seconds
        while self._agenda and min(self._agenda[0][0], self.machine.deadline() or end) < end:
            self.step()
        self.now = end

    def die(self, node: Node) -> None:
        """Let a node die, taking its streams with it; it comes back as somebody new."""
        node.alive, node.born = False, node.born + 1
        for client in list(self.clients.values()):
            if client.attempt is not None and client.attempt.target in node.addresses:
                self._settle(client, client.attempt.attempt, Fault.RESET)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case WatchNode(node=at):
                self.watched.add(at)
                self.later(self.random.random(), lambda: self._probe(at))
            case UnwatchNode(node=at):
                self.watched.discard(at)
            case ReadPlacement(node=at):
                self.later(0.01 + 0.3 * self.random.random(), lambda: self._read(at))
            case StartAttempt():
                self._start(self.clients[effect.request], effect)
            case CancelAttempt(request=request, attempt=number, fault=fault):
                client = self.clients[request]
                self.later(0.0, lambda: self._settle(client, number, fault))
            case Refuse(request=request):
                client = self.clients.pop(request)
                client.refusal = effect
                client.ends.append("refused")
            case (
                Announce()
                | KeepAwake()
                | KeepInstances()
                | KeepPins()
                | PlaceModel()
                | RemoveModel()
            ):
                pass

    def _node(self, at: str) -> Node:
        return next(node for node in self.nodes if at in node.addresses)

    def _probe(self, at: Address) -> None:
        if at not in self.watched:
            return
        self.later(5.0, lambda: self._probe(at))
        node = self._node(at)
        if not node.alive:
            self.feed(ProbeFailed(node=at, why="refused"))
            return
        name = None if node.generation == "A" else node.node_id()
        self.feed(ProbeAnswered(node=at, generation=node.generation, node_id=name, latency=0.01))

    def _read(self, at: Address) -> None:
        node, group = self._node(at), self._node(at).group
        if not node.alive or self.chance(self.trouble / 2):
            self.feed(PlacementFailed(node=at, why="timeout"))
            return
        forming = self.chance(self.trouble / 2)
        mates = () if forming else tuple(n.node_id() for n in self.nodes if n.group is group)
        models = tuple(Placed(model, ready) for model, ready in group.models.items())
        group.index += 1 + self.random.randrange(3)
        self.feed(PlacementRead(node=at, listed=mates, models=models, index=group.index))

    def _list_cloud(self, name: ProviderName) -> None:
        self.later(60.0, lambda: self._list_cloud(name))
        if self.clouds[name] == "well":
            self.feed(ProviderListed(provider=name, models=(X,)))
        else:
            why = "bad_key" if self.clouds[name] == "bad_key" else "timeout"
            self.feed(ProviderFailed(provider=name, why=why))

    def _start(self, client: Client, start: StartAttempt) -> None:
        assert client.attempt is None, "a second attempt at once"
        client.attempt = start
        self.starts.append(start)
        fault = self._fate(start)
        pause = self.random.choice(PAUSES)
        if fault is Fault.FIRST_CONTENT_TIMEOUT:
            self.later(10.0, lambda: self._hang(client, start, 10.0))
        elif fault is not Fault.NONE:
            delay = self.random.random() * 2.0
            self.later(delay, lambda: self._settle(client, start.attempt, fault, pause))
        else:
            ttft = 0.05 + self.random.random() * 2.0
            self.later(ttft, lambda: self._begin(client, start, ttft))

    def _fate(self, start: StartAttempt) -> Fault:
        dice = self.random.random()
        if dice < self.trouble:
            return self.random.choice(AT_ONCE)
        if dice < self.trouble * 1.5:
            return Fault.BUSY
        if dice < self.trouble * 1.7:
            return Fault.FIRST_CONTENT_TIMEOUT
        if start.generation is None:
            state = self.clouds[ProviderName(start.target)]
            fates = {"well": Fault.NONE, "down": Fault.CONNECT, "bad_key": Fault.BAD_KEY}
            return fates[state]
        node = self._node(start.target)
        if not node.alive:
            return Fault.CONNECT
        return Fault.NONE if node.group.models.get(start.model) else Fault.NOT_PLACED

    def _hang(self, client: Client, start: StartAttempt, silence: float) -> None:
        if client.attempt is not start:
            return
        if silence > 300.0:
            self._settle(client, start.attempt, Fault.FIRST_CONTENT_TIMEOUT)
            return
        request, attempt = client.event.request, start.attempt
        self.feed(AttemptQuieted(request=request, attempt=attempt, silence=silence, begun=False))
        self.later(10.0, lambda: self._hang(client, start, silence + 10.0))

    def _begin(self, client: Client, start: StartAttempt, ttft: float) -> None:
        if client.attempt is not start:
            return
        client.committed = client.streams
        request, number = client.event.request, start.attempt
        self.feed(ContentSeen(request=request, attempt=number, ttft=ttft))
        broken = self.chance(self.trouble)
        end = self.random.choice(IN_MIDSTREAM) if broken else Fault.NONE
        self.later(self.random.random() * 20.0, lambda: self._settle(client, number, end))

    def _settle(
        self, client: Client, number: int, fault: Fault, retry_after: float | None = None
    ) -> None:
        start = client.attempt
        if start is None or start.attempt != number:
            return
        client.attempt = None
        if fault is Fault.NONE:
            client.served_by.append(start)
        if fault is Fault.NONE or client.committed:
            client.ends.append("served" if fault is Fault.NONE else "broken")
            del self.clients[client.event.request]
        settled = AttemptSettled(
            request=client.event.request,
            attempt=number,
            draw=self.random.random(),
            failure=Failure(
                fault,
                status=400 if fault is Fault.REJECTED else 0,
                retry_after=retry_after if fault is Fault.BUSY else None,
                field=self.random.choice(SPARE) if fault is Fault.FIELD_REFUSED else "",
            ),
            committed=client.committed,
            body=self.random.randrange(8),
        )
        self.feed(settled)

    def _leave(self, client: Client) -> None:
        request = client.event.request
        client.attempt = None
        if self.clients.pop(request, None) is not None:
            client.ends.append("left")
        self.feed(RequestEnded(request=request))

    def _expire(self, client: Client) -> None:
        if client.attempt is not None and not client.committed:
            self._settle(client, client.attempt.attempt, Fault.DEADLINE)
