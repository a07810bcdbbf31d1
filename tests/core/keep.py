"""A made-up Exo of three nodes that breaks and lags under a seed, and those who keep a model on it.

Exo as it was seen: each node begins alone with a session of its own; two sessions that meet become
one, and the members of the other fall to the beginning of its log and replay it; a placement is
carried out up to 14 s after the yes, even if the session has ended meanwhile; a member may stand
still for a minute. One or two supervisors, each a real machine, see of it only what Exo tells. They
restart, too, without notice, and remember only what a slow disk had been given in time.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Literal

from msgspec import Struct, field, structs

from exo_supervisor.core.effects import (
    Effect,
    KeepInstances,
    OwnInstances,
    PlaceModel,
    ReadPlacement,
    RemoveModel,
)
from exo_supervisor.core.events import (
    Event,
    ModelRemoved,
    NodeSighted,
    PlacementChosen,
    PlacementRead,
    PlacementSettled,
    ProbeAnswered,
    ProbeFailed,
    Ticked,
)
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, InstanceId, ModelId, NodeId
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.wire.exo.traits import PEERS

M = ModelId("m")
POLICY = Policy(models=(ModelRule("chat", exo=(M,), keep=True),), peers=PEERS)
LATEST = 14.0
"""Seconds after a yes in which a placement is carried out."""
DROPS = 35.0
"""Seconds after which the master drops a dead node, and what stood on it."""
REPLAY = 120
"""Events that a member replays in a second."""
WRITES = 1.0
"""Seconds that a write may take; a process that ends meanwhile has written nothing."""
CALM = 150.0
"""Seconds of calm after which one instance stands: a failure that came before rests for so long."""


class Copy(Struct):
    """An instance, from the event that made it to the one that took it away."""

    id: InstanceId
    host: NodeId
    made: int
    ready_at: float
    hosted_at: float
    gone: int | None = None

    def in_state_at(self, index: int) -> bool:
        return self.made <= index and (self.gone is None or index < self.gone)


class Session(Struct):
    """One log of events; it ends when its members go over to another."""

    copies: dict[InstanceId, Copy] = field(default_factory=dict[InstanceId, Copy])
    index: int = 3
    won: int = 1

    def standing(self) -> list[Copy]:
        return [copy for copy in self.copies.values() if copy.gone is None]


class Node(Struct):
    """An Exo process: which session it is in, and how far it has got in its log."""

    address: Address
    session: Session
    applied: int = -1
    alive: bool = False
    born: int = 0
    settled_at: float = 0.0
    stuck_until: float = 0.0

    @property
    def id(self) -> NodeId:
        return NodeId(f"{self.address}#{self.born}")


class Exo:
    """The nodes and their sessions, as they really are."""

    def __init__(self, random: Random, later: Callable[[float, Callable[[], None]], None]) -> None:
        self.random, self._later, self.now = random, later, 0.0
        self.nodes = [Node(Address(f"n{n}:1"), Session()) for n in range(3)]
        self.troubled, self.most = True, 0
        """How many instances have stood in one session at once, at most."""

    def beat(self) -> None:
        """Let a second pass in every session."""
        for session in {id(node.session): node.session for node in self.nodes}.values():
            session.index += sum(node.alive for node in self.nodes if node.session is session)
            self.most = max(self.most, len(session.standing()))
            self._drop_orphans(session)
        for node in self.nodes:
            if node.alive and self.now >= node.stuck_until:
                node.applied = min(node.session.index, node.applied + REPLAY)
        self._later(1.0, self.beat)

    def boot(self, node: Node) -> None:
        """Start a node, or start it again; a while later it meets the others."""
        self.kill(node)
        node.alive, node.born, node.session, node.applied = True, node.born + 1, Session(), 3
        node.settled_at = node.stuck_until = self.now
        self._later(self.random.uniform(0.5, 6.0), partial(self.meet, node, node.born))

    def meet(self, node: Node, born: int) -> None:
        """Merge the sessions of all living nodes into one of them, most often the senior one."""
        alive = [each for each in self.nodes if each.alive]
        if not node.alive or node.born != born or len({id(n.session) for n in alive}) < 2:
            return
        sessions = {id(each.session): each.session for each in alive}
        winner = max(sessions.values(), key=lambda s: (s.won, self.random.random()))
        if self.random.random() < 0.2:
            winner = self.random.choice(list(sessions.values()))
        winner.won = len(alive)
        for each in alive:
            if each.session is not winner:
                self._go_over(each, winner)

    def elect(self) -> None:
        """Let a new master win: everything begins anew."""
        session = Session(index=-1)
        for node in self.nodes:
            if node.alive:
                self._go_over(node, session)

    def part(self, node: Node) -> None:
        """Let a node lose the others for a while: it elects itself, and comes back."""
        if node.alive:
            self._go_over(node, Session(index=-1))
            self._later(self.random.uniform(3.0, 20.0), partial(self.meet, node, node.born))

    def kill(self, node: Node) -> None:
        """End a node."""
        node.alive = False

    def create(self, node: Node, wanted: InstanceId) -> None:
        """Say yes to a placement through a node, and carry it out late."""
        late = self.random.choice((0.3, 1.0, 5.0, LATEST)) * self.random.uniform(0.5, 1.0)
        self._later(late, partial(self._create, node, node.session, wanted))

    def _create(self, node: Node, session: Session, wanted: InstanceId) -> None:
        if not any(each.session is session and each.alive for each in self.nodes):
            if not node.alive or self.random.random() < 0.5:
                return  # it is lost with its session
            session = node.session
        if wanted not in session.copies:
            session.index += 1
            ready_at = self.now + self.random.uniform(0.5, 20.0)
            session.copies[wanted] = Copy(wanted, node.id, session.index, ready_at, self.now)
            self.most = max(self.most, len(session.standing()))

    def delete(self, node: Node, gone: InstanceId) -> None:
        """Delete an instance of a node's session, a moment later."""
        self._later(self.random.uniform(0.1, 2.0), partial(self._delete, node.session, gone))

    def _delete(self, session: Session, gone: InstanceId) -> None:
        copy = session.copies.get(gone)
        if copy is not None and copy.gone is None:
            session.index += 1
            copy.gone = session.index

    def _drop_orphans(self, session: Session) -> None:
        """Let the master take away what stands on a node that is no member for long."""
        members = {node.id for node in self.nodes if node.alive and node.session is session}
        for copy in session.standing():
            copy.hosted_at = self.now if copy.host in members else copy.hosted_at
            if self.now - copy.hosted_at >= DROPS:
                self._delete(session, copy.id)

    def _go_over(self, node: Node, session: Session) -> None:
        node.session, node.applied = session, -1
        node.settled_at = self.now + self.random.uniform(0.5, 2.0)

    def listed_by(self, node: Node) -> tuple[NodeId, ...]:
        """Name the nodes that one lists: nobody, while its cluster forms."""
        if self.now < node.settled_at:
            return ()
        mates = (n for n in self.nodes if n.alive and n.session is node.session)
        return tuple(each.id for each in mates if self.now >= each.settled_at)

    def shown_by(self, node: Node) -> list[Copy]:
        """List the instances in the state that a node shows."""
        return [c for c in node.session.copies.values() if c.in_state_at(node.applied)]


