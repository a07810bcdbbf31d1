"""Storms: `python -m tests.core.storms` tells how many attempts each of them takes.

200 clients ask for a minute, each again soon after it was answered, and no target is well. It fails
where more attempts are made than a storm may take.
"""

import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random

from msgspec import Struct

from exo_supervisor.core.effects import Announce, CancelAttempt, Effect, Refuse, StartAttempt
from exo_supervisor.core.events import AttemptSettled, Event, RequestArrived, Ticked
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.policy import Policy
from tests.core.story import BOTH, CHAT, CLOUDS, LOCAL, Story

CLIENTS = 200
SECONDS = 60.0
SLOWEST = 0.05
"""Seconds that a target takes to fail, at most."""

Says = Callable[[str, Random], Fault]


class Shape(Struct, frozen=True):
    """Who is there: nodes, those of one word in one cluster, and the clouds of a policy."""

    policy: Policy
    nodes: tuple[str, ...] = ()

    def targets(self) -> int:
        """Count who can be asked."""
        return len(self.policy.clouds) + sum(len(mates.split()) for mates in self.nodes)


class Storm:
    """The house, its clients, and targets that all fail as `says` has it."""

    def __init__(
        self,
        shape: Shape,
        says: Says,
        pause: Callable[[float | None], float],
        clients: int = CLIENTS,
        seconds: float = SECONDS,
    ) -> None:
        self.story = story = Story(shape.policy, *" ".join(shape.nodes).split())
        for mates in shape.nodes:
            for node in mates.split():
                story.read(node, "m", mates=mates)
        self.random = Random(1)  # noqa: S311 - it must replay, nothing here is secret
        self.says, self.pause = says, pause
        self.requests = self.attempts = self.probes = 0
        self._agenda: list[tuple[float, int, Event | None]] = []
        self._ticket = count()
        story.said.clear()
        self._end = story.now + seconds
        for _ in range(clients):
            self._later(self.random.random() * 0.2, None)

    def run(self) -> None:
        """Let the minute pass, and everything that was asked in it end."""
        while self._agenda:
            alarm = self.story.machine.deadline()
            if alarm is not None and alarm <= self._agenda[0][0]:
                self.story.now = max(self.story.now, alarm)
                self._feed(Ticked())
                continue
            self.story.now, _, event = heappop(self._agenda)
            if event is not None:
                self._feed(event)
            elif self.story.now < self._end:
                self.requests += 1
                self._feed(self._arrival())

    def _arrival(self) -> RequestArrived:
        return RequestArrived(
            request=RequestId(f"r{self.requests}"),
            model="chat",
            deadline=inf,
            draw=self.random.random(),
        )

    def _later(self, delay: float, event: Event | None) -> None:
        heappush(self._agenda, (self.story.now + delay, next(self._ticket), event))

    def _feed(self, event: Event) -> None:
        for effect in self.story.machine.handle(event, self.story.now):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case StartAttempt():
                self.attempts += 1
                fault = self.says(effect.target, self.random)
                delay = 0.001 + self.random.random() * SLOWEST
                self._later(delay, _settled(effect, fault, self.random.random()))
            case Refuse():
                self._later(self.pause(effect.refusal.retry_after), None)
            case Announce(name="breaker_half_opened"):
                self.probes += 1
            case CancelAttempt():
                raise AssertionError("nobody was silent")
            case _:
                pass


def _settled(start: StartAttempt, fault: Fault, draw: float) -> AttemptSettled:
    failure = Failure(fault)
    return AttemptSettled(request=start.request, attempt=start.attempt, failure=failure, draw=draw)


def always(fault: Fault) -> Says:
    return lambda _target, _random: fault


def in_their_own_ways(target: str, _: Random) -> Fault:
    """Let nodes report in the stream and clouds in the head, as they do."""
    return Fault.ERROR_EVENT if ":" in target else Fault.SERVER_ERROR


def in_any_way(_: str, random: Random) -> Fault:
    return random.choice((Fault.ERROR_EVENT, Fault.SERVER_ERROR))


SHAPES = {
    "one cluster and clouds": Shape(BOTH, ("a:1 b:1 c:1",)),
    "clusters and clouds": Shape(BOTH, ("a:1", "b:1", "c:1 d:1")),
    "nodes alone": Shape(LOCAL, ("a:1", "b:1", "c:1")),
    "many nodes": Shape(BOTH, tuple(f"n{n}:1" for n in range(12))),
    "clouds alone": Shape(BOTH),
    "one cloud": Shape(Policy(clouds=CLOUDS[:1], models=(CHAT,))),
    "one node": Shape(LOCAL, ("a:1",)),
}
AT_TARGET: dict[str, Says] = {
    "refusing": always(Fault.CONNECT),
    "502": always(Fault.BAD_STATUS),
    "resetting": always(Fault.RESET_EARLY),
}
IN_BAND: dict[str, Says] = {
    "500": always(Fault.SERVER_ERROR),
    "error events": always(Fault.ERROR_EVENT),
    "nodes and clouds in their own ways": in_their_own_ways,
    "in any way": in_any_way,
}
PAUSES: dict[str, Callable[[float | None], float]] = {
    "soon": lambda _: 0.5,
    "when told": lambda retry_after: retry_after or 1.0,
}


Case = tuple[str, str, str]
"""A shape, what its targets say, and how long a client pauses."""
ROWS: dict[str, tuple[Case, ...]] = {
    "at the target": tuple(("one cluster and clouds", says, "when told") for says in AT_TARGET),
    "in band": tuple(("one cluster and clouds", says, "when told") for says in IN_BAND),
    "impatient": tuple(("one cluster and clouds", says, "soon") for says in ("in any way", "502")),
    "nodes alone": (("nodes alone", "in any way", "when told"),),
    "many nodes": (("many nodes", "refusing", "when told"),),
    "one cloud": (("one cloud", "500", "when told"),),
}


def storm(case: Case, clients: int = CLIENTS, seconds: float = SECONDS) -> tuple[Storm, float]:
    """Let one blow over; what it may take at most.

    A quarter more than requests where targets are to blame; one more each where it is open.
    """
    shape, says, pause = case
    blown = Storm(SHAPES[shape], (AT_TARGET | IN_BAND)[says], PAUSES[pause], clients, seconds)
    blown.run()
    share = 1.25 if says in AT_TARGET else 2.25
    return blown, share * blown.requests + blown.probes + 3 * SHAPES[shape].targets()


def main() -> int:
    """Tell of every storm; 1 if one took too much."""
    failed = 0
    for case in (case for cases in ROWS.values() for case in cases):
        blown, most = storm(case)
        well = blown.attempts <= most and blown.requests >= CLIENTS and blown.story.idle()
        failed += not well
        told = f"{blown.attempts} attempts of {most:.0f} for {blown.requests} requests"
        sys.stdout.write(f"{'ok  ' if well else 'FAIL'} {', '.join(case)}: {told}\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
