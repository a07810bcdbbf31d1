"""The rounds: every shape of traffic at every gateway in turn, so that noise falls on all alike."""

import time
from collections import defaultdict
from subprocess import Popen

import msgspec
from msgspec import Struct

from tests.benchmarks.gateways import Gateway
from tests.benchmarks.load import Job, Outcome
from tests.benchmarks.processes import BenchmarkError, attempt, cpu_seconds, peak_memory, perform

READY = 20.0
"""Seconds that a gateway may take until it serves both models."""
SHORT, PACE = 12, 20


class Shape(Struct, frozen=True):
    """One kind of traffic; `seconds` is 0 where each connection asks once."""

    name: str
    stream: bool
    connections: int
    tokens: int = SHORT
    seconds: float = 0.0
    pace: int = 0

    def job(self, gateway: Gateway) -> Job:
        """Write it as a job for the load generator."""
        fields = {
            "model": "from-exo" if self.stream else "from-cloud",
            "messages": [{"role": "user", "content": "Tell me about the rivers of Europe."}],
            "max_tokens": self.tokens,
            "stream": self.stream,
        }
        if self.pace:
            fields["pace"] = self.pace
        return Job(
            socket=gateway.socket,
            path="/v1/chat/completions" if self.stream else gateway.plain_path,
            body=msgspec.json.encode(fields).decode(),
            tokens=self.tokens,
            stream=self.stream,
            connections=self.connections,
            seconds=self.seconds,
            spread=1.0 if self.pace else 0.0,
        )


class Sample(Struct, frozen=True):
    """What one round of one shape at one gateway came to; loads are shares of one core."""

    rate: float
    mean: float
    cpu_per_request: float
    cpu_per_token: float
    latencies: list[float]
    load: float
    fake: float


class Plan(Struct, frozen=True):
    """How much is measured."""

    rounds: int
    paced_rounds: int
    busy: float
    single: float
    paced: float

    def shapes(self) -> tuple[Shape, ...]:
        """List the shapes of traffic; the paced one comes last."""
        return (
            Shape("plain", stream=False, connections=16, seconds=self.busy),
            Shape("stream", stream=True, connections=16, seconds=self.busy),
            Shape("plain, one", stream=False, connections=1, seconds=self.single),
            Shape("stream, one", stream=True, connections=1, seconds=self.single),
            Shape("paced", stream=True, connections=200, tokens=int(PACE * self.paced), pace=PACE),
        )


class Results(Struct, frozen=True):
    """All samples by shape and gateway, in the order of the rounds, and each one's peak memory."""

    samples: dict[tuple[str, str], list[Sample]]
    memory: dict[str, float]


def measure(plan: Plan, gateways: list[Gateway], load: Popen[bytes], fake: int) -> Results:
    """Warm up, then measure; raises BenchmarkError as soon as one answer is not whole."""
    for gateway in gateways:
        _warm_up(gateway, load)
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for turn in range(plan.rounds):
        first = turn % len(gateways)
        for shape in plan.shapes():
            if shape.pace and turn >= plan.paced_rounds:
                continue
            for gateway in gateways[first:] + gateways[:first]:
                samples[shape.name, gateway.name].append(_sample(shape, gateway, load, fake))
    return Results(samples, {each.name: peak_memory(each.pid) for each in gateways})


def _warm_up(gateway: Gateway, load: Popen[bytes]) -> None:
    """Wait until it serves both models, then let it run until its code and pools are warm."""
    until = time.monotonic() + READY
    for stream in (False, True):
        once = Shape("once", stream=stream, connections=1).job(gateway)
        while (outcome := attempt(load, once)).failed:
            if time.monotonic() > until:
                raise BenchmarkError(f"{gateway.name} serves no whole answer: {outcome.why}")
            time.sleep(0.1)
        perform(load, Shape("warm", stream=stream, connections=16, seconds=0.5).job(gateway))


def _sample(shape: Shape, gateway: Gateway, load: Popen[bytes], fake: int) -> Sample:
    used, faked = cpu_seconds(gateway.pid), cpu_seconds(fake)
    outcome = perform(load, shape.job(gateway))
    used, faked = cpu_seconds(gateway.pid) - used, cpu_seconds(fake) - faked
    return _reckon(shape, outcome, used, faked)


def _reckon(shape: Shape, outcome: Outcome, used: float, faked: float) -> Sample:
    return Sample(
        rate=outcome.done / outcome.elapsed,
        mean=sum(outcome.latencies) / outcome.done,
        cpu_per_request=used / outcome.done * 1e6,
        cpu_per_token=used / outcome.done / shape.tokens * 1e6,
        latencies=outcome.latencies,
        load=outcome.cpu / outcome.elapsed,
        fake=faked / outcome.elapsed,
    )