class Supervisor:
    """A real machine, and a poller, a placer and a disk in few words."""

    def __init__(self, exo: Exo, later: Callable[[float, Callable[[], None]], None]) -> None:
        self._exo, self._later, self._random = exo, later, exo.random
        self.orders = 0
        self._life = 0
        self._disk: tuple[OwnInstances, ...] = ()
        self._rung_at = 0.0
        self.machine = Machine(POLICY, exo.now)
        self.start()

    def start(self) -> None:
        """Begin with nothing but seeds."""
        self._life += 1
        self.machine = Machine(structs.replace(POLICY, own=self._disk), self._exo.now)
        for node in self._exo.nodes:
            url = f"http://{node.address}"
            self.feed(NodeSighted(node=node.address, url=url, source="static", seeded=True))
            self._probe(node, self._life)

    def feed(self, event: Event) -> None:
        """Let the machine take an event in, and carry out what it says."""
        for effect in self.machine.handle(event, self._exo.now):
            self._perform(effect)
        self._set_alarm()

    def _set_alarm(self) -> None:
        at = self.machine.deadline()
        if at is not None and (at < self._rung_at or self._rung_at <= self._exo.now):
            self._rung_at = at
            self._later(max(0.0, at - self._exo.now), partial(self._ring, self._life))

    def _ring(self, life: int) -> None:
        at = self.machine.deadline()
        if life == self._life and at is not None and at <= self._exo.now:
            self.feed(Ticked())

    def _perform(self, effect: Effect) -> None:
        match effect:
            case ReadPlacement(node=address):
                late = self._random.uniform(0.02, 0.3)
                self._later(late, partial(self._read, self._at(address), self._life))
            case PlaceModel():
                self.orders += 1
                first = self._random.choice((0.1, 0.1, 1.0, 12.0))
                self._later(first, partial(self._place, effect, self._life, None))
            case RemoveModel():
                self._later(0.1, partial(self._remove, effect, self._life))
            case KeepInstances(own=own):
                late = self._random.uniform(0.0, WRITES)
                self._later(late, partial(self._write, own, self._life))
            case _:
                pass

    def _write(self, own: tuple[OwnInstances, ...], life: int) -> None:
        if life == self._life:
            self._disk = own

    def _at(self, address: Address) -> Node:
        return next(node for node in self._exo.nodes if node.address == address)

    def _probe(self, node: Node, life: int) -> None:
        if life != self._life:
            return
        if node.alive:
            answer = ProbeAnswered(
                node=node.address, generation="B", node_id=node.id, latency=0.01, version="1.0.71"
            )
            self.feed(answer)
        else:
            self.feed(ProbeFailed(node=node.address, why="refused"))
        self._later(5.0 if node.alive else 1.0, partial(self._probe, node, life))

    def _read(self, node: Node, life: int) -> None:
        if life != self._life or not node.alive:
            return
        stand = [self._instance(copy) for copy in self._exo.shown_by(node)]
        models = (Placed(M, any(i.ready for i in stand), instances=tuple(stand)),) if stand else ()
        told = PlacementRead(
            node=node.address,
            listed=self._exo.listed_by(node),
            models=models,
            index=node.applied,
        )
        self.feed(told)

    def _instance(self, copy: Copy) -> Instance:
        ready = self._exo.now >= copy.ready_at
        return Instance(copy.id, ready, "" if ready else "loading", hosts=(copy.host,))

    def _place(self, order: PlaceModel, life: int, before: tuple[int, InstanceId] | None) -> None:
        """Look twice, with jitter between, and send; a process that ended sends nothing."""
        node = self._at(order.node)
        if life != self._life:
            return
        if not node.alive:
            self._settle(order, "failed")
        elif self._exo.shown_by(node):
            self._settle(order, "stands")
        elif before is None:
            wanted = InstanceId(f"{self._random.randrange(2**32):08x}")
            self.feed(PlacementChosen(key=order.key, instance=wanted))
            jitter = 2.0 + 3.0 * self._random.random()
            sent = partial(self._place, order, life, (node.applied, wanted))
            self._later(jitter, sent)
        elif node.applied == before[0]:
            self._settle(order, "unfit")
        else:
            self._exo.create(node, before[1])
            self._befall()
            lost = self._random.random() < 0.1
            told = "lost" if lost else "accepted"
            event = PlacementSettled(key=order.key, ticket=order.ticket, told=told)
            self._later(0.05, partial(self._feed_in, life, event))

    def _befall(self) -> None:
        """Let something happen while an order is in flight, as long as there is trouble."""
        soon = self._random.uniform(0.0, LATEST)
        kind = self._random.choice(("nothing", "nothing", "elect", "part", "boot", "restart"))
        if not self._exo.troubled or kind == "nothing":
            return
        node = self._random.choice(self._exo.nodes)
        happens: dict[str, Callable[[], None]] = {
            "elect": self._exo.elect,
            "part": partial(self._exo.part, node),
            "boot": partial(self._exo.boot, node),
            "restart": self.start,
        }
        self._later(soon / 4 if kind == "restart" else soon, happens[kind])

    def _settle(self, order: PlaceModel, told: Literal["failed", "stands", "unfit"]) -> None:
        self.feed(PlacementSettled(key=order.key, ticket=order.ticket, told=told))

    def _feed_in(self, life: int, event: Event) -> None:
        if life == self._life:
            self.feed(event)

    def _remove(self, order: RemoveModel, life: int) -> None:
        node = self._at(order.node)
        found = [copy.id for copy in self._exo.shown_by(node)] if node.alive else []
        left = min((each for each in found if each not in order.only), default=None)
        surplus = [each for each in found if each in order.only and left and left < each]
        for each in surplus:
            self._exo.delete(node, each)
        gone = ModelRemoved(model=M, cluster=order.cluster, count=len(surplus), surplus=True)
        self._feed_in(life, gone)


