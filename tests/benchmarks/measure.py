"""The rounds: every shape of traffic at every gateway in turn, so that noise falls on all alike."""

import time
from collections import defaultdict
from subprocess import Popen

import msgspec
from msgspec import Struct

from tests.benchmarks.answers import CLOUD_MODEL
from tests.benchmarks.gateways import FEW, Gateway
from tests.benchmarks.load import Job, Outcome
from tests.benchmarks.processes import BenchmarkError, attempt, cpu_seconds, perform, resident

READY = 30.0
"""Seconds that a gateway may take until it serves every model."""
SHORT, PACE, BURST = 12, 50, 100
CLOSE = 0.1
"""Seconds within which streams begin that begin closely one after the other, not all at once."""


class Shape(Struct, frozen=True):
    """One kind of traffic; `seconds` is 0 where each connection asks once."""

    name: str
    model: str
    stream: bool
    connections: int
    tokens: int = SHORT
    seconds: float = 0.0
    pace: int = 0
    spread: float = 0.0
    ours: bool = False
    """It is a way in which others do not answer."""

    def job(self, gateway: Gateway) -> Job:
        """Write it as a job for the load generator."""
        fields: dict[str, object] = {
            "model": self.model if gateway.is_ours() else CLOUD_MODEL,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Tell me about the rivers of Europe."},
            ],
            "max_tokens": self.tokens,
            "stream": self.stream,
        }
        if self.pace:
            fields["pace"] = self.pace
        return Job(
            at=gateway.at,
            path=gateway.path,
            body=msgspec.json.encode(fields).decode(),
            tokens=self.tokens,
            stream=self.stream,
            connections=self.streams(gateway),
            seconds=self.seconds,
            spread=self.spread,
        )

    def streams(self, gateway: Gateway) -> int:
        """Return how many connections it is, at a gateway."""
        return min(self.connections, FEW) if gateway.few and self.pace else self.connections


class Sample(Struct, frozen=True):
    """What one round of one shape at one gateway came to; loads are shares of one core."""

    rate: float
    mean: float
    first: float
    cpu_per_request: float
    cpu_per_token: float
    memory: float
    load: float
    fake: float
    answers: int


class Plan(Struct, frozen=True):
    """How much is measured."""

    rounds: int
    busy: float
    single: float
    paced: float
    nodes: float
    """Seconds for which the probing of nodes is watched."""

    def shapes(self) -> tuple[Shape, ...]:
        """List the shapes of traffic."""
        tokens = int(PACE * self.paced)
        return (
            Shape("plain", "from-whole", stream=False, connections=16, seconds=self.busy),
            Shape(
                "aggregate",
                "from-cloud",
                stream=False,
                connections=16,
                seconds=self.busy,
                ours=True,
            ),
            Shape("one", "from-whole", stream=False, connections=1, seconds=self.single),
            Shape("burst", "from-cloud", stream=True, connections=BURST, pace=PACE),
            Shape("close", "from-cloud", stream=True, connections=BURST, pace=PACE, spread=CLOSE),
            Shape(
                "paced",
                "from-cloud",
                stream=True,
                connections=100,
                tokens=tokens,
                pace=PACE,
                spread=0.5,
            ),
            Shape(
                "paced from Exo",
                "from-exo",
                stream=True,
                connections=100,
                tokens=tokens,
                pace=PACE,
                spread=0.5,
                ours=True,
            ),
            Shape(
                "many",
                "from-cloud",
                stream=True,
                connections=300,
                tokens=tokens,
                pace=PACE,
                spread=0.5,
            ),
        )


class Results(Struct, frozen=True):
    """All samples by shape and gateway, in the order of the rounds, and the memory of each."""

    samples: dict[tuple[str, str], list[Sample]]
    idle: dict[str, float]
    """MiB resident when it serves and has served next to nothing."""


def measure(plan: Plan, gateways: list[Gateway], load: Popen[bytes], fake: int) -> Results:
    """Warm up, then measure; raises BenchmarkError as soon as one answer is not whole."""
    shapes = plan.shapes()
    for gateway in gateways:
        await_models(gateway, shapes, load)
    idle = {gateway.name: resident(gateway.pid) for gateway in gateways}
    for gateway in gateways:
        for stream in (False, True):
            warm = Shape("warm", "from-cloud", stream=stream, connections=16, seconds=0.5)
            perform(load, warm.job(gateway))
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for turn in range(plan.rounds):
        order = gateways if turn % 2 == 0 else gateways[::-1]
        for shape in shapes:
            for gateway in order:
                if gateway.is_ours() or not shape.ours:
                    came = sample(shape, gateway, load, fake)
                    samples[shape.name, gateway.name].append(came)
    return Results(samples, idle)


def await_models(gateway: Gateway, shapes: tuple[Shape, ...], load: Popen[bytes]) -> None:
    """Wait until it serves every model."""
    until = time.monotonic() + READY
    for model in {shape.model for shape in shapes if gateway.is_ours()} or {CLOUD_MODEL}:
        once = Shape("once", model, stream=False, connections=1).job(gateway)
        while (outcome := attempt(load, once)).failed:
            if time.monotonic() > until:
                raise BenchmarkError(f"{gateway.name} serves no whole answer: {outcome.why}")
            time.sleep(0.1)


def sample(shape: Shape, gateway: Gateway, load: Popen[bytes], fake: int) -> Sample:
    used, faked = cpu_seconds(gateway.pid), cpu_seconds(fake)
    outcome = perform(load, shape.job(gateway))
    used, faked = cpu_seconds(gateway.pid) - used, cpu_seconds(fake) - faked
    return _reckon(shape, outcome, used, faked, resident(gateway.pid))


def _reckon(shape: Shape, outcome: Outcome, used: float, faked: float, memory: float) -> Sample:
    firsts = sorted(outcome.firsts)
    return Sample(
        rate=outcome.done / outcome.elapsed,
        mean=sum(outcome.latencies) / outcome.done,
        first=firsts[len(firsts) // 2],
        cpu_per_request=used / outcome.done * 1e6,
        cpu_per_token=used / outcome.done / shape.tokens * 1e6,
        memory=memory,
        load=outcome.cpu / outcome.elapsed,
        fake=faked / outcome.elapsed,
        answers=outcome.done,
    )