class BrokenKeepError(AssertionError):
    """What was promised of a kept model did not hold."""


class Keep:
    """A seed's story: trouble, then calm, then exactly one instance that lasts."""

    def __init__(self, seed: int, supervisors: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a seed must replay, nothing here is secret
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket, self.seed = count(), seed
        self.tale: list[str] = []
        self.exo = Exo(self.random, self.later)
        self.exo.beat()
        for node in self.exo.nodes:
            self.later(self.random.uniform(0.0, 8.0), partial(self.exo.boot, node))
        self.supervisors = [Supervisor(self.exo, self.later) for _ in range(supervisors)]

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Plan something."""
        heappush(self._agenda, (self.exo.now + seconds, next(self._ticket), what))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._agenda and self._agenda[0][0] <= until:
            at, _, what = heappop(self._agenda)
            self.exo.now = max(self.exo.now, at)
            what()
        self.exo.now = until

    def trouble(self, seconds: float) -> None:
        """Let things happen to the nodes, and to the supervisors."""
        end = self.exo.now + seconds
        while self.exo.now < end:
            self.run(self.exo.now + self.random.choice((1.0, 3.0, 10.0, 40.0)))
            node = self.random.choice(self.exo.nodes)
            kind = self.random.choice(("elect", "part", "kill", "boot", "stick", "restart"))
            self.tale.append(f"{self.exo.now:.1f} {kind} {node.address}")
            self._happen(kind, node)

    def _happen(self, kind: str, node: Node) -> None:
        match kind:
            case "elect":
                self.exo.elect()
            case "part":
                self.exo.part(node)
            case "kill":
                self.exo.kill(node)
            case "boot" if not node.alive:
                self.exo.boot(node)
            case "stick":
                node.stuck_until = self.exo.now + self.random.uniform(5.0, 60.0)
            case "restart":
                self.random.choice(self.supervisors).start()
            case _:
                pass

    def calm(self) -> None:
        """Heal what is ill, and bring all nodes together."""
        self.exo.troubled = False
        for node in self.exo.nodes:
            node.stuck_until = 0.0
            if not node.alive:
                self.exo.boot(node)
        self.run(self.exo.now + 30.0)
        for node in self.exo.nodes:
            self.exo.meet(node, node.born)

    def standing(self) -> list[str]:
        """Name the instances of the one session that is left."""
        return sorted(copy.id for copy in self.exo.nodes[0].session.standing())

    def check(self, promise: bool, text: str) -> None:  # noqa: FBT001 - as assert
        """Raise unless a promise holds."""
        if not promise:
            story = "\n".join([*self.tale, f"seed {self.seed}, {self.exo.now:.1f} s: {text}"])
            raise BrokenKeepError(story)


def live(seed: int, supervisors: int, trouble: float = 240.0) -> Keep:
    """Live through a seed; raises BrokenKeepError."""
    keep = Keep(seed, supervisors)
    keep.trouble(trouble)
    keep.calm()
    keep.run(keep.exo.now + CALM)
    last = keep.standing()
    keep.check(len(last) == 1, f"not one instance in the end, but {last}")
    for _ in range(6):
        keep.run(keep.exo.now + 10.0)
        keep.check(keep.standing() == last, f"{last} did not last: {keep.standing()}")
    if supervisors == 1:
        keep.check(keep.exo.most <= 1, f"{keep.exo.most} instances at once")
    return keep
